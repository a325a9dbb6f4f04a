"""Where the trainings of a family run: device, CPUs and GPUs of each, and how many beside each other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.experiment import Experiment
from orchestrator.families import family_row
from orchestrator.machine.offered import AHEAD, Offered
from trainables.errors import InputError

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Placement:
    """Of one family in one run."""

    device: Device
    cpus: float
    """That one training reserves; torch has as many threads, and one at least."""
    gpus: float
    at_once: int
    """Trainings of this family beside each other, where nothing else runs."""
    why: str = ""
    """How the device was chosen, for a line of text; empty where the experiment says it."""
    most: int | None = None
    """The most trainings at a time that the experiment allows; None: no limit."""
    memory: int | None = None
    """Bytes of a GPU that torch may reserve for one training; None: all that is free."""
    node: str = ""
    """The address of the one node that it is to run on; empty: any that has room."""


Before = Mapping[str, tuple[Device, float]]
"""By family: the device, and the CPUs of one training, of what a run has trained so far."""


def trained_before(records: Iterable[TrialRecord]) -> Before:
    """By a run's records; those of versions that did not say it say nothing."""
    return {one.family: (one.device, one.cpus) for one in records if one.device is not None and one.cpus is not None}


def place(experiment: Experiment, family: str, offered: Offered, before: Before | None = None) -> Placement:
    """Where the trainings of a family run. What the experiment says wins, then what the run has done before.

    InputError where not even one fits.
    """
    before, asked = before or {}, experiment.resources
    device, why = _device(experiment, family, offered, before)
    gpus = (1.0 if device == "cuda" else 0.0) if asked.gpus == "auto" else asked.gpus
    if asked.cpus != "auto":
        cpus = asked.cpus
    elif family in before and before[family][0] == device:
        cpus = before[family][1] if offered.growing else min(before[family][1], offered.most_cpus)
    else:
        cpus = 1.0 if device == "cuda" else _threads(experiment, offered)
    check_fits(cpus, gpus, offered)
    fit = offered.places(cpus, gpus)
    most = experiment.budget.concurrent
    return Placement(device, cpus, gpus, max(1, min(fit, most or fit)), why, most)


def check_fits(cpus: float, gpus: float, offered: Offered) -> None:
    """InputError where one training that reserves so much finds no place, nor an autoscaler may bring it one."""
    if offered.growing:
        return
    if cpus > offered.cpus:
        raise InputError(
            f"resources.cpus is {cpus:g} a trial, and there are {offered.cpus:g}. Ask for {offered.cpus:g} or fewer."
        )
    if gpus > offered.gpus:
        there = "there is none" if offered.gpus == 0 else f"there are {offered.gpus:g}"
        trouble = f" ({offered.trouble})" if offered.trouble else ""
        raise InputError(
            f"resources.gpus is {gpus:g} a trial, and {there}{trouble}. Set resources.gpus=auto to train where there "
            "is room, or resources.gpus=0 to train on CPUs; `orchestrate doctor` says what this machine offers."
        )
    _check_machines(cpus, gpus, offered)


def _check_machines(cpus: float, gpus: float, offered: Offered) -> None:
    """InputError where a training finds room on all machines of a cluster together, and on none of them alone."""
    if not offered.rooms or not (cpus or gpus) or offered.places(cpus, gpus):
        return
    asked = " and ".join(f"resources.{name} is {many:g}" for name, many in (("cpus", cpus), ("gpus", gpus)) if many)
    kinds = sorted({(room.cpus, room.gpus) for room in offered.rooms if room.cpus or room.gpus}, reverse=True)
    there = ", ".join(
        f"{has:g} CPU{'s' * (has != 1)}" + (f" and {gpu:g} GPUs" if gpu else "") for has, gpu in kinds[:6]
    )
    raise InputError(
        f"{asked} a trial, and no single machine of the cluster has that: there are machines of {there}. Ask for what "
        "one of them has, or add a larger one."
    )


def check_asked(experiment: Experiment, offered: Offered) -> None:
    """InputError where a training finds no place that reserves what the experiment says in numbers."""
    asked = experiment.resources
    check_fits(0.0 if asked.cpus == "auto" else asked.cpus, 0.0 if asked.gpus == "auto" else asked.gpus, offered)


def fits(one: Placement, beside: Iterable[Placement], offered: Offered, concurrent: int | None) -> bool:
    """Whether a training finds room beside those that run. `concurrent`: the most of them; None: no limit."""
    every = [one, *beside]
    few = concurrent is None or len(every) <= concurrent
    ahead = offered.growing and len(every) <= offered.places(one.cpus, one.gpus) + AHEAD
    return len(every) == 1 or (few and (ahead or offered.holds((each.cpus, each.gpus) for each in every)))


def _device(experiment: Experiment, family: str, offered: Offered, before: Before) -> tuple[Device, str]:
    asked = experiment.resources.gpus
    if asked != "auto":
        return ("cuda" if asked else "cpu"), ""
    if family in before:
        device = before[family][0]
        if device == "cuda" and offered.gpus == 0:
            trouble = f" ({offered.trouble})" if offered.trouble else ""
            raise InputError(
                f"This run has trained {family} on a GPU, and there is none here{trouble}. Go on where there is one, "
                "or on CPUs with --set resources.gpus=0: its tables then hold figures of both."
            )
        return device, "as the run began"
    if offered.gpus == 0:
        return "cpu", offered.hindrance
    if not family_row(family).family.gpu:
        return "cpu", "they gain nothing by a GPU"
    if any(device == "cpu" and family_row(other).family.gpu for other, (device, _) in before.items()):
        return "cpu", "as the run began"
    if offered.hindrance:
        return "cpu", offered.hindrance
    return "cuda", "; ".join(card.told for card in offered.cards)


def _threads(experiment: Experiment, offered: Offered) -> float:
    """CPUs of one training, so that those beside each other fill the machine.

    One number for search and evaluation: the order in which torch adds up follows from the number of threads, and with
    it the last bits of a result. Of a cluster no more than one, which every node has.
    """
    if offered.elsewhere:
        return 1.0
    most = max(experiment.budget.trials, len(experiment.seeds))
    beside = min(experiment.budget.concurrent or most, most)
    return float(max(1, int(offered.cpus / beside))) if offered.cpus >= 1 else offered.cpus


def place_all(experiment: Experiment, offered: Offered, before: Before) -> dict[str, Placement]:
    """By family: of all that a sweep or an ablation of the experiment trains."""
    families = [variant.family for variant in experiment.families]
    if experiment.ablation is not None:
        families += [row.family for row in experiment.ablation.variants if row.family is not None]
    return {family: place(experiment, family, offered, before) for family in dict.fromkeys(families)}


def told(experiment: Experiment, placements: Mapping[str, Placement], offered: Offered) -> str:
    """What was chosen and why, in one line."""
    names: dict[Placement, list[str]] = {}
    for variant in experiment.families:
        names.setdefault(placements[variant.family], []).append(variant.name)
    parts = []
    for one, variants in names.items():
        who = ", ".join(variants) if len(names) > 1 else "All"
        many = f"{one.gpus:g} GPUs" if one.gpus > 1 else "a GPU" if one.gpus == 1 else f"{one.gpus:g} of a GPU"
        where = f"on {many if one.gpus else 'CPUs'}"
        why = f" ({one.why})" if one.why else ""
        parts.append(f"{who} {where}{why}, {one.at_once} at a time with {one.cpus:g} CPU{'s' * (one.cpus != 1)} each")
    idle = offered.gpus > 0 and experiment.resources.gpus == 0
    unused = " A GPU stands idle, since resources.gpus is 0." if idle else ""
    return f"{'; '.join(parts)}.{unused}"


def asking(experiment: Experiment, begun: Experiment | None) -> Experiment:
    """The experiment with the numbers of the run that it goes on with, where it says `auto` and that one did not.

    Runs of versions before `auto` have numbers: left unset, all was trained on CPUs.
    """
    if begun is None:
        return experiment
    now, then = experiment.resources, begun.resources
    kept = {
        key: value
        for key, value in (("cpus", then.cpus), ("gpus", then.gpus))
        if getattr(now, key) == "auto" and value != "auto"
    }
    return experiment.model_copy(update={"resources": now.model_copy(update=kept)}) if kept else experiment


def device_of(experiment: Experiment, offered: Offered | None, before: Callable[[], Before]) -> Callable[[str], Device]:
    """By family, before Ray runs. `offered`: None where that is known only once a cluster answers."""

    def device(family: str) -> Device:
        if offered is not None:
            return place(experiment, family, offered, before()).device
        return "cuda" if experiment.resources.gpus not in (0, "auto") else "cpu"

    return device

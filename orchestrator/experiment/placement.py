"""Where the trainings of a family run: device, CPUs and GPUs of each, and how many beside each other."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.experiment import Experiment
from orchestrator.families import FAMILIES, family_row
from orchestrator.machine.offered import AHEAD, Offered
from trainables.errors import InputError

Device = Literal["cpu", "cuda"]
TRY_HERE = "ORCHESTRATOR_WORKERS_ON_CPUS"
"""The variable of the environment that, set to 1, lets several workers train on one machine's CPUs."""


@dataclass(frozen=True)
class Placement:
    """Of one family in one run."""

    device: Device
    cpus: float
    """That one worker of a training reserves; torch has as many threads, and one at least."""
    gpus: float
    """Likewise."""
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
    workers: int = 1
    """That share one training."""

    @property
    def parts(self) -> list[tuple[float, float]]:
        """The CPUs and GPUs of each worker of a training. Who starts several only waits, and reserves none."""
        return [(self.cpus, self.gpus)] * self.workers


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
    if asked.workers > 1:
        check_family(family, asked.workers)
    device, why = _device(experiment, family, offered, before)
    gpus = (1.0 if device == "cuda" else 0.0) if asked.gpus == "auto" else asked.gpus
    if asked.cpus != "auto":
        cpus = asked.cpus
    elif family in before and before[family][0] == device:
        cpus = before[family][1] if offered.growing else min(before[family][1], offered.most_cpus)
    else:
        cpus = 1.0 if device == "cuda" or asked.workers > 1 else _threads(experiment, offered)
    workers = asked.workers
    check_gain(workers, device, gpus, offered)
    check_fits(cpus, gpus, offered, workers)
    fit = offered.places(cpus, gpus) // workers
    most = experiment.budget.concurrent
    return Placement(device, cpus, gpus, max(1, min(fit, most or fit)), why, most, workers=workers)


def check_fits(cpus: float, gpus: float, offered: Offered, workers: int = 1) -> None:
    """InputError where one training, each of whose workers reserves so much, finds no place, nor an autoscaler may
    bring it one."""
    if offered.growing:
        return
    if workers > 1 and (room := offered.places(cpus, gpus)) < workers:
        gpu = f" and {gpus:g} GPU{'s' * (gpus != 1)}" if gpus else ""
        raise InputError(
            f"resources.workers is {workers} a trial, each with {cpus:g} CPU{'s' * (cpus != 1)}{gpu}, and there is "
            f"room for {room} of them ({offered.cpus:g} CPUs and {offered.gpus:g} GPUs in all): they would wait for "
            "each other without an end. Ask for fewer workers, or set resources.workers=1."
        )
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


def check_family(family: str, workers: int) -> None:
    """InputError for a family whose trainings several workers can't share."""
    if not family_row(family).family.spans:
        able = ", ".join(name for name, row in FAMILIES.items() if row.family.spans)
        raise InputError(
            f"resources.workers is {workers}, and {family} does not train by steps that workers can share. Those that "
            f"do: {able}. Leave {family} out of this experiment, or set resources.workers=1."
        )


def check_gain(workers: int, device: Device, gpus: float, offered: Offered) -> None:
    """InputError where a training gains nothing by several workers."""
    if workers == 1:
        return
    if 0 < gpus < 1:
        raise InputError(
            f"resources.gpus is {gpus:g} and resources.workers {workers}: each worker has GPUs of its own, whole ones. "
            "Set resources.gpus=1, or resources.workers=1 to share a GPU between trials."
        )
    if device == "cpu" and not offered.elsewhere and os.environ.get(TRY_HERE) != "1":
        raise InputError(
            f"resources.workers is {workers}, and trials train on this machine's CPUs: threads of one worker do the "
            f"same, without sending gradients to each other. Set resources.workers=1 and resources.cpus={workers}, or "
            f"train where there are {workers} GPUs, or on a cluster. {TRY_HERE}=1 tries it all the same."
        )


def check_asked(experiment: Experiment, offered: Offered) -> None:
    """InputError where a training finds no place that reserves what the experiment says in numbers."""
    asked, several = experiment.resources, experiment.resources.workers > 1
    # Unasked, each of several workers has one of both, where there is a GPU.
    cpus = float(several) if asked.cpus == "auto" else asked.cpus
    gpus = float(several and offered.gpus > 0) if asked.gpus == "auto" else asked.gpus
    check_gain(asked.workers, "cuda" if gpus else "cpu", gpus, offered)
    check_fits(cpus, gpus, offered, asked.workers)


def fits(one: Placement, beside: Iterable[Placement], offered: Offered, concurrent: int | None) -> bool:
    """Whether a training finds room beside those that run. `concurrent`: the most of them; None: no limit."""
    every = [one, *beside]
    few = concurrent is None or len(every) <= concurrent
    ahead = offered.growing and len(every) <= offered.places(one.cpus, one.gpus) // one.workers + AHEAD
    return len(every) == 1 or (few and (ahead or offered.holds(part for each in every for part in each.parts)))


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
        over = f" over {one.workers} workers" if one.workers > 1 else ""
        cpus = f"{one.cpus:g} CPU{'s' * (one.cpus != 1)}"
        parts.append(f"{who} {where}{why}, {one.at_once} at a time{over} with {cpus} each")
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

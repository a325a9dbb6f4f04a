"""The experiment that a run's folder holds, and whether it is the one that the run's records name."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.places import Place, places_before
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import PLACE_KEYS, Experiment, flat, is_free, read_experiment
from trainables.credentials import without_credentials
from trainables.errors import InputError


def check_run(folder: RunFolder) -> None:
    """InputError where a folder holds no run."""
    if not folder.experiment.exists():
        there = "holds no run" if folder.root.is_dir() else "is no folder, and holds no run"
        raise InputError(f"{folder.root} {there} (no {folder.experiment.name}). Start one: orchestrate sweep.")


def experiment_of(folder: RunFolder) -> Experiment:
    """The experiment that a run's folder holds; InputError where it holds none that can be read."""
    check_run(folder)
    return experiment_in(folder.experiment)


def experiment_in(path: Path) -> Experiment:
    """The experiment in a file of a run's folder; InputError where it can't be read. Runs no code that it names."""
    try:
        values = read_experiment(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {error}. Put it back from a copy.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no keys. Put it back from a copy.")
    if isinstance(mirror := values.get("mirror"), str):
        # Runs begun before credentials were refused may hold some; the environment has to hold them now.
        values = {**values, "mirror": without_credentials(mirror)}
    return Experiment.from_mapping(values, str(path))


def place_of(experiment: Experiment) -> Place:
    """Where an experiment's data and its store lie."""
    return Place(experiment.data.path, experiment.data.store)


def known_prints(experiment: Experiment, folder: RunFolder) -> set[str]:
    """What the run's records may call its experiment: versions before this one counted where the data lay."""
    prints = {experiment.fingerprint}
    for place in (place_of(experiment), *places_before(folder)):
        data = experiment.data.model_copy(update=place._asdict())
        prints.add(experiment.model_copy(update={"data": data}).placed_fingerprint)
    return prints


def differing(old: Experiment, new: Experiment) -> list[str]:
    """What differs between two experiments and changes what the run means, a line each; not where the data lie."""
    before, after = flat(old.model_dump(mode="json")), flat(new.model_dump(mode="json"))
    lines = []
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) or is_free(key) or key in PLACE_KEYS:
            continue
        if key == "seeds" and after[key][: len(before[key])] == before[key]:
            continue  # more seeds after the old ones: only more cells
        lines.append(f"{key}: {before.get(key)!r} there, {after.get(key)!r} here")
    return lines


@dataclass(frozen=True)
class Origin:
    """Which experiment a run's records are of."""

    prints: frozenset[str]
    """What they may call the run's experiment."""
    strangers: int
    """How many are of another one."""
    changed: tuple[str, ...] = ()
    """What `experiment.yaml` says otherwise than the experiment that the records name, a line each, `there` being the
    records'; empty where it is theirs, or nothing tells what theirs was."""
    kept: bool = False
    """Whether `as_run.yaml` holds the records' experiment, and `experiment.yaml` does not."""


def origin_of(folder: RunFolder, records: Iterable[TrialRecord]) -> Origin:
    """Hold a run's experiment against its records; InputError where the experiment, or its places, can't be read.

    Only what the records' own fingerprints bear out is believed of `as_run.yaml`.
    """
    named = [record.provenance.experiment for record in records]
    now = experiment_of(folder)
    prints = known_prints(now, folder)
    strangers = sum(one not in prints for one in named)
    if strangers:
        try:
            then = experiment_in(folder.as_run)
        except InputError:  # of a version that kept none, or as spoiled as the other
            return Origin(frozenset(prints), strangers)
        theirs = known_prints(then, folder)
        others = sum(one not in theirs for one in named)
        changed = tuple(differing(then, now))
        if others < strangers:
            # Where nothing differs that means anything, only the place of the data was written anew by hand.
            return Origin(frozenset(theirs), others, changed, kept=bool(changed))
    return Origin(frozenset(prints), strangers)

"""Whether a run's records are of the experiment that its file describes, and what is said and done where not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.of_a_run import Origin, origin_of
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.numbers.run_files import mapping
from trainables.errors import InputError

MOST_CHANGES = 8


@dataclass(frozen=True)
class Described:
    """What a report goes by."""

    experiment: dict[str, Any]
    prints: frozenset[str] = frozenset()
    """What records may call it; empty: that is not known, or no record does."""
    marks: list[str] = field(default_factory=list)
    """What must be read before all else."""


def described(
    run: RunFolder,
    experiment: dict[str, Any],
    split: dict[str, Any],
    records: Sequence[TrialRecord],
    remarks: list[str],
) -> Described:
    """What the report of a run goes by: its `experiment`, the values of its file, unless the records are of another.

    Where `as_run.yaml` is proven to hold that one, by its fingerprint, the report goes by it. Where nothing does, it
    is marked: each figure is a record's, and true, and only what the file says of them is doubtful. Records of another
    experiment among this one's are left out of every figure. InputError where not one record is of this run's
    experiment, nor on its split: then nothing here belongs together.
    """
    if not experiment:
        return Described(experiment)  # said already
    try:
        origin = origin_of(run, records)
    except InputError as error:
        remarks.append(
            f"Whether {run.experiment.name} is the one that the records name is not known: {str(error).splitlines()[0]}"
        )
        return Described(experiment)
    if not origin.strangers and not origin.kept:
        return Described(experiment, origin.prints)
    if origin.kept:
        experiment = mapping(run.as_run, remarks)
    if origin.strangers < len(records):
        return Described(experiment, origin.prints, [*_changed(run, origin), *_mixed(origin, records)])
    _refuse_another_runs(run, split, records)
    return Described(experiment, marks=[_unknown(run, records)])


def _changed(run: RunFolder, origin: Origin) -> list[str]:
    """That the report goes by another file than the one that stands there."""
    if not origin.kept:
        return []
    changes = words([printable(line) for line in origin.changed], MOST_CHANGES)
    return [
        f"{run.experiment.name} was changed after the run worked, and is not the experiment that the records name. "
        f"What is said here goes by that one, which {run.as_run.name} keeps. What differs (there: in the run; here: in "
        f"the file): {changes}."
    ]


def _mixed(origin: Origin, records: Sequence[TrialRecord]) -> list[str]:
    """That records of another experiment are left out."""
    if not origin.strangers:
        return []
    names = [one.provenance.experiment for one in records if one.provenance.experiment not in origin.prints]
    noun, verb = ("another experiment", "names") if origin.strangers == 1 else ("other experiments", "name")
    return [
        f"{origin.strangers} of {plural(len(records), 'record')} {verb} {noun} than this run's "
        f"({_listed(names)}): they are left out of every comparison. Put the run's own records.jsonl back from a copy."
    ]


def _unknown(run: RunFolder, records: Sequence[TrialRecord]) -> str:
    """That the file describes another experiment, and nothing tells which one the records are of."""
    return (
        f"{run.experiment.name} is not the experiment that the records name ({_listed(_names(records))}): it was "
        "changed or exchanged after the run worked, and nothing tells in what. Each figure is as recorded; but the "
        "objective that ranks, the baseline, seeds, thresholds and budget are that file's, and may not be the run's. "
        "Put the run's own file back from a copy, and write the report again."
    )


def _refuse_another_runs(run: RunFolder, split: dict[str, Any], records: Sequence[TrialRecord]) -> None:
    if not split:
        return  # nothing to hold them against
    own = (str(split.get("data")), str(split.get("fingerprint")))
    if all((one.provenance.data, one.provenance.split) != own for one in records):
        raise InputError(
            f"{run.records} is another run's: not one of its {plural(len(records), 'record')} is of the experiment in "
            f"{run.experiment.name} ({_listed(_names(records))}), nor on the data and split of {run.split.name}. Put "
            "the run's own files back from a copy."
        )


def _names(records: Sequence[TrialRecord]) -> list[str]:
    return [one.provenance.experiment for one in records]


def _listed(names: Sequence[str]) -> str:
    return words([printable(name) for name in dict.fromkeys(names)])

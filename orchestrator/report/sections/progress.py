"""Whether a run is whole: what it was asked for, what of it is there, and whether someone is at work on it."""

import shlex
from collections.abc import Mapping, Sequence

from orchestrator.artifacts.endings import RUN_AGAIN
from orchestrator.artifacts.heartbeat import read_beat
from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.document.formatting import count, printable, words
from orchestrator.report.numbers.run_data import RunData


def missing(data: RunData) -> str:
    """What is still missing, with counts, and how it comes about; empty where the run is whole.

    A search that the experiment limits in time may end with fewer trials: it is whole once its winners are evaluated.
    """
    parts = [one for one in (_trials(data), _models(data), _ablation(data), _splits(data)) if one]
    beat = read_beat(data.run.heartbeat)
    # The run writes its own report last, with nothing else to come.
    working = beat is not None and beat.alive and beat.stage != "report"
    if not parts and not working:
        return ""
    there = words(parts) or "what has ended so far is here"
    if working and beat is not None:
        how = f"The run is at work ({printable(beat.stage)}): a report written later shows more."
    else:
        root = printable(data.run.root.resolve().name)
        # Other splits lack what was last run on the first.
        ablated = parts == [_ablation(data)] or (data.ablation is not None and parts == [_splits(data)])
        again = "ablate" if ablated else "sweep"
        resume = "" if again == "ablate" else " --resume"
        how = (
            "No process is at work on it. "
            f"orchestrate {again} {shlex.quote(f'{root}/experiment.yaml')} --out {shlex.quote(root)}{resume} goes on."
        )
    return f"Partial: {there}. {how}"


def _trials(data: RunData) -> str:
    """`12 of 40 trials have ended`; empty where all have, or where that is not known."""
    budget = data.experiment.get("budget")
    budget = budget if isinstance(budget, dict) else {}
    each = budget.get("trials")
    if not isinstance(each, int) or isinstance(each, bool) or (budget.get("minutes") and not _models(data)):
        return ""
    if data.inherits and data.split_number > 1:
        return ""
    # A trial that ran out of time runs again when the run goes on.
    names = [name for name in _sought(data, data.search) if name not in data.ensembles]
    ended = [sum(one.status not in RUN_AGAIN for one in data.search[name]) for name in names]
    if all(one >= each for one in ended):
        return ""
    return f"{count(sum(min(one, each) for one in ended))} of {count(each * len(ended))} trials have ended"


def _models(data: RunData, searched: RunData | None = None) -> str:
    """`4 of 15 models are evaluated`; empty where all are. `searched`: the split whose winners are trained on this one;
    None: its own."""
    sought = [name for name in _sought(data, data.evaluation) if not (searched or data).without_winner(name)]
    wanted = sum(len(data.seeds_of(name)) for name in sought)
    done = sum(record.seed in data.seeds for records in data.completed.values() for record in records)
    failed = sum(
        record.status != "completed" and record.seed in data.seeds
        for records in data.evaluation.values()
        for record in records
    )
    if done >= wanted:
        return ""
    return f"{count(done)} of {count(wanted)} models are evaluated" + (f" ({count(failed)} failed)" if failed else "")


def _ablation(data: RunData) -> str:
    """`3 of 12 cells of the ablation are evaluated`; empty where all are, or where there is none."""
    if data.ablation is None:
        return ""
    wanted = len(data.ablation.variants) * len(data.ablation.seeds)
    done = sum(record.status == "completed" for records in data.ablated.values() for record in records)
    return f"{count(done)} of {count(wanted)} cells of the ablation are evaluated" if done < wanted else ""


def _splits(data: RunData) -> str:
    """`2 of 5 splits are whole`; empty where all are, or where there is one, or the first is not."""
    if data.wanted_splits == 1 or _trials(data) or _models(data) or _ablation(data):
        return ""
    whole = 1 + sum(
        not (_trials(one) or _models(one, data if data.inherits else None) or _behind(data, one)) for one in data.others
    )
    return f"{count(whole)} of {count(data.wanted_splits)} splits are whole" if whole < data.wanted_splits else ""


def _behind(first: RunData, other: RunData) -> str:
    """What another split lacks that the first has."""
    if first.ablation is not None and other.ablation is None:
        return "it has no ablation"
    if any(first.completed.values()) and not any(other.completed.values()):
        return "it has no evaluated model"
    return _ablation(other)


def _sought(data: RunData, records: Mapping[str, Sequence[TrialRecord]]) -> list[str]:
    """The variants that were to have such records: all, but where only an ablation ran, those that have any."""
    return [name for name in data.variants if data.ablation is None or records[name]]

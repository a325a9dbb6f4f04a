"""Of several records of one cell, the one that stands; and which metrics cells hold."""

from collections.abc import Iterable, Sequence

from orchestrator.artifacts.records import TrialRecord
from orchestrator.families import ENSEMBLE_FAMILY
from orchestrator.scoring.metric_table import METRICS


def standing_cells(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """One record a seed, by seed: of a cell that was run again, the last completed one, else the last."""
    chosen: dict[int, TrialRecord] = {}
    for record in records:
        if record.status == "completed" or chosen.get(record.seed, record).status != "completed":
            chosen[record.seed] = record
    return [chosen[seed] for seed in sorted(chosen)]


def of_what_was_last(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records of one variant that are of what was evaluated last: of one configuration, by the trial that found it;
    of an ensemble, of one definition and, with each seed, of the same members."""
    if not records or records[-1].family != ENSEMBLE_FAMILY:
        return [one for one in records if one.trial == records[-1].trial]
    members = {one.seed: one.cell for one in records}
    return [one for one in records if one.config == records[-1].config and one.cell == members[one.seed]]


def metrics_of_cells(first: str, records: Iterable[TrialRecord]) -> list[str]:
    """The metrics that the records hold: `first`, then known ones, then others by name."""
    seen = {name for record in records for name in record.metrics}
    return [name for name in dict.fromkeys([first, *METRICS, *sorted(seen)]) if name in seen]

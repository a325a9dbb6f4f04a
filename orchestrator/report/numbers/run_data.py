"""Everything that a run's folder says, read once: experiment, split, records."""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.records import TrialRecord, best_record, beyond_limits, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import Readings, read_readings
from orchestrator.families import ENSEMBLE_FAMILY, FAMILIES
from orchestrator.report.numbers.run_files import (
    ablation_in,
    choices_in,
    cost_plan_in,
    limits_in,
    mapping,
    own_metrics_in,
    section,
)
from orchestrator.report.numbers.standing_cells import metrics_of_cells, of_what_was_last, standing_cells
from orchestrator.report.numbers.which_experiment import described
from orchestrator.scoring.metric_table import METRICS, Metric, default_metric, metric_mode
from trainables.credentials import masked
from trainables.errors import InputError
from trainables.interface import Mode, Task
from trainables.own_code import short
from trainables.speed import Limits

MARKED = "The experiment's file is not the one that the records name: the report's first lines say what that means."
"""What stands beside every table of a run whose own experiment is not known."""


@dataclass(frozen=True, eq=False)
class RunData:
    """One run as its files tell it. Missing files are empty, and `remarks` says so."""

    run: RunFolder
    experiment: dict[str, Any]
    split: dict[str, Any]
    records: tuple[TrialRecord, ...]
    remarks: list[str] = field(default_factory=list)
    ablation: AblationPlan | None = None
    own_metrics: tuple[Metric, ...] = ()
    """The user's, as far as they are described: their code is not run."""
    marks: tuple[str, ...] = ()
    """What must be read before all else: that the experiment's file is not the one that the records name."""
    prints: frozenset[str] = frozenset()
    """What records may call the run's experiment; empty: that is not known, or none of them does."""
    choices: Mapping[str, Choice] = field(default_factory=dict)
    """Study -> what was chosen of it, where its best trial had to beat the default configuration."""
    others: tuple["RunData", ...] = ()
    """The run's other splits that have a record; everything else here is of the first."""
    wanted_splits: int = 1
    """How many splits the experiment asks for."""
    planned: CostPlan | None = None
    """What the run was expected to cost, where that was asked for before."""

    @property
    def every_split(self) -> "tuple[RunData, ...]":
        """The run's splits that have a record, this one first."""
        return (self, *self.others)

    @cached_property
    def split_number(self) -> int:
        """Which of repeated splits this is, from 1."""
        number = section(section(self.experiment, "data"), "split").get("number")
        return number if isinstance(number, int) else 1

    @cached_property
    def evaluated_splits(self) -> "tuple[RunData, ...]":
        """Those on which something was evaluated."""
        return tuple(one for one in self.every_split if any(one.completed.values()) or any(one.ablated.values()))

    @property
    def over_splits(self) -> bool:
        """Whether variants are compared over repeated splits: two tell what another would give."""
        return len(self.evaluated_splits) > 1

    @property
    def inherits(self) -> bool:
        """Whether all splits train the winners of the first one's search."""
        return section(self.experiment, "budget").get("searches") == "first"

    @cached_property
    def all_records(self) -> tuple[TrialRecord, ...]:
        """Those of every split."""
        return tuple(record for one in self.every_split for record in one.records)

    @cached_property
    def task(self) -> Task:
        """What the families do: by the table of families, else by what only detection writes into records."""
        known = [FAMILIES[family].task for family in self.variants.values() if family in FAMILIES]
        if known:
            return known[0]
        found = any(record.threshold is not None or record.per_kind for record in self.records)
        return "detection" if found else "classification"

    @cached_property
    def search_metric(self) -> str:
        """What trials were judged by on validation: a metric's name, or `validation_loss`."""
        given = section(self.experiment, "objective").get("metric")
        return self._named(given) if given else default_metric(self.task)

    @cached_property
    def search_mode(self) -> Mode:
        """Which way the search's objective is better."""
        given = section(self.experiment, "objective").get("mode")
        return given if given in ("max", "min") else self._own_mode(self.search_metric)

    @cached_property
    def limits(self) -> Limits:
        """What a winner may take at most, as far as the experiment says it in a way that is understood."""
        return limits_in(self.experiment)

    @cached_property
    def metric(self) -> str:
        """What tables rank by on the test part."""
        given = section(self.experiment, "objective").get("test_metric")
        by_loss = self.search_metric == "validation_loss"
        if given:
            return self._named(given)
        return default_metric(self.task) if by_loss else self.search_metric

    def _named(self, given: Any) -> str:
        """The name that records have for a metric as the experiment has it."""
        return next((one.name for one in self.own_metrics if one.asked == given), str(given))

    def metric_row(self, name: str) -> Metric | None:
        """What is known of a metric; None where nothing is, and of a loss."""
        return next((one for one in self.own_metrics if one.name == name), METRICS.get(name))

    def bounds_of(self, metric: str) -> tuple[float, float]:
        """What values a metric can take; of an unknown one, any."""
        row = self.metric_row(metric)
        return (-math.inf, math.inf) if row is None else row.bounds

    def mode_of(self, metric: str) -> Mode:
        """Which way a metric is better: as the experiment says of its objective, else as the metric is."""
        return self.mode if metric == self.metric else self._own_mode(metric)

    def _own_mode(self, metric: str) -> Mode:
        row = self.metric_row(metric)
        return metric_mode(metric) if row is None else row.mode

    @cached_property
    def mode(self) -> Mode:
        """Which way `metric` is better."""
        return self.search_mode if self.metric == self.search_metric else self._own_mode(self.metric)

    @cached_property
    def moved_anomalies(self) -> float:
        """Detection: the share of the test part's anomalies that the user had moved to validation."""
        share = section(section(self.experiment, "data"), "split").get("anomalies_to_validation")
        return float(share) if isinstance(share, int | float) else 0.0

    @cached_property
    def grouped(self) -> bool:
        """Whether the experiment says which pictures are patches of one source picture."""
        return bool(section(section(self.experiment, "data"), "split").get("group"))

    @property
    def caveat(self) -> str:
        """What every table of test figures must say of them; empty where there is nothing."""
        said = [f"{100 * self.moved_anomalies:g} % of the test part's anomalies were moved to validation beforehand."]
        doubtful = bool(self.marks) and not self.prints
        lines = [*(said if self.moved_anomalies else []), *([MARKED] if doubtful else [])]
        return "".join(f" {line}" for line in lines)

    @cached_property
    def variants(self) -> dict[str, str]:
        """Variant -> family: the experiment's in its order, its ensembles, then any others that records name."""
        found = {str(one["name"]): short(str(one.get("family", ""))) for one in self._listed("families")}
        found |= {str(one["name"]): ENSEMBLE_FAMILY for one in self._listed("ensembles")}
        others = [one for one in self.records if one.stage in ("search", "evaluation") and one.variant not in found]
        return found | {record.variant: short(record.family) for record in others}

    def _listed(self, key: str) -> list[dict[str, Any]]:
        """The entries of a list of the experiment that have names."""
        entries = self.experiment.get(key)
        named = entries if isinstance(entries, list) else []
        return [one for one in named if isinstance(one, dict) and one.get("name")]

    @cached_property
    def ensembles(self) -> dict[str, dict[str, Any]]:
        """Ensemble -> what it is of, over what, and how it weighs: as the experiment has it, else its last record."""
        found = {one.variant: one.config for one in self.records if one.family == ENSEMBLE_FAMILY}
        return found | {str(one["name"]): one for one in self._listed("ensembles")}

    @cached_property
    def baseline(self) -> str | None:
        """The experiment's baseline, else the first variant of a cheap family; None where there is neither."""
        given = self.experiment.get("baseline")
        if given:
            return str(given)
        return next(
            (name for name, family in self.variants.items() if family in FAMILIES and FAMILIES[family].cheap), None
        )

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that the experiment asks for; those seen where it names none."""
        asked = self.experiment.get("seeds")
        if isinstance(asked, list) and asked:
            return [int(seed) for seed in asked]
        return sorted({record.seed for record in self.records if record.stage == "evaluation"})

    def seeds_of(self, variant: str) -> list[int]:
        """Those of them that a variant is to have: an ensemble over seeds is one model, named for the first."""
        return self.seeds[:1] if self.ensembles.get(variant, {}).get("over") == "seeds" else self.seeds

    @cached_property
    def counted(self) -> tuple[TrialRecord, ...]:
        """The records of the run's own experiment, where some are, on its own data and split: those of split.json, else
        of most of them. No figure is made of others: they can't stand beside these."""
        known = [one for one in self.records if not self.prints or one.provenance.experiment in self.prints]
        found = Counter((one.provenance.data, one.provenance.split) for one in known)
        own = (str(self.split.get("data")), str(self.split.get("fingerprint")))
        if own not in found:
            own = found.most_common(1)[0][0]
        return tuple(one for one in known if (one.provenance.data, one.provenance.split) == own)

    @cached_property
    def readings(self) -> Readings:
        """Who read the test part, as its log has it."""
        split = self.split.get("fingerprint") or self.counted[0].provenance.split
        return read_readings(self.run.test_reads, str(split))

    @cached_property
    def trial_seeds(self) -> list[int]:
        """The seeds that trials of the search trained with."""
        return list(dict.fromkeys(one.seed for trials in self.search.values() for one in trials))

    @cached_property
    def cross_fitted(self) -> int:
        """By how many folds validation figures at a threshold are cross-fitted; 0: they are not."""
        return max((one.cross_fitted for one in self.counted), default=0)

    @property
    def thresholded(self) -> bool:
        """Whether trials were judged at a threshold."""
        row = self.metric_row(self.search_metric)
        return row is not None and row.thresholded

    @cached_property
    def search(self) -> dict[str, list[TrialRecord]]:
        """Variant -> its trials by number; of a trial that was run again, the last record."""
        trials: dict[str, dict[int, TrialRecord]] = {variant: {} for variant in self.variants}
        for record in self.counted:
            if record.stage == "search":
                trials[record.variant][record.trial] = record
        return {variant: [found[number] for number in sorted(found)] for variant, found in trials.items()}

    @cached_property
    def evaluation(self) -> dict[str, list[TrialRecord]]:
        """Variant -> its evaluated cells by seed, of the configuration that was evaluated last.

        Of a cell that was run again, the last completed record stands, else the last.
        """
        cells: dict[str, list[TrialRecord]] = {}
        for variant in self.variants:
            of_variant = [one for one in self.counted if one.stage == "evaluation" and one.variant == variant]
            cells[variant] = standing_cells(of_what_was_last(of_variant))
        return cells

    @cached_property
    def completed(self) -> dict[str, list[TrialRecord]]:
        """Variant -> its evaluated cells that hold metrics, by seed."""
        return {
            variant: [record for record in records if record.status == "completed" and record.metrics]
            for variant, records in self.evaluation.items()
        }

    @cached_property
    def ablated(self) -> dict[str, list[TrialRecord]]:
        """Variant of the ablation -> its cells by seed, whoever evaluated them; as in `evaluation`, one a seed."""
        return {} if self.ablation is None else self._cells_of(self.ablation.variants)

    @cached_property
    def taken_out(self) -> dict[str, list[TrialRecord]]:
        """The same of the variants that only an earlier ablation of the run had."""
        return {} if self.ablation is None else self._cells_of(self.ablation.removed)

    def _cells_of(self, variants: Iterable[AblatedVariant]) -> dict[str, list[TrialRecord]]:
        assert self.ablation is not None
        seeds = set(self.ablation.seeds)
        evaluated = [one for one in self.counted if one.stage in ("evaluation", "ablation") and one.cell]
        return {
            variant.name: standing_cells(one for one in evaluated if one.cell == variant.cell and one.seed in seeds)
            for variant in variants
        }

    @cached_property
    def metrics(self) -> list[str]:
        """The metrics that evaluated cells hold: that of the ranking, then known ones, then others by name."""
        return metrics_of_cells(self.metric, (record for records in self.completed.values() for record in records))

    @cached_property
    def classes(self) -> list[str]:
        """Class names in the order of labels, as the first evaluated cell has them."""
        found = (list(record.per_class) for records in self.completed.values() for record in records)
        return next((names for names in found if names), [])

    def best_trial(self, variant: str) -> TrialRecord | None:
        """The trial with the best objective on validation, as the evaluation chooses it."""
        return best_record(self.search[variant], self.search_metric, self.search_mode, self.limits)

    def without_winner(self, variant: str) -> str:
        """Why the search of a variant has none where its trials have figures, as a clause: all are beyond the limits;
        else empty."""
        return beyond_limits(self.search[variant], self.search_metric, self.limits)

    def distinct(self, field_name: str, every_split: bool = False) -> list[str]:
        """The distinct values of a provenance field, in the order in which they came."""
        records = self.all_records if every_split else self.records
        return list(dict.fromkeys(str(getattr(record.provenance, field_name)) for record in records))


def read_run(run: RunFolder) -> RunData:
    """Read a run's folder. InputError where it holds no record, or one of another version or that can't be read."""
    remarks: list[str] = []
    if not run.root.is_dir():
        raise InputError(f"There is no run at {run.root}. Give the folder that `orchestrate sweep --out` wrote.")
    records = [_finite(record) for record in read_records(run.records)]
    if not records:
        state = "is empty" if run.records.exists() else "does not exist"
        raise InputError(f"A report needs at least one record, and {run.records} {state}. {_unfinished(run)}")
    if not run.records.read_bytes().endswith(b"\n"):
        remarks.append(
            "The last line of records.jsonl is unfinished and left out: a run is being written or was cut off."
        )
    split = mapping(run.split, remarks)
    found = described(run, mapping(run.experiment, remarks), split, records, remarks)
    experiment = found.experiment
    if isinstance(mirror := experiment.get("mirror"), str):
        experiment["mirror"] = masked(mirror)  # runs begun before credentials were refused may hold some
    ablation, own = ablation_in(run.ablation, remarks), own_metrics_in(run.own_metrics, remarks)
    choices = choices_in(run, {one.variant for one in records if one.stage in ("search", "tuning")}, remarks)
    others, wanted = _other_splits(run, experiment)
    marks = list(found.marks)
    for one in others:
        marks += [f"Split {one.split_number}: {mark}" for mark in one.marks]
        remarks += [f"Split {one.split_number}: {remark}" for remark in one.remarks]
    return RunData(
        run,
        experiment,
        split,
        tuple(records),
        remarks,
        ablation,
        own,
        tuple(marks),
        found.prints,
        choices,
        others,
        wanted,
        cost_plan_in(run, found.prints, remarks),
    )


def _other_splits(run: RunFolder, experiment: dict[str, Any]) -> tuple[tuple[RunData, ...], int]:
    """The splits of a run beside its first, so far as they have a record, and how many there are to be in all."""
    asked = section(section(experiment, "data"), "split")
    repeats, folds = (value if isinstance(value := asked.get(key), int) else 1 for key in ("repeats", "folds"))
    if run.is_part or asked.get("number") is not None:
        return (), 1
    parts = [run.of_split(number) for number in range(2, repeats * folds + 1)]
    begun = [part for part in parts if part.records.exists() and part.records.stat().st_size]
    return tuple(read_run(part) for part in begun), 1 + len(parts)


def _unfinished(run: RunFolder) -> str:
    """How a run without any record gets one."""
    minutes = section(mapping(run.experiment, []), "budget").get("minutes")
    again = f"orchestrate sweep {shlex.quote(str(run.experiment))} --out {shlex.quote(str(run.root))} --resume"
    if minutes is None:
        return f"Go on until at least one trial has ended: {again}"
    return (
        f"budget.minutes is {minutes:g}, which may have ended the search before any trial was over. Give it more: "
        f"{again} --set budget.minutes=…"
    )


def _finite(record: TrialRecord) -> TrialRecord:
    """The record without metrics that are no numbers."""
    kept = {name: value for name, value in record.metrics.items() if math.isfinite(value)}
    return record if len(kept) == len(record.metrics) else record.model_copy(update={"metrics": kept})


def superseded(data: RunData) -> int:
    """How many evaluation records stand no longer, because their cell or configuration was evaluated again."""
    kept = sum(len(records) for records in data.evaluation.values())
    return Counter(record.stage for record in data.counted)["evaluation"] - kept

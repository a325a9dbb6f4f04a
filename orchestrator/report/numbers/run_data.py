"""Everything that a run's folder says, read once: experiment, split, records."""

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.records import TrialRecord, best_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import read_experiment
from orchestrator.families import FAMILIES
from orchestrator.scoring.metric_table import METRICS, Metric, default_metric, metric_mode
from orchestrator.scoring.own_metrics import read_own
from trainables.credentials import masked
from trainables.errors import InputError
from trainables.interface import Mode, Task
from trainables.own_code import short


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
        given = _section(self.experiment, "objective").get("metric")
        return self._named(given) if given else default_metric(self.task)

    @cached_property
    def search_mode(self) -> Mode:
        """Which way the search's objective is better."""
        given = _section(self.experiment, "objective").get("mode")
        return given if given in ("max", "min") else self._own_mode(self.search_metric)

    @cached_property
    def metric(self) -> str:
        """What tables rank by on the test part."""
        given = _section(self.experiment, "objective").get("test_metric")
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
        share = _section(_section(self.experiment, "data"), "split").get("anomalies_to_validation")
        return float(share) if isinstance(share, int | float) else 0.0

    @cached_property
    def grouped(self) -> bool:
        """Whether the experiment says which pictures are patches of one source picture."""
        return bool(_section(_section(self.experiment, "data"), "split").get("group"))

    @property
    def caveat(self) -> str:
        """What every table of test figures must say of them; empty where there is nothing."""
        if not self.moved_anomalies:
            return ""
        return f" {100 * self.moved_anomalies:g} % of the test part's anomalies were moved to validation beforehand."

    @cached_property
    def variants(self) -> dict[str, str]:
        """Variant -> family: the experiment's in its order, then any others that records name."""
        listed = [one for one in self.experiment.get("families") or [] if isinstance(one, dict) and one.get("name")]
        found = {str(one["name"]): short(str(one.get("family", ""))) for one in listed}
        others = [one for one in self.records if one.stage in ("search", "evaluation") and one.variant not in found]
        return found | {record.variant: short(record.family) for record in others}

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

    @cached_property
    def counted(self) -> tuple[TrialRecord, ...]:
        """The records on the run's own data and split: those of split.json, else of most records. No figure is made of
        others: on other pictures, they can't stand beside these."""
        prints = Counter((one.provenance.data, one.provenance.split) for one in self.records)
        own = (str(self.split.get("data")), str(self.split.get("fingerprint")))
        if own not in prints:
            own = prints.most_common(1)[0][0]
        return tuple(one for one in self.records if (one.provenance.data, one.provenance.split) == own)

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
            cells[variant] = standing_cells(one for one in of_variant if one.trial == of_variant[-1].trial)
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
        return best_record(self.search[variant], self.search_metric, self.search_mode)

    def distinct(self, field_name: str) -> list[str]:
        """The distinct values of a provenance field, in the order in which they came."""
        return list(dict.fromkeys(str(getattr(record.provenance, field_name)) for record in self.records))


def standing_cells(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """One record a seed, by seed: of a cell that was run again, the last completed one, else the last."""
    chosen: dict[int, TrialRecord] = {}
    for record in records:
        if record.status == "completed" or chosen.get(record.seed, record).status != "completed":
            chosen[record.seed] = record
    return [chosen[seed] for seed in sorted(chosen)]


def metrics_of_cells(first: str, records: Iterable[TrialRecord]) -> list[str]:
    """The metrics that the records hold: `first`, then known ones, then others by name."""
    seen = {name for record in records for name in record.metrics}
    return [name for name in dict.fromkeys([first, *METRICS, *sorted(seen)]) if name in seen]


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of the experiment's file; empty where it holds none."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


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
    experiment = _mapping(run.experiment, remarks)
    if isinstance(mirror := experiment.get("mirror"), str):
        experiment["mirror"] = masked(mirror)  # runs begun before credentials were refused may hold some
    split = _mapping(run.split, remarks)
    ablation, own = _ablation(run.ablation, remarks), _own_metrics(run.own_metrics, remarks)
    return RunData(run, experiment, split, tuple(records), remarks, ablation, own)


def _unfinished(run: RunFolder) -> str:
    """How a run without any record gets one."""
    minutes = _section(_mapping(run.experiment, []), "budget").get("minutes")
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


def _ablation(path: Path, remarks: list[str]) -> AblationPlan | None:
    """The ablation's plan; None where there is none, or, with a remark, where it is broken."""
    if not path.exists():
        return None
    try:
        plan = AblationPlan.load(path)
    except InputError as error:
        remarks.append(f"The ablation is left out: {error}")
        return None
    names = [variant.name for variant in plan.variants]
    if not names or len(set(names)) < len(names):
        fault = "a name twice" if names else "no variant"
        remarks.append(f"The ablation is left out: {path.name} has {fault}. `orchestrate ablate` writes it anew.")
        return None
    return plan


def _own_metrics(path: Path, remarks: list[str]) -> tuple[Metric, ...]:
    """What describes the user's own metrics; nothing, with a remark, where it is broken."""
    try:
        return read_own(path)
    except InputError as error:
        remarks.append(f"The user's own metrics are not described: {error}")
        return ()


def _mapping(path: Path, remarks: list[str]) -> dict[str, Any]:
    """A YAML or JSON file that holds keys; empty, with a remark, where it is missing or broken."""
    try:
        values = read_experiment(path) if path.suffix == ".yaml" else json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remarks.append(f"{path.name} is missing: what it would say is left out.")
        return {}
    except (OSError, ValueError, RecursionError) as error:
        remarks.append(f"{path.name} can't be read ({str(error).splitlines()[0]}): what it would say is left out.")
        return {}
    if not isinstance(values, dict):
        remarks.append(f"{path.name} holds no keys: what it would say is left out.")
        return {}
    return values


def superseded(data: RunData) -> int:
    """How many evaluation records stand no longer, because their cell or configuration was evaluated again."""
    kept = sum(len(records) for records in data.evaluation.values())
    return Counter(record.stage for record in data.counted)["evaluation"] - kept

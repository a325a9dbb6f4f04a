"""How a run stands, read from its folder alone: while it works, after it died, on another machine."""

import shlex
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.artifacts.ablation_plan import AblationPlan
from orchestrator.artifacts.at_work import AtWork, at_most
from orchestrator.artifacts.durations import Durations, TimeLeft, Unit
from orchestrator.artifacts.endings import ENDED_WELL, RUN_AGAIN
from orchestrator.artifacts.heartbeat import Beat, read_beat
from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.of_a_run import experiment_of, known_prints
from orchestrator.machine.progress import at_work_text, duration
from orchestrator.running.claim import open_run
from orchestrator.scoring.metric_table import default_metric, metric_mode
from orchestrator.scoring.own_metrics import read_own
from trainables.errors import InputError

RECENT = 50
"""The records that the rate is measured by."""
ERRORS = 3
"""The last failures that are shown."""


@dataclass
class VariantStatus:
    """One variant's trials and evaluated models."""

    name: str
    wanted: int
    cells: int
    trials: Counter[str] = field(default_factory=Counter)
    evaluated: set[tuple[int, int]] = field(default_factory=set)
    """(split, seed), each once."""
    best: float | None = None

    @property
    def searched(self) -> int:
        """Trials that will not run again."""
        return sum(count for status, count in self.trials.items() if status not in RUN_AGAIN)


def status(run_folder: str | Path) -> dict[str, Any]:
    """How the run in `run_folder` stands, as plain JSON values: while it works, after it died, from another machine.

    `state` is running, stopped or finished; `variants` holds trials, best validation figure and evaluated seeds of
    each, `at_work` how far each training is, `errors` the last failures, `seconds_left` an estimate (the least it can
    be, where `at_least`, or the most, where `at_most`); `strangers` counts the records that name another experiment
    than `experiment.yaml`. InputError where the folder holds no run.
    """
    folder = open_run(run_folder)
    return status_of(folder, experiment_of(folder))


def status_of(folder: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """How a run stands, over all of its splits, as plain JSON values. Raises InputError where its records can't be
    read."""
    goal = experiment.objective
    given = goal.metric or default_metric("classification")
    metric = next((one.name for one in read_own(folder.own_metrics) if one.asked == given), given)
    mode = goal.mode or metric_mode(metric)
    better = max if mode == "max" else min
    split = experiment.data.split
    parts = {1: folder}
    if split.number is None:
        parts = {number: folder.of_split(number) for number in split.numbers}
    searched = len(parts) if experiment.budget.searches == "each" else 1
    variants = {
        one.name: VariantStatus(one.name, experiment.budget.trials * searched, len(experiment.seeds) * len(parts))
        for one in experiment.families
    }
    ensembles = {
        one.name: VariantStatus(one.name, 0, len(one.seeds(experiment.seeds)) * len(parts))
        for one in experiment.ensembles
    }
    evaluated: set[tuple[str, int]] = set()
    ended: list[tuple[float, float]] = []
    durations = Durations()
    errors: list[dict[str, Any]] = []
    strangers, all_records = 0, []
    for number, part in parts.items():
        found = list(read_records(part.records))
        strangers += _strangers(part, experiment.of_split(number), found)
        all_records += [(number, record) for record in found]
    keeping: dict[tuple[str, int], bool] = {}
    """Of each search with a figure, whether a trial of it keeps objective.constraints."""
    for number, record in all_records:
        if record.stage in ("evaluation", "ablation") and record.status == "completed":
            evaluated.add((record.cell, record.seed))
        with suppress(ValueError, OverflowError):  # a moment that is none has no part in the rate
            moment = datetime.fromisoformat(record.provenance.finished).timestamp()
            ended.append((moment, record.seconds))
        durations.add(record)
        variant = variants.get(record.variant) or ensembles.get(record.variant)
        if variant is not None and record.stage == "search":
            variant.trials[record.status] += 1
            value, kept = record.metrics.get(metric), goal.limits.kept_by(record.speed)
            if value is not None:
                keeping[record.variant, number] = kept or keeping.get((record.variant, number), False)
            if value is not None and record.status == "completed" and kept:
                variant.best = value if variant.best is None else better(variant.best, value)
        elif variant is not None and record.status == "completed":
            variant.evaluated.add((number, record.seed))
        if record.status not in ENDED_WELL:
            keys = {"variant", "stage", "trial", "seed", "status", "reason"}
            errors.append(record.model_dump(include=keys))
    beat = read_beat(folder.heartbeat)
    alive = beat is not None and beat.alive
    ablation = _ablation(list(parts.values()), experiment, evaluated)
    trials: list[Unit] = []
    cells: list[Unit] = []
    for (name, _), kept in keeping.items():
        if not kept:  # no winner, so nothing is to be evaluated
            variants[name].cells -= len(experiment.seeds) * (len(parts) // searched)
    for one in variants.values():
        trials += [(one.name, False)] * (one.wanted - one.searched)
        cells += [(one.name, True)] * (one.cells - len(one.evaluated))
    # They take no time to speak of.
    unjudged = any(len(one.evaluated) < one.cells for one in ensembles.values())
    command = "sweep"
    if ablation is not None:
        # Where no other variant was begun, the sweep was not asked for.
        begun = [one.name for one in variants.values() if one.trials or one.evaluated]
        if not set(begun) - {ablation["baseline"]}:
            trials, cells, unjudged = [], [], False
        command = "sweep" if trials or cells or unjudged else "ablate"
        cells += [(ablation["baseline"], True)] * (ablation["of"] - ablation["done"])
    broken = ablation is not None and ablation["fault"] is not None
    whole = not trials and not cells and not unjudged and not broken and folder.report.is_dir()
    return {
        "run": str(folder.root),
        "state": "running" if alive else "finished" if whole else "stopped",
        "stage": beat.stage if beat is not None and alive else None,
        "host": beat.host if beat is not None else None,
        "pid": beat.pid if beat is not None else None,
        "seconds": time.time() - beat.started if beat is not None and alive else None,
        "objective": {"metric": metric, "mode": mode},
        "records": len(all_records),
        "strangers": strangers,
        **_pace(beat if alive else None, ended, durations, trials, cells),
        "variants": [
            {
                "name": one.name,
                "trials": dict(one.trials),
                "of": max(one.wanted, one.searched),  # a resume may ask for fewer than there are
                "best": one.best,
                "evaluated": len(one.evaluated),
                "seeds": one.cells,
            }
            for one in variants.values()
        ],
        "ensembles": [
            {"name": one.name, "evaluated": len(one.evaluated), "seeds": one.cells} for one in ensembles.values()
        ],
        "at_work": [asdict(one) for one in beat.at_work] if beat is not None and alive else [],
        "ablation": ablation,
        "command": command,
        "errors": errors[-ERRORS:],
    }


def _strangers(folder: RunFolder, experiment: Experiment, records: Sequence[TrialRecord]) -> int:
    """How many records name another experiment; 0 too where places.json, which earlier versions' need, is broken."""
    with suppress(InputError):
        known = known_prints(experiment, folder)
        return sum(record.provenance.experiment not in known for record in records)
    return 0


def _pace(
    beat: Beat | None,
    ended: list[tuple[float, float]],
    durations: Durations,
    trials: list[Unit],
    cells: list[Unit],
) -> dict[str, float | bool | None]:
    """Records a minute, and how long these missing trials and cells take; None where nobody works.

    `ended`: of each record the moment at which it ended, and the seconds that it took.
    """
    none: dict[str, float | bool | None] = {
        "per_minute": None,
        "seconds_left": None,
        "at_least": False,
        "at_most": False,
    }
    if beat is None:
        return none
    if not durations.ended and beat.at_work:
        # Nothing has ended: by the epochs of what runs, which a scheduler or patience may end before.
        left = at_most(beat.at_work, max(0, len(trials) + len(cells) - len(beat.at_work)), len(beat.at_work))
        return {**none, "seconds_left": left, "at_most": left is not None}
    # Of this process: the pause before a resume is no work.
    here = sorted((moment, seconds) for moment, seconds in ended if moment >= beat.started)[-RECENT:]
    if len(here) < 2:
        return none
    moments = [moment for moment, _ in here]
    span = max(time.time(), moments[-1]) - moments[0]
    rate = 60 * (len(here) - 1) / span if span > 0 else None
    if beat.stage not in ("starting", "render", "search"):
        trials = []  # a search that ended short of its trials, for want of time, has ended
    begun = max(beat.started, min(moment - seconds for moment, seconds in here))
    # Seconds of work a second: less than 1 where starting a trial takes its time, more where several run together.
    speed = sum(seconds for _, seconds in here) / max(moments[-1] - begun, 1.0)
    ahead = _left(durations, [*trials, *cells], speed, max(0.0, time.time() - moments[-1]))
    if ahead is None or ahead.seconds <= 0:
        return {**none, "per_minute": rate}
    return {**none, "per_minute": rate, "seconds_left": ahead.seconds, "at_least": ahead.at_least}


def _left(durations: Durations, missing: list[Unit], speed: float, since: float) -> TimeLeft | None:
    """What is left `since` seconds after the last one ended: the first of what is missing run now, if any do."""
    if not missing or speed <= 0:
        return None
    at_work = max(1, round(speed))
    had = since * min(1.0, speed)
    return durations.left(missing[at_work:], [(unit, had) for unit in missing[:at_work]], speed)


def _ablation(
    folders: Sequence[RunFolder], experiment: Experiment, evaluated: set[tuple[str, int]]
) -> dict[str, Any] | None:
    """How the run's ablation stands: its baseline and its cells; None where there is none.

    `fault`: why its plan can't be read, which the next `orchestrate ablate` writes anew; else null.
    """
    begun = [folder for folder in folders if folder.ablation.exists()]
    if not begun:
        return None
    try:
        plans = [AblationPlan.load(folder.ablation) for folder in begun]
    except InputError as error:
        named = experiment.ablation.baseline if experiment.ablation is not None else ""
        return {"baseline": named or experiment.baseline_name, "done": 0, "of": 0, "fault": str(error)}
    wanted = {(variant.cell, seed) for plan in plans for variant in plan.variants for seed in plan.seeds}
    # Splits whose plan is still to come have as many cells as the first.
    to_come = (len(folders) - len(begun)) * len(plans[0].variants) * len(plans[0].seeds)
    return {
        "baseline": plans[0].baseline,
        "done": len(wanted & evaluated),
        "of": len(wanted) + to_come,
        "fault": None,
    }


def status_text(status: dict[str, Any]) -> str:
    """The same for a person."""
    head = f"{status['run']}: {status['state']}"
    if status["state"] == "running":
        head += f" ({status['stage']}) for {duration(status['seconds'])}, process {status['pid']} on {status['host']}"
    elif status["state"] == "stopped":
        run = shlex.quote(status["run"])
        option = " --resume" if status["command"] == "sweep" else ""
        head += f"; go on with: orchestrate {status['command']} {run}/experiment.yaml --out {run}{option}"
    lines = [head]
    if status["strangers"]:
        lines.append(
            f"  Beware: {status['strangers']} of {status['records']} records name another experiment than "
            "experiment.yaml, which was changed or exchanged since; orchestrate report says more."
        )
    for one in status["variants"]:
        trials = ", ".join(f"{count} {name}" for name, count in sorted(one["trials"].items())) or "none ended"
        best = "" if one["best"] is None else f"; best {status['objective']['metric']} {one['best']:.4f}"
        lines.append(
            f"  {one['name']}: trials {trials} of {one['of']}{best}; evaluated {one['evaluated']}/{one['seeds']}"
        )
    lines += [
        f"  {one['name']}, an ensemble: evaluated {one['evaluated']}/{one['seeds']}" for one in status["ensembles"]
    ]
    if status["ablation"] is not None:
        fault = status["ablation"]["fault"]
        cells = f"{status['ablation']['done']} of {status['ablation']['of']} cells completed"
        lines.append(f"  ablation: {fault or cells}")
    lines += [f"  at work: {one['variant']}, {at_work_text([AtWork(**one)])}" for one in status["at_work"]]
    about = "more than" if status["at_least"] else "at most" if status["at_most"] else "about"
    left = "" if status["seconds_left"] is None else f"left {about} {duration(status['seconds_left'])}"
    pace = "" if status["per_minute"] is None else f"{status['per_minute']:.1f} records a minute"
    if pace or left:
        lines.append(f"  {', '.join(part for part in (pace, left) if part)}")
    lines += [
        f"  {one['variant']}, {one['stage']} {one['trial']}, {one['status']}: {one['reason']}"
        for one in status["errors"]
    ]
    return "\n".join(lines)

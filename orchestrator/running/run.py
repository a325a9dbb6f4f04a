"""One run from its first check to its report: a sweep, an ablation, or what is left of one."""

import shlex
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from orchestrator.artifacts.events import Listener, StageBegan, StageEnded, StageName
from orchestrator.artifacts.heartbeat import Heartbeat
from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder, run_at
from orchestrator.artifacts.spent import note_spent, spending
from orchestrator.experiment.ablation_checks import with_all_sizes
from orchestrator.experiment.ablation_rows import AskedAblation
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.of_a_run import experiment_of
from orchestrator.experiment.placement import asking, place_all, told, trained_before
from orchestrator.experiment.preflight import settle
from orchestrator.machine.engine import Engine, available
from orchestrator.machine.mirror import Mirror
from orchestrator.machine.progress import Reporter
from orchestrator.machine.resources import local_resources
from orchestrator.machine.stopping import Stop
from orchestrator.machine.storage import Storage
from orchestrator.running.ablation_progress import told_by_a_sweep
from orchestrator.running.claim import check_folder, check_is_experiment, locked, open_run, storage_told
from orchestrator.running.joined import check_cluster_for
from orchestrator.running.planned import told_at_the_end
from orchestrator.scoring.own_metrics import save_own
from orchestrator.tracking.trackers import check_tracking
from orchestrator.tracking.watched import watched
from trainables.cache import own_cache, why_unwritable
from trainables.errors import InputError

if TYPE_CHECKING:
    from orchestrator.stages.context import Context

Until = Literal["render", "search", "evaluate", "report"]
Command = Literal["sweep", "evaluate", "ablate"]
"""What a run's log of readings calls those who read."""
LOCALLY: Storage = "shared"
"""How files reach the workers of this machine."""
STAGES: tuple[Until, ...] = get_args(Until)


@dataclass(frozen=True)
class Asked:
    """How a run is to be worked on."""

    command: Command
    resume: bool
    strict: bool
    reporter: Reporter
    on_event: Listener | None


@dataclass(frozen=True)
class Work:
    """A run whose folder is held by this process, with Ray started."""

    context: "Context"
    beat: Heartbeat
    stop: Stop

    @contextmanager
    def told(self, name: StageName, split: int = 1) -> Iterator[None]:
        """One stage, of which who watches hears."""
        self.beat.stage(name)
        self.context.events.tell(StageBegan(name, split))
        began = time.monotonic()
        yield
        self.context.events.tell(StageEnded(name, split, time.monotonic() - began))

    @contextmanager
    def stage(self, name: StageName, split: int) -> Iterator[None]:
        """One stage of a split that may be asked to stop: what runs then comes to the end of its epoch."""
        with self.told(name, split), self.stop.gently():
            yield
        from trainables.training.trial_state import told_of_foreign

        for each in self.context.of_splits():
            for remark in told_of_foreign(each.folder.states):
                self.context.reporter.say(remark)


def run(
    experiment: Experiment,
    out: str | Path,
    *,
    resume: bool = False,
    until: Until = "report",
    strict: bool = False,
    on_event: Listener | None = None,
    reporter: Reporter | None = None,
) -> RunFolder:
    """Run an experiment in the folder `out`: render, search, evaluate, report; stop after the stage `until`.

    What an earlier call with the same folder has done is not done again; `resume` must then be True. `strict` makes a
    file that can't be used fatal instead of skipped and reported. `on_event` is called with each `RunBegan`,
    `StageBegan`, `EpochEnded`, `RecordWritten`, `StageEnded` and `RunEnded`, in this process; what it raises costs a
    word. `reporter` says what happens; unset, on standard error. InputError for bad input, before work starts, and
    where the disk fails; what has a record is safe then.
    """
    if until not in STAGES:
        raise InputError(f"until is {until!r}. Stages: {', '.join(STAGES)}.")
    asked = Asked("sweep", resume=resume, strict=strict, reporter=reporter or Reporter(), on_event=on_event)
    return _sweep(asked, experiment, out, until)


def _sweep(asked: Asked, experiment: Experiment, out: str | Path, until: Until) -> RunFolder:
    reporter = asked.reporter
    with working(experiment, out, asked) as work:
        from orchestrator.stages.evaluate import evaluate as evaluate_winners
        from orchestrator.stages.prepare import prepare, prepare_splits
        from orchestrator.stages.search import search

        context, folder = work.context, work.context.folder
        if experiment.ablation is not None:
            reporter.say(told_by_a_sweep(context.experiment, folder))
        with work.told("render"), spending(folder.spent, "render"):
            splits = prepare_splits(context, prepare(context))
        too_short: list[str] = []
        # One after the other to its end: what is evaluated when the run is broken off can be reported.
        for each, prepared in splits:
            if STAGES.index(until) >= STAGES.index("search"):
                with work.stage("search", each.split_number):
                    too_short += search(each, prepared)
            if STAGES.index(until) >= STAGES.index("evaluate"):
                with work.stage("evaluate", each.split_number):
                    evaluate_winners(each, prepared)
                shutil.rmtree(each.folder.states, ignore_errors=True)
        if too_short and not any(read_records(folder.records)):
            raise InputError("\n".join(too_short))  # there is nothing to report
        if until == "report":
            _report(work)
            if told := told_at_the_end(folder, context.experiment):
                reporter.say(told)
        for line in too_short:  # once more, where it is read last
            reporter.say(line)
        context.mirror.copy()
    return folder


def ablate(
    experiment: Experiment,
    out: str | Path,
    *,
    strict: bool = False,
    on_event: Listener | None = None,
    reporter: Reporter | None = None,
) -> RunFolder:
    """Run the experiment's ablation in the folder `out`, which is absent, empty or holds this experiment; then report.

    Its baseline is searched unless that is done or its configuration given; of its cells just those run that no record
    has. InputError for bad input, before work starts; `strict`, `on_event` and `reporter` as in `run`.
    """
    reporter = reporter or Reporter()
    with working(experiment, out, Asked("ablate", True, strict, reporter, on_event)) as work:
        from orchestrator.stages.ablate import ablate as run_cells
        from orchestrator.stages.ablate import plan
        from orchestrator.stages.prepare import prepare, prepare_splits
        from trainables.training.ended import remove_ended

        context = work.context
        asked = AskedAblation.of(context.experiment)
        with work.told("render"), spending(context.folder.spent, "render"):
            splits = prepare_splits(context, prepare(context, with_all_sizes(asked, context.goal)))
        for each, prepared in splits:
            with work.stage("search", each.split_number):
                rows = plan(each, prepared, asked)
            with work.stage("ablate", each.split_number):
                run_cells(each, prepared, asked, rows)
            with suppress(OSError):  # a sweep that was broken off may go on from what is left in there
                remove_ended(each.folder.states)
                each.folder.states.rmdir()
        _report(work)
        if told := told_at_the_end(context.folder, context.experiment):
            reporter.say(told)
        context.mirror.copy()
    return context.folder


def evaluate(
    run_folder: str | Path, *, on_event: Listener | None = None, reporter: Reporter | None = None
) -> RunFolder:
    """Train the winners of the searched run in `run_folder` with every seed, and score each on the test part once.

    What is evaluated already is left alone. InputError where the folder holds no run; `on_event` and `reporter`
    as in `run`.
    """
    folder = open_run(run_folder)
    experiment = experiment_of(folder)
    _refuse_lost(experiment, folder)
    asked = Asked("evaluate", resume=True, strict=False, reporter=reporter or Reporter(), on_event=on_event)
    return _sweep(asked, experiment, run_folder, "evaluate")


def write_report(run_folder: str | Path, *, figures: bool = True, columns: Sequence[str] = ()) -> Path:
    """Write the report of what the records of the run in `run_folder` hold so far; returns the path of its page.

    `figures`: every figure also as PDF, PNG and SVG. `columns`: the metrics in the tables that papers quote, in this
    order; empty for all. InputError where the folder holds no run, no record, no such metric, or no room.
    """
    folder = open_run(run_folder)
    from orchestrator.report.page import write_report as write

    return write(folder, figures, columns)


@contextmanager
def working(experiment: Experiment, out: str | Path, asked: Asked) -> Iterator[Work]:
    """Check all that can be checked before any work, then hold the folder `out` and start Ray."""
    check_is_experiment(experiment)
    reporter, ablation = asked.reporter, asked.command == "ablate"
    folder = run_at(out)
    if folder.experiment.exists():
        _refuse_lost(experiment, folder, ablation)
        experiment = asking(experiment, experiment_of(folder))
    mirror = Mirror(experiment.mirror, folder, reporter)
    check_tracking(experiment.tracking)
    began = time.monotonic()
    local, before = local_resources(), cache(lambda: trained_before(_records(folder)))
    engine = Engine(cpus=int(local.cpus))
    engine.check()  # before torch is imported, which the families' checks need
    shared = own_cache()
    settled = settle(
        experiment,
        ablation=ablation,
        resources=None if engine.remote else local,
        strict=asked.strict,
        claim=lambda known: check_folder(known, folder, asked.resume, reporter.say),
        before=before,
    )
    reporter.say("Ray starts, which takes some seconds …")
    with (
        storage_told(folder),
        locked(settled.experiment, folder),
        Heartbeat(folder.heartbeat) as beat,
        Stop(folder.stop, reporter) as stop,
        watched(experiment.tracking, folder, asked.command, reporter, asked.on_event) as events,
        engine,
    ):
        # Only now: torch and Ray cost seconds that bad input should not.
        from orchestrator.stages.context import Context

        for remark in settled.remarks:
            reporter.say(remark)
        if reason := why_unwritable(shared):
            reporter.say(
                f"The cache in {shared.folder} can't be written ({reason}): each training computes what it could share "
                "with others. Set ORCHESTRATOR_CACHE to a folder of yours."
            )
        if settled.goal.own:
            save_own(folder.own_metrics, settled.goal.own)
        # Of the Ray that runs: a cluster's, or one that this process has started before.
        offered, storage = available(), LOCALLY
        if engine.remote:
            cluster = check_cluster_for(settled, folder, ablation, reporter)
            offered, storage = replace(offered, cards=cluster.nodes.cards), cluster.storage
        else:
            offered = replace(offered, cards=local.cards, trouble=local.trouble)
        placements = place_all(settled.experiment, offered, before())
        reporter.say(told(settled.experiment, placements, offered))
        marked = f"{asked.command} {uuid.uuid4().hex[:12]}"
        context = Context(
            settled, folder, engine, reporter, mirror, offered, placements, asked.strict, marked, beat.at_work, events,
            storage=storage,
        )  # fmt: skip
        note_spent(folder.spent, "start", time.monotonic() - began)
        yield Work(context, beat, stop)


def _refuse_lost(experiment: Experiment, folder: RunFolder, ablation: bool = False) -> None:
    """InputError where the data of a run that was begun are not there: they may have been moved."""
    if experiment.data.path.exists():
        return
    lay, name = experiment_of(folder).data.path, shlex.quote(str(folder.root))
    there = "" if lay == experiment.data.path else f" {experiment.data.path} is not there, either."
    raise InputError(
        f"The data of {folder.root} lay in {lay}{', which is not there.' if not there else '.'}{there} Where they were "
        f"moved: orchestrate {'ablate' if ablation else 'sweep'} {name}/{folder.experiment.name} "
        f"--set data.path=WHERE_THEY_ARE --out {name}{'' if ablation else ' --resume'}"
    )


def _records(folder: RunFolder) -> Iterator[TrialRecord]:
    """Those of a run, and of its splits."""
    yield from read_records(folder.records)
    for path in sorted(folder.whole.glob("splits/*/records.jsonl")):
        if path != folder.records:
            yield from read_records(path)


def _report(work: Work) -> None:
    work.context.reporter.say("Writing the report: tables, page and figures …")
    folder = work.context.folder
    with work.told("report"), spending(folder.spent, "report"):
        write_report(folder.root)

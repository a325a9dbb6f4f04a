"""One run from its first check to its report."""

import errno
import fcntl
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import yaml

from orchestrator.ablation_checks import check_ablation, with_all_sizes
from orchestrator.checks import check_resources, check_variants, classes_of, local_resources
from orchestrator.data.layouts import find_files
from orchestrator.engine import Engine, available
from orchestrator.experiment import Experiment, flat, is_free
from orchestrator.goal import Goal, check_names, goal_of
from orchestrator.heartbeat import STALE, Heartbeat, read_beat
from orchestrator.mirror import Mirror
from orchestrator.progress import Reporter
from orchestrator.records import read_records
from orchestrator.run_folder import RunFolder
from orchestrator.stopping import Stop
from trainables.errors import InputError, storage_error

if TYPE_CHECKING:
    from orchestrator.preparation import Context

Until = Literal["render", "search", "evaluate", "report"]
STAGES: tuple[Until, ...] = get_args(Until)


@dataclass(frozen=True)
class Work:
    """A run whose folder is held by this process, with Ray started."""

    context: "Context"
    beat: Heartbeat
    stop: Stop


def run(
    experiment: Experiment,
    out: str | Path,
    *,
    resume: bool = False,
    until: Until = "report",
    strict: bool = False,
    reporter: Reporter | None = None,
) -> RunFolder:
    """Run an experiment in the folder `out`: render, search, evaluate, report; stop after the stage `until`.

    What an earlier call with the same folder has done is not done again. InputError for bad input, before work starts;
    `strict` makes a file that can't be used fatal instead of skipped and reported.
    """
    reporter = reporter or Reporter()
    with working(experiment, out, check_variants, resume, strict, reporter) as work:
        from orchestrator.preparation import prepare
        from orchestrator.stages import evaluate, search

        context, folder = work.context, work.context.folder
        if experiment.ablation is not None:
            run_name = shlex.quote(str(out))
            reporter.say(
                "A sweep leaves `ablation:` alone. Run it on top: "
                f"orchestrate ablate {run_name}/{folder.experiment.name} --out {run_name}"
            )
        work.beat.stage("render")
        prepared = prepare(context)
        if STAGES.index(until) >= STAGES.index("search"):
            work.beat.stage("search")
            with work.stop.gently():
                search(context, prepared)
        if STAGES.index(until) >= STAGES.index("evaluate"):
            work.beat.stage("evaluate")
            with work.stop.gently():
                evaluate(context, prepared)
            shutil.rmtree(folder.states, ignore_errors=True)
        if until == "report":
            work.beat.stage("report")
            reporter.say("Writing the report: tables, page and figures …")
            report(folder)
        context.mirror.copy()
    return folder


def ablate(
    experiment: Experiment, out: str | Path, *, strict: bool = False, reporter: Reporter | None = None
) -> RunFolder:
    """Run the experiment's ablation in the folder `out`, which is absent, empty or holds this experiment; then report.

    Its baseline is searched unless that is done or its configuration given; of its cells just those run that no record
    has. InputError for bad input, before work starts; `strict` as in `run`.
    """
    with working(experiment, out, check_ablation, True, strict, reporter or Reporter()) as work:
        from orchestrator.ablating import ablate as run_cells
        from orchestrator.ablating import plan
        from orchestrator.preparation import prepare

        context = work.context
        work.beat.stage("render")
        prepared = prepare(replace(context, experiment=with_all_sizes(context.experiment, context.goal)))
        work.beat.stage("search")
        with work.stop.gently():
            rows = plan(context, prepared)
        work.beat.stage("ablate")
        with work.stop.gently():
            run_cells(context, prepared, rows)
        with suppress(OSError):  # a sweep that was broken off may go on from what is left in there
            context.folder.states.rmdir()
        work.beat.stage("report")
        context.reporter.say("Writing the report: tables, page and figures …")
        report(context.folder)
        context.mirror.copy()
    return context.folder


@contextmanager
def working(
    experiment: Experiment,
    out: str | Path,
    check: Callable[[Experiment, Goal, tuple[str, ...], str], list[str]],
    resume: bool,
    strict: bool,
    reporter: Reporter,
) -> Iterator[Work]:
    """Check all that can be checked before any work, then hold the folder `out` and start Ray.

    `check`: (experiment, goal, classes, device) -> remarks to say aloud; InputError for what can't be used.
    """
    folder = RunFolder(Path(out).expanduser().absolute())
    check_names(experiment)
    local = local_resources()
    engine = Engine(cpus=int(local["cpus"]))
    if not engine.remote:
        check_resources(experiment, **local)
    device = "cuda" if experiment.resources.gpus else "cpu"
    listing = find_files(experiment.data.path, experiment.data.layout)
    goal, said = goal_of(experiment, listing)
    experiment = goal.settle(experiment)
    classes = classes_of(listing, goal)
    check_folder(experiment, folder, resume)
    mirror = Mirror(experiment.mirror, folder, reporter)
    said += check(experiment, goal, classes, device)
    reporter.say("Ray starts, which takes some seconds …")
    with (
        storage_told(folder),
        locked(experiment, folder),
        Heartbeat(folder.heartbeat) as beat,
        Stop(folder.stop, reporter) as stop,
        engine,
    ):
        # Only now: torch and Ray cost seconds that bad input should not.
        from orchestrator.preparation import Context
        from orchestrator.render import column_remarks

        for remark in (*column_remarks(listing, experiment.data.column), *listing.remarks, *said):
            reporter.say(remark)
        concurrent = check_resources(experiment, **available())
        context = Context(
            experiment, folder, engine, reporter, mirror, goal, device, concurrent, strict, listing.remarks
        )
        yield Work(context, beat, stop)


def report(folder: RunFolder, figures: bool = True) -> Path:
    """Write the report of what the run's records hold so far, `figures` as files too; returns the page's path."""
    if not folder.experiment.exists():
        raise InputError(f"{folder.root} holds no run (no {folder.experiment.name}). Start one: orchestrate sweep.")
    from orchestrator.report.page import write_report

    return write_report(folder, figures)


def experiment_of(folder: RunFolder) -> Experiment:
    """The experiment that a run's folder holds."""
    if not folder.experiment.exists():
        raise InputError(f"{folder.root} holds no run (no {folder.experiment.name}). Start one: orchestrate sweep.")
    try:
        values = yaml.safe_load(folder.experiment.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{folder.experiment} can't be read: {error}. Put it back from a copy.") from None
    if not isinstance(values, dict):
        raise InputError(f"{folder.experiment} holds no keys. Put it back from a copy.")
    return Experiment.from_mapping(values, str(folder.experiment))


def check_folder(experiment: Experiment, folder: RunFolder, resume: bool) -> None:
    """InputError where the run's folder holds something else, or this experiment and `resume` is not asked for."""
    root = folder.root
    own = {experiment.data.path, *experiment.data.path.parents}  # the data may lie in the run's folder
    if folder.experiment.exists():
        differences = compare(experiment_of(folder), experiment)
        if differences:
            listed = "\n".join(f"  - {line}" for line in differences)
            raise InputError(
                f"{root} already holds another experiment; it differs in:\n{listed}\n"
                "Give this one its own folder (--out), or set these back to go on with the old one."
            )
        strangers = sum(one.provenance.experiment != experiment.fingerprint for one in read_records(folder.records))
        if strangers:
            raise InputError(
                f"{strangers} records in {folder.records} are of another experiment: the file was exchanged. Put this "
                "run's own back from a copy, or give another --out."
            )
        if not resume:
            count = sum(1 for _ in read_records(folder.records))
            raise InputError(
                f"{root} already holds this experiment, with {count} records. "
                "Go on with it: --resume (in Python: resume=True). Start afresh: give another --out."
            )
    elif root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file. Give an --out that is absent or an empty folder.")
    elif root.exists() and any(path not in own and not _of_a_start(path) for path in root.iterdir()):
        raise InputError(f"{root} is not empty and holds no run. Give an --out that is absent or empty.")


@contextmanager
def locked(experiment: Experiment, folder: RunFolder) -> Iterator[None]:
    """Hold the run's folder for this process, with the experiment in it; InputError where another process has it."""
    root = folder.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{root} can't be written: {error.strerror}. Give an --out where you may write.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locks = True
        except BlockingIOError:
            raise InputError(f"Another process works in {root}. Wait for it, or give another --out.") from None
        except OSError:  # a file system without locks
            locks = False
        beat = read_beat(folder.heartbeat)
        if beat is not None and beat.alive and not (locks and beat.host == socket.gethostname()):
            # File systems between machines need not honour the lock.
            raise InputError(
                f"Process {beat.pid} on {beat.host} works in {root}, seen {beat.age:.0f} s ago. Wait for it, or give "
                f"another --out. If it is dead, try again in {STALE:.0f} s."
            )
        draft = root / "experiment.tmp"
        draft.write_text(experiment.to_yaml(), encoding="utf-8")
        draft.replace(folder.experiment)
        yield


@contextmanager
def storage_told(folder: RunFolder) -> Iterator[None]:
    """Turn what a full, read-only or vanished disk raises into an InputError that says how to go on."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        cause = storage_error(error, *([errno.ENOENT] if _gone(folder.experiment) else []))
        if cause is None:
            raise
        raise InputError(
            f"{cause.filename or folder.root}: {cause.strerror}. What has a record is safe. Make room "
            "or bring the storage back, then go on with the same command and --resume."
        ) from error


def _of_a_start(path: Path) -> bool:
    """Whether a run that was cut off before it had written its experiment leaves such a file."""
    return path.name in ("lock", "experiment.tmp") or path.name.startswith("heartbeat.")


def _gone(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return True
    return False


def compare(old: Experiment, new: Experiment) -> list[str]:
    """What differs between two experiments and changes what the run means, a line each."""
    before, after = flat(old.model_dump(mode="json")), flat(new.model_dump(mode="json"))
    lines = []
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) or is_free(key):
            continue
        if key == "seeds" and after[key][: len(before[key])] == before[key]:
            continue  # more seeds after the old ones: only more cells
        lines.append(f"{key}: {before.get(key)!r} there, {after.get(key)!r} here")
    return lines

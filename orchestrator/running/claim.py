"""A run's folder, held by one process: what it may hold before, its lock, and what is said where its disk fails."""

import errno
import fcntl
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from orchestrator.artifacts.heartbeat import STALE, read_beat
from orchestrator.artifacts.places import keep_place
from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder, run_at
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.of_a_run import Origin, check_run, differing, experiment_of, origin_of, place_of
from orchestrator.experiment.own_parts import refuse_other_code
from orchestrator.families import FAMILIES
from orchestrator.running.moved import prove_same
from trainables.errors import InputError, storage_error
from trainables.files import is_draft, write_whole


def _nobody(said: str) -> None:
    """Who hears what nobody asked for."""


def open_run(path: str | PathLike[str]) -> RunFolder:
    """The run that lies at a path, finished or not. InputError where there is none.

    Its properties are paths, for what reads them: `results(run)`, `read_records(run.records)`,
    `load_model(run.model("pca", 0))`, `Experiment.load(run.experiment)`, `write_report(run)`.
    """
    folder = run_at(path)
    check_run(folder)
    return folder


def check_is_experiment(experiment: object) -> None:
    """InputError where what is given is a file's path or its values."""
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment is {type(experiment).__name__}; give an Experiment: Experiment.load(FILE) reads one, "
            "Experiment.from_mapping(VALUES) takes a dict."
        )


def check_folder(
    experiment: Experiment, folder: RunFolder, resume: bool, say: Callable[[str], object] = _nobody
) -> None:
    """InputError where the run's folder holds something else, or this experiment and `resume` is not asked for.

    `say` hears what is done about data that lie elsewhere than before.
    """
    root = folder.root
    split = experiment.data.split
    if (split.number or 1) > 1 and experiment.budget.searches == "first" and not folder.is_part:
        raise InputError(
            f"data.split.number: {split.number} alone has no first split whose winners it could train "
            "(budget.searches: first). Leave budget.searches out, or leave the number out to run all splits."
        )
    own = {experiment.data.path, *experiment.data.path.parents}  # the data may lie in the run's folder
    if folder.experiment.exists():
        before, records = experiment_of(folder), list(read_records(folder.records))
        origin = origin_of(folder, records)
        _refuse_changed(folder, origin)
        differences = differing(before, experiment)
        if differences:
            listed = "\n".join(f"  - {line}" for line in differences)
            raise InputError(
                f"{root} already holds another experiment; it differs in:\n{listed}\n"
                "Give this one its own folder (--out), or set these back to go on with the old one."
            )
        # Of one's own families it is checked where their code runs anyway, for it alone knows what its search draws.
        searched = {variant.name: variant for variant in experiment.families if variant.family in FAMILIES}
        for count, record in enumerate(records, start=1):
            variant = searched.get(record.variant) if record.stage == "search" else None
            if variant is not None:
                ours = (variant.family, variant.fixed, variant.space)
                refuse_other_code(
                    f"Record {count} of {folder.records}", variant.name, ours, (record.family, record.config)
                )
        if origin.strangers:
            raise InputError(
                f"{origin.strangers} records in {folder.records} are of another experiment: the file was exchanged, or "
                f"{folder.experiment.name} was. Put this run's own back from a copy, or give another --out."
            )
        if not resume:
            raise InputError(
                f"{root} already holds this experiment, with {len(records)} records. "
                "Go on with it: --resume (in Python: resume=True). Start afresh: give another --out."
            )
        for number in () if split.number is not None else split.numbers[1:]:
            part = folder.of_split(number)
            if part.experiment.exists() and origin_of(part, list(read_records(part.records))).strangers:
                raise InputError(
                    f"{part.records} holds records of another experiment: put this run's own back from a copy, or give "
                    "another --out."
                )
        _refuse_seed_of_trials(before, experiment, records)
        prove_same(before, experiment, folder, say)
    elif root.exists() and not root.is_dir():
        raise InputError(f"{root} is a file. Give an --out that is absent or an empty folder.")
    elif root.exists() and any(path not in own and not _of_a_start(path) for path in root.iterdir()):
        raise InputError(f"{root} is not empty and holds no run. Give an --out that is absent or empty.")


def _refuse_changed(folder: RunFolder, origin: Origin) -> None:
    """InputError where the run's experiment is known, and is not what its file says by now."""
    if origin.kept and not origin.strangers:
        listed = "\n".join(f"  - {line}" for line in origin.changed)
        raise InputError(
            f"{folder.experiment} was changed since the run worked: its records are of the experiment that "
            f"{folder.as_run.name} keeps, and it differs in:\n{listed}\n"
            f"Copy {folder.as_run.name} over {folder.experiment.name} to go on with the run; give what was changed its "
            "own folder (--out)."
        )


def _refuse_seed_of_trials(before: Experiment, now: Experiment, records: Sequence[TrialRecord]) -> None:
    """InputError where a seed is added that the run's trials trained with, whose winner it would favour."""
    trained = {record.seed for record in records if record.stage in ("search", "tuning")}
    added = sorted(trained & (set(now.seeds) - set(before.seeds)))
    if added:
        raise InputError(
            f"seeds: {added[0]} is the seed that this run's trials trained with, and a final training with it would "
            "favour the configuration that it suits. Add another one."
        )


@contextmanager
def locked(experiment: Experiment, folder: RunFolder) -> Iterator[None]:
    """Hold the run's folder for this process, with the experiment in it; InputError where another process has it."""
    root = folder.root
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = folder.lock.open("a+", encoding="utf-8")
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
        if folder.experiment.exists() and (before := place_of(experiment_of(folder))) != place_of(experiment):
            keep_place(folder, before)
        for number in experiment.data.split.numbers:
            part = folder.of_split(number) if experiment.data.split.number is None else folder
            part.root.mkdir(parents=True, exist_ok=True)
            for path in (part.experiment, part.as_run):
                write_whole(path, experiment.of_split(number).to_yaml(), wait=False)
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
    """Whether it is a plan, or such a file as a run leaves that was cut off before it had written its experiment."""
    here = RunFolder(path.parent)
    return path in (here.lock, here.heartbeat, here.plan) or is_draft(path)


def _gone(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return True
    return False

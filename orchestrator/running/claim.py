"""A run's folder, held by one process: what it may hold before, its lock, and what is said where its disk fails."""

import errno
import fcntl
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from orchestrator.artifacts.heartbeat import STALE, read_beat
from orchestrator.artifacts.places import keep_place
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import PLACE_KEYS, Experiment, flat, is_free, read_experiment
from orchestrator.experiment.own_parts import refuse_other_code
from orchestrator.families import FAMILIES
from orchestrator.running.moved import known_prints, place_of, prove_same
from trainables.credentials import without_credentials
from trainables.errors import InputError, storage_error
from trainables.files import is_draft, write_whole


def _nobody(said: str) -> None:
    """Who hears what nobody asked for."""


def run_at(path: str | PathLike[str]) -> RunFolder:
    """The folder of a run at a path, which is made absolute: a trial's working folder is elsewhere."""
    return RunFolder(Path(path).expanduser().absolute())


def open_run(path: str | PathLike[str]) -> RunFolder:
    """The run that lies at a path, finished or not. InputError where there is none.

    Its properties are paths, for what reads them: `results(run)`, `read_records(run.records)`,
    `load_model(run.model("pca", 0))`, `Experiment.load(run.experiment)`, `write_report(run)`.
    """
    folder = run_at(path)
    check_run(folder)
    return folder


def experiment_of(folder: RunFolder) -> Experiment:
    """The experiment that a run's folder holds; InputError where it holds none that can be read."""
    check_run(folder)
    try:
        values = read_experiment(folder.experiment)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder.experiment} can't be read: {str(error).rstrip('.')}. Put it back from a copy."
        ) from None
    if not isinstance(values, dict):
        raise InputError(f"{folder.experiment} holds no keys. Put it back from a copy.")
    if isinstance(mirror := values.get("mirror"), str):
        # Runs begun before credentials were refused may hold some; the environment has to hold them now.
        values = {**values, "mirror": without_credentials(mirror)}
    return Experiment.from_mapping(values, str(folder.experiment))


def check_run(folder: RunFolder) -> None:
    """InputError where a folder holds no run."""
    if not folder.experiment.exists():
        there = "holds no run" if folder.root.is_dir() else "is no folder, and holds no run"
        raise InputError(f"{folder.root} {there} (no {folder.experiment.name}). Start one: orchestrate sweep.")


def check_folder(
    experiment: Experiment, folder: RunFolder, resume: bool, say: Callable[[str], object] = _nobody
) -> None:
    """InputError where the run's folder holds something else, or this experiment and `resume` is not asked for.

    `say` hears what is done about data that lie elsewhere than before.
    """
    root = folder.root
    own = {experiment.data.path, *experiment.data.path.parents}  # the data may lie in the run's folder
    if folder.experiment.exists():
        before = experiment_of(folder)
        differences = differing(before, experiment)
        if differences:
            listed = "\n".join(f"  - {line}" for line in differences)
            raise InputError(
                f"{root} already holds another experiment; it differs in:\n{listed}\n"
                "Give this one its own folder (--out), or set these back to go on with the old one."
            )
        # Of one's own families it is checked where their code runs anyway, for it alone knows what its search draws.
        searched = {variant.name: variant for variant in experiment.families if variant.family in FAMILIES}
        count = strangers = 0
        prints = known_prints(before, folder)
        for record in read_records(folder.records):
            count += 1
            strangers += record.provenance.experiment not in prints
            variant = searched.get(record.variant) if record.stage == "search" else None
            if variant is not None:
                ours = (variant.family, variant.fixed, variant.space)
                refuse_other_code(
                    f"Record {count} of {folder.records}", variant.name, ours, (record.family, record.config)
                )
        if strangers:
            raise InputError(
                f"{strangers} records in {folder.records} are of another experiment: the file was exchanged. Put this "
                "run's own back from a copy, or give another --out."
            )
        if not resume:
            raise InputError(
                f"{root} already holds this experiment, with {count} records. "
                "Go on with it: --resume (in Python: resume=True). Start afresh: give another --out."
            )
        prove_same(before, experiment, folder, say)
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
        write_whole(folder.experiment, experiment.to_yaml(), wait=False)
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


def _of_a_start(path: Path) -> bool:
    """Whether a run that was cut off before it had written its experiment leaves such a file."""
    here = RunFolder(path.parent)
    return path in (here.lock, here.heartbeat) or is_draft(path)


def _gone(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return True
    return False

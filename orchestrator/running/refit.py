"""What won is trained once more, for use: with new data, or on all that there are. Nothing is searched.

With new data alone validation stays held out, and chooses epoch and threshold as it did. With validation in the
training part nothing is left to choose by: the epoch is the one that validation chose before, the learning rate follows
the validation losses of then, and the threshold is fitted to scores of models that did not train on what they score:
fitted to pictures that were trained on, a 95th percentile called 39 % (pca) and 94 % (patch_knn) of new normal tiles
anomalies, where this way 7 % and 4 % came out.
"""

import errno
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.artifacts.models import NOTE, keep_model
from orchestrator.artifacts.records import read_records
from orchestrator.data.layouts.listing import ListedFile, Listing
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.experiment.goal import Goal, goal_of
from orchestrator.machine.engine import Engine
from orchestrator.machine.progress import Reporter, duration
from orchestrator.machine.stopping import Stop
from orchestrator.running.refit_model import Refitted, kept_of, write_held
from orchestrator.running.refit_source import Source, source_of, with_device
from orchestrator.scoring.judge import Judge
from orchestrator.scoring.metric_table import metric_row
from orchestrator.using.order import device_for
from orchestrator.using.subject import HELD_OUT
from trainables.errors import InputError, storage_error
from trainables.files import write_whole
from trainables.interface import Task
from trainables.own_code import is_own, read_anew
from trainables.small_files import FolderFiles, NamedFile

if TYPE_CHECKING:  # these import torch, or seconds of other packages, which bad input should not wait for
    from orchestrator.data.store.store import Store
    from orchestrator.evaluation.trained import Trained
    from orchestrator.running.refit_data import Listed
    from orchestrator.running.refit_training import Held, Refitting

UNFINISHED = "unfinished"
"""The folder in the new model's own that holds what a broken-off refit goes on from."""
ORDER = "order.json"
"""In there: what was asked for."""
FOLDS = 3
"""Of validation, where a detector trains on it."""


@dataclass(frozen=True)
class Asked:
    """How, as a user says it; `refit` says what each means."""

    data: Path | None
    everything: bool
    with_test: bool
    folds: int

    def check(self, given_folds: int | None) -> None:
        """InputError for what does not go together."""
        if not self.everything and self.data is None:
            raise InputError(
                "A refit without --data and --all would be what the sweep did: the same configuration on the same "
                "training part. Give --data FOLDER to train on new data too, or --all to train on validation too."
            )
        if self.with_test and not self.everything:
            raise InputError("--with-test trains on validation and test, too: it goes with --all. Give both.")
        if given_folds is not None and not self.everything:
            raise InputError("--folds goes with --all: without it validation is held out as it was. Leave it out.")
        if self.folds < 0 or self.folds == 1:
            raise InputError(f"--folds is {self.folds}; it must be 2 or more, or 0 to keep the evaluated threshold.")

    def identity(self, source: Source) -> dict[str, Any]:
        """What is to be the same where a broken-off refit goes on."""
        more = None if self.data is None else str(self.data.absolute())
        told = {"data": more, "all": self.everything, "with_test": self.with_test, "folds": self.folds}
        return {"weights": source.kept.weights, "variant": source.record.variant, "seed": source.seed, **told}


def refit(
    run: str | Path,
    out: str | Path,
    *,
    variant: str | None = None,
    data: str | Path | None = None,
    everything: bool = False,
    with_test: bool = False,
    seed: int | None = None,
    folds: int | None = None,
    device: str = "auto",
    trust: str | Sequence[str] = (),
    strict: bool = False,
    reporter: Reporter | None = None,
) -> Refitted:
    """Train the configuration of a run's winner, or of `variant`, once more, and keep the model in the folder `out`.

    `data`: a folder that lies as the run's data do; what the run does not have of it joins the training part.
    `everything` (--all): validation joins it, too, and `with_test` the test part. The model then trains for the epochs
    that validation chose for the evaluated model of the same `seed`; a detector's strategy is fitted to validation
    scores by `folds` models (3), each trained without the fold that it scores, or, with 0, the evaluated threshold
    stays. `trust`: code of one's own that the run names. What was broken off goes on by the same call. InputError for
    what can't be used, before work starts.
    """
    begun, reporter, target = time.perf_counter(), reporter or Reporter(), Path(out)
    asked = Asked(None if data is None else Path(data), everything, with_test, FOLDS if folds is None else folds)
    asked.check(folds)
    read_anew()
    source = source_of(run, variant, seed, trust)
    if not everything or (source.normal is None and folds is None):
        asked = replace(asked, folds=0)
    _check_out(target, asked.identity(source))
    from orchestrator.running.refit_data import list_more

    listed = None if asked.data is None else list_more(source, asked.data)
    device = device_for(device, [source.setting.family])
    source = with_device(source, device)
    for remark in (source.why, *(() if listed is None else listed.remarks)):
        reporter.say(remark)
    with _claimed(target, asked.identity(source)) as work:
        refitting = _prepared(source, asked, listed, work, device, strict, reporter)
        trained, held = _trained(refitting, work, reporter)
        kept = kept_of(refitting, trained, held)
        if held is not None:
            write_held(target / HELD_OUT, held)
        keep_model(target, trained.weights, kept, trained.epoch)
    shutil.rmtree(target / UNFINISHED, ignore_errors=True)
    return Refitted(target, kept, time.perf_counter() - begun)


def _prepared(
    source: Source, asked: Asked, listed: "Listed | None", work: Path, device: str, strict: bool, reporter: Reporter
) -> "Refitting":
    """The pictures, drawn where they are not, and what judges; InputError where nothing new is among them."""
    from orchestrator.running.refit_data import RefitData, draw_more, run_store
    from orchestrator.running.refit_training import Refitting, folds_for, job_for
    from orchestrator.stages.context import Prepared

    size, split, more = source.setting.size, source.split, None
    engine = Engine()
    try:
        store = run_store(source, reporter, engine)
        data = RefitData(Prepared({size: store}, split, source.normal), size, None, split.train)
        held = data.held_out(split.validation)
        folds = asked.folds and folds_for(held.labels, held.groups, asked.folds, source.normal is not None)
        if listed is not None:
            more = draw_more(source, listed, store, work / "added", reporter, engine, strict)
    finally:
        engine.stop()
    if more is not None and not len(more.rows) and not asked.everything:
        raise InputError(
            f"{asked.data} adds nothing: the run has each of its pictures already. Give a folder with new ones, or "
            "--all to train on validation too."
        )
    fixed = np.concatenate([split.train, data.trainable(split.test)]) if asked.with_test else split.train
    data = replace(data, more=more, fixed=fixed)
    goal, judge = _judging(source, store)
    places = {"states": FolderFiles(work / "states"), "stop": NamedFile(FolderFiles(work), "stop")}
    job = job_for(source, goal, judge, data, device, **places)
    return Refitting(source, data, goal, judge, job, asked.everything, asked.with_test, folds)


def _judging(source: Source, store: "Store") -> tuple[Goal, Judge]:
    """What validation is judged by, as in the run."""
    from orchestrator.stages.rules import rules_of

    experiment = source.experiment
    wanted = experiment.objective.metric
    own = (metric_row(wanted),) if wanted is not None and is_own(wanted) else ()
    kinds = (store.classes[label] for label in store.labels)
    masks = (None,) * len(store.paths) if store.masks is None else store.paths
    files = map(ListedFile, store.paths, kinds, store.parts, masks, masks)
    listing = Listing(experiment.data.path, LAYOUTS[experiment.data.layout], tuple(files), ())
    task: Task = "classification" if source.record.threshold is None else "detection"
    goal, _ = goal_of(experiment, listing, task, own)
    cross_fit = goal.thresholded and rules_of(experiment, read_records(source.run.records)).cross_fitted
    return goal, Judge(task, goal.strategies, experiment.threshold.metric, goal.own, cross_fit)


def _trained(refitting: "Refitting", work: Path, reporter: Reporter) -> tuple["Trained", "Held | None"]:
    """The model, and scores of validation by models that did not train on it. Stopped where a signal asks for it."""
    import torch

    epochs, several = refitting.epochs, 1 + refitting.folds
    threads = torch.get_num_threads()
    begun = time.perf_counter()
    try:
        with (
            Stop(work / "stop", reporter) as stop,
            stop.gently(),
            reporter.line("refit", several * epochs, "epochs") as line,
        ):

            def told(number: int, done: int) -> None:
                line.update(number * epochs + done)

            found = refitting.run(told)
    finally:
        torch.set_num_threads(threads)
    assert found is not None, "who asks for a stop raises Stopped"
    reporter.say(f"Trained in {duration(time.perf_counter() - begun)}.")
    return found


def _check_out(out: Path, identity: dict[str, Any]) -> None:
    """InputError where the folder holds anything but a broken-off refit of the same."""
    order = out / UNFINISHED / ORDER
    if (out / NOTE).exists():
        raise InputError(f"{out} holds a model already. Give another --out.")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file. Give an --out that is absent or an empty folder.")
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        before = json.loads(order.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{out} is not empty and holds no broken-off refit. Give another --out.") from None
    differing = sorted(key for key in identity if before.get(key) != identity[key])
    if differing:
        listed = "; ".join(f"{key} {before.get(key)!r} there, {identity[key]!r} here" for key in differing)
        raise InputError(f"{out} holds another refit, broken off: {listed}. Go on with that, or give another --out.")


@contextmanager
def _claimed(out: Path, identity: dict[str, Any]) -> Iterator[Path]:
    """The folder of what a broken-off refit goes on from, held by this process. InputError for one that another process
    holds, and where a disk fails."""
    work = out / UNFINISHED
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} can't be made: {error.strerror}. Give another --out.") from error
    try:
        write_whole(work / ORDER, json.dumps(identity, indent=1), wait=False, shared=True)
        with (work / "lock").open("a") as lock:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise InputError(f"Another process works in {out}. Wait for it, or give another --out.") from None
            except OSError:
                pass  # a file system without locks
            try:
                yield work
            except InputError:
                if not any((work / "states").glob("*")):  # nothing is to be gone on with: what was asked for can't be
                    shutil.rmtree(work, ignore_errors=True)
                raise
    except InputError:
        raise
    except Exception as error:
        cause = storage_error(error, errno.EACCES)
        if cause is None:
            raise
        raise InputError(
            f"{cause.filename or out}: {cause.strerror}. Make room, or give another --out; what is saved there goes on "
            "with the same command."
        ) from error

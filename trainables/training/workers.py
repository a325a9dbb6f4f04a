"""One training over several of Ray's workers, by Ray Train. It and `trainable` are all that imports Ray here."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import ray
from ray._private import state
from ray.core.generated import gcs_pb2
from ray.train import RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.torch.config import _TorchBackend
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.util import get_node_ip_address
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.queue import Empty, Queue

from trainables.errors import ToldError
from trainables.training.span import Span, WorkerError, WorkersDied, cut_off
from trainables.training.trial import Job, Stopping, Workers

FREE_EVERY, ENDING = 3.0, 60.0
"""Seconds between two looks for places that nobody holds any more, and seconds in which ended trainings let go."""
LOOK = 1.0
"""Seconds between two looks whether a training has ended that tells nothing."""
GRACE = 15.0
"""Seconds that a worker which lost another waits with its own error: Train looks for those of all every two."""
MARGIN, LONGEST = 600, 86_400
"""Seconds beyond an epoch's limit, and in all where that has none, that workers wait for each other. A dead one is
noticed at once; this ends what is alive and hangs."""


@dataclass
class _Torch(TorchConfig):
    """How the workers are connected: by the network by which Ray knows them, and on one machine by none."""

    @property
    def backend_cls(self) -> Any:
        return _Backend


class _Backend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(_choose_interface)
        super().on_start(worker_group, backend_config)


def _choose_interface() -> None:
    """Let this process listen where its node is known. Gloo would ask what the host's name means, which need be no
    address that others reach, and NCCL would take the first interface that is up."""
    address = get_node_ip_address()  # type: ignore[no-untyped-call]
    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address for one in addresses):
            for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
                os.environ.setdefault(variable, name)


@dataclass(frozen=True)
class _Shared:
    """What each of the workers does."""

    lead: Callable[[Job], Any]
    job: Job
    config: Mapping[str, Any]
    seed: int

    def __call__(self) -> Any:
        span = Span()
        job = replace(self.job, span=span)
        try:
            if span.leads:
                found = self.lead(job)
                span.dismiss()
                return found
            span.follow(lambda: job.build(self.config, self.seed), job.train, job.validation)
        except Stopping:
            raise
        except Exception as error:
            lost = cut_off(error)
            if lost:
                time.sleep(GRACE)  # what happened to the other one is the reason
            raise WorkerError(span.rank, ToldError.of(error), lost=lost) from None
        return None


def over_workers(
    lead: Callable[[Job], Any], job: Job, config: Mapping[str, Any], seed: int, *, retries: int = 0
) -> Any:
    """What `lead` returns in the first of a job's workers, which the others follow; the job it is given knows them.

    Raises Stopping as it does, WorkerError where one of them fails, and WorkersDied where one is gone, once that was
    tried again `retries` times. Ray must have room for them: without, this waits.
    """
    assert job.workers is not None
    shared, workers = _Shared(lead, job, config, seed), job.workers
    for left in range(retries, -1, -1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return _fitted(_trainer(shared, workers, Path(folder))).return_value
            except WorkerGroupError as error:
                _tell(error, last=not left)
    raise AssertionError("the last try returns or raises")


def _fitted(trainer: TorchTrainer) -> Any:
    """What its `fit` returns. What others have left behind meanwhile may be just what it waits for."""
    fitting = _begun(trainer.fit)
    while True:
        try:
            return fitting.result(timeout=FREE_EVERY)
        except TimeoutError:
            if fitting.done():
                raise
            free_abandoned()


def free_abandoned() -> int:
    """Give back the places of workers whose controller was killed with its trial, which Ray keeps for it; how many
    trainings of this run hold theirs.

    Train's own cleaner asks the dashboard whether a controller lives, and a run starts none.
    """
    tables: Any = gcs_pb2
    ours, held = ray.get_runtime_context().get_job_id(), 0
    for told in state.state._connect_and_get_accessor().get_placement_group_table():
        group = tables.PlacementGroupTableData.FromString(told)
        by_actor = bool(group.creator_actor_id.strip(b"\xff"))  # Tune's own are not
        if group.creator_job_id.hex() != ours or not by_actor or group.state == group.REMOVED:
            continue
        if group.creator_actor_dead:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
        else:
            held += 1
    return held


def free_all() -> None:
    """Wait until no training of this run holds places for workers: all were ended."""
    until = time.monotonic() + ENDING
    while free_abandoned() and time.monotonic() < until:
        time.sleep(LOOK / 2)


class _Trainer(TorchTrainer):
    """Without a cleaner that would never end."""

    def _create_default_callbacks(self) -> list[Any]:
        callbacks: list[Any] = super()._create_default_callbacks()  # type: ignore[misc]
        return [one for one in callbacks if not isinstance(one, PlacementGroupCleanerCallback)]


def _trainer(shared: _Shared, workers: Workers, folder: Path) -> TorchTrainer:
    seconds = shared.job.epoch_seconds
    reserved = {"CPU": workers.cpus, "GPU": workers.gpus}
    return _Trainer(
        shared.__call__,
        torch_config=_Torch(
            # What is said goes by the CPU, what is computed by the GPU.
            backend="cpu:gloo,cuda:nccl" if workers.gpus else "gloo",
            timeout_s=LONGEST if seconds is None else int(seconds) + MARGIN,
        ),
        scaling_config=ScalingConfig(
            num_workers=workers.count,
            use_gpu=workers.gpus > 0,
            resources_per_worker={name: count for name, count in reserved.items() if count},
        ),
        run_config=RunConfig(name="workers", storage_path=str(folder)),
    )


def _tell(error: WorkerGroupError, *, last: bool) -> None:
    """Raise what ended the workers; nothing where one is gone, and it is not the `last` try."""
    failures = error.worker_failures
    told = [one for one in failures.values() if isinstance(one, WorkerError) and not one.lost]
    if told:
        raise told[0] from None
    if any(isinstance(one, Stopping) for one in failures.values()):
        raise Stopping from None
    if last:
        first = min(failures)
        said = " ".join(str(failures[first]).split())[:300]
        raise WorkersDied(f"worker {first + 1} of a training over several died: {said}") from None


def relayed(work: Callable[[Callable[[Any], object]], Any], tell: Callable[[Any], object]) -> Any:
    """What `work` returns, which is called with what workers may call to `tell` this process something, in order.

    What they tell waits until the one before was told. `tell` is called in this thread, which it may end.
    """
    queue = Queue(maxsize=1, actor_options={"num_cpus": 0})
    found = _begun(lambda: work(queue.put))
    while True:
        ended = found.done()
        try:
            told = queue.get(timeout=LOOK)
        except Empty:
            if ended:
                return found.result()
        else:
            tell(told)


def _begun(work: Callable[[], Any]) -> Future[Any]:
    """Work begun in a thread, which ends with this process at the latest."""
    found: Future[Any] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, name="workers", daemon=True).start()
    return found

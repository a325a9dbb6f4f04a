"""Many like jobs by a pool of workers: with Ray Data on this machine, on a cluster with one of our own. The only import
of ray.data."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from orchestrator.machine.cluster import cluster_address


def by_workers(
    worker: type,
    arguments: tuple[Any, ...],
    jobs: Sequence[Any],
    *,
    most: int,
    cpus: float = 1,
    gpus: float = 0,
    waits: Callable[[str], object] = str,
) -> Iterator[Any]:
    """What `worker(*arguments)` gives for each job, in the order of completion; at most `most` workers at a time.

    A worker takes Arrow tables with a column `job` and gives tables with a column `result`, both JSON as bytes:
    `as_batches` makes one of a function. Each has so many CPUs and GPUs. Ray runs already. A killed worker is replaced
    and its job done again. On a cluster there are as many as its nodes have room for, which may come and go; `waits` is
    told what is waited for where none has, and empty once one has.
    """
    # JSON, as names may hold bytes that Arrow's text can't.
    asked = [json.dumps(job).encode("ascii") for job in jobs]
    results: Iterator[bytes]
    if cluster_address() is None:
        results = _by_ray_data(worker, arguments, asked, most, cpus, gpus)
    else:
        results = _by_cluster(worker, arguments, asked, most, cpus, gpus, waits)
    yield from map(json.loads, results)


def _by_cluster(
    worker: type,
    arguments: tuple[Any, ...],
    jobs: Sequence[bytes],
    most: int,
    cpus: float,
    gpus: float,
    waits: Callable[[str], object],
) -> Iterator[bytes]:
    import ray

    from orchestrator.machine.cluster_pool import ClusterPool

    handed, made = ray.put(arguments), ray.remote(_Worker).options(num_cpus=cpus, num_gpus=gpus, max_restarts=0)
    yield from ClusterPool(lambda: made.remote(worker, handed), jobs, most, (cpus, gpus), waits).results()


class _Worker:
    """A worker of a cluster."""

    def __init__(self, worker: type, arguments: tuple[Any, ...]) -> None:
        self._do = worker(*arguments)

    def ready(self) -> None:
        """Is answered once it has begun."""

    def do(self, job: bytes) -> bytes:
        """What it gives for a job."""
        found = self._do(pa.table({"job": pa.array([job], pa.binary())}))
        result: bytes = found.column("result")[0].as_py()
        return result


def _by_ray_data(
    worker: type, arguments: tuple[Any, ...], jobs: Sequence[bytes], most: int, cpus: float, gpus: float
) -> Iterator[bytes]:
    import ray.data  # seconds, which one who has no jobs is spared

    assert ray.is_initialized(), "Ray must run already"
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # One item a block, so one task a job.
    items = [{"job": job} for job in jobs]
    results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        worker,
        fn_constructor_args=arguments,
        batch_size=None,
        batch_format="pyarrow",
        # Work begins with the first worker: where others hold some of the CPUs, the rest would never come.
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
        num_cpus=cpus,
        num_gpus=gpus or None,
    )
    for row in results.iter_rows():
        yield row["result"]


def as_batches(one: Callable[[Any], Any], batch: pa.Table) -> pa.Table:
    """A table of jobs to a table of what the function `one` gives for each."""
    results = [json.dumps(one(json.loads(job.as_py()))) for job in batch.column("job")]
    return pa.table({"result": pa.array([result.encode("ascii") for result in results], pa.binary())})

"""The speed of a trained model: scored pictures of which none is known yet, timed as a user would have them scored."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.interface import Family, Model, Problem, Samples
from trainables.speed import Speed, processor_name
from trainables.training.usage import PeakMemory, forget_peak, gpu_name, on_gpu

ALONE_SECONDS, BATCHED_SECONDS, BATCH_SECONDS = 0.3, 0.5, 0.06
"""What timing single pictures takes at most, timing batches, and one size of them; but for a last call begun before."""
FEWEST, MOST = 3, 60
"""Calls that a median is of; a call that takes all the time there is stands alone."""
LARGEST_BATCH, LARGEST_BYTES = 256, 64 * 2**20
"""Of what is scored together."""
GAIN = 1.05
"""By how much one of two larger batches has to be faster for still larger ones to be tried."""


def measure_speed(
    family: Family,
    config: Mapping[str, Any],
    problem: Problem,
    seed: int,
    weights: Mapping[str, Tensor],
    samples: Samples,
    *,
    batches: bool,
    beside: int | None = None,
) -> Speed:
    """How fast a model with these weights scores `samples`, and what memory it takes.

    It is built anew as a kept model is loaded: without a cache, in which these very pictures may lie, and without what
    serves training alone. `batches`: whether to look for the batch that gives most pictures a second, too. `beside`: as
    in Speed. Raises what `predict` raises.
    """
    precision = replace(problem.precision, compile=False, cuda_graphs=False, fused=False)
    alone = replace(problem, epochs=1, cache=None, precision=precision)
    model: Model = family.build(family.blank(family.config(**config)), alone, seed)
    model.load_weights(weights)
    device = problem.device
    pictures = [samples.select(np.array([row])) for row in range(min(len(samples), 8))]
    memory = PeakMemory(device)
    first = _seconds(model, pictures[0], device)
    latency = _median(model, pictures, device, ALONE_SECONDS, first)
    taken = sum(tensor.nbytes for tensor in weights.values()) + memory.own()
    size, rate = _best_batch(model, samples, device, 1 / latency) if batches else (None, None)
    del model
    forget_peak(device)  # a training that goes on has its own
    return Speed(
        latency_ms=1000 * latency,
        pictures_per_second=rate,
        best_batch=size,
        memory=taken,
        device=gpu_name(device) or processor_name(),
        threads=torch.get_num_threads(),
        beside=beside,
    )


def _best_batch(model: Model, samples: Samples, device: str, alone: float) -> tuple[int, float]:
    """The batch size with most pictures a second, and how many; `alone`: of single pictures."""
    bytes_each = int(np.prod(samples.pictures.shape[1:])) * (1 if samples.depth is None else 3)
    largest = max(1, min(LARGEST_BATCH, LARGEST_BYTES // bytes_each))
    best, size, missed, until = (1, alone), 2, 0, time.perf_counter() + BATCHED_SECONDS
    if 1 / alone > BATCHED_SECONDS:
        return best  # two of them would take too long
    while missed < 2 and size <= largest and time.perf_counter() < until:
        batch = samples.select(np.arange(size) % len(samples))
        first = _seconds(model, batch, device)
        rate = size / _median(model, [batch], device, BATCH_SECONDS, first)
        missed = 0 if rate >= GAIN * best[1] else missed + 1
        best, size = max(best, (size, rate), key=lambda one: one[1]), 2 * size
    return best


def _median(model: Model, batches: list[Samples], device: str, budget: float, first: float) -> float:
    """The median of the seconds of repeated calls, each batch in turn; `first`: of one call before, which warmed up."""
    if first >= budget:
        return _seconds(model, batches[-1], device)
    found: list[float] = []
    until = time.perf_counter() + budget
    while len(found) < FEWEST or (len(found) < MOST and time.perf_counter() < until):
        found.append(_seconds(model, batches[len(found) % len(batches)], device))
    return median(found)


def _seconds(model: Model, samples: Samples, device: str) -> float:
    """Of one call, with what it left to be computed on a GPU."""
    wait: Callable[[], object] = torch.cuda.synchronize if on_gpu(device) else bool
    wait()
    started = time.perf_counter()
    model.predict(samples)
    wait()
    return time.perf_counter() - started

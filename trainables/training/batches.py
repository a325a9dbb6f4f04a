"""Batches of pictures on the device: from one array that lies there, or fetched ahead where they are too many."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.interface import Pictures, Samples
from trainables.training.ahead import made_ahead

Rows: TypeAlias = NDArray[np.int64]
Block: TypeAlias = Tensor | NDArray[np.uint8]
"""All pictures (N, H, W, C) of some samples, in one piece: on a GPU a tensor, else an array."""

DEVICE_SHARE = 0.25
"""How much of a GPU's free memory the pictures of a training may take; the rest is for the training itself."""
GATHERED_BYTES = 64 * 2**20
"""How much a training on the CPU gathers out of mapped shards. A copy a trial saves 2.6 µs a picture of 32 x 32, more
than half of what its input costs, and 5 µs at 224 x 224, a thirtieth: not worth memory that trials share as they are.
"""
AHEAD = 3
"""Batches that lie ready for a GPU beside the one at work."""
SPLIT_VALUES = 2**16
"""A picture of more values is converted by itself."""


class Batches:
    """Gives pictures as a network takes them, float32 (B, C, H, W) in [0, 1], channels last, on one device.

    The same bits, whichever way they take on a CPU.
    """

    def __init__(self, device: torch.device, *, ahead: bool | None = None) -> None:
        """`ahead`: a thread fetches the batches of what is not held; None: for a GPU."""
        self.device = device
        self._ahead = device.type == "cuda" if ahead is None else ahead
        self._held: list[tuple[Samples, Block]] = []
        self._bytes, self._floats = torch.empty(0, dtype=torch.uint8), torch.empty(0)

    def hold(self, *parts: Samples) -> None:
        """Keep the pictures of these samples at hand until `release`: those that there is room for, in this order."""
        self.release()
        room = free_room(self.device)
        for samples in parts:
            size = int(np.prod(samples.pictures.shape))
            if isinstance(samples.pictures, np.ndarray) and self.device.type == "cpu":
                continue  # it is one array already
            if size <= room and (block := self._block(samples)) is not None:
                self._held.append((samples, block))
                room -= size

    def release(self) -> None:
        """Keep nothing."""
        self._held = []

    def held(self, samples: Samples) -> Block | None:
        """The pictures of `samples`, where they are held."""
        return next((block for known, block in self._held if known is samples), None)

    def at(self, samples: Samples, rows: Rows) -> Tensor:
        """The pictures at `rows`, as a tensor of their own."""
        return scaled(torch.from_numpy(samples.pictures[rows]).to(self.device))

    def each(self, samples: Samples, batches: Sequence[Rows]) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Pictures and labels (B,) of each batch of rows, in order. They are good until the next is asked for."""
        yield from zip(self._pictures(samples, batches), labels_of(samples, batches, self.device), strict=True)

    def _pictures(self, samples: Samples, batches: Sequence[Rows]) -> Iterator[Tensor]:
        block = self.held(samples)
        if isinstance(block, Tensor):
            orders = split_rows(torch.from_numpy(np.concatenate(batches)).to(self.device), batches)
            return (scaled(block.index_select(0, order)) for order in orders)
        if block is None and self._ahead:
            return self._fetched(samples, batches)
        source = samples.pictures if block is None else block
        return (self._gathered(source, rows) for rows in batches)

    def _block(self, samples: Samples) -> Block | None:
        """All pictures in one piece on the device; None where its memory does not suffice after all."""
        if self.device.type == "cpu":
            return samples.pictures[np.arange(len(samples))]
        try:
            block = torch.empty(samples.pictures.shape, dtype=torch.uint8, device=self.device)
        except torch.cuda.OutOfMemoryError:
            return None
        step = max(1, GATHERED_BYTES // int(np.prod(samples.pictures.shape[1:])))
        for start in range(0, len(samples), step):
            rows = np.arange(start, min(start + step, len(samples)))
            block[start : start + step] = torch.from_numpy(samples.pictures[rows]).to(self.device)
        return block

    def _gathered(self, source: Pictures, rows: Rows) -> Tensor:
        """On the CPU, in memory that the next batch takes over: fresh pages cost as much as the work."""
        shape = (len(rows), *source.shape[1:])
        size = int(np.prod(shape))
        if len(self._floats) < size:
            with torch.inference_mode(False):  # made while scoring, it must serve a training too
                self._bytes, self._floats = torch.empty(size, dtype=torch.uint8), torch.empty(size)
        floats = self._floats[:size].view(shape)
        whole = isinstance(source, np.ndarray) and source.dtype == np.uint8
        if size > SPLIT_VALUES * len(rows):
            # numba takes half a second, and small pictures do without.
            from trainables.training.conversion import scale_into

            pictures = map(source.__getitem__, rows) if whole else views_of(source, rows)
            scale_into(floats.numpy(), pictures)
        elif whole:
            taken = self._bytes[:size].view(shape)
            # Without "clip", NumPy gathers into memory of its own first; the rows are all there.
            np.take(source, rows, axis=0, out=taken.numpy(), mode="clip")  # type: ignore[call-overload]
            floats.copy_(taken).div_(255)
        else:
            floats.copy_(torch.from_numpy(source[rows])).div_(255)
        return floats.permute(0, 3, 1, 2)

    def _fetched(self, samples: Samples, batches: Sequence[Rows]) -> Iterator[Tensor]:
        """Gathered by a thread, and on their way to a GPU from pinned memory while it works on earlier ones."""
        stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None  # type: ignore[no-untyped-call]

        def fetch(rows: Rows) -> tuple[Tensor, torch.cuda.Event | None]:
            block = torch.from_numpy(samples.pictures[rows])
            if stream is None:
                return block, None
            with torch.cuda.stream(stream):
                return block.pin_memory().to(self.device, non_blocking=True), stream.record_event()

        for block, event in made_ahead(fetch, batches, AHEAD):
            if event is not None:
                current = torch.cuda.current_stream(self.device)
                current.wait_event(event)
                block.record_stream(current)
            yield scaled(block)


def views_of(source: Pictures, rows: Rows) -> Iterator[NDArray[np.uint8]]:
    """The pictures at `rows`, one after the other; of those that are mapped from disk no copies."""
    views: Callable[[Rows], Iterator[NDArray[np.uint8]]] | None = getattr(source, "views", None)
    return iter(source[rows]) if views is None else views(rows)


def labels_of(samples: Samples, batches: Sequence[Rows], device: torch.device) -> tuple[Tensor, ...]:
    """The labels (B,) of each batch of rows, moved to `device` in one piece."""
    return split_rows(torch.from_numpy(samples.labels[np.concatenate(batches)]).to(device), batches)


def split_rows(tensor: Tensor, batches: Sequence[Rows]) -> tuple[Tensor, ...]:
    """What belongs to the rows of all batches, split into what belongs to each."""
    return tuple(torch.split(tensor, [len(rows) for rows in batches]))


def scaled(block: Tensor) -> Tensor:
    """Pictures (B, H, W, C), 0 to 255, -> float32 (B, C, H, W) in [0, 1], channels last, of their own."""
    return block.permute(0, 3, 1, 2).to(torch.float32, copy=True).div_(255)


def free_room(device: torch.device) -> int:
    """Bytes that the pictures of one training may take on `device`."""
    if device.type == "cpu":
        return GATHERED_BYTES
    free, total = torch.cuda.mem_get_info(device)
    used = torch.cuda.memory_allocated(device)
    # What torch keeps for itself is free too; what the process may not take is not.
    free += torch.cuda.memory_reserved(device) - used
    share = getattr(torch.cuda, "get_per_process_memory_fraction", lambda: 1.0)()
    return max(0, int(DEVICE_SHARE * min(free, share * total - used)))

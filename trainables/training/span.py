"""One training over several processes: each takes its share of every batch. The first leads, the others follow."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from trainables.errors import ToldError

Scores = NDArray[np.float64]
Maps = NDArray[np.float32] | None
Word = tuple[Literal["load", "epoch", "end"], Any]
"""What followers are told to do, and with what."""


class WorkerError(Exception):
    """What one of several workers said as it ended the training."""

    def __init__(self, rank: int, told: ToldError, *, lost: bool) -> None:
        """`lost`: whether all that it says is that another one is gone."""
        super().__init__(rank, told, lost)
        self.rank, self.told, self.lost = rank, told, lost

    def __reduce__(self) -> Any:
        return partial(WorkerError, lost=self.lost), (self.rank, self.told)


class WorkersDied(Exception):
    """A worker of a training over several is gone: the training can go on from its state on new ones."""


@dataclass(frozen=True)
class Share:
    """Which rows of a batch one process takes."""

    start: int
    stop: int
    of: int
    """The rows of the whole batch."""

    def __len__(self) -> int:
        return self.stop - self.start

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows to read for it: its own, or one that `cut` takes away, since not everything reads none."""
        return rows[self.start : self.stop] if len(self) else rows[:1]

    def cut(self, read: Tensor) -> Tensor:
        """What was read, without a row that is not its own."""
        return read[: len(self)]


def share_of(rank: int, size: int, count: int) -> Share:
    """What one of `size` processes takes of `count` rows: neighbours, as many as others take or one more."""
    return Share(rank * count // size, (rank + 1) * count // size, count)


class Follower(Protocol):
    """What a leader has done by others, too: a model, or an epoch loop."""

    def fit(self, train: Any, validation: Any, /) -> Iterator[Any]: ...

    def load(self, state: Mapping[str, Any]) -> None: ...


class Span:
    """This process among those of one training, which torch.distributed has connected by its default group.

    What a process asks for by a method here, all must ask for in the same order. Each wait ends with the group's
    time-out.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._dismissed = False

    @property
    def leads(self) -> bool:
        """Whether this process is the one that grades, reports, saves and keeps."""
        return self.rank == 0

    def share(self, count: int) -> Share:
        """This process's part of `count` rows."""
        return share_of(self.rank, self.size, count)

    def total(self, part: Tensor) -> Tensor:
        """The sum of what each process has, without a gradient."""
        whole = part.detach().clone()
        dist.all_reduce(whole)
        return whole

    def whole(self, scores: Scores, maps: Maps) -> tuple[Scores, Maps]:
        """For the leader the scores and maps of all shares, in the order of their rows; for others their own."""
        parts: list[tuple[Scores, Maps]] | None = [(scores, maps)] * self.size if self.leads else None
        dist.gather_object((scores, maps), parts)
        if parts is None:
            return scores, maps
        parts = [one for one in parts if len(one[0])]
        drawn = [one[1] for one in parts if one[1] is not None]
        return np.concatenate([one[0] for one in parts]), np.concatenate(drawn) if drawn else None

    def tell(self, word: Word) -> None:
        """Of the leader: what the others are to do."""
        dist.broadcast_object_list([word])

    def follow(self, built: Callable[[], Follower], train: Any, validation: Any) -> Any:
        """Of the others: do what they are told, to a model that is built when it is asked for; what came with the end
        is returned."""
        model: Follower | None = None
        training: Iterator[Any] | None = None
        while True:
            heard: list[Any] = [None]
            dist.broadcast_object_list(heard)
            asked, content = heard[0]
            if asked == "end":
                return content
            model = model or built()
            if asked == "load":
                model.load(content)
            else:
                training = training or model.fit(train, validation)
                next(training, None)

    def dismiss(self) -> None:
        """Of the leader: no more is to be done."""
        if not self._dismissed:
            self._dismissed = True
            self.tell(("end", None))


class Led:
    """A model, or an epoch loop, that others follow: they train what it trains and take back what it takes back."""

    def __init__(self, own: Any, span: Span) -> None:
        self._own, self._span = own, span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def fit(self, train: Any, validation: Any) -> Iterator[Any]:
        """Train, all together; the others wait between two epochs."""
        training = self._own.fit(train, validation)
        while True:
            self._span.tell(("epoch", None))
            epoch = next(training, None)
            if epoch is None:
                return
            yield epoch

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`, all of them; where it is none of its own, none of them."""
        self._own.load(state)
        self._span.tell(("load", dict(state)))


def led(model: Any, span: Span | None) -> Any:
    """A model as its process trains it."""
    return Led(model, span) if span is not None and span.leads else model


def cut_off(error: BaseException) -> bool:
    """Whether an error says that another process is gone, which has a reason of its own."""
    words = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "ProcessGroup")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)

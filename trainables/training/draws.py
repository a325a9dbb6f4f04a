"""What the random layers of a network ask for, and draws of whole batches that several processes take their rows of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from trainables.training.span import Share


@dataclass(frozen=True)
class Draw:
    """What one random layer asks for."""

    like: Tensor = field(repr=False)
    """An empty tensor of its shape and layout."""
    dropped: float | None
    """The share that dropout sets to 0; None: standard normal values are asked for."""

    def drawn(self, generator: torch.Generator) -> Tensor:
        """As torch draws it on a CPU; for dropout what the values are multiplied by."""
        values = torch.empty_like(self.like)
        if self.dropped is None:
            return values.normal_(generator=generator)
        if self.dropped == 0:
            return values.fill_(1)
        return values.bernoulli_(1 - self.dropped, generator=generator).div_(1 - self.dropped)


def dropped(args: tuple[Any, ...], keys: dict[str, Any]) -> float | None:
    """The share that a call of dropout sets to 0; None where it is not in training."""
    given = dict(zip(("input", "p", "training", "inplace"), args, strict=False)) | keys
    return float(given.get("p", 0.5)) if given.get("training", True) else None


class SharedDraws(TorchFunctionMode):
    """Dropout, standard normal values and stochastic depth are drawn for the whole batch, of which a share is taken.

    So on a CPU each picture meets the draws that it would meet in one process. Whatever draws in other ways has draws
    of its own in each process, of the same distribution.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator
        self._share = Share(0, 0, 0)

    @contextmanager
    def of(self, share: Share) -> Iterator[None]:
        """While the block runs, what is computed is of such a share."""
        self._share = share
        yield
        self._share = Share(0, 0, 0)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keys = kwargs or {}
        if func is functional.dropout and self._is_of_rows(args) and (share := dropped(args, keys)) is not None:
            return args[0] * self._drawn(args[0], share)
        if func is torch.randn_like and self._is_of_rows(args):
            return self._drawn(args[0], None)
        if func is Tensor.bernoulli_ and self._is_of_rows(args) and not keys and len(args) == 2:
            whole = self._whole(args[0]).bernoulli_(args[1], generator=self._generator)
            return args[0].copy_(whole[self._share.start : self._share.stop])
        return func(*args, **keys)

    def _is_of_rows(self, args: tuple[Any, ...]) -> bool:
        """Whether a tensor is asked for, or given, whose rows are the share's."""
        return bool(args) and args[0].dim() > 0 and len(args[0]) == len(self._share)

    def _drawn(self, rows: Tensor, dropped: float | None) -> Tensor:
        drawn = Draw(self._whole(rows), dropped).drawn(self._generator)
        return drawn[self._share.start : self._share.stop]

    def _whole(self, rows: Tensor) -> Tensor:
        """An empty tensor for the whole batch, its layout that of a share."""
        shape, strides = rows.shape[1:], rows.stride()[1:]
        # Numbers are drawn in the order in which they lie.
        return rows.new_empty(0).new_empty_strided((self._share.of, *shape), (prod(shape), *strides))

"""The mean loss of an epoch, which notices in time when there is none."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CHECK_EVERY = 32
"""Steps between two looks at the loss: each look makes a GPU wait."""


class LossMean:
    """A weighted mean of losses that stays on the device, and notices when one is no finite number."""

    def __init__(self, where: str, total: Callable[[Tensor], Tensor] = lambda part: part) -> None:
        """`total`: what a sum of this process is where others have a share of it."""
        self.where, self.total, self.steps = where, total, 0
        self.sums: list[Tensor] = []
        self.weights: list[Tensor] = []

    def add(self, losses: Tensor, weights: Tensor) -> None:
        """One batch: each sample's loss (B,) and weight (B,)."""
        self.sums.append((losses * weights).sum().double())
        self.weights.append(weights.sum().double())
        self.steps += 1
        if self.steps % CHECK_EVERY == 0:
            self._check()

    def result(self) -> float:
        """The mean over all batches. Raises FloatingPointError where it is no finite number."""
        self._check()
        return float(self.total(_sum(self.sums)) / self.total(_sum(self.weights)))

    def _check(self) -> None:
        if not self.sums:
            return
        finite = torch.isfinite(torch.stack(self.sums)).cpu()
        if not finite.all():
            step = int(finite.int().argmin()) + 1
            raise FloatingPointError(f"The loss is not finite: {self.where}, step {step}. Lower the learning rate.")


def _sum(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum() if parts else torch.zeros((), dtype=torch.float64)

"""A trained model as one module, from the pictures to what is predicted of them: what an export takes."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from trainables.training.batches import scaled
from trainables.training.loop import Objective

Predicted = Tensor | tuple[Tensor, Tensor]
"""Class probabilities (B, C), or anomaly scores (B,), or scores and maps (B, H, W)."""


class WholeModel(nn.Module):
    """Network and objective of a trained loop: pictures (B, H, W, C), 0 to 255, -> what `predict` says of them."""

    def __init__(
        self, network: nn.Module, objective: Objective, given: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        """`given` makes the network's input of pictures (B, C, H, W) in [0, 1], where those are not it themselves."""
        super().__init__()
        self.network, self.objective, self.given = network, objective, given
        self.eval()

    def forward(self, pictures: Tensor) -> Predicted:
        inputs = scaled(pictures)
        if self.given is not None:
            inputs = self.given(inputs)
        output: Any = self.network(inputs)
        scores, maps = self.objective.scores(output, inputs), self.objective.maps(output, inputs)
        return scores if maps is None else (scores, maps)

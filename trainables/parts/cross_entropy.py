"""What classifiers are trained for."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainables.training.precision import in_full


class CrossEntropy:
    """Cross-entropy in which each class may count differently, and softmax scores."""

    def __init__(self) -> None:
        self.class_weights: Tensor | None = None

    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each sample's cross-entropy (B,) and its class's weight (B,)."""
        losses = cross_entropy(in_full(output), labels, reduction="none")
        return losses, torch.ones_like(losses) if self.class_weights is None else self.class_weights[labels]

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        """Class probabilities (B, C)."""
        return output.double().softmax(dim=1)

    def maps(self, output: Tensor, pictures: Tensor) -> None:
        """None: classes have no place."""
        return

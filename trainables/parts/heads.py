"""Classifier heads that take the place of a backbone's last layer."""

from torch import nn

HIDDEN = (512, 256)
TRANSFER_HIDDEN = (256, 128)


def plot_head(features: int, classes: int, dropout: float) -> nn.Sequential:
    """The plot classifier's head: features -> 512 -> 256 -> classes, ReLU and BatchNorm between, dropout before each.

    The third dropout is two thirds of the other two (.3, .3, .2 at .3). Takes (B, features), gives logits (B, classes).
    """
    return nn.Sequential(nn.Dropout(dropout), *_layers(features, HIDDEN, classes, dropout))


def transfer_head(features: int, classes: int, dropout: float) -> nn.Sequential:
    """The head on a VAE's mu (seed 001): features -> 256 -> 128 -> classes, ReLU, BatchNorm and dropout after each.

    The second dropout is two thirds of the first (.3, .2 at .3). Takes (B, features), gives logits (B, classes).
    """
    return nn.Sequential(*_layers(features, TRANSFER_HIDDEN, classes, dropout))


def _layers(features: int, hidden: tuple[int, int], classes: int, dropout: float) -> tuple[nn.Module, ...]:
    """Two hidden layers, each with ReLU, BatchNorm and dropout after it, two thirds of it the second time; the last."""
    first, second = hidden
    return (
        nn.Linear(features, first),
        nn.ReLU(),
        nn.BatchNorm1d(first),
        nn.Dropout(dropout),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.BatchNorm1d(second),
        nn.Dropout(dropout * 2 / 3),
        nn.Linear(second, classes),
    )

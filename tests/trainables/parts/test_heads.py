import pytest
import torch
from torch import nn

from trainables.parts.heads import plot_head, transfer_head


def test_the_head_has_the_published_layers() -> None:
    head = plot_head(2048, 9, 0.3)
    kinds = [type(layer) for layer in head]
    block = [nn.Dropout, nn.Linear, nn.ReLU, nn.BatchNorm1d]
    assert kinds == [*block, *block, nn.Dropout, nn.Linear]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == pytest.approx([0.3, 0.3, 0.2])
    assert sum(parameter.numel() for parameter in head.parameters()) == 24_692_297 - 23_508_032
    assert head.eval()(torch.zeros(2, 2048)).shape == (2, 9)


def test_the_transfer_head_has_the_published_layers() -> None:
    head = transfer_head(128, 9, 0.3)
    block = [nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout]
    assert [type(layer) for layer in head] == [*block, *block, nn.Linear]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == pytest.approx([0.3, 0.2])
    assert sum(parameter.numel() for parameter in head.parameters()) == 67_849
    assert head.eval()(torch.zeros(2, 128)).shape == (2, 9)

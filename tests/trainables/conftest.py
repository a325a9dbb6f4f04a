"""Small line plots of three shapes, drawn with NumPy, for tests of families."""

from collections.abc import Callable

import pytest
import torch

from trainables import testing
from trainables.interface import Samples

MakeSamples = Callable[..., Samples]


@pytest.fixture(scope="session")
def make_samples() -> MakeSamples:
    """Samples of `count` plots of three classes; with detection=True a `step` is an anomaly, all else normal."""
    return testing.make_samples


@pytest.fixture(autouse=True)
def no_bfloat16_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Families say and do the same here, whatever this machine's processor multiplies in."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, bool)

"""Small line plots of three shapes, drawn with NumPy, for tests of families."""

from collections.abc import Callable

import pytest

from trainables import testing
from trainables.interface import Samples

MakeSamples = Callable[..., Samples]


@pytest.fixture(scope="session")
def make_samples() -> MakeSamples:
    """Samples of `count` plots of three classes; with detection=True a `step` is an anomaly, all else normal."""
    return testing.make_samples

"""Small line plots of three shapes, drawn with NumPy, for tests of families."""

from collections.abc import Callable

import numpy as np
import pytest

from trainables.interface import Samples

SHAPES = ("falling", "rising", "step")
MakeSamples = Callable[..., Samples]


def draw(shape: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """A white picture (side, side, 3), uint8, with one noisy blue line."""
    time = np.linspace(0, 1, side)
    curve = {"rising": time, "falling": 1 - time, "step": (time > rng.uniform(0.35, 0.65)).astype(float)}[shape]
    rows = np.clip(curve * 0.6 + 0.2 + rng.normal(0, 0.03, side), 0, 0.999) * side
    picture = np.full((side, side, 3), 255, dtype=np.uint8)
    picture[side - 1 - rows.astype(int), np.arange(side)] = (31, 119, 180)
    return picture


@pytest.fixture(scope="session")
def make_samples() -> MakeSamples:
    """Samples of `count` plots of three classes; with detection=True a `step` is an anomaly, all else normal."""

    def make(count: int, seed: int, *, side: int = 32, detection: bool = False, normal_only: bool = False) -> Samples:
        rng = np.random.default_rng(seed)
        shapes = [SHAPES[i % (2 if normal_only else 3)] for i in range(count)]
        pictures = np.stack([draw(shape, side, rng) for shape in shapes])
        labels = np.array([shape == "step" if detection else SHAPES.index(shape) for shape in shapes], dtype=np.int64)
        classes = ("normal", "anomaly") if detection else SHAPES
        return Samples(pictures, labels, classes, tuple(f"{shape}/{i}.csv" for i, shape in enumerate(shapes)))

    return make

"""An exported file's scores held against what they must be."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from orchestrator.using.export.kept_test import KeptTest
from orchestrator.using.export.whole_graph import Scored

AT_A_TIME = 32
"""Pictures that one call of the file is given."""
FLOOR = 0.01
Scale = Literal["classification", "detection", "together"]
"""What scores are: probabilities, anomaly scores, or the mean of anomaly scores that lie around 0."""
HOW: dict[Scale, str] = {
    "classification": "of the picture's largest probability",
    "detection": f"of the score, or of {FLOOR:g} times the median score where that is larger",
    "together": "of the score, or of 1, the spread of normal validation scores, where that is larger",
}
"""What a relative difference is relative to."""

Run = Callable[[NDArray[np.uint8]], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Comparison:
    """How far a file is from what it was made of."""

    against: str
    """What its scores were held against."""
    runtime: str
    """What ran it."""
    pictures: int
    """How many test pictures; 0: none."""
    largest: float
    """The largest relative difference of a score."""
    relative: str
    """To what."""
    flipped: int
    """Pictures whose verdict is another."""
    tolerance: float
    resized: float
    """The largest relative difference, of scores and maps, on generated pictures of several sizes from the model itself
    in torch and in the file's precision, on the same pictures as Pillow resizes them."""
    resized_tolerance: float

    @property
    def holds(self) -> bool:
        """Whether it is within the tolerance, and no verdict differs."""
        alike = self.largest <= self.tolerance and self.resized <= self.resized_tolerance
        return alike and self.flipped == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "holds": self.holds}

    def text(self) -> str:
        """In words."""
        sizes = f"generated pictures of several sizes {self.resized:.1e} (tolerance {self.resized_tolerance:g})"
        if not self.pictures:
            return f"by {self.runtime} against {self.against}: largest relative difference on {sizes}"
        return (
            f"by {self.runtime} against {self.against} of {self.pictures} pictures: {self.flipped} flipped verdicts, "
            f"largest difference {self.largest:.1e} {self.relative} (tolerance {self.tolerance:g}); against the model "
            f"itself on {sizes}"
        )


def against_kept(run: Run, test: KeptTest, scale: Scale, threshold: float | None) -> tuple[float, int]:
    """The largest relative difference from the kept test scores, and how many verdicts differ."""
    found, verdicts = list[NDArray[Any]](), list[NDArray[Any]]()
    for start in range(0, len(test.scores), AT_A_TIME):
        rows = np.arange(start, min(start + AT_A_TIME, len(test.scores)))
        given = run(test.pictures[rows])
        found.append(given["probabilities" if scale == "classification" else "score"])
        verdicts.append(given["verdict"])
    scores, verdict = np.concatenate(found).astype(np.float64), np.concatenate(verdicts)
    kept = test.scores.argmax(axis=1) if threshold is None else test.scores > threshold
    return relative(scores, test.scores, scale), int((verdict != kept).sum())


def relative(scores: NDArray[np.float64], expected: NDArray[np.float64], scale: Scale) -> float:
    """The largest difference of a score, by HOW; infinite where one is no number."""
    size = np.abs(expected)
    if scale == "classification":
        size = np.broadcast_to(size.max(axis=1, keepdims=True), size.shape)
    else:
        size = np.maximum(size, 1.0 if scale == "together" else FLOOR * np.median(size))
    differences = np.abs(scores - expected)
    shares = np.divide(differences, size, out=np.where(differences == 0, 0.0, np.inf), where=size > 0)
    return float(np.nan_to_num(shares, nan=np.inf).max(initial=0.0))


def against_itself(run: Run, scored: Scored, scale: Scale, size: tuple[int, int], threshold: float | None) -> float:
    """The largest relative difference, of scores and maps, from the model in torch on generated pictures."""
    height, width = size
    random = np.random.default_rng(0)
    shapes = ((height, width), (2 * height + 3, 3 * width), (height // 2 + 1, 2 * width + 1), (7 * height, width + 5))
    largest = 0.0
    for shape in shapes:
        pictures = [_picture(shape, random) for _ in range(2)]
        small = [np.asarray(one.resize((width, height), Image.Resampling.BILINEAR)) for one in pictures]
        given = [torch.from_numpy(np.stack(small))]
        if threshold is not None:
            given.append(torch.tensor(threshold, dtype=torch.float32))
        with torch.no_grad():
            first, *rest = (one.double().numpy() for one in scored(*given))
        found = run(np.stack([np.asarray(one) for one in pictures]))
        values = list(found.values())
        largest = max(largest, relative(values[0].astype(np.float64), first, scale))
        if len(rest) == 2:  # maps, and the verdict
            largest = max(largest, float(np.abs(values[1] - rest[0]).max() / max(np.abs(rest[0]).max(), 1e-300)))
    return largest


def _picture(shape: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """White with a few dark lines and some noise, (height, width)."""
    picture = np.full((*shape, 3), 255, dtype=np.int64)
    for row in random.integers(0, shape[0], 4):
        picture[row] = random.integers(0, 200, 3)
    noisy = picture - random.integers(0, 30, picture.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))

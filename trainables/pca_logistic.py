"""The cheap baseline: logistic regression on the principal components of grey thumbnails."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor, nn

from trainables.configurations.pca_logistic import PcaLogisticConfig
from trainables.errors import InputError
from trainables.interface import Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.parts.thumbnails import area_weights, grey

READING_BATCH = 256
MOST_ITERATIONS = 1000
SMALLEST_SPREAD = 1e-6
"""A component whose standard deviation is smaller, as a share of the first one's, is left out."""


class Thumbnails(nn.Module):
    """Pictures (B, H, W, C), 0 to 255, -> grey thumbnails (B, side²) in [0, 1], float64."""

    down: Tensor
    across: Tensor

    def __init__(self, side: int, shape: tuple[int, int, int]) -> None:
        """`shape`: (H, W, C) of the pictures."""
        super().__init__()
        self.register_buffer("down", torch.from_numpy(area_weights(shape[0], side)))
        self.register_buffer("across", torch.from_numpy(area_weights(shape[1], side)))

    def forward(self, pictures: Tensor) -> Tensor:
        seen = pictures.double()
        seen = grey(seen) if pictures.shape[3] == 3 else seen.mean(dim=3, keepdim=True)
        return (self.down @ (seen[..., 0] / 255) @ self.across.T).flatten(1)


class LogisticScores(nn.Module):
    """Pictures (B, H, W, C), 0 to 255, -> class probabilities (B, C); 0 for a class that training did not show."""

    pixel_mean: Tensor
    components: Tensor
    coefficients: Tensor
    intercepts: Tensor
    place: Tensor

    def __init__(self, thumbnails: Thumbnails, classes: int, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.thumbnails = thumbnails
        for name in ("pixel_mean", "components", "coefficients", "intercepts"):
            self.register_buffer(name, tensors[name])
        self.register_buffer("place", torch.eye(classes, dtype=torch.float64)[tensors["classes"]])
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        return self.probabilities(self.thumbnails(pictures))

    def probabilities(self, pixels: Tensor) -> Tensor:
        """The same of thumbnails."""
        reduced = (pixels - self.pixel_mean) @ self.components.T
        known = (reduced @ self.coefficients.T + self.intercepts).softmax(dim=1)
        return known @ self.place  # each at its class among all


class PcaLogistic:
    """Thumbnails -> PCA -> components of unit variance -> logistic regression, all kept as tensors."""

    def __init__(self, config: PcaLogisticConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem = config, problem
        self.thumbnails = Thumbnails(config.thumbnail, problem.shape)
        self.tensors: dict[str, Tensor] = {}
        self.fitted = False
        self.iterations = 0

    @property
    def parameters(self) -> int:
        """Means, components and coefficients; 0 before training."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def facts(self) -> dict[str, str]:
        """How the fit ended."""
        if not self.fitted:
            return {}
        ended = "did not converge" if self.iterations >= MOST_ITERATIONS else "converged"
        return {"solver": f"{ended} in {self.iterations} iterations"}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Fit at once: one epoch, the last. Raises InputError where `train` holds one class only."""
        if self.fitted:
            return
        present = np.unique(train.labels)
        if len(present) < 2:
            raise InputError(
                f"pca_logistic needs pictures of at least 2 classes to train on and was given {len(present)}. "
                "Add data or change data.split."
            )
        pixels = self._thumbnails(train)
        # Both exact, so that every seed gives the same; the smaller side decides which is the cheaper.
        solver = "covariance_eigh" if len(pixels) > pixels.shape[1] else "full"
        pca = PCA(min(self.config.components, *pixels.shape), svd_solver=solver)
        with np.errstate(invalid="ignore"):
            # Where all pictures are alike, scikit-learn divides 0 by 0 for a figure that is not used here.
            reduced = pca.fit_transform(pixels)
        spread = reduced.std(axis=0)
        # Where pictures are few or alike, the last components are rounding errors, which a division would enlarge.
        scale = np.where(spread > SMALLEST_SPREAD * spread.max(), spread, np.inf)
        weighting = "balanced" if self.config.class_weights == "balanced" else None
        regression = LogisticRegression(C=self.config.C, class_weight=weighting, max_iter=MOST_ITERATIONS)
        with warnings.catch_warnings():
            # Said in `facts` instead: a baseline that stops early is still one.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(reduced / scale, train.labels)
        self.iterations = int(regression.n_iter_.max())
        arrays = {
            "pixel_mean": pca.mean_,
            "components": pca.components_ / scale[:, None],
            "coefficients": _all_classes(regression.coef_),
            "intercepts": _all_classes(regression.intercept_),
            "classes": present,
        }
        self.tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        self.fitted = True
        prediction = self.predict(validation)
        losses = {
            "train_loss": self._loss(self.module().probabilities(torch.from_numpy(pixels)).numpy(), train),
            "validation_loss": self._loss(prediction.scores, validation),
        }
        yield Epoch(losses, prediction, last=True)

    def predict(self, samples: Samples) -> Prediction:
        """Class probabilities (N, C); 0 for a class that training did not show."""
        pixels = torch.from_numpy(self._thumbnails(samples))
        return Prediction(self.module().probabilities(pixels).numpy())

    def module(self) -> LogisticScores:
        """`predict` as one module."""
        assert self.tensors, "predict comes after fit or load_weights"
        return LogisticScores(self.thumbnails, len(self.problem.classes), self.tensors)

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Nothing."""
        return []

    def state(self) -> dict[str, Any]:
        """The weights, and whether there are any: a fit has no half."""
        return {"weights": self.weights(), "fitted": self.fitted, "iterations": self.iterations}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`."""
        self.load_weights(state["weights"])
        self.fitted, self.iterations = state["fitted"], state["iterations"]

    def weights(self) -> dict[str, Tensor]:
        """Copies of the mean thumbnail, the scaled components, the coefficients and the classes they belong to."""
        return {name: tensor.clone() for name, tensor in self.tensors.items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.tensors = {name: tensor.clone() for name, tensor in weights.items()}

    def _loss(self, scores: NDArray[np.float64], samples: Samples) -> float:
        return float(log_loss(samples.labels, scores, labels=np.arange(len(self.problem.classes))))

    def _thumbnails(self, samples: Samples) -> NDArray[np.float64]:
        """Grey thumbnails (N, side²) in [0, 1]."""
        thumbnails = np.empty((len(samples), self.config.thumbnail**2))
        for start in range(0, len(samples), READING_BATCH):
            rows = np.arange(start, min(start + READING_BATCH, len(samples)))
            thumbnails[rows] = self.thumbnails(torch.from_numpy(samples.pictures[rows])).numpy()
        return thumbnails


def _all_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients or intercepts with a row for each class; of two classes scikit-learn keeps the second alone."""
    return np.concatenate((np.zeros_like(values), values)) if len(values) == 1 else values


FAMILY = Family(
    name="pca_logistic",
    task="classification",
    gpu=False,
    config=PcaLogisticConfig,
    build=PcaLogistic,
    module=PcaLogistic.module,
    seeded=False,
    single_epoch=True,
)

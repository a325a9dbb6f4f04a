"""The baseline that looks for each patch's nearest normal patch (the idea of PatchCore, arXiv 2106.08265)."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn
from torch.nn.functional import interpolate

from trainables.configurations.patch_knn import PatchKnnConfig
from trainables.errors import InputError
from trainables.interface import Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.parts.coreset import around, greedy_k_centre, nearest
from trainables.parts.frozen_features import NORMALISATION, FrozenFeatures, align, check_features
from trainables.parts.kept_features import KeptFeatures, check_frozen
from trainables.training.batches import scaled
from trainables.training.loop import snapshot

MOST_POOLED = 40_000
"""Training patches that the coreset is chosen from; of more, so many drawn at random."""
NEIGHBOURS = 9
"""Of the nearest normal patch, that the reweighting looks at (the paper's b)."""
TRAIN_LOSS_PATCHES = 2_000
READING_BATCH = 8
"""Pictures whose features are fetched at a time: ResNet50's layers 2 and 3 at 224 pixels take 2.4 MB each."""


class PatchScores(nn.Module):
    """What a coreset says of aligned features: how far each patch is from it."""

    down: Tensor
    across: Tensor

    def __init__(self, config: PatchKnnConfig, size: tuple[int, int], device: str) -> None:
        """`size`: (height, width) of the maps."""
        super().__init__()
        self.reweighting, self.smoothing, self.size = config.reweighting, config.smoothing, size
        if self.smoothing:  # a Gaussian is one matrix on each side of a map
            for name, side in zip(("down", "across"), size, strict=True):
                matrix = torch.from_numpy(gaussian_filter1d(np.eye(side), self.smoothing, axis=0))
                self.register_buffer(name, matrix.to(device, torch.float32))

    def forward(self, aligned: Tensor, coreset: Tensor, maps: bool) -> tuple[Tensor, Tensor | None]:
        """Scores (B,), float64, and maps (B, H, W) where asked for, of features (B, C, h, w) and a coreset (K, C)."""
        patches = aligned.flatten(2).transpose(1, 2)
        distances, neighbours = nearest(patches.reshape(-1, len(coreset[0])), coreset)
        distances, neighbours = distances.view(patches.shape[:2]), neighbours.view(patches.shape[:2])
        scores = self._scores(patches, coreset, distances, neighbours)
        if not maps:
            return scores, None
        grid = distances.view(-1, 1, *aligned.shape[2:])
        drawn = interpolate(grid, self.size, mode="bilinear", align_corners=False)[:, 0]
        if self.smoothing:
            drawn = self.down @ drawn @ self.across.T
        return scores, drawn

    def _scores(self, patches: Tensor, coreset: Tensor, distances: Tensor, neighbours: Tensor) -> Tensor:
        """The largest distance; reweighted (equation 7 of the paper) where the configuration says so."""
        worst = distances.argmax(dim=1, keepdim=True)
        score = distances.gather(1, worst).double()
        if self.reweighting:
            patch = patches.gather(1, worst[..., None].expand(-1, -1, patches.shape[2]))
            beside = around(coreset[neighbours.gather(1, worst)[:, 0]], coreset, NEIGHBOURS)
            far = torch.linalg.vector_norm(coreset[beside] - patch, dim=2).double()
            # exp(score) / sum(exp(far)), without overflow; the nearest patch is itself among them.
            share = torch.exp(score - torch.logsumexp(far, dim=1, keepdim=True))
            score = score * (1 - share.clamp(max=1.0))
        return score[:, 0]


class WholePatchKnn(nn.Module):
    """Features, coreset and scores: pictures (B, H, W, C), 0 to 255, -> scores (B,) and maps (B, H, W)."""

    coreset: Tensor

    def __init__(self, features: FrozenFeatures, coreset: Tensor, scores: PatchScores) -> None:
        super().__init__()
        self.features, self.scores = features, scores
        self.register_buffer("coreset", coreset)
        self.eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        aligned = _aligned(self.features(scaled(pictures).expand(-1, 3, -1, -1)))
        return self.scores.forward(aligned, self.coreset, maps=True)


class PatchKnn:
    """Frozen patch features and a coreset of the training part's."""

    def __init__(self, config: PatchKnnConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem, self.seed = config, problem, seed
        self.features = FrozenFeatures(config, problem, seed, depth=False, mixed=False)
        self.kept = KeptFeatures(self.features, problem)
        self.scores = PatchScores(config, (problem.shape[0], problem.shape[1]), problem.device)
        self.patches: Tensor | None = None
        """The coreset (K, C)."""
        self.fitted = False

    @property
    def parameters(self) -> int:
        """The frozen weights and the coreset."""
        return self.features.parameters_held + (0 if self.patches is None else self.patches.numel())

    def facts(self) -> dict[str, str]:
        """Where the frozen weights came from, and how large the coreset is."""
        facts = {"weights": self.features.origin}
        if self.features.computed_in:
            facts["precision"] = self.features.computed_in
        if self.patches is not None:
            facts["coreset"] = f"{len(self.patches):,} patches of {self.patches.shape[1]} channels"
        return {**facts, **self.kept.facts()}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Fill the coreset: one epoch, the last.

        train_loss is the mean distance of at most 2,000 pooled training patches to the coreset; validation_loss and
        anomaly_loss are mean scores. Raises InputError where there is nothing to train on.
        """
        if self.fitted:
            return
        if not len(train):
            raise InputError("patch_knn needs at least 1 normal training picture. Add data or change data.split.")
        with self.kept.opened_if_cached(train, validation):
            yield self._fit(train, validation)

    def _fit(self, train: Samples, validation: Samples) -> Epoch:
        generator = np.random.default_rng(self.seed)
        pool, patches = self._pool(train, generator)
        size = min(max(1, round(self.config.coreset_share * patches)), self.config.most_patches, len(pool))
        if self.config.coreset == "greedy":
            chosen = greedy_k_centre(pool, size, generator)
        else:
            chosen = torch.from_numpy(np.sort(generator.choice(len(pool), size, replace=False))).to(pool.device)
        self.patches = pool[chosen].clone()
        self.fitted = True
        looked_at = np.linspace(0, len(pool) - 1, min(len(pool), TRAIN_LOSS_PATCHES)).round().astype(np.int64)
        distances, _ = nearest(pool[torch.from_numpy(looked_at).to(pool.device)], self.patches)
        prediction = self._predict(validation, maps=validation.masks is not None)
        losses = {"train_loss": float(distances.double().mean())}
        for name, label in (("validation_loss", 0), ("anomaly_loss", 1)):
            scores = prediction.scores[validation.labels == label]
            if len(scores):
                losses[name] = float(scores.mean())
        return Epoch(losses, prediction, last=True)

    def predict(self, samples: Samples) -> Prediction:
        """Anomaly scores (N,), the largest distance of a patch to the coreset; maps (N, H, W) of all distances."""
        with self.kept.opened_if_cached(samples):
            return self._predict(samples, maps=True)

    def module(self) -> WholePatchKnn:
        """`predict` as one module, with the coreset as a constant."""
        return WholePatchKnn(self.features, self._coreset(), self.scores)

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Nothing: the maps are shown of every family that has them."""
        return []

    def state(self) -> dict[str, Any]:
        """The coreset and whether there is one. The frozen numbers are named by their digest."""
        coreset = {} if self.patches is None else {"coreset": self.patches}
        state: dict[str, Any] = snapshot({**coreset, "fitted": self.fitted, "frozen": self.features.digest()})
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`. Raises InputError where the frozen features are no longer those of before."""
        check_frozen(state["frozen"], self.features.digest(), self.config.backbone, self.features.origin)
        self.patches = state["coreset"].clone().to(self.features.device) if "coreset" in state else None
        self.fitted = state["fitted"]

    def weights(self) -> dict[str, Tensor]:
        """The backbone and the projections under `features.`, and the coreset (K, C)."""
        copied: dict[str, Tensor] = snapshot({"coreset": self._coreset()})
        return {**self.features.kept(), **copied}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.features.take_back(weights)
        self.patches = weights["coreset"].clone().to(self.features.device)

    def _coreset(self) -> Tensor:
        if self.patches is None:
            raise RuntimeError("patch_knn has no coreset before fit or load_weights.")
        return self.patches

    def _aligned(self, samples: Samples, rows: NDArray[np.int64]) -> Iterator[Tensor]:
        """Patch features (B, C, h, w) of a few pictures at a time."""
        for start in range(0, len(rows), READING_BATCH):
            yield _aligned(self.kept(samples, rows[start : start + READING_BATCH]))

    def _pool(self, train: Samples, generator: np.random.Generator) -> tuple[Tensor, int]:
        """Patches of the training part (P, C), drawn where they are too many to hold; and how many there are."""
        picture = next(self._aligned(train, np.zeros(1, dtype=np.int64)))[0]
        first = _as_patches(picture)
        there = len(train) * len(first)
        most = max(MOST_POOLED, self.config.most_patches)
        wanted = np.arange(there)
        if there > most:
            wanted = np.sort(generator.choice(there, most, replace=False))
        edges = np.searchsorted(wanted, np.arange(len(train) + 1) * len(first))
        pool = torch.empty(len(wanted), first.shape[1], device=first.device)
        drawn = np.flatnonzero(np.diff(edges))
        begun = [picture] if drawn[0] == 0 else []
        others = chain.from_iterable(self._aligned(train, drawn[len(begun) :]))
        for row, aligned in zip(drawn, chain(begun, others), strict=True):
            start, stop = edges[row], edges[row + 1]
            patches = _as_patches(aligned)
            pool[start:stop] = patches[torch.from_numpy(wanted[start:stop] - row * len(first)).to(pool.device)]
        return pool, there

    def _predict(self, samples: Samples, *, maps: bool) -> Prediction:
        coreset = self._coreset()
        height, width, _ = self.problem.shape
        scores = np.empty(len(samples))
        drawn = np.empty((len(samples), height, width), dtype=np.float32) if maps else None
        start = 0
        for aligned in self._aligned(samples, np.arange(len(samples))):
            rows = slice(start, start + len(aligned))
            found, heat = self.scores(aligned, coreset, maps)
            scores[rows] = found.cpu().numpy()
            if drawn is not None and heat is not None:
                drawn[rows] = heat.cpu().numpy()
            start = rows.stop
        return Prediction(scores, drawn)


def _aligned(stages: list[Tensor]) -> Tensor:
    """The stages' maps on the grid of the finest of them: (B, C, h, w)."""
    height, width = (max(stage.shape[axis] for stage in stages) for axis in (2, 3))
    return align(stages, (height, width))


def _as_patches(aligned: Tensor) -> Tensor:
    """(C, h, w) -> (h·w, C)."""
    return aligned.flatten(1).T.contiguous()


def check(config: PatchKnnConfig, problem: Problem) -> list[str]:
    """What to say before work starts. Raises InputError where this can't be built for these pictures here."""
    return check_features(config, problem, "patch_knn")


FAMILY = Family(
    name="patch_knn",
    task="detection",
    config=PatchKnnConfig,
    build=PatchKnn,
    check=check,
    module=PatchKnn.module,
    frozen=lambda model, train: model.kept,
    loss_keys=(
        "backbone",
        "weights",
        "layers",
        "reduction",
        "padding",
        "coreset",
        "coreset_share",
        "most_patches",
        "reweighting",
    ),
    single_epoch=True,
    scoring_keys=("reweighting", "smoothing"),
    normalisation=lambda config: NORMALISATION,
    blank=lambda config: config.model_copy(update={"weights": "none"}),
)

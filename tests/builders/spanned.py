"""Trainings in float64 that one process does, or several that share them, each with its share of every batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from orchestrator.families import FAMILIES
from trainables.configurations.training import TrainingConfig
from trainables.interface import Problem, Samples, Task
from trainables.parts.augmentation import Augmentation, PhotoAugmentation
from trainables.parts.conv_networks import conv_autoencoder
from trainables.parts.cross_entropy import CrossEntropy
from trainables.parts.heads import plot_head
from trainables.parts.reconstruction import MeanSquaredError
from trainables.parts.vae_networks import vae
from trainables.testing import make_samples
from trainables.training.loop import EpochLoop
from trainables.training.span import Span, led
from trainables.vae import VaeObjective

SIDE, TRAIN, VALIDATION, STEPS = 16, 45, 13, 20
TIMEOUT = 120.0
"""Seconds that a process waits for another."""
Found = dict[str, Any]
"""What one training gave: weights, losses by epoch, the last scores, and facts."""


@dataclass(frozen=True)
class Case:
    """One training; `batch`: of each of its processes."""

    what: str
    batch: int
    augment: Any = None
    keys: dict[str, Any] = field(default_factory=dict)

    def found(self, workers: int, span: Span | None) -> Found | None:
        """What this process comes to, by itself with `workers` times the batch, or as one of a span; of a span the
        leader alone."""
        batch = self.batch * (workers if span is None else 1)
        parts = family_parts(self.what) if self.what in FAMILIES else (pictures(TRAIN), pictures(VALIDATION))

        def built() -> Any:
            return family_model(self, batch, span) if self.what in FAMILIES else loop(self, batch, workers, span)

        if span is not None and not span.leads:
            span.follow(built, *parts)
            return None
        model = led(built(), span)
        epochs = list(model.fit(*parts))
        if span is not None:
            span.tell(("end", None))
        found = model.weights() if self.what in FAMILIES else model.network.state_dict()
        return {
            "weights": {name: tensor.clone() for name, tensor in found.items()},
            "losses": [dict(epoch.losses) for epoch in epochs],
            "scores": torch.from_numpy(epochs[-1].validation.scores),
            "facts": model.facts(),
        }


SLOW = {"learning_rate": 1e-5}
"""Of deep networks of random weights: at 1e-3 their first steps are chaotic, and an epoch makes rounding a
thousand times as large."""
SMALL_TRANSFER = {"vae_architecture": "small_conv", "vae_latent_dim": 8, "vae_epochs": 2}
LOOPS = {
    # 45 pictures in batches of 18, or of 16: the last holds 9, or 13, of which one process takes one more.
    "batch norm, dropout, weighted classes": Case("head", 9),
    "batch norm, normal draws, clipped": Case("drawn", 8, keys={"gradient_clipping": 0.5}),
    "augmented as plots": Case("conv", 9, Augmentation(1.0)),
    "augmented as photographs": Case("conv", 9, PhotoAugmentation(1.0)),
}
OF_THREE = {"a last batch of fewer pictures than processes": Case("drawn", 14), "classes": Case("head", 14)}

OF_FAMILIES = {
    "conv_autoencoder": Case("conv_autoencoder", 9, keys={"architecture": "B", "augmentation": 1.0}),
    "vae": Case("vae", 9, keys={"latent_dim": 8, "architecture": "small_conv"}),
    "vae_transfer, encoder frozen": Case("vae_transfer", 9, keys=SMALL_TRANSFER),
    "vae_transfer, encoder trained": Case("vae_transfer", 9, keys={**SMALL_TRANSFER, "train_encoder": True}),
    "feature_autoencoder": Case(
        "feature_autoencoder",
        9,
        keys={"backbone": "shufflenet_v2_x0_5", "weights": "none", "layers": [1, 2], "grid": 8, "latent_dim": 4},
    ),
    "plot_classifier": Case(
        "plot_classifier",
        9,
        keys={
            "backbone": "shufflenet_v2_x0_5",
            "weights": "none",
            "augmentation": 0.5,
            "class_weights": "balanced",
            **SLOW,
        },
    ),
    "plot_classifier, stochastic depth": Case(
        "plot_classifier", 9, keys={"backbone": "efficientnet_b0", "weights": "none", **SLOW}
    ),
}


def epochs_of(batch: int) -> int:
    """So many that there are STEPS steps, or some more."""
    return -(-STEPS // -(-TRAIN // batch))


def pictures(count: int) -> Samples:
    drawn = np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    return Samples(drawn, np.arange(count) % 2, ("normal", "anomaly"), tuple(map(str, range(count))))


def in_double(samples: Samples, rows: NDArray[np.int64]) -> Tensor:
    assert len(rows), "not everything can read no rows"
    return torch.from_numpy(samples.pictures[rows]).double().permute(0, 3, 1, 2) / 255


def flat_in_double(samples: Samples, rows: NDArray[np.int64]) -> Tensor:
    return in_double(samples, rows).flatten(1)[:, :24]


def loop(case: Case, batch: int, workers: int, span: Span | None) -> EpochLoop:
    torch.manual_seed(0)
    network: nn.Module
    objective: Any
    if case.what == "head":
        network, objective = plot_head(24, 2, 0.3), CrossEntropy()
        objective.class_weights = torch.tensor([0.5, 2.0], dtype=torch.float64)
    elif case.what == "conv":
        network, objective = conv_autoencoder("B", 3, 0.5), MeanSquaredError()
    else:
        network, objective = vae("small_conv", (SIDE, SIDE, 3), 6), VaeObjective(0.1, "reconstruction_kl")
    config = TrainingConfig(batch_size=batch, **case.keys)
    problem = Problem(("normal", "anomaly"), (SIDE, SIDE, 3), epochs_of(case.batch * workers), span=span)
    fetch = flat_in_double if case.what == "head" else in_double
    task: Task = "classification" if case.what == "head" else "detection"
    return EpochLoop(network.double(), objective, config, problem, 3, case.augment, fetch, task, scoring_batch=4)


def family_parts(name: str) -> tuple[Samples, Samples]:
    """Training and validation."""
    detection = FAMILIES[name].family.task == "detection"
    train = make_samples(TRAIN, 0, detection=detection, normal_only=detection)
    return train, make_samples(VALIDATION, 1, detection=detection)


def family_model(case: Case, batch: int, span: Span | None) -> Any:
    """A model of a family, all of it in float64."""
    family, (train, _) = FAMILIES[case.what].family, family_parts(case.what)
    sizes = {key: batch for key in ("batch_size", "vae_batch_size") if key in family.config.model_fields}
    problem = Problem(train.classes, (32, 32, 3), epochs_of(2 * case.batch), span=span)
    model = family.build(family.config(**{**case.keys, **sizes}), problem, 3)
    kept = model.loop.fetch
    if kept is not None:  # frozen features are kept in float32
        model.loop.fetch = lambda samples, rows: kept(samples, rows).double()
        model.loop.batches.at = in_double
    if case.what == "feature_autoencoder":
        model.features.float()
    return model


def train_all(cases: Mapping[str, Case], workers: int, span: Span | None) -> dict[str, Found]:
    """Each case in turn."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    try:
        found = {name: case.found(workers, span) for name, case in cases.items()}
    finally:
        torch.set_default_dtype(torch.float32)
    return {name: one for name, one in found.items() if one is not None}


def share_all(rank: int, cases: Mapping[str, Case], workers: int, folder: Path) -> None:
    """In one of several processes; the leader leaves what was found in the folder."""
    store = dist.FileStore(str(folder / "store"), workers)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=workers, timeout=timedelta(seconds=TIMEOUT))
    try:
        found = train_all(cases, workers, Span())
        if rank == 0:
            torch.save(found, folder / "found")
    finally:
        dist.destroy_process_group()

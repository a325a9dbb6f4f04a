"""The family that first trains a VAE without labels, then a classifier on its encoder (seed 001)."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.configurations.vae_transfer import VaeTransferConfig
from trainables.files import json_sha256
from trainables.interface import Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.parts.cross_entropy import CrossEntropy
from trainables.parts.heads import transfer_head
from trainables.parts.kept_features import KeptFeatures, network_digest
from trainables.parts.reconstruction import precision_remarks
from trainables.parts.vae_networks import encoder, vae
from trainables.parts.whole_model import WholeModel
from trainables.training.loop import EpochLoop, snapshot
from trainables.training.shared_stage import STAGES, Stage, shared_stage, stage_key
from trainables.training.span import led
from trainables.vae import VaeObjective, check_latent

KEY_LETTERS = 16
"""How much of a stage's key a record shows."""


class TransferNetwork(nn.Module):
    """Encoder and head. Takes mu (B, latent) where the encoder is frozen, else pictures; gives logits (B, classes)."""

    def __init__(self, config: VaeTransferConfig, problem: Problem) -> None:
        super().__init__()
        self.frozen = not config.train_encoder
        self.encoder = encoder(config.vae_architecture, problem.shape, config.vae_latent_dim, config.vae_dropout)
        self.encoder.requires_grad_(not self.frozen)
        # Nothing that is learned from labels depends on it.
        self.encoder.log_variance.requires_grad_(False)
        self.head = transfer_head(config.vae_latent_dim, len(problem.classes), config.dropout)
        self.train()

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(inputs if self.frozen else self.encoder(inputs)[0])
        return logits

    def train(self, mode: bool = True) -> "TransferNetwork":
        """Training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self


class _Means(nn.Module):
    """An encoder of which mu (B, latent) alone is taken."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Tensor) -> Tensor:
        mean: Tensor = self.encoder(pictures)[0]
        return mean


class EncoderMeans:
    """What a frozen encoder gives: mu (B, latent)."""

    def __init__(self, transfer: "VaeTransfer") -> None:
        self.transfer = transfer

    @torch.no_grad()
    def features(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        """[mu (B, latent)], on the device."""
        return [self.transfer.network.encoder(self.transfer.loop.pictures(samples, rows))[0]]

    def feature_key(self) -> dict[str, Any]:
        """All that decides the features beside the pictures; values that JSON can hold."""
        config, encoder = self.transfer.config, self.transfer.network.encoder
        return {
            "what": "mu of an encoder",
            "architecture": config.vae_architecture,
            "weights": network_digest(encoder.state_dict()),
        }


class VaeTransfer:
    """Stage 1 is trained or found before the first epoch; the epochs that are yielded are those of stage 2."""

    def __init__(self, config: VaeTransferConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem, self.seed = config, problem, seed
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.network = TransferNetwork(config, problem)
        frozen = self.network.frozen
        self.kept = KeptFeatures(EncoderMeans(self), problem) if frozen else None
        self.loop = EpochLoop(
            self.network,
            CrossEntropy(),
            config,
            problem,
            seed,
            fetch=self._means if frozen else None,
            slower=None if frozen else (self.network.encoder, config.encoder_learning_rate_factor),
        )
        self.stage: dict[str, Any] = {}

    @property
    def parameters(self) -> int:
        """Those of the encoder, frozen or not, and of the head; the decoder is not kept."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def facts(self) -> dict[str, str]:
        """Which stage 1 this model stands on."""
        if not self.stage:
            return self.loop.facts()
        stage = self.stage
        return {
            **self.loop.facts(),
            "stage 1": f"best epoch {stage['best_epoch']} of {stage['epochs']}, validation loss "
            f"{stage['validation_loss']:.6g}",
            "stage 1 key": json_sha256(self._key())[:KEY_LETTERS],
        }

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train or find stage 1, then train stage 2, yielding after each of its epochs.

        Stage 1 sees the pictures of both parts without labels, and keeps its epoch of lowest validation loss.
        """
        if self.loop.epoch == self.loop.epochs:
            return
        if not self.stage:
            stage = self._stage_one(_unlabelled(train), _unlabelled(validation))
            self.network.encoder.load_state_dict(stage.weights)
            self.stage = {name: getattr(stage, name) for name in ("best_epoch", "epochs", "validation_loss")}
        with self.kept.opened(train, validation) if self.kept else nullcontext():
            yield from self.loop.fit(train, validation)

    def predict(self, samples: Samples) -> Prediction:
        """Class probabilities (N, C)."""
        with self.kept.opened_if_cached(samples) if self.kept else nullcontext():
            return self.loop.predict(samples)

    def module(self) -> WholeModel:
        """`predict` as one module, the encoder in it whether it is frozen or not."""
        network = nn.Sequential(_Means(self.network.encoder), self.network.head)
        return WholeModel(network, self.loop.objective)

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Nothing: the decoder is not kept."""
        return []

    def state(self) -> dict[str, Any]:
        """All that resuming needs, the encoder among it, so that stage 1 is not looked for again."""
        return {"loop": self.loop.state(), "stage": dict(self.stage)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`."""
        self.loop.load(state["loop"])
        self.stage = dict(state["stage"])

    def weights(self) -> dict[str, Tensor]:
        """Copies of the encoder's and the head's weights and statistics."""
        copied: dict[str, Tensor] = snapshot(dict(self.network.state_dict()))
        return copied

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.network.load_state_dict(dict(weights))

    def _key(self) -> dict[str, Any]:
        config = self.config.stage_one().model_dump(exclude={"score"})
        patience, epochs = self.config.vae_patience, self.config.vae_epochs
        return stage_key({**config, "epochs": epochs, "patience": patience}, self.seed, self.problem)

    def _stage_one(self, train: Samples, validation: Samples) -> Stage:
        config, problem = self.config.stage_one(), self.problem

        def build() -> EpochLoop:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(self.seed)
                network = vae(config.architecture, problem.shape, config.latent_dim, config.dropout)
            objective = VaeObjective(config.kl_weight, config.score)
            own = replace(problem, epochs=self.config.vae_epochs, followed=())
            return EpochLoop(network, objective, config, own, self.seed)

        # Without a fingerprint, another data set's stage could be found.
        entry = problem.cache.entry(STAGES, self._key()) if problem.cache is not None and problem.data else None
        span, parts = problem.span, (train, validation)
        if span is not None and not span.leads:
            return Stage(**span.follow(build, *parts))
        patience = self.config.vae_patience
        stage = shared_stage(lambda: led(build(), span), "encoder.", parts, patience, entry, problem.pulse)
        if span is not None:
            span.tell(("end", asdict(stage)))
        return stage

    def _means(self, samples: Samples, rows: NDArray[np.int64]) -> Tensor:
        """mu (B, latent) of the pictures at `rows`."""
        assert self.kept is not None
        return self.kept(samples, rows)[0]


def _unlabelled(samples: Samples) -> Samples:
    """The pictures alone."""
    return Samples(samples.pictures, np.zeros_like(samples.labels), samples.classes, samples.paths)


def check(config: VaeTransferConfig, problem: Problem) -> list[str]:
    """What to say before training starts. Raises InputError where this can't be built for these pictures."""
    check_latent("vae_transfer", "vae_", config.vae_architecture, config.vae_latent_dim, problem.shape)
    remarks = precision_remarks(config, problem.device)
    if config.vae_architecture != "linear" and "vae_dropout" in config.model_fields_set:
        remarks.append(f"vae_dropout changes nothing: {config.vae_architecture} has none; linear has.")
    if not config.train_encoder and "encoder_learning_rate_factor" in config.model_fields_set:
        remarks.append("encoder_learning_rate_factor changes nothing: train_encoder is false.")
    return remarks


FAMILY = Family(
    name="vae_transfer",
    task="classification",
    config=VaeTransferConfig,
    build=VaeTransfer,
    check=check,
    spans=True,
    module=VaeTransfer.module,
)

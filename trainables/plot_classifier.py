"""The family that classifies plots with a torchvision backbone and a small head (seeds 000 and 001)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.configurations.plot_classifier import PlotClassifierConfig
from trainables.errors import InputError
from trainables.interface import SCALED, Epoch, Family, Gallery, Prediction, Problem, Samples
from trainables.own_code import is_own
from trainables.parts.augmentation import Augmentation
from trainables.parts.backbones import (
    build_backbone,
    check_size,
    input_transform,
    replace_last_layer,
    set_input_transform,
)
from trainables.parts.cross_entropy import CrossEntropy
from trainables.parts.heads import plot_head
from trainables.parts.kept_features import KeptFeatures, check_frozen, network_digest
from trainables.parts.pretrained import (
    architecture,
    check_weights,
    find_weights,
    load_backbone_weights,
    origin,
    starting_remarks,
)
from trainables.parts.whole_model import WholeModel
from trainables.training.loop import EpochLoop, snapshot
from trainables.training.precision import has_mixed_precision, in_bfloat16, precision_name

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET = f"(pixels / 255 - mean) / std, mean {IMAGENET_MEAN}, std {IMAGENET_STD}"


class PlotNetwork(nn.Module):
    """Normalisation, backbone and head: pictures (B, 1 or 3, H, W) in [0, 1] -> logits (B, C)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: PlotClassifierConfig, problem: Problem) -> None:
        super().__init__()
        height, width, _ = problem.shape
        file = find_weights(config.backbone, config.weights)
        self.backbone = build_backbone(config.backbone, (height, width), pretrained=file is not None)
        taken: list[str] = []
        if file is not None:
            taken = load_backbone_weights(self.backbone, config.backbone, file, height)
        self.origin = origin(config.backbone, file, taken)
        self.frozen = config.train_layers == "head"
        self.backbone.requires_grad_(not self.frozen)
        classes = len(problem.classes)
        self.head = replace_last_layer(self.backbone, lambda features: plot_head(features, classes, config.dropout))
        imagenet = config.normalisation == "imagenet"
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.backbone((pictures - self.mean) / self.std)
        return logits

    def train(self, mode: bool = True) -> "PlotNetwork":
        """Training mode; a frozen backbone stays in evaluation mode, its BatchNorm statistics with it."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
            self.head.train(mode)
        return self


class HeadInput:
    """What a frozen backbone, in evaluation mode, gives its head: (B, F), float32."""

    def __init__(self, network: PlotNetwork, config: PlotClassifierConfig, problem: Problem) -> None:
        self.network, self.config = network.eval(), config
        self.device = torch.device(problem.device)
        self.precision, self.mixed = problem.precision, in_bfloat16(config.mixed_precision, problem)
        self._digest: str | None = None

    def features(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        """[(B, F)], on the device."""
        pictures = torch.from_numpy(samples.pictures[rows]).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        return [self._input(pictures)[0]]

    def is_all(self, problem: Problem) -> bool:
        """Whether nothing stands behind the head, so that it can be trained alone."""
        height, width, channels = problem.shape
        given, output = self._input(torch.zeros(1, channels, height, width, device=self.device))
        with torch.no_grad():
            return given.ndim == 2 and torch.equal(self.network.head.eval()(given), output)

    def digest(self) -> str:
        """SHA-256 of the numbers of the backbone without the head."""
        if self._digest is None:
            tensors = self.network.backbone.state_dict(keep_vars=True)
            head = {id(tensor) for tensor in self.network.head.state_dict(keep_vars=True).values()}
            self._digest = network_digest({name: one for name, one in tensors.items() if id(one) not in head})
        return self._digest

    def changed(self) -> None:
        """To be called where the backbone was given other numbers."""
        self._digest = None

    def feature_key(self) -> dict[str, Any]:
        """All that decides the features beside the pictures; values that JSON can hold."""
        return {
            "what": "input of the head",
            "backbone": architecture(self.config.backbone),
            "weights": self.digest(),
            "input": [bool(value) for value in input_transform(self.network.backbone).values()],
            "normalisation": self.config.normalisation,
            "computed in": precision_name(self.mixed, self.precision, self.device) or "float32",
        }

    @torch.no_grad()
    def _input(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The head's input for pictures (B, C, H, W) in [0, 1], and what the network gives."""
        head, seen = self.network.head, list[Tensor]()
        training = head.training
        handle = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        head.eval()
        try:
            with torch.autocast(self.device.type, dtype=torch.bfloat16) if self.mixed else nullcontext():
                output = self.network(pictures.contiguous(memory_format=torch.channels_last))
        finally:
            handle.remove()
            head.train(training)
        return seen[-1].float(), output


class PlotClassifier:
    """A backbone with a head, trained by the shared loop."""

    def __init__(self, config: PlotClassifierConfig, problem: Problem, seed: int) -> None:
        self.config, self.problem = config, problem
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.network = PlotNetwork(config, problem)
        self.objective = CrossEntropy()
        changes = config.augmentation > 0 or config.flip_left_right
        augment = Augmentation(config.augmentation, config.flip_left_right) if changes else None
        self.kept = None if changes else self._kept_features()
        # Of a frozen backbone that sees the same pictures each time, the head alone is left to train.
        trained = self.network if self.kept is None else self.network.head
        fetch = None if self.kept is None else self._head_input
        self.loop = EpochLoop(trained, self.objective, config, problem, seed, augment, fetch)

    def _kept_features(self) -> KeptFeatures | None:
        """Of a frozen backbone; None where it is trained, or where one's own does more than its head behind it."""
        if not self.network.frozen:
            return None
        self.network.to(self.problem.device).to(memory_format=torch.channels_last)
        self.backbone = HeadInput(self.network, self.config, self.problem)
        if is_own(self.config.backbone) and not self.backbone.is_all(self.problem):
            return None
        return KeptFeatures(self.backbone, self.problem)

    @property
    def parameters(self) -> int:
        """All weights and biases, frozen ones too."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def facts(self) -> dict[str, str]:
        """Where the weights came from."""
        return {"weights": self.network.origin, **(self.kept.facts() if self.kept else {}), **self.loop.facts()}

    def fit(self, train: Samples, validation: Samples) -> Iterator[Epoch]:
        """Train, yielding after each epoch."""
        with self.ready(train, validation) as loop:
            yield from loop.fit(train, validation)

    @contextmanager
    def ready(self, train: Samples, validation: Samples) -> Iterator[EpochLoop]:
        """The loop, with what it is fed with at hand."""
        if self.config.class_weights == "balanced":
            counts = np.bincount(train.labels, minlength=len(self.problem.classes))
            weights = len(train) / (len(counts) * np.maximum(counts, 1))
            self.objective.class_weights = torch.tensor(weights, dtype=torch.float32, device=self.loop.device)
        with self.kept.opened(train, validation) if self.kept else nullcontext():
            yield self.loop

    def predict(self, samples: Samples) -> Prediction:
        """Class probabilities (N, C)."""
        with self.kept.opened_if_cached(samples) if self.kept else nullcontext():
            return self.loop.predict(samples)

    def module(self) -> WholeModel:
        """`predict` as one module, the backbone in it whether it is frozen or not."""
        return WholeModel(self.network, self.objective)

    def gallery(self, samples: Samples) -> list[Gallery]:
        """Nothing."""
        return []

    def state(self) -> dict[str, Any]:
        """All that resuming needs. Frozen numbers are named by their digest: the seed and the file give them."""
        return {"loop": self.loop.state(), "frozen": self.backbone.digest() if self.kept else ""}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back a `state`. Raises InputError where the frozen backbone is no longer that of before."""
        if self.kept:
            check_frozen(state["frozen"], self.backbone.digest(), self.config.backbone, self.network.origin)
        self.loop.load(state["loop"])

    def weights(self) -> dict[str, Tensor]:
        """The backbone's weights and statistics under torchvision's names, the head in the last layer's place."""
        backbone = self.network.backbone
        copied: dict[str, Tensor] = snapshot({**backbone.state_dict(), **input_transform(backbone)})
        return copied

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take back `weights`."""
        self.network.backbone.load_state_dict(set_input_transform(self.network.backbone, weights))
        if self.kept:
            self.backbone.changed()

    def _head_input(self, samples: Samples, rows: NDArray[np.int64]) -> Tensor:
        assert self.kept is not None
        return self.kept(samples, rows)[0]


def check(config: PlotClassifierConfig, problem: Problem) -> list[str]:
    """What to say before training starts. Raises InputError where this can't be built for these pictures here."""
    height, width, channels = problem.shape
    if channels not in (1, 3):
        raise InputError(
            f"plot_classifier takes pictures of 1 channel (grey) or 3 (RGB); these have {channels}. Change data.layout."
        )
    check_size(config.backbone, (height, width))
    file = find_weights(config.backbone, config.weights)
    taken = [] if file is None else check_weights(config.backbone, file, (height, width))
    remarks = starting_remarks(config.backbone, config.weights, file, taken)
    if file is None and config.train_layers == "head" and not is_own(config.backbone):
        remarks.append(f"train_layers: head trains the head alone, on a {config.backbone} of random weights.")
    if config.mixed_precision and not has_mixed_precision(torch.device(problem.device)):
        remarks.append(f"mixed_precision changes nothing: {problem.device} does not compute in bfloat16.")
    if config.flip_left_right:
        remarks.append("flip_left_right turns time round in half of the plots: trends and shifts change their meaning.")
    return remarks


FAMILY = Family(
    name="plot_classifier",
    task="classification",
    config=PlotClassifierConfig,
    build=PlotClassifier,
    check=check,
    spans=True,
    stackable=PlotClassifier.ready,
    module=PlotClassifier.module,
    frozen=lambda model, train: model.kept,
    blank=lambda config: config.model_copy(update={"weights": "none"}),
    normalisation=lambda config: IMAGENET if config.normalisation == "imagenet" else SCALED,
)

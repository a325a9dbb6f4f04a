"""Feature maps of a frozen backbone: what feature_autoencoder and patch_knn stand on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from trainables.configurations.frozen_features import FrozenFeaturesConfig
from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.own_code import is_own
from trainables.parts.backbones import (
    Misfit,
    build_backbone,
    input_transform,
    replace_last_layer,
    set_input_transform,
)
from trainables.parts.depth_scale import DepthScale, depth_of, scale_depth
from trainables.parts.feature_stages import StageReader, find_stages, widen_first_convolution
from trainables.parts.kept_features import network_digest
from trainables.parts.pretrained import (
    architecture,
    check_weights,
    find_weights,
    load_backbone_weights,
    origin,
    starting_remarks,
)
from trainables.training.batches import scaled
from trainables.training.loop import snapshot
from trainables.training.precision import computing, in_bfloat16, precision_name

MEAN = (0.485, 0.456, 0.406, 0.449)
STD = (0.229, 0.224, 0.225, 0.226)
"""ImageNet's, red, green and blue; depth is taken as the mean channel."""
NORMALISATION = f"(pixels / 255 - mean) / std, mean {MEAN[:3]}, std {STD[:3]}"
MARGIN = 32
"""Pixels of reflection on each side: one place of the coarsest stage."""


class FrozenFeatures(nn.Module):
    """A backbone in evaluation mode with a fixed, seeded projection of each stage; nothing in it is ever trained.

    The projections have orthonormal rows, drawn at random: distances are kept on average, as by Johnson and
    Lindenstrauss, and no training can make the features collapse.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: FrozenFeaturesConfig, problem: Problem, seed: int, *, depth: bool, mixed: bool) -> None:
        super().__init__()
        height, width, _ = problem.shape
        self.name, self.layers = config.backbone, config.layers
        self._digest: str | None = None
        self.device, self.margin = torch.device(problem.device), MARGIN if config.padding == "reflect" else 0
        size = (height + 2 * self.margin, width + 2 * self.margin)
        channels = 4 if depth else 3
        found = find_stages(config.backbone, size, channels)
        stages = tuple(found[stage] for stage in config.stages)
        self.mixed = in_bfloat16(mixed, problem)
        self.computed_in = precision_name(self.mixed, problem.precision, self.device)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.origin = self._build(config, size, depth)
            # Drawn anew from the seed: how much the backbone drew does not matter to them.
            torch.default_generator.manual_seed(seed)
            self.projections = nn.ModuleList(_projection(stage.channels, config.reduction) for stage in stages)
        self.reader = StageReader(self.backbone, stages)
        self.strides = [stage.stride for stage in stages]
        self.channels = [max(1, stage.channels // config.reduction) for stage in stages]
        """Of each stage, projected."""
        self.depth_scale: DepthScale | None = None
        self.with_depth = depth
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values[:channels]).view(1, -1, 1, 1), persistent=False)
        self.requires_grad_(False).eval().to(self.device).to(memory_format=torch.channels_last)

    def _build(self, config: FrozenFeaturesConfig, size: tuple[int, int], depth: bool) -> str:
        file = find_weights(config.backbone, config.weights)
        self.backbone = build_backbone(config.backbone, size, pretrained=file is not None)
        taken: list[str] = []
        if file is not None:
            taken = load_backbone_weights(self.backbone, config.backbone, file, size[0], last=is_own(config.backbone))
        if not is_own(config.backbone):
            replace_last_layer(self.backbone, lambda features: nn.Identity())
        if depth:
            widen_first_convolution(self.backbone, config.backbone)
        return origin(config.backbone, file, taken)

    @property
    def parameters_held(self) -> int:
        """All of the backbone but a classifier, and the projections."""
        return sum(parameter.numel() for parameter in self.parameters())

    @torch.no_grad()
    def features(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        """The projected maps (B, c, h, w) of each stage, float32, on the device."""
        given = scaled(torch.from_numpy(samples.pictures[rows]).to(self.device)).expand(-1, 3, -1, -1)
        if self.with_depth:
            if self.depth_scale is None:
                raise RuntimeError("The scale of depth comes from the training part or from weights.")
            depth = scale_depth(depth_of(samples)[rows], self.depth_scale)
            given = torch.cat([given, torch.from_numpy(depth).to(self.device)[:, None]], dim=1)
        return self.forward(given, self.mixed)

    def forward(self, given: Tensor, bfloat16: bool = False) -> list[Tensor]:
        """The same of pictures (B, 3 or 4, H, W) in [0, 1], computed in float32 or in bfloat16."""
        with computing(self.device, bfloat16):
            whole = reflect((given - self.mean) / self.std, self.margin)
            stages = self.reader(whole.contiguous(memory_format=torch.channels_last))
        return [
            projection(self._inner(stage.float(), stride))
            for stage, stride, projection in zip(stages, self.strides, self.projections, strict=True)
        ]

    def _inner(self, stage: Tensor, stride: int) -> Tensor:
        """A stage's map without the places of the margin."""
        edge = self.margin // stride
        return stage[:, :, edge : stage.shape[2] - edge, edge : stage.shape[3] - edge]

    def kept(self) -> dict[str, Tensor]:
        """Copies of all that `maps` needs, by name, on the CPU."""
        scale = {} if self.depth_scale is None else {"depth_scale": torch.tensor(self.depth_scale, dtype=torch.float64)}
        tensors: dict[str, Tensor] = {**self.state_dict(), **input_transform(self.backbone), **scale}
        return {f"features.{name}": tensor for name, tensor in snapshot(tensors).items()}

    def take_back(self, kept: Mapping[str, Tensor]) -> None:
        """Take back what `kept` gave, out of a model's weights."""
        prefix = "features."
        tensors = {name.removeprefix(prefix): tensor for name, tensor in kept.items() if name.startswith(prefix)}
        if "depth_scale" in tensors:
            low, high, median = tensors.pop("depth_scale").tolist()
            self.depth_scale = (low, high, median)
        self.load_state_dict(set_input_transform(self.backbone, tensors))
        self._digest = None

    def digest(self) -> str:
        """SHA-256 of the frozen numbers. A state names them by it, since they are built again, not kept, on the way."""
        if self._digest is None:
            self._digest = network_digest(self.state_dict())
        return self._digest

    def feature_key(self) -> dict[str, Any]:
        """All that decides `features` beside the pictures; values that JSON can hold."""
        return {
            "what": "projected stages",
            "backbone": architecture(self.name),
            "weights": self.digest(),
            "input": [bool(value) for value in input_transform(self.backbone).values()],
            "layers": self.layers,
            "margin": self.margin,
            "depth": list(self.depth_scale or ()),
            "computed in": self.computed_in or "float32",
        }


def check_features(config: FrozenFeaturesConfig, problem: Problem, family: str, *, depth: bool = False) -> list[str]:
    """Remarks on the frozen features. Raises InputError where they can't be had for these pictures here."""
    height, width, channels = problem.shape
    if channels not in (1, 3):
        raise InputError(f"{family} takes pictures of 1 channel (grey) or 3 (RGB); these have {channels}.")
    if depth and not problem.depth:
        raise InputError(
            "input: rgbd needs depth, and these data have none. Set input: rgb, or data.layout to one with depth."
        )
    margin = MARGIN if config.padding == "reflect" else 0
    size = (height + 2 * margin, width + 2 * margin)
    try:
        find_stages(config.backbone, size, 4 if depth else 3)
    except Misfit as error:
        if margin == 0:
            raise
        raise InputError(f"{error} (padding: reflect adds {margin} pixels on each side; zeros adds none.)") from None
    file = find_weights(config.backbone, config.weights)
    taken = [] if file is None else check_weights(config.backbone, file, size, last=is_own(config.backbone))
    return starting_remarks(config.backbone, config.weights, file, taken)


def feature_channels(config: FrozenFeaturesConfig, problem: Problem, *, depth: bool = False) -> int:
    """The channels of all chosen stages together, after projection."""
    margin = MARGIN if config.padding == "reflect" else 0
    size = (problem.shape[0] + 2 * margin, problem.shape[1] + 2 * margin)
    found = find_stages(config.backbone, size, 4 if depth else 3)
    return sum(max(1, found[stage].channels // config.reduction) for stage in config.stages)


def align(stages: list[Tensor], size: tuple[int, int]) -> Tensor:
    """Each stage's maps (B, c, h', w'), resized to `size` (bilinear), stacked and smoothed: (B, C, h, w).

    The smoothing is a mean of 3 x 3 places; at the border, of those that there are.
    """
    resized = [interpolate(stage, size, mode="bilinear", align_corners=False) for stage in stages]
    return avg_pool2d(torch.cat(resized, dim=1), 3, stride=1, padding=1, count_include_pad=False)


def reflect(pictures: Tensor, margin: int) -> Tensor:
    """Pictures (B, C, H, W) with `margin` mirrored pixels on each side, mirrored again where it exceeds the picture."""
    while margin > 0:
        step = min(margin, *(side - 1 for side in pictures.shape[2:]))
        if step < 1:
            return pad(pictures, (margin,) * 4, mode="replicate")  # one pixel has nothing to mirror
        pictures, margin = pad(pictures, (step,) * 4, mode="reflect"), margin - step
    return pictures


def _projection(channels: int, reduction: int) -> nn.Module:
    if reduction == 1:
        return nn.Identity()
    layer = nn.Conv2d(channels, max(1, channels // reduction), 1, bias=False)
    nn.init.orthogonal_(layer.weight)
    return layer

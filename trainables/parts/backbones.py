"""Backbones by name, torchvision's or one's own, built for a picture size, their last layer open to another head."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from trainables.errors import InputError
from trainables.own_code import call, is_own

SQUARES = (32, 64, 96, 128, 224, 256, 384)
"""The sizes that an error message tries when the one asked for does not fit."""
SIZED = ("vit_", "maxvit_")
"""What the names of architectures begin with that are built for one size."""


def build_backbone(name: str, size: tuple[int, int], *, pretrained: bool = False) -> nn.Module:
    """The model `name` for pictures of `size` (height, width), torchvision's with its own 1000-class layer.

    Takes (B, 3, H, W), gives logits alone (no auxiliary outputs). Weights are random, drawn from torch's global
    generator; `pretrained` only sets what torchvision sets beside its weights. One's own is as its factory gives it.
    Raises InputError where the architecture can't be built for this size, or the factory gives no nn.Module.
    """
    if is_own(name):
        made = call(name)
        if not isinstance(made, nn.Module):
            raise InputError(f"The backbone {name!r} gave {type(made).__name__}; it must give a torch.nn.Module.")
        return made
    options: dict[str, Any] = {}
    if name in ("inception_v3", "googlenet"):
        # Their published weights were trained on inputs scaled in another way, which torchvision undoes inside.
        options = {"aux_logits": False, "init_weights": not pretrained, "transform_input": pretrained}
    elif name.startswith("vit_"):
        if size[0] != size[1]:
            raise misfit(name, size, "it takes square pictures only")
        options = {"image_size": size[0]}
    elif name.startswith("maxvit_"):
        options = {"input_size": size}
    try:
        model: nn.Module = models.get_model(name, weights=None, **options)
    except (AssertionError, ValueError) as error:
        raise misfit(name, size, str(error)) from error
    return model


def input_transform(model: nn.Module) -> dict[str, Tensor]:
    """What `build_backbone` set beside the weights, as a tensor to keep with them; mostly nothing."""
    return {"transform_input": torch.tensor(model.transform_input)} if hasattr(model, "transform_input") else {}


def set_input_transform(model: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Set what `input_transform` kept, and give the weights without it."""
    rest = dict(weights)
    if "transform_input" in rest and hasattr(model, "transform_input"):
        setattr(model, "transform_input", bool(rest.pop("transform_input")))  # noqa: B010 - set on any kind of module
    return rest


def replace_last_layer(model: nn.Module, head: Callable[[int], nn.Module]) -> nn.Module:
    """Put `head(features)` in the place of the last layer, and give the head that was put there.

    The last layer is the last Linear. SqueezeNet ends in a convolution: there the pooled features enter the head.
    """
    path, last = last_layer(model)
    parent_path, _, attribute = path.rpartition(".")
    parent = model.get_submodule(parent_path)
    if isinstance(last, nn.Linear):
        new = head(last.in_features)
        setattr(parent, attribute, new)
        return new
    new = head(last.in_channels)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), new)
    setattr(model, parent_path, pooled)
    return new


def last_layer(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The path and the layer that turns features into classes. Raises InputError for a model without one."""
    layers = {path: layer for path, layer in model.named_modules() if isinstance(layer, (nn.Linear, nn.Conv2d))}
    linear = [path for path, layer in layers.items() if isinstance(layer, nn.Linear)]
    classifiers = linear or [path for path in layers if path.startswith("classifier.")]
    if not classifiers:
        raise InputError(
            f"{type(model).__name__} has no linear layer that could be replaced by a head. Give the backbone a last "
            "nn.Linear, or use it in a family that takes feature maps."
        )
    return classifiers[-1], layers[classifiers[-1]]


@functools.cache
def check_size(name: str, size: tuple[int, int]) -> None:
    """Raise InputError where pictures of `size` (height, width) don't pass through the architecture.

    Runs on shapes; one's own, where it can't run without data, on a CPU.
    """
    built = None if name.startswith(SIZED) else backbone_on_meta(name, size)
    reason = _refusal(name, size, built)
    if reason is not None and is_own(name):
        built = backbone_on_cpu(name, size)
        reason = _refusal(name, size, built)
    if reason is not None:
        fitting = [str(side) for side in SQUARES if _refusal(name, (side, side), built) is None]
        raise misfit(name, size, reason, fitting)


def _refusal(name: str, size: tuple[int, int], built: nn.Module | None) -> str | None:
    """Why pictures of `size` don't fit, or None. `built` is the model, where it does not depend on the size."""
    try:
        model = (built or backbone_on_meta(name, size)).eval()
        with torch.inference_mode():
            output: Any = model(torch.zeros(2, 3, *size, device=device_of(model)))
    except Exception as error:
        # Code of one's own may raise anything.
        return first_line(error)
    classes = last_layer(model)[1].weight.shape[0]
    if not isinstance(output, Tensor) or output.shape != (2, classes):
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        return f"for two pictures it gives {given}, not the (2, {classes}) of its last layer"
    return None


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def device_of(model: nn.Module) -> torch.device:
    """Where the model's numbers are."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def backbone_on_cpu(name: str, size: tuple[int, int]) -> nn.Module:
    """The backbone as `build_backbone` gives it, leaving torch's random state alone."""
    with torch.random.fork_rng(devices=[]):
        return build_backbone(name, size)


def backbone_on_meta(name: str, size: tuple[int, int]) -> nn.Module:
    """The backbone without numbers, to run on shapes."""
    if is_own(name):
        # A factory may do what can't be done there, such as reading a file.
        return backbone_on_cpu(name, size).to("meta")
    try:
        with torch.device("meta"):
            return build_backbone(name, size)
    except NotImplementedError:
        # RegNet computes its widths with tensors while it is built: only parameters may be without data there.
        with _ParametersOnMeta():
            return build_backbone(name, size)


class _ParametersOnMeta(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


class Misfit(InputError):
    """Pictures of a size that a backbone does not take."""


def misfit(name: str, size: tuple[int, int], reason: str, fitting: list[str] | None = None) -> Misfit:
    """The error for pictures of a size that a backbone does not take; `fitting`: the squares that it does."""
    sides = f"squares of {', '.join(fitting)} pixels a side fit" if fitting else "224 x 224 fits every backbone"
    return Misfit(
        f"Pictures of {size[0]} x {size[1]} pixels don't fit the backbone {name!r}: {reason}. "
        f"Of the sizes tried, {sides}. Set data.size, or choose another backbone."
    )

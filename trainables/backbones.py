"""torchvision's classification models by name, built for a picture size, with their last layer open to another head."""

import difflib
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from trainables.errors import InputError

SQUARES = (32, 64, 96, 128, 224, 256, 384)
"""The sizes that an error message tries when the one asked for does not fit."""
SIZED = ("vit_", "maxvit_")
"""What the names of architectures begin with that are built for one size."""


def backbone_names() -> list[str]:
    """Every classification model of the installed torchvision."""
    return list(models.list_models(module=models))


def check_backbone(name: str) -> str:
    """`name`, if it is a backbone. Raises InputError naming the nearest ones."""
    known = backbone_names()
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.4)
    nearest = f"The nearest: {', '.join(near)}. " if near else ""
    raise InputError(f"Unknown backbone {name!r}. {nearest}Known: {', '.join(known)}.")


def build_backbone(name: str, size: tuple[int, int], *, pretrained: bool = False) -> nn.Module:
    """The torchvision model `name` for pictures of `size` (height, width), with its own 1000-class layer.

    Takes (B, 3, H, W), gives logits alone (no auxiliary outputs). Weights are random, drawn from torch's global
    generator; `pretrained` only sets what torchvision sets beside its weights. Raises InputError where the
    architecture can't be built for this size.
    """
    options: dict[str, Any] = {}
    if name in ("inception_v3", "googlenet"):
        # Their published weights were trained on inputs scaled in another way, which torchvision undoes inside.
        options = {"aux_logits": False, "init_weights": not pretrained, "transform_input": pretrained}
    elif name.startswith("vit_"):
        if size[0] != size[1]:
            raise _misfit(name, size, "it takes square pictures only")
        options = {"image_size": size[0]}
    elif name.startswith("maxvit_"):
        options = {"input_size": size}
    try:
        model: nn.Module = models.get_model(name, weights=None, **options)
    except (AssertionError, ValueError) as error:
        raise _misfit(name, size, str(error)) from error
    return model


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
    """The path and the layer that turns features into classes."""
    layers = {path: layer for path, layer in model.named_modules() if isinstance(layer, (nn.Linear, nn.Conv2d))}
    linear = [path for path, layer in layers.items() if isinstance(layer, nn.Linear)]
    path = linear[-1] if linear else next(path for path in reversed(layers) if path.startswith("classifier."))
    return path, layers[path]


@functools.cache
def check_size(name: str, size: tuple[int, int]) -> None:
    """Raise InputError where pictures of `size` (height, width) don't pass through the architecture. Runs on shapes."""
    built = None if name.startswith(SIZED) else _on_meta(name, size)
    reason = _refusal(name, size, built)
    if reason is not None:
        fitting = [str(side) for side in SQUARES if _refusal(name, (side, side), built) is None]
        raise _misfit(name, size, reason, fitting)


def _refusal(name: str, size: tuple[int, int], built: nn.Module | None) -> str | None:
    """Why pictures of `size` don't fit, or None. `built` is the model, where it does not depend on the size."""
    try:
        model = (built or _on_meta(name, size)).eval()
        with torch.inference_mode():
            output: Tensor = model(torch.empty(2, 3, *size, device="meta"))
    except (RuntimeError, AssertionError, ValueError) as error:
        return str(error).splitlines()[0]
    assert output.shape == (2, 1000)
    return None


def _on_meta(name: str, size: tuple[int, int]) -> nn.Module:
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


def _misfit(name: str, size: tuple[int, int], reason: str, fitting: list[str] | None = None) -> InputError:
    sides = f"squares of {', '.join(fitting)} pixels a side fit" if fitting else "224 x 224 fits every backbone"
    return InputError(
        f"Pictures of {size[0]} x {size[1]} pixels don't fit the backbone {name!r}: {reason}. "
        f"Of the sizes tried, {sides}. Set data.size, or choose another backbone."
    )

"""How a backbone and its weights are named."""

import difflib
import functools
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from trainables.errors import InputError
from trainables.files import is_file
from trainables.own_code import absolute_callable, expanded, is_own

_REGISTERED = re.compile(r"^@register_model\(.*?\)\n.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)
"""How torchvision puts a model on its list."""
_LIST_OF_MODEL = re.compile(r"^def (\w+)\([^)]*?\bweights: Optional\[(\w+)\]", re.MULTILINE)
"""How torchvision says which list of weights a model takes from."""
_LIST = re.compile(r"^class (\w+)\(WeightsEnum\):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_LISTED = re.compile(r"^    ([A-Z]\w*) = ", re.MULTILINE)
"""How torchvision lists a model's weights."""


@functools.cache
def _sources() -> tuple[str, ...]:
    """The source of torchvision's classification models; none where it is not there."""
    found = find_spec("torchvision")
    folder = Path(found.origin).parent / "models" if found is not None and found.origin else Path()
    return tuple(path.read_text(encoding="utf-8") for path in folder.glob("*.py")) if folder.name else ()


@functools.cache
def backbone_names() -> tuple[str, ...]:
    """Every classification model of the installed torchvision, read from its source: its import takes seconds."""
    names = sorted(name for text in _sources() for name in _REGISTERED.findall(text))
    if names:
        return tuple(names)
    from torchvision import models  # the source is not there, or is written in another way

    return tuple(models.list_models(module=models))


def check_backbone(name: str) -> str:
    """`name`, if it is a backbone, one's own with an absolute path. Raises InputError naming the nearest ones.

    One's own is `module:factory` or `path/to/file.py:factory`: a function without arguments that gives an nn.Module.
    It is not imported here.
    """
    if is_own(name):
        return absolute_callable(name)
    known = backbone_names()
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.4)
    nearest = f"The nearest: {', '.join(near)}. " if near else ""
    raise InputError(
        f"Unknown backbone {name!r}. {nearest}Known: {', '.join(known)}. "
        "Or one of your own: module:factory, or path/to/file.py:factory."
    )


BackboneName = Annotated[str, AfterValidator(check_backbone)]
"""What a configuration takes as a backbone."""


def absolute_weights(weights: str) -> str:
    """`weights` with paths made absolute: a trial runs in another folder than the one where it was read."""
    path = expanded(weights)
    if is_file(path):
        return str(path.resolve())
    return absolute_callable(weights) if is_own(weights) else weights


WeightsName = Annotated[str, AfterValidator(absolute_weights)]
"""What a configuration takes as weights."""


def weights_names(backbone: str) -> tuple[str, ...]:
    """The names of torchvision's weights for this backbone, DEFAULT first, read from its source; () where it can't."""
    lists = {name: body for text in _sources() for name, body in _LIST.findall(text)}
    of_model = dict(pair for text in _sources() for pair in _LIST_OF_MODEL.findall(text))
    names = _LISTED.findall(lists.get(of_model.get(backbone, ""), ""))
    return ("DEFAULT", *(name for name in names if name != "DEFAULT")) if names else ()


def check_weights_name(backbone: str, weights: str) -> None:
    """InputError where `weights` is neither a file, nor a name that this backbone knows. Imports no torch.

    Whether the file of a known name is on this machine, and what a file holds, is seen later, by what reads it.
    """
    if weights in ("auto", "none") or is_own(weights) or is_file(expanded(weights)):
        return
    listed = () if is_own(backbone) else weights_names(backbone)
    if (listed or is_own(backbone)) and weights.rpartition("_Weights.")[2] not in listed:
        raise unknown_weights(backbone, weights, listed)


def unknown_weights(backbone: str, weights: str, listed: Iterable[str]) -> InputError:
    """What to raise where `weights` is no file and not among the `listed` names of this backbone."""
    path, names = expanded(weights), ["auto", "none", *listed]
    if path.suffix or "/" in weights:
        return InputError(
            f"There is no file of weights at {weights!r} (looked from {Path.cwd()}). Give the path of a file with the "
            f"weights of {backbone}, or one of: {', '.join(names)}."
        )
    near = difflib.get_close_matches(weights, names, n=1, cutoff=0.4)
    nearest = f"Did you mean {near[0]}? " if near else ""
    return InputError(
        f"Unknown weights {weights!r} for {backbone}. {nearest}Allowed: {', '.join(names)}, or the path of a file."
    )

"""How a backbone and its weights are named."""

import difflib
import functools
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from trainables.errors import InputError
from trainables.files import is_file
from trainables.own_code import absolute_callable, expanded, is_own

_REGISTERED = re.compile(r"^@register_model\(.*?\)\n.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)
"""How torchvision puts a model on its list."""


@functools.cache
def backbone_names() -> tuple[str, ...]:
    """Every classification model of the installed torchvision, read from its source: its import takes seconds."""
    found = find_spec("torchvision")
    folder = Path(found.origin).parent / "models" if found is not None and found.origin else Path()
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")] if folder.name else []
    names = sorted(name for text in texts for name in _REGISTERED.findall(text))
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

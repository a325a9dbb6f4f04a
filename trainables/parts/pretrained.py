"""Files of pretrained backbone weights: found on this machine, read without running code, checked name by name."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import interpolate_embeddings

from trainables.configurations.backbones import unknown_weights
from trainables.errors import InputError
from trainables.files import file_sha256, is_file
from trainables.own_code import call, described, expanded, is_own
from trainables.parts.backbones import backbone_on_meta, last_layer
from trainables.parts.weights_files import Entry, read_entries
from trainables.printing import printable

OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$")
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
AVERAGED = re.compile(r"(^|[._])(ema|averaged?|swa)([._]|$)", re.IGNORECASE)
"""What the running mean of a training's weights is called."""


@dataclass(frozen=True)
class WeightsFile:
    """A file that holds weights, and what it is called in records."""

    name: str
    path: Path


def checkpoint_folder() -> Path:
    """Where torchvision keeps the files that it has downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def find_weights(backbone: str, weights: str) -> WeightsFile | None:
    """The file that `weights` stands for, or None: the backbone stays as it is built. Nothing is ever downloaded.

    `weights` is `none`, `auto` (torchvision's file for this backbone, if it is on the machine), a name in torchvision's
    list such as IMAGENET1K_V2 or DEFAULT, a path, or `module:function` of a function that gives a path. For a backbone
    of one's own nothing is listed, and `auto` is `none`. Raises InputError where the name is unknown or the file
    missing.
    """
    if weights == "none":
        return None
    listed = {} if is_own(backbone) else _listed(backbone)
    if weights == "auto":
        return next((file for file in listed.values() if file.path.is_file()), None)
    if is_own(weights) and not is_file(expanded(weights)):
        return _named_by(weights)
    named_in_full = not is_own(backbone) and weights.startswith(f"{_enum(backbone).__name__}.")
    name = weights.rpartition(".")[2] if named_in_full else weights
    if name in listed:
        file = listed[name]
        if not file.path.is_file():
            raise InputError(
                f"The weights {weights!r} of {backbone} are not on this machine. Looked for {file.path.name} in "
                f"{file.path.parent}, and nothing is downloaded here. Get it from {_url(backbone, name)} and put it "
                "there, or give the path of a file in `weights`, or use weights: auto or none."
            )
        return file
    path = expanded(weights)
    if is_file(path):
        return WeightsFile(f"{path.name} (sha256 {file_sha256(path)[:16]})", path)
    raise unknown_weights(backbone, weights, listed)


def where_weights_lie(backbone: str, weights: str) -> tuple[str, ...]:
    """The files that `find_weights` would look for, the first one that is there; those that torchvision names by their
    name alone, as each machine keeps them in a folder of its own. None where no file is looked for, or a function of
    one's own says which."""
    listed = {} if is_own(backbone) else _listed(backbone)
    if weights == "none" or (is_own(weights) and not is_file(expanded(weights))):
        return ()
    if weights == "auto":
        return tuple(dict.fromkeys(file.path.name for file in listed.values()))
    name = weights.rpartition("_Weights.")[2]
    return (listed[name].path.name,) if name in listed else (str(expanded(weights).absolute()),)


def _named_by(weights: str) -> WeightsFile:
    """The file whose path the callable `weights` gives."""
    given = call(weights)
    if not isinstance(given, str | Path) or not Path(given).is_file():
        raise InputError(f"{weights!r} gave {given!r}, which is no file. It must give the path of a file of weights.")
    path = Path(given)
    return WeightsFile(f"{path.name} (sha256 {file_sha256(path)[:16]})", path)


def architecture(backbone: str) -> str:
    """What a backbone's name stands for here: torchvision's of a release, or code of one's own as it is now."""
    return described(backbone) if is_own(backbone) else f"{backbone} of torchvision {torchvision.__version__}"


def origin(backbone: str, file: WeightsFile | None, taken: Sequence[str] = ()) -> str:
    """Where a backbone's numbers come from, for records; `taken`: what `load_backbone_weights` gave."""
    start = "random initialisation" if file is None else " ".join([file.name, *(f"({one})" for one in taken)])
    if not is_own(backbone):
        return start
    code = described(backbone)
    return f"as {code} gives them" if file is None else f"{start}, in {code}"


def starting_remarks(backbone: str, weights: str, file: WeightsFile | None, taken: Sequence[str] = ()) -> list[str]:
    """What to say before work starts of where a backbone's numbers come from; nothing where `weights` is none.

    `taken`: what `check_weights` gave.
    """
    if file is not None:
        return [" ".join([f"{backbone} starts from the pretrained weights {file.name}.", *taken])]
    if weights != "auto":
        return []
    if is_own(backbone):
        return [f"{backbone} starts as its factory gives it: for one's own backbone, weights: auto finds none."]
    where = checkpoint_folder()
    return [f"{backbone} starts from random initialisation: no pretrained weights for it in {where}."]


def load_backbone_weights(
    model: nn.Module, backbone: str, file: WeightsFile, side: int, *, last: bool = False
) -> list[str]:
    """Put the weights of `file` into `model`; all but its last layer, which is to be replaced, unless `last`.

    Gives remarks on what of the file was taken. The position embeddings of vision transformers are interpolated to
    pictures of `side` pixels. Raises InputError for a file that can't be read without running code, or whose names or
    shapes are those of another architecture.
    """
    fitting, taken = _fitting(model, backbone, file, side, last)
    model.load_state_dict(fitting, strict=False)
    return taken


def check_weights(backbone: str, file: WeightsFile, size: tuple[int, int], *, last: bool = False) -> list[str]:
    """What `load_backbone_weights` gives, or raises, for pictures of `size` (height, width)."""
    return list(_check_weights(backbone, file, file.path.stat().st_mtime_ns, size, last))


@functools.lru_cache(maxsize=64)
def _check_weights(backbone: str, file: WeightsFile, stamp: int, size: tuple[int, int], last: bool) -> tuple[str, ...]:
    return tuple(_fitting(backbone_on_meta(backbone, size), backbone, file, size[0], last)[1])


def _fitting(
    model: nn.Module, backbone: str, file: WeightsFile, side: int, last: bool
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a file by the names that `model` has for them, and remarks on which these are."""
    ours = dict(model.state_dict())
    replaced = "" if last else f"{last_layer(model)[0]}."
    if replaced:
        ours = {name: value for name, value in ours.items() if not name.startswith(replaced)}
    entries = [replace(one, name=OLD_DENSENET.sub(r"\1\2", one.name)) for one in read_entries(file.path)]
    prefix = _prefix(entries, ours)
    if prefix is None:
        raise InputError(
            f"The weights in {file.path} are not those of {backbone}: no name of the one is a name of the other. The "
            f"file has {len(entries)} tensors, such as {_shown([one.name for one in entries])}; {backbone} has "
            f"{_shown(list(ours))}. Give a file of this architecture, or change `backbone`."
        )
    begun = [one for one in entries if one.name.startswith(prefix)]
    # What lies beside the weights in dicts of their own, such as an optimizer's, belongs to no architecture.
    holding = {one.container for one in begun if one.name.removeprefix(prefix) in ours}
    named = [(one, one.name.removeprefix(prefix)) for one in begun]
    given = {
        name: one.value for one, name in named if one.container in holding or (replaced and name.startswith(replaced))
    }
    left = len(entries) - len(given)
    if replaced:
        given = {name: value for name, value in given.items() if not name.startswith(replaced)}
    if not is_own(backbone):
        given = {name: value for name, value in given.items() if not name.startswith(AUXILIARY)}
    if backbone.startswith("vit_") and "encoder.pos_embedding" in given:
        given = _at_size(given, backbone, file, side)
    _refuse_misfits(given, ours, backbone, file)
    return given, _taken(file, prefix, left)


def _prefix(entries: Sequence[Entry], ours: Mapping[str, Tensor]) -> str | None:
    """What stands before the names of `ours` in a file; of several, where most fit, in shape too. None: they don't."""
    fits: dict[str, list[int]] = {}
    for entry in entries:
        start = 0
        while True:
            name = entry.name[start:]
            if name in ours:
                found = fits.setdefault(entry.name[:start], [0, 0])
                found[0] += entry.value.shape == ours[name].shape
                found[1] += 1
            start = entry.name.find(".", start) + 1
            if not start:
                break
    # Of equals, such as a model and its running mean, the plain one, else the first of the file.
    return max(fits, key=lambda prefix: (*fits[prefix], not AVERAGED.search(prefix)), default=None)


def _at_size(given: Mapping[str, Tensor], backbone: str, file: WeightsFile, side: int) -> dict[str, Tensor]:
    try:
        return dict(interpolate_embeddings(side, int(backbone.rpartition("_")[2]), dict(given)))
    except (ValueError, RuntimeError):
        shape = tuple(given["encoder.pos_embedding"].shape)
        raise InputError(
            f"The weights in {file.path} are not those of {backbone}: their position embeddings, {shape}, are not "
            "those of a square of patches. Give a file of this architecture, or change `backbone`."
        ) from None


def _refuse_misfits(given: Mapping[str, Tensor], ours: Mapping[str, Tensor], backbone: str, file: WeightsFile) -> None:
    # Files from before torch 0.4.1 count no batches.
    missing = [name for name in ours if name not in given and not name.endswith("num_batches_tracked")]
    surplus = [name for name in given if name not in ours]
    shapes = [
        f"{name} ({tuple(given[name].shape)}, not {tuple(ours[name].shape)})"
        for name in ours
        if name in given and given[name].shape != ours[name].shape
    ]
    wrong = [
        f"{len(names)} {what}, such as {_shown(names)}"
        for what, names in (("missing", missing), ("unknown to it", surplus), ("of another shape", shapes))
        if names
    ]
    if wrong:
        raise InputError(
            f"The weights in {file.path} are not those of {backbone}: {'; '.join(wrong)}. "
            "Give a file of this architecture, or change `backbone`."
        )


def _taken(file: WeightsFile, prefix: str, left: int) -> list[str]:
    """What of a file is taken, where that is not all of it under its own names."""
    if not prefix and not left:
        return []
    what = f"what stands under {printable(prefix.rstrip('.')[:120])}" if prefix else "a part"
    rest = f"; {left} other tensors in it are left out" if left else ""
    return [f"Of {file.path.name} {what} is taken{rest}."]


def _shown(names: Sequence[str]) -> str:
    """The first of some names that a file may have made up, fit for a line of a message."""
    return ", ".join(printable(name[:120]) for name in names[:3])


def _enum(backbone: str) -> Any:
    return models.get_model_weights(backbone)


def _listed(backbone: str) -> dict[str, WeightsFile]:
    """torchvision's weights of this backbone by name, DEFAULT first."""
    enum = _enum(backbone)
    members = {"DEFAULT": enum.DEFAULT, **dict(enum.__members__)}
    folder = checkpoint_folder()
    return {
        name: WeightsFile(f"{member.name} ({(file := Path(urlparse(member.url).path).name)})", folder / file)
        for name, member in members.items()
    }


def _url(backbone: str, name: str) -> str:
    return str(_enum(backbone)[name].url)

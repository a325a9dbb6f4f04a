"""The one table of families, and the door for those of one's own."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search_spaces.overrides import SearchTrial, Suggest
from trainables.errors import InputError
from trainables.interface import Family, FamilyConfig, Task
from trainables.own_code import absolute_callable, described, installed, is_own, place_behind

GROUP = "anomaly_orchestrator.families"
"""The entry points by which an installed package offers families."""
ENSEMBLE_FAMILY = "ensemble"
"""What records of ensembles name as their family: it is none, for nothing of it is trained."""


@dataclass(frozen=True)
class Row:
    """A family's three modules, imported when first needed: torch costs seconds that a wrong key should not."""

    name: str
    """As an experiment file has it."""
    task: Task
    cheap: bool
    """True for a baseline that trains in seconds on a CPU."""
    summary: str
    """One line for lists and help texts."""

    @property
    def family(self) -> Family:
        """How it is configured and built: `FAMILY` of trainables/<name>.py."""
        family: Family = importlib.import_module(f"trainables.{self.name}").FAMILY
        return family

    @property
    def config(self) -> type[FamilyConfig]:
        """The family's keys: `CONFIG` of trainables/configurations/<name>.py if it is there, which imports no torch."""
        place = f"trainables.configurations.{self.name}"
        if find_spec(place) is None:
            return self.family.config
        config: type[FamilyConfig] = importlib.import_module(place).CONFIG
        return config

    @property
    def suggest(self) -> Suggest:
        """What may be searched: `suggest` of search_spaces/<name>.py."""
        suggest: Suggest = importlib.import_module(f"search_spaces.{self.name}").suggest
        return suggest


@dataclass(frozen=True)
class OwnFamily(Row):
    """A family of one's own, whose code is run when the row is made."""

    place: str
    """`module:NAME` or `path/to/file.py:NAME`."""

    @property
    def family(self) -> Family:
        """What stands there."""
        return Family.load(self.place)

    @property
    def config(self) -> type[FamilyConfig]:
        """Its keys."""
        return self.family.config

    @property
    def suggest(self) -> Suggest:
        """What the family itself says may be searched."""
        return self.family.suggest or _nothing


FAMILIES = {
    row.name: row
    for row in (
        Row(
            "pca_logistic",
            "classification",
            cheap=True,
            summary="the honest cheap baseline: logistic regression on principal components of thumbnails, seconds on "
            "a CPU",
        ),
        Row(
            "plot_classifier",
            "classification",
            cheap=False,
            summary="any torchvision classification backbone by name, with the three-layer head of the ResNet50 study "
            "it comes from",
        ),
        Row(
            "pca",
            "detection",
            cheap=True,
            summary="the honest cheap baseline: reconstruction error after a few principal components",
        ),
        Row(
            "vae",
            "detection",
            cheap=False,
            summary="variational autoencoders `linear`, `small_conv`, `big_conv`, `conv224`; reconstruction error, "
            "with or without KL",
        ),
        Row(
            "conv_autoencoder",
            "detection",
            cheap=False,
            summary="three convolutional autoencoders, `A`, `B`, `C` (A and C are, layer by layer, the same network)",
        ),
        Row(
            "vae_transfer",
            "classification",
            cheap=False,
            summary="a VAE trained without labels, then a head on its frozen (or fine-tuned) encoder; trials share the "
            "first stage",
        ),
        Row(
            "feature_autoencoder",
            "detection",
            cheap=False,
            summary="frozen deep features of RGB or RGB-D pictures, a 1×1 autoencoder, heat maps (DFR, arXiv "
            "2012.07122)",
        ),
        Row(
            "patch_knn",
            "detection",
            cheap=True,
            summary="distance to the nearest normal patch in a coreset of frozen features, heat maps (PatchCore, arXiv "
            "2106.08265)",
        ),
    )
}


def family_row(name: str) -> Row:
    """The row of a family of the table, of an installed package, or of one's own; InputError where there is none.

    The code of one's own is run, which takes torch's import.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    place = place_behind(family_name(name), GROUP)
    return OwnFamily(name, Family.load(place).task, False, "", place)


def family_name(name: str) -> str:
    """A family's name as an experiment keeps it; InputError where there is none. Runs no code of one's own."""
    if is_own(name):
        return absolute_callable(name, elsewhere=True)
    if name not in FAMILIES and name not in installed(GROUP):
        raise InputError(_unknown(name))
    return name


def variant_name(family: str) -> str:
    """What a variant is called that has no name of its own: after its family, of a file after the file."""
    if not is_own(family):
        return family
    place, _, attribute = family.rpartition(":")
    stem = Path(place).stem if place.endswith(".py") else place
    return re.sub(r"[^A-Za-z0-9._-]", "_", stem if attribute == "FAMILY" else f"{stem}.{attribute}").lstrip("._-")[:64]


def is_cheap(name: str) -> bool:
    """Whether a family is a baseline that trains in seconds; of one's own that is not known. Runs no code."""
    return name in FAMILIES and FAMILIES[name].cheap


def code_of(name: str) -> str:
    """What a family's code is known by beside the package's version; empty: by nothing more. Runs no code."""
    place = "" if name in FAMILIES else place_behind(name, GROUP)
    return described(place) if place else ""


def _nothing(trial: SearchTrial) -> Mapping[str, Any]:
    return {}


def _unknown(name: str) -> str:
    known = sorted([*FAMILIES, *installed(GROUP)])
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"Unknown family {name!r}.{hint} Known families: {', '.join(known)}. One of your own: path/to/file.py:FAMILY."
    )

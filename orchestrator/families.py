"""The one table of families."""

import importlib
from dataclasses import dataclass
from difflib import get_close_matches

from search_spaces.overrides import Suggest
from trainables.errors import InputError
from trainables.interface import Family, Task


@dataclass(frozen=True)
class Row:
    """A family's two modules, imported when first needed: torch costs seconds that a wrong key should not."""

    name: str
    task: Task
    cheap: bool
    """True for a baseline that trains in seconds on a CPU."""
    summary: str

    @property
    def family(self) -> Family:
        """How it is configured and built: `FAMILY` of trainables/<name>.py."""
        family: Family = importlib.import_module(f"trainables.{self.name}").FAMILY
        return family

    @property
    def suggest(self) -> Suggest:
        """What may be searched: `suggest` of search_spaces/<name>.py."""
        suggest: Suggest = importlib.import_module(f"search_spaces.{self.name}").suggest
        return suggest


FAMILIES = {
    row.name: row
    for row in (
        Row(
            "pca_logistic",
            "classification",
            cheap=True,
            summary="logistic regression on principal components of thumbnails",
        ),
        Row(
            "plot_classifier", "classification", cheap=False, summary="any torchvision backbone with a three-layer head"
        ),
        Row("pca", "detection", cheap=True, summary="reconstruction from principal components of normal pictures"),
        Row("vae", "detection", cheap=False, summary="a variational autoencoder, of four architectures"),
        Row(
            "conv_autoencoder", "detection", cheap=False, summary="a convolutional autoencoder, of three architectures"
        ),
        Row(
            "vae_transfer",
            "classification",
            cheap=False,
            summary="a head on the encoder of a VAE that was trained without labels",
        ),
        Row(
            "feature_autoencoder",
            "detection",
            cheap=False,
            summary="a 1x1 autoencoder of frozen deep features, with heat maps",
        ),
        Row(
            "patch_knn",
            "detection",
            cheap=True,
            summary="nearest normal patches of frozen deep features, with heat maps",
        ),
    )
}


def family_row(name: str) -> Row:
    """The table's row of a family; InputError with the known names where there is none."""
    if name not in FAMILIES:
        near = get_close_matches(name, FAMILIES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"Unknown family {name!r}.{hint} Known families: {', '.join(sorted(FAMILIES))}.")
    return FAMILIES[name]

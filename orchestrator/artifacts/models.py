"""Trained models as files: weights and all that is needed to use them, without training and without pickles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.artifacts.reference import Reference
from trainables.files import file_sha256, whole, write_whole
from trainables.speed import Speed

if TYPE_CHECKING:  # who only asks what a model is waits for no torch
    import torch

WEIGHTS, NOTE = "weights.pt", "model.json"
"""The files of a kept model: its weights, and what it was built from."""
ENSEMBLE = "ensemble.json"
"""The file of a kept ensemble, beside its scores."""


class KeptModel(BaseModel):
    """What stands beside the weights, in model.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    family: str
    variant: str
    seed: int
    config: dict[str, Any]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """(height, width, channels) of the pictures."""
    preprocessing: dict[str, Any]
    """How a file becomes what a network takes: layout, column, gaps, decimal, style, size, bits, upright; and, for who
    does it with other code, what draws or decodes it, the filter that resizes it, the order of its channels and how
    values become numbers. Older ones lack the latter."""
    threshold: float | None = None
    """Detection only: scores above it are anomalies."""
    pixel_threshold: float | None = None
    """Families with anomaly maps only: pixels above it are defects."""
    heat_scale: tuple[float, float] | None = None
    """Likewise: where the colours of heat maps begin and end."""
    strategy: str | None = None
    """Detection only: the threshold strategy that validation chose."""
    reference: Reference | None = None
    """What validation was like; None of older models."""
    code: str
    """The version that trained it."""
    precision: dict[str, Any] = Field(default_factory=dict)
    """How it computes, by the keys of `trainables.interface.Precision`; those that are missing are as ever."""
    epoch: int | None = None
    """The epoch, from 1, that validation chose."""
    weights: str = ""
    """SHA-256 of weights.pt."""
    speed: Speed | None = None
    """How fast it was where it was trained; None: not measured."""
    refit: dict[str, Any] | None = None
    """Of a model that was trained once more for use: of which evaluated one, on what, by which rules, and what is no
    longer known of it (see `orchestrator.running.refit`). None of an evaluated model."""


def keep_model(folder: Path, weights: dict[str, torch.Tensor], kept: KeptModel, epoch: int) -> str:
    """Write weights.pt, then model.json, each whole or not at all. Returns the weights' SHA-256."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / WEIGHTS, wait=True) as file:
        torch.save(weights, file)
    digest = file_sha256(folder / WEIGHTS)
    noted = kept.model_copy(update={"epoch": epoch, "weights": digest})
    write_whole(folder / NOTE, noted.model_dump_json(indent=2), wait=False)
    return digest


class KeptMember(BaseModel):
    """One model of a kept ensemble, and how its scores count (see `orchestrator.scoring.ensembles.combined`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    variant: str
    seed: int
    folder: str
    """Of the kept model, relative to the ensemble's folder."""
    weights: str
    """SHA-256 of its weights.pt."""
    weight: float
    """Those of all members sum to one."""
    center: float = 0.0
    scale: float = Field(1.0, gt=0)
    """Detection only: what of a score is meant is (score - center) / scale."""


class KeptEnsemble(BaseModel):
    """Kept models that answer together, in ensemble.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    variant: str
    """Its own name."""
    seed: int
    task: Literal["classification", "detection"]
    classes: tuple[str, ...]
    members: tuple[KeptMember, ...] = Field(min_length=1)
    threshold: float | None = None
    """Detection only: mean scores above it are anomalies."""
    code: str
    """The version that put it together."""


def keep_ensemble(folder: Path, kept: KeptEnsemble) -> str:
    """Write ensemble.json whole or not at all. Returns its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / ENSEMBLE, kept.model_dump_json(indent=2), wait=True)
    return file_sha256(folder / ENSEMBLE)


def note_speed(folder: Path, speed: Speed) -> None:
    """Add to a kept model's model.json how fast it was found to be."""
    kept = KeptModel.model_validate_json((folder / NOTE).read_bytes())
    write_whole(folder / NOTE, kept.model_copy(update={"speed": speed}).model_dump_json(indent=2), wait=False)

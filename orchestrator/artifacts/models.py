"""Trained models as files: weights and all that is needed to use them, without training and without pickles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.artifacts.reference import Reference
from trainables.files import file_sha256, whole, write_whole

if TYPE_CHECKING:  # who only asks what a model is waits for no torch
    import torch

WEIGHTS, NOTE = "weights.pt", "model.json"
"""The files of a kept model: its weights, and what it was built from."""


class KeptModel(BaseModel):
    """What stands beside the weights, in model.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
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

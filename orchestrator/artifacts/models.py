"""Trained models as files: weights and all that is needed to use them, without training and without pickles."""

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from trainables.files import file_sha256, whole, write_whole
from trainables.speed import Speed

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
    """layout, column, style, size, bits and upright: how a file becomes a picture; older ones lack the last two."""
    threshold: float | None = None
    """Detection only: scores above it are anomalies."""
    pixel_threshold: float | None = None
    """Families with anomaly maps only: pixels above it are defects."""
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


def keep_model(folder: Path, weights: dict[str, torch.Tensor], kept: KeptModel, epoch: int) -> str:
    """Write weights.pt, then model.json, each whole or not at all. Returns the weights' SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / WEIGHTS, wait=True) as file:
        torch.save(weights, file)
    digest = file_sha256(folder / WEIGHTS)
    noted = kept.model_copy(update={"epoch": epoch, "weights": digest})
    write_whole(folder / NOTE, noted.model_dump_json(indent=2), wait=False)
    return digest


def note_speed(folder: Path, speed: Speed) -> None:
    """Add to a kept model's model.json how fast it was found to be."""
    kept = KeptModel.model_validate_json((folder / NOTE).read_bytes())
    write_whole(folder / NOTE, kept.model_copy(update={"speed": speed}).model_dump_json(indent=2), wait=False)

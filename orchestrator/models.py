"""Trained models as files: weights and all that is needed to use them, without training and without pickles."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from orchestrator.checksums import file_sha256
from orchestrator.families import family_row
from trainables.errors import InputError
from trainables.interface import Model, Prediction, Problem, Samples


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
    """layout, column, style and size: how a file becomes a picture."""
    threshold: float | None = None
    """Detection only: scores above it are anomalies."""
    pixel_threshold: float | None = None
    """Families with anomaly maps only: pixels above it are defects."""
    code: str
    """The version that trained it."""
    epoch: int | None = None
    """The epoch, from 1, that validation chose."""
    weights: str = ""
    """SHA-256 of weights.pt."""


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready to score."""

    model: Model
    kept: KeptModel

    def predict(self, samples: Samples) -> Prediction:
        """The scores of pictures of `kept.shape`."""
        if tuple(samples.pictures.shape[1:]) != self.kept.shape:
            raise InputError(
                f"This model takes pictures of shape {self.kept.shape}; these are {tuple(samples.pictures.shape[1:])}. "
                f"Render them as the model's were: {self.kept.preprocessing}."
            )
        first = samples.pictures[np.arange(min(1, len(samples)))]
        if first.dtype != np.uint8:
            raise InputError(f"This model takes pictures of uint8, 0 to 255; these are {first.dtype}. Convert them.")
        return self.model.predict(samples)


def keep_model(folder: Path, weights: dict[str, torch.Tensor], kept: KeptModel, epoch: int) -> str:
    """Write weights.pt, then model.json, each whole or not at all. Returns the weights' SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "weights.tmp"
    with draft.open("wb") as file:
        torch.save(weights, file)
        file.flush()
        os.fsync(file.fileno())
    digest = file_sha256(draft)
    draft.replace(folder / "weights.pt")
    text = kept.model_copy(update={"epoch": epoch, "weights": digest}).model_dump_json(indent=2)
    note = folder / "model.tmp"
    note.write_text(json.dumps(json.loads(text), indent=2), encoding="utf-8")
    note.replace(folder / "model.json")
    return digest


def load_model(folder: str | Path, device: str = "cpu") -> LoadedModel:
    """A model kept by a run, from RUN/models/<variant>/<seed>; its weights are checked against their SHA-256."""
    folder = Path(folder)
    try:
        kept = KeptModel.model_validate_json((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no kept model: {error}. Give RUN/models/<variant>/<seed>.") from None
    path = folder / "weights.pt"
    if not path.exists() or file_sha256(path) != kept.weights:
        raise InputError(f"{path} is missing or not what was kept. Evaluate the run again to make it anew.")
    family = family_row(kept.family).family
    problem = Problem(classes=kept.classes, shape=kept.shape, epochs=1, device=device)
    model = family.build(family.blank(family.config(**kept.config)), problem, kept.seed)
    model.load_weights(torch.load(path, map_location=device, weights_only=True))
    return LoadedModel(model, kept)

"""What a completed cell left in its folder, once it is found to be what its record was made with."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from orchestrator.artifacts.models import NOTE, WEIGHTS, KeptModel
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from trainables.files import bytes_sha256, file_sha256


class Unusable(Exception):
    """What another cell left behind is not whole."""


def kept_whole(run: RunFolder, source: TrialRecord) -> KeptModel:
    """What stands beside the weights of a completed cell, whose weights and scores are those of its record.

    Raises Unusable where they are not.
    """
    folder = run.model(source.variant, source.seed)
    scores = run.predictions(source.variant, source.seed).name
    with _unusable():
        kept = KeptModel.model_validate_json((folder / NOTE).read_bytes())
        if scores not in source.files:
            raise Unusable("its record holds no checksum of the scores")
        for name, digest in {**source.files, WEIGHTS: kept.weights}.items():
            if file_sha256(folder / name) != digest:
                raise _other(name)
    return kept


def kept_weights(run: RunFolder, source: TrialRecord) -> dict[str, Tensor]:
    """The weights of a completed cell, on the CPU. Raises Unusable where they, or its scores, are not its record's."""
    kept = kept_whole(run, source)
    with _unusable():
        content = (run.model(source.variant, source.seed) / WEIGHTS).read_bytes()
    if bytes_sha256(content) != kept.weights:  # its cell was evaluated anew meanwhile
        raise _other(WEIGHTS)
    weights: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return weights


def _other(name: str) -> Unusable:
    return Unusable(f"{name} is not the file that its record was made with")


@contextmanager
def _unusable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unusable(f"{Path(str(error.filename)).name}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"model.json: {str(error).splitlines()[0]}") from None

"""What a completed cell left in its folder, once it is found to be what its record was made with."""

from pathlib import Path

from orchestrator.artifacts.models import NOTE, WEIGHTS, KeptModel
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from trainables.files import file_sha256


class Unusable(Exception):
    """What another cell left behind is not whole."""


def kept_whole(run: RunFolder, source: TrialRecord) -> KeptModel:
    """What stands beside the weights of a completed cell, whose weights and scores are those of its record.

    Raises Unusable where they are not.
    """
    scores = run.predictions(source.variant, source.seed).name
    if scores not in source.files:
        raise Unusable("its record holds no checksum of the scores")
    return _checked(run.model(source.variant, source.seed), source.files)


def kept_weights(run: RunFolder, source: TrialRecord) -> KeptModel:
    """The same of the weights alone."""
    return _checked(run.model(source.variant, source.seed), {})


def _checked(folder: Path, files: dict[str, str]) -> KeptModel:
    try:
        kept = KeptModel.model_validate_json((folder / NOTE).read_bytes())
        for name, digest in {**files, WEIGHTS: kept.weights}.items():
            if file_sha256(folder / name) != digest:
                raise Unusable(f"{name} is not the file that its record was made with")
    except OSError as error:
        raise Unusable(f"{Path(str(error.filename)).name}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"model.json: {str(error).splitlines()[0]}") from None
    return kept

"""The validation scores of each trial, kept so that any threshold strategy can be tried on them without training."""

import base64
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.files import append_line

Scores = NDArray[np.float64]


def append_scores(path: Path, trial: int, scores: Scores) -> None:
    """Append one trial's scores, (N,) or (N, C), in the order of the validation part of split.json."""
    text = base64.b64encode(np.ascontiguousarray(scores, dtype="<f8").tobytes()).decode("ascii")
    append_line(path, json.dumps({"trial": trial, "shape": list(scores.shape), "scores": text}))


def read_scores(path: Path) -> dict[int, Scores]:
    """Scores by trial; of a trial that was run again, the last. A last line without its end is left out."""
    kept: dict[int, Scores] = {}
    if not path.exists():
        return kept
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                read = json.loads(line)
                values = np.frombuffer(base64.b64decode(read["scores"]), dtype="<f8")
                kept[int(read["trial"])] = values.reshape(read["shape"])
    return kept

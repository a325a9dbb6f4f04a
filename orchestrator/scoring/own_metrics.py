"""What a run's folder says of metrics of one's own: their descriptions, so that a report needs none of their code."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.scoring.metric_table import Metric
from trainables.errors import InputError
from trainables.files import write_whole

FORMAT = 1
KEPT = ("asked", "name", "label", "task", "mode", "meaning", "needs", "quoted")


def save_own(path: Path, metrics: Iterable[Metric]) -> None:
    """Write the descriptions, whole or not at all."""
    rows = [
        {key: getattr(one, key) for key in KEPT}
        | {"bounds": [bound if math.isfinite(bound) else None for bound in one.bounds]}
        for one in metrics
    ]
    write_whole(path, json.dumps({"format": FORMAT, "metrics": rows}, indent=1), wait=False)


def read_own(path: Path) -> tuple[Metric, ...]:
    """The metrics as far as they are described, without a way to compute them; none where there is no file.

    InputError where the file is something else.
    """
    try:
        read = json.loads(path.read_bytes())
        return tuple(_metric(row) for row in read["metrics"]) if read["format"] == FORMAT else ()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} describes no metrics ({type(error).__name__}: {error}). Resume the run, which writes it anew, or "
            "put it back from a copy."
        ) from None


def _metric(row: dict[str, Any]) -> Metric:
    low, high = row["bounds"]
    bounds = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    return Metric(value=None, bounds=bounds, **{key: row[key] for key in KEPT})

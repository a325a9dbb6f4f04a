"""The wall time of a run's stages that leave no records: a line of JSON each time that one has ended."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainables.files import append_line


@contextmanager
def spending(path: Path, stage: str) -> Iterator[None]:
    """Note what the stage takes; nothing where it raises."""
    began = time.monotonic()
    yield
    note_spent(path, stage, time.monotonic() - began)


def note_spent(path: Path, stage: str, seconds: float) -> None:
    """Append one line, where the file can be written: a run does not end for it."""
    with suppress(OSError):
        append_line(path, json.dumps({"stage": stage, "seconds": round(seconds, 3)}))


def read_spent(path: Path) -> dict[str, float]:
    """The seconds of each stage, of all the times that it ran; what can't be read counts for nothing."""
    found: dict[str, float] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            one = json.loads(line)
            found[str(one["stage"])] = found.get(str(one["stage"]), 0.0) + max(0.0, float(one["seconds"]))
    return found

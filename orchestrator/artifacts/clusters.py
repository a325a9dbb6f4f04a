"""The clusters that a run joined: a line of JSON each time, with its machines and how files reached them."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trainables.files import append_line


class Machine(BaseModel):
    """One of them, as it was when the run began to work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    address: str
    cpus: float
    gpus: float
    memory: int | None
    """Bytes free then; None: not known."""
    cards: tuple[str, ...] = ()
    """Its GPUs by name."""
    unseen: tuple[str, ...] = ()
    """What it does not see as the driver does, a clause each."""


class Joined(BaseModel):
    """One time that the run worked on a cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    began: str
    """UTC, ISO 8601."""
    storage: Literal["shared", "shipped"]
    why: str
    """How that was chosen."""
    machines: tuple[Machine, ...]

    def note(self, path: Path) -> None:
        """Append it, where the file can be written: a run does not end for it."""
        with suppress(OSError):
            append_line(path, json.dumps(self.model_dump(mode="json")))


def read_joined(path: Path) -> list[Joined]:
    """All of them, the first first; what can't be read is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found: list[Joined] = []
    for line in lines:
        with suppress(ValidationError):
            found.append(Joined.model_validate_json(line))
    return found


def clusters_told(path: Path) -> list[str]:
    """What the report says of the clusters that a run worked on, a sentence each; nothing of a run on one machine."""
    told: dict[str, Any] = {}
    for one in read_joined(path):
        names = ", ".join(machine.name for machine in one.machines[:8])
        more = f" and {len(one.machines) - 8} more" if len(one.machines) > 8 else ""
        many = f"{len(one.machines)} machine{'s' * (len(one.machines) != 1)}"
        told[f"Worked on a cluster of {many} ({names}{more}), with storage {one.storage}: {one.why}."] = None
    return list(told)

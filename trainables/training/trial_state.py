"""What a training goes on from when its process dies: one file a training, whole or not at all."""

import io
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trainables.files import bytes_sha256, json_sha256
from trainables.small_files import NamedFile, SmallFiles

FORMAT = 1
SHARE = 20
"""Saving may take one part in so many of the time that is spent training."""
SET_ASIDE = ".foreign"
"""How the name of a state ends that was whole, and none of its training."""
SHORTEST = 2.0
"""Seconds of training that are not worth a file: they are done again."""


def told_of_foreign(folder: Path) -> list[str]:
    """A sentence on the states in a folder that were set aside since the last call; none where there are none."""
    found = sorted(folder.glob(f"*{SET_ASIDE}"))
    for path in found:
        with suppress(OSError):
            path.replace(path.with_suffix(f"{SET_ASIDE}.told"))
    if not found:
        return []
    return [
        f"{len(found)} saved states in {folder} were none of this version's trainings, so these began anew. What "
        f"was in their place is called *{SET_ASIDE}.told there, until the run has ended."
    ]


def state_key(identity: Mapping[str, Any]) -> str:
    """The name of a training: a hash of all that decides what comes out of it, as plain JSON values."""
    return json_sha256(dict(identity))[:32]


@dataclass
class TrialState:
    """One training's file. Reading it runs no code; what is broken counts as absent, what is foreign is set aside."""

    files: SmallFiles
    key: str
    _saved: float = field(default_factory=time.monotonic)
    _cost: float = 0.0

    @property
    def file(self) -> NamedFile:
        """Where it lies."""
        return self.beside(".state")

    def beside(self, suffix: str) -> NamedFile:
        """A file of this training's, by how its name ends."""
        return NamedFile(self.files, f"{self.key}{suffix}")

    def load(self) -> dict[str, Any] | None:
        """What `save` was given last, its tensors on the CPU; None where there is nothing whole."""
        try:
            content = self.file.read()
        except OSError:
            return None
        digest, payload = content[:64], content[64:]
        if bytes_sha256(payload).encode() != digest:
            return None
        try:
            read = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            if read["format"] == FORMAT and read["key"] == self.key and isinstance(read["content"], dict):
                return dict(read["content"])
        except Exception:  # whole bytes that are no such file fail in as many ways as there are bytes
            pass
        self.set_aside()
        return None

    def set_aside(self) -> None:
        """Let the training begin anew, and keep what stood in its file's place to be looked at and told of."""
        with suppress(OSError):
            self.file.rename(f"{self.key}{SET_ASIDE}")

    def due(self) -> bool:
        """Whether so much was trained since the last file that another one is worth its time."""
        return time.monotonic() - self._saved >= max(SHORTEST, SHARE * self._cost)

    def save(self, content: Mapping[str, Any], *, wait: bool = True) -> None:
        """Write tensors, numbers, texts, and lists and dicts of them, and `wait` until they are on the disk.

        Raises OSError where there is no room.
        """
        started = time.monotonic()
        payload = io.BytesIO()
        torch.save({"format": FORMAT, "key": self.key, "content": dict(content)}, payload)
        digest = bytes_sha256(payload.getbuffer()).encode()
        self.file.write(digest, payload.getbuffer(), wait=wait)
        self._saved = time.monotonic()
        self._cost = self._saved - started

    def remove(self) -> None:
        """Forget it: the training has ended."""
        with suppress(OSError):
            self.file.remove()

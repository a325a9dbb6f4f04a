"""The index of a store: whose picture lies where, what was left out and why, and how the files looked then."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.data.files.mask_reading import MaskState
from orchestrator.data.files.picture_facts import UNKNOWN
from orchestrator.data.files.series import Reading
from orchestrator.data.layouts.listing import Part
from orchestrator.data.store.shards import Shape, Shard
from trainables.files import write_whole

FORMAT = 1


class Row(NamedTuple):
    """One picture."""

    path: str
    label: int
    part: Part | None
    content: str
    """The hash of the file's bytes, and of its depth's where it has one."""
    height: int
    """The picture's true height and width; what lies beyond is white."""
    width: int
    size: int
    """How the file looked when its content was hashed: while that stays, it isn't hashed again."""
    mtime_ns: int
    inode: int
    shard: int
    """The index into the shards; `place` is the row in it."""
    place: int
    mask: str = ""
    """The hash of the mask's bytes, "" where there is none."""
    state: MaskState = ""
    """Whether that mask can be used, as far as it tells itself (`settled_states`)."""
    values: str = ""
    """The mask's values, for a person."""
    turn: int = 1
    """EXIF's orientation of the picture."""
    top: int = 0
    """The largest value of a picture of more than 8 bits a channel; 0 for others, UNKNOWN where it was not looked."""
    reading: int = -1
    """Of a series: the index into the readings; -1 of a picture."""
    sight: str = ""
    """The name of what is seen in it: the same for equal pixels or numbers. Empty where it is not known."""


@dataclass(frozen=True)
class Rows:
    """The pictures in the order of the relative paths, a list for each field of Row.

    In columns, as 100,000 rows are then read in a fraction of the time.
    """

    path: list[str]
    label: list[int]
    part: list[Part | None]
    content: list[str]
    height: list[int]
    width: list[int]
    size: list[int]
    mtime_ns: list[int]
    inode: list[int]
    shard: list[int]
    place: list[int]
    mask: list[str]
    state: list[MaskState]
    values: list[str]
    turn: list[int]
    top: list[int]
    reading: list[int]
    sight: list[str]

    def __len__(self) -> int:
        return len(self.path)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Rows":
        """The columns of rows."""
        listed = list(rows)
        columns: dict[str, list[Any]] = {name: [row[at] for row in listed] for at, name in enumerate(Row._fields)}
        return cls(**columns)

    @classmethod
    def read(cls, columns: dict[str, list[Any]]) -> "Rows":
        """The columns as an index file has them; one that an older release wrote lacks those that came later."""
        rows = len(columns["path"])
        later: dict[str, list[Any]] = {name: [""] * rows for name in ("mask", "state", "values", "sight")}
        later |= {"turn": [1] * rows, "top": [UNKNOWN] * rows, "reading": [-1] * rows}
        return cls(**{**later, **columns})

    def all(self) -> list[Row]:
        """The rows one by one."""
        return list(map(Row._make, zip(*vars(self).values(), strict=True)))


class FailedRow(NamedTuple):
    """One file that gave no picture."""

    path: str
    reason: str
    content: str | None
    """Where set, the content itself is at fault, and it is not tried again."""
    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True)
class Index:
    """All that a store knows of its pictures."""

    identity: str
    """The recipe's identity."""
    shape: Shape
    root: str
    """The folder the files were read from; what was hashed elsewhere says nothing about these."""
    seen: str | None
    """The digest of the listing and of how its files looked; None where some file has to be looked at again."""
    fingerprint: str
    classes: tuple[str, ...]
    rows: Rows
    failed: tuple[FailedRow, ...]
    shards: tuple[Shard, ...]
    readings: tuple[Reading, ...] = ()
    """The ways in which series were read: mostly few, as files of one kind are read alike."""

    def readings_by_path(self) -> dict[str, Reading]:
        """How each series was read."""
        pairs = zip(self.rows.path, self.rows.reading, strict=True)
        return {path: self.readings[number] for path, number in pairs if number >= 0}


def fingerprint(files: Iterable[tuple[str, str]]) -> str:
    """The hash of (relative path, content hash) pairs, given in the order of the paths."""
    hashed = sha256()
    for path, content in files:
        # A NUL can't stand in a path, so no two lists of files give the same bytes.
        hashed.update(os.fsencode(path) + b"\0" + content.encode("ascii") + b"\n")
    return hashed.hexdigest()[:32]


def read_index(folder: Path) -> Index | None:
    """The index of a store; None where there is none, or none that can be read."""
    read = read_json(folder / "index.json")
    if read is None or read.pop("format", None) != FORMAT:
        return None
    try:
        height, width, channels = read.pop("shape")
        return Index(
            shape=(height, width, channels),
            classes=tuple(read.pop("classes")),
            rows=Rows.read(read.pop("rows")),
            failed=tuple(FailedRow(*row) for row in read.pop("failed")),
            shards=tuple(Shard(*shard) for shard in read.pop("shards")),
            readings=tuple(Reading.of(one) for one in read.pop("readings", ())),
            **read,
        )
    except (KeyError, TypeError, ValueError):
        return None


def write_index(folder: Path, index: Index) -> None:
    """Write the index, whole or not at all: with it, a store is finished."""
    write_json(folder / "index.json", {"format": FORMAT, **vars(index), "rows": vars(index.rows)})


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is none that can be read."""
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object as JSON, whole or not at all."""
    # ASCII with escapes: bytes of a name that are no UTF-8 survive as lone surrogates.
    write_whole(path, json.dumps(values, ensure_ascii=True), wait=True, shared=True)

"""The log of the test part's readings: a line each, chained by hashes, so that a line that was taken out is seen."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainables.files import append_after

EXPORT = "export"
"""What the command of a reading begins with that judged nothing: it held a file's scores against those kept."""
CHAINED = "previous"
"""The key of a line that holds the hash of what stands before it, back to the last such line or to the beginning."""


class Log(Protocol):
    """Where readings are written down."""

    def add(self, variant: str, seed: int, weights: str, moment: str) -> str:
        """As that of a `ReadingLog`."""
        ...


@dataclass(frozen=True)
class ReadingLog:
    """Where one run writes its readings down, in the name of one command."""

    path: Path
    split: str
    """The fingerprint of the run's split, from which the first line follows."""
    command: str
    """What this process was called to do, with a mark of its own: the same for all that it has read."""

    def add(self, variant: str, seed: int, weights: str, moment: str) -> str:
        """Write down, for good, that frozen weights are about to be judged on the test part.

        `weights`: their SHA-256; `moment`: now, as records have it. Returns the hash of the line, by which its record
        names it. Raises OSError where that can't be done: the test part may not be read then.
        """

        def following(before: bytes) -> str:
            told = {"number": before.count(b"\n") + 1, "variant": variant, "seed": seed, "weights": weights}
            return json.dumps({**told, "read": moment, "command": self.command, CHAINED: self._hash_of_end(before)})

        line = append_after(self.path, following)
        return _begun(self.split, line.encode("ascii") + b"\n").hexdigest()

    def add_once(self, variant: str, seed: int, weights: str, moment: str) -> str:
        """The same of a call that may come twice: where the log has its line, that is the one."""
        told = {"variant": variant, "seed": seed, "weights": weights, "read": moment, "command": self.command}
        try:
            lines = _lines(self.path.read_bytes())
        except FileNotFoundError:
            lines = []
        for line in reversed(lines):
            if told.items() <= _values(line).items():
                return _begun(self.split, line).hexdigest()
        return self.add(variant, seed, weights, moment)

    def _hash_of_end(self, content: bytes) -> str:
        lines = _lines(content)
        last = next((place for place in reversed(range(len(lines))) if CHAINED in _values(lines[place])), 0)
        return _begun(self.split, b"".join(lines[last:])).hexdigest()


@dataclass(frozen=True)
class Reading:
    """One opening of the test part."""

    variant: str
    seed: int
    weights: str
    """The SHA-256 of the frozen weights that were about to score it."""
    command: str
    """Empty: of a version that named none."""
    hash: str
    """By which its record names it."""

    @property
    def judged(self) -> bool:
        """Whether it was an evaluation, not an export that held its scores against those kept."""
        return not self.command.startswith(f"{EXPORT} ")


@dataclass
class Readings:
    """What a log holds, and which of its lines, counted from 1, are not as they should be."""

    missing: str = ""
    """Why there is no log to read; empty where there is one."""
    found: list[Reading] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    unfinished: list[int] = field(default_factory=list)
    """Of them those that a process left so which died before it read: what was written later follows from them."""
    broken: list[int] = field(default_factory=list)
    """They do not follow from what stands before: a line was removed, changed, moved or put in there."""
    beside: list[int] = field(default_factory=list)
    """They follow from an earlier line: two were written at once, where the file system has no locks."""
    unchained: list[int] = field(default_factory=list)
    """Of a version that chained none."""

    @property
    def commands(self) -> frozenset[str]:
        """The marks of the commands that have read, as far as they are named."""
        return frozenset(one.command for one in self.found) - {""}


def read_readings(path: Path, split: str) -> Readings:
    """The readings of a log, each followed back to the one before it. `split`: the fingerprint of the run's split.

    Of lines that were cut off at the end the log knows nothing: the records that name their readings do.
    """
    try:
        lines = _lines(path.read_bytes())
    except FileNotFoundError:
        return Readings(f"{path.name} is missing")
    except OSError as error:
        return Readings(f"{path.name} can't be read ({error.strerror})")
    found, end = Readings(), _begun(split, b"")
    heads, doubtful = {end.hexdigest()}, list[int]()
    for number, line in enumerate(lines, start=1):
        values, own = _values(line), _begun(split, line)
        if CHAINED in values:
            follows = str(values[CHAINED])
            if follows == end.hexdigest():
                found.unfinished += doubtful
            else:
                (found.beside if follows in heads else found.broken).append(number)
            doubtful, end = [], own
        else:
            end.update(line)
        heads.add(end.hexdigest())
        try:
            told = (str(values["variant"]), int(values["seed"]), str(values["weights"]), str(values.get("command", "")))
        except (KeyError, ValueError, TypeError, OverflowError):
            found.unreadable.append(number)
            doubtful.append(number)
            continue
        found.found.append(Reading(*told, own.hexdigest()))
        if CHAINED not in values:
            found.unchained.append(number)
    if lines and not lines[-1].endswith(b"\n"):
        found.unfinished += [number for number in doubtful if number == len(lines)]
    return found


def _lines(content: bytes) -> list[bytes]:
    """With their ends; the last may have none."""
    *whole, rest = content.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _values(line: bytes) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _begun(split: str, content: bytes) -> "hashlib._Hash":
    """The hash, still open, of the content of a log on a split: no line of another split's log follows from it."""
    return hashlib.sha256(f"readings of {split}\n".encode("utf-8", "surrogateescape") + content)

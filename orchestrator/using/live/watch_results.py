"""The results of watching a folder: JSON lines, which are also the journal of what has a result."""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.using.live.arrivals import Stamp
from orchestrator.using.result_file import ABOUT
from trainables.errors import InputError
from trainables.files import as_utf8, write_whole

Line = dict[str, Any]
IDENTITY = ("watched", "weights", "threshold")
"""What of the note beside the results must be the same for going on."""


class WatchResults:
    """One line a file, on the disk before anything goes on. One process at a time.

    A line is known by path, size and time of the file: one that was changed has a line more.
    """

    def __init__(self, path: Path, root: Path, about: Mapping[str, Any]) -> None:
        """`about`: what stands in the note beside the results. InputError where they are another model's, threshold's
        or folder's, or another process writes them."""
        self.path, self._about = path, {"format": 1, "watched": as_utf8(str(root)), **about}
        self._root = as_utf8(os.path.join(root, ""))  # noqa: PTH118 - a Path drops the slash
        self._stamps: dict[str, Stamp] = {}
        self.counts: Counter[str] = Counter()
        """Lines by verdict; those without a result under `failed`."""
        self.alarms: dict[tuple[str, Stamp], Line] = {}
        """The lines that a command was to be run for, by path and stamp: of earlier starts."""
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise InputError(f"{path} can't be written: {error.strerror}. Give another --out.") from None
        try:
            self._lock()
            self._refuse_others()
            self._read()
            self.note({})
        except BaseException:
            self._file.close()
            raise

    def known(self, path: str, stamp: Stamp) -> bool:
        """Whether a file, by its path below the folder, has its line."""
        return self._stamps.get(as_utf8(path)) == stamp

    def add(self, lines: Sequence[Line]) -> None:
        """Append lines and wait until they are on the disk. InputError where they can't be: the file is as before."""
        self._check_place()
        before = self._file.seek(0, os.SEEK_END)
        data = memoryview("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines).encode("ascii"))
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(before)
            raise InputError(
                f"{self.path}: {error.strerror}. Every line in it is whole, and nothing is lost. Make room or bring "
                "the storage back, then go on with the same command."
            ) from error
        for line in lines:
            self._take_in(line)

    def note(self, more: Mapping[str, Any]) -> None:
        """Write the note beside the results."""
        text = json.dumps({**self._about, **more}, indent=1, allow_nan=False) + "\n"
        try:
            write_whole(self._note, text, wait=False)
        except OSError as error:
            raise InputError(f"{self._note} can't be written: {error.strerror}. Make room, then go on.") from None

    def close(self) -> None:
        """Let others have the file."""
        self._file.close()

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ABOUT)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"Another process writes {self.path}. Wait for it, stop it, or give another --out."
            ) from None
        except OSError:  # a file system without locks
            return

    def _refuse_others(self) -> None:
        if not self._file.seek(0, os.SEEK_END):
            return
        try:
            told = json.loads(self._note.read_text(encoding="utf-8"))
            before = [told[key] for key in IDENTITY]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(
                f"{self.path} is there, and {self._note.name} beside it does not say that it comes of watching a "
                "folder. Give another --out."
            ) from None
        now = json.loads(json.dumps([self._about[key] for key in IDENTITY]))
        if before != now:
            changed = ", ".join(key for key, one, other in zip(IDENTITY, before, now, strict=True) if one != other)
            names = changed.replace("watched", "folder").replace("weights", "model")
            raise InputError(
                f"{self.path} holds the results of another {names}. Give another --out, or the model, threshold and "
                f"folder as they stand in {self._note.name}."
            )

    def _read(self) -> None:
        """Take in what earlier starts left, and cut off an unfinished last line."""
        self._file.seek(0)
        end = 0
        with os.fdopen(os.dup(self._file.fileno()), "rb") as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):
                    break
                try:
                    self._take_in(json.loads(text), earlier=True)
                except (ValueError, KeyError, TypeError):
                    raise InputError(
                        f"{self.path} can't be gone on with: its line {number} is none of a file that was scored. Mend "
                        "it, or give another --out."
                    ) from None
                end += len(text)
        self._file.truncate(end)

    def _take_in(self, line: Line, earlier: bool = False) -> None:
        stamp = Stamp(line["size"], line["mtime_ns"])
        path = line["path"].removeprefix(self._root)
        self._stamps[path] = stamp
        self.counts[line["verdict"] if line["status"] == "ok" else "failed"] += 1
        if earlier and line.get("alarm"):
            self.alarms[line["path"], stamp] = line

    def _check_place(self) -> None:
        """InputError where the file is no longer where its lines are looked for."""
        try:
            there, ours = self.path.stat(), os.fstat(self._file.fileno())
            same = (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
        except OSError:
            same = False
        if not same:
            raise InputError(
                f"{self.path} was moved or removed while files were scored. Put it back, or start anew: all files of "
                "the folder are then scored again."
            )

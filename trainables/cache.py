"""What trainings compute once and find again: arrays on disk by a key of all that decides them, up to a size limit."""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainables.errors import InputError
from trainables.files import DRAFT, file_sha256, is_draft, json_sha256, text_sha256, whole_folder, write_whole

Arrays = dict[str, NDArray[Any]]
"""Arrays by name. Those that are read are mapped from disk and can't be written to."""

FOLDER_VARIABLE = "ORCHESTRATOR_CACHE"
LIMIT_VARIABLE = "ORCHESTRATOR_CACHE_GB"
GIGABYTES = 20.0
GIGABYTE = 10**9
RESERVE = 2 * GIGABYTE
"""Bytes of a disk that the cache leaves free: a run has to write its records."""
WAIT = 1.0
"""Seconds between two tries for a lock."""
WHOLE = "whole"
"""The one part of an entry that is made in one go."""
ABOUT: Final = "entry.json"
INDEX: Final = "index.json"


class NoFolderError(OSError):
    """The cache's folder can't be made or written."""


@dataclass(frozen=True)
class Listed:
    """One entry, as a list shows it."""

    kind: str
    key: str
    """SHA-256 of all that decides what the entry holds."""
    bytes: int
    used: float
    """When it was last used, in seconds since the epoch."""
    about: Mapping[str, Any]
    """What the key is made of; empty where that can't be read."""


@dataclass(frozen=True)
class Cache:
    """A folder of entries, `<kind>/<key>/`, of which those unused for longest go where there is no more room.

    Several processes may use it at a time. An entry that is cut short, changed or another's is found by its checksums
    and made anew. What can't be written raises OSError where that is said; nothing is ever only half there.
    """

    folder: Path
    most_bytes: int = int(GIGABYTES * GIGABYTE)

    def entry(self, kind: str, key: Mapping[str, Any]) -> "Entry":
        """The entry of this key, which holds what JSON can hold; there or not."""
        return Entry(self, kind, json_sha256(dict(key)), key)

    def kept(
        self, kind: str, key: Mapping[str, Any], make: Callable[[], Arrays], pulse: Callable[[], object] = bool
    ) -> Arrays:
        """The arrays of this key, from disk; where nothing usable lies there, `make` makes them, to be left there.

        Whoever wants a key that another process of this host is making waits for it; `pulse` is called each second
        then, and what it raises ends the wait. Where there is no room for them, or no such folder, what was made is
        returned all the same.
        """
        entry = self.entry(kind, key)
        if (found := entry.read(WHOLE)) is not None:
            return found
        try:
            with entry.locked(WHOLE, pulse):
                if (found := entry.read(WHOLE)) is not None:
                    return found
                made = make()
                with suppress(OSError):
                    entry.write(WHOLE, made)
                return made
        except NoFolderError:
            return make()

    def listed(self) -> list[Listed]:
        """All entries, by their last use, the longest unused first."""
        found = []
        for folder in self._folders():
            with suppress(OSError):  # another process has just removed it
                about = _json(folder / ABOUT) or {}
                used = max((folder / ABOUT).stat().st_mtime if about else 0.0, folder.stat().st_mtime)
                found.append(Listed(folder.parent.name, folder.name, _size(folder), used, about.get("key", {})))
        return sorted(found, key=lambda one: one.used)

    def remove(self, entries: Iterable[Listed]) -> int:
        """Remove entries, and give the bytes that they held. Who has one open goes on reading what it has opened."""
        freed = 0
        for left in self.folder.glob(f"*/.*{DRAFT}"):
            shutil.rmtree(left, ignore_errors=True)  # by a process that was killed while it removed it
        for one in entries:
            folder = self.folder / one.kind / one.key
            gone = folder.with_name(f".{one.key}.{os.getpid()}{DRAFT}")
            with suppress(OSError):
                folder.rename(gone)  # at once: nobody may find half of it
                freed += one.bytes
            shutil.rmtree(gone, ignore_errors=True)
        return freed

    def make_room(self, wanted: int, besides: Path) -> None:
        """Remove what was unused for longest until `wanted` more bytes fit. The entry in `besides` stays.

        Raises OSError (ENOSPC) where they would not fit even so.
        """
        listed = self.listed()
        room = self.most_bytes - sum(one.bytes for one in listed) - wanted
        free = shutil.disk_usage(self.folder).free - RESERVE - wanted
        for one in listed:
            if room >= 0 and free >= 0:
                return
            if self.folder / one.kind / one.key != besides:
                freed = self.remove([one])
                room, free = room + freed, free + freed
        if room < 0 or free < 0:
            reason = "the cache's limit is reached" if room < 0 else f"{RESERVE / GIGABYTE:g} GB of the disk stay free"
            raise OSError(errno.ENOSPC, f"no room for {wanted / 1e6:.1f} MB more: {reason}", str(self.folder))

    def _folders(self) -> Iterator[Path]:
        with suppress(OSError):
            for kind in sorted(self.folder.iterdir()):
                if kind.is_dir() and not kind.name.startswith("."):
                    yield from (each for each in kind.iterdir() if each.is_dir() and not is_draft(each))


@dataclass(frozen=True)
class Entry:
    """What is kept under one key: parts, each a set of arrays, written whole or not at all."""

    cache: Cache
    kind: str
    key: str
    about: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.cache.folder / self.kind / self.key

    def open(self) -> None:
        """Make its folder, and note that it is used now. Raises OSError where that can't be done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if _json(self.folder / ABOUT) is None:
                text = json.dumps({"kind": self.kind, "key": dict(self.about)}, indent=1)
                write_whole(self.folder / ABOUT, text, wait=False, shared=True)
            os.utime(self.folder / ABOUT)
        except OSError as error:
            raise NoFolderError(error.errno, error.strerror, str(self.folder)) from error

    def parts(self) -> list[str]:
        """The names of its parts, sound or not."""
        with suppress(OSError):
            there = (each for each in self.folder.iterdir() if not is_draft(each))
            return sorted(each.name for each in there if (each / INDEX).is_file())
        return []

    def read(self, part: str) -> Arrays | None:
        """The arrays of a part; None where there is none, or where it was not sound: that one is removed."""
        folder = self.folder / part
        index = _json(folder / INDEX)
        if index is None or index.get("entry") != self.key or not isinstance(index.get("arrays"), dict):
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)
            return None
        try:
            found = {name: _sound(folder / f"{name}.npy", digest) for name, digest in index["arrays"].items()}
        except (OSError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        with suppress(OSError):
            os.utime(self.folder / ABOUT)
        return found

    def write(self, part: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays as a part. Raises OSError where there is no room for them; what was there stays."""
        self.open()
        self.cache.make_room(sum(array.nbytes for array in arrays.values()), self.folder)
        with whole_folder(self.folder / part, shared=True) as draft:
            digests = {}
            for name, array in arrays.items():
                np.save(draft / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
                digests[name] = file_sha256(draft / f"{name}.npy")
            write_whole(draft / INDEX, json.dumps({"entry": self.key, "arrays": digests}), wait=False)

    @contextmanager
    def locked(self, part: str, pulse: Callable[[], object] = bool, *, wait: bool = True) -> Iterator[bool]:
        """Alone, on this host, with a part; the end of a process, however it ends, frees its lock.

        `wait`: until it is free, calling `pulse` each second; without, False is given where another has it. Raises
        OSError where the folder can't be written.
        """
        self.open()
        try:
            lock = (self.folder / f"{text_sha256(part)[:32]}.lock").open("ab")
        except OSError as error:
            raise NoFolderError(error.errno, error.strerror, str(self.folder)) from error
        with lock:
            taken = _take(lock.fileno(), pulse, wait)
            if taken:
                for draft in self.folder.glob(f".{part}.{socket.gethostname()}.*{DRAFT}"):
                    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
            yield taken


def _take(descriptor: int, pulse: Callable[[], object], wait: bool) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not wait:
                return False
            pulse()
            time.sleep(WAIT)
        except OSError:  # a file system without locks: what two write at once, each writes whole
            return True


def why_unwritable(cache: Cache) -> str:
    """Why nothing can be kept in the cache; empty where it can be."""
    try:
        cache.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(cache.folder, os.W_OK | os.X_OK) else "it is not yours to write"


def own_cache(environment: Mapping[str, str] | None = None) -> Cache:
    """The cache of this user: in ORCHESTRATOR_CACHE, else anomaly-orchestrator in XDG_CACHE_HOME or ~/.cache.

    Of at most ORCHESTRATOR_CACHE_GB gigabytes (10^9 bytes), else 20. Raises InputError where that is no such number.
    """
    given = os.environ if environment is None else environment
    base = _expanded(given.get("XDG_CACHE_HOME") or "~/.cache")
    folder = _expanded(given[FOLDER_VARIABLE]) if given.get(FOLDER_VARIABLE) else base / "anomaly-orchestrator"
    text = given.get(LIMIT_VARIABLE) or str(GIGABYTES)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < 1e9:
        raise InputError(
            f"{LIMIT_VARIABLE} is {text!r}; it must be a number of gigabytes that the cache may take, 0 or more. "
            f"Leave it unset for {GIGABYTES:g}."
        )
    return Cache(folder.absolute(), int(gigabytes * GIGABYTE))


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a user without a home
        return Path(path)


_sound_before: set[tuple[str, int, int, int]] = set()
"""Files whose checksum this process has looked at, as they were then."""


def _sound(path: Path, digest: str) -> NDArray[Any]:
    """The array in a file, mapped. Raises ValueError or OSError where it is not as it was written."""
    status = path.stat()
    stamp = (str(path), status.st_ino, status.st_mtime_ns, status.st_size)
    if stamp not in _sound_before:
        if file_sha256(path) != digest:
            raise ValueError(f"{path} is not as it was written")
        _sound_before.add(stamp)
    found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _size(folder: Path) -> int:
    total = 0
    for each in folder.rglob("*"):
        with suppress(OSError):
            total += each.stat().st_size
    return total

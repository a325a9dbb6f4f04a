"""A folder of this user's alone for Ray's sockets, logs and spilled objects: Ray opens its own to all (mode 0777)."""

import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from trainables.errors import InputError

PREFIX = "ao-"
LOCK = "lock"
"""Held by the process whose folder it is: one that no process holds is left over."""
NEW = 60.0
"""Seconds in which a folder may still be without its lock."""
LONGEST = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path."""
VARIABLE = "RAY_TMPDIR"
_INSIDE = f"/{PREFIX}12345678/ray/session_2026-01-01_00-00-00_000000_{{pid}}/sockets/plasma_store"


class SessionFolder:
    """Made closed to others, named to Ray by RAY_TMPDIR, and removed with all that Ray wrote there."""

    def __init__(self) -> None:
        """InputError where there is no place for it."""
        self._before = os.environ.get(VARIABLE)
        self.path, self._lock = _make(_places())
        os.environ[VARIABLE] = str(self.path)

    def remove(self) -> None:
        """Remove it, and give RAY_TMPDIR back."""
        if self._before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._before
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def last_words(self) -> str:
        """What Ray's servers said last as they ended; empty where they said nothing."""
        return last_words(self.path / "ray")


def last_words(root: Path, lines: int = 3) -> str:
    """The last lines of what the servers of the sessions below a folder wrote to their logs, the telling ones first."""
    found: list[str] = []
    for name in ("gcs_server.err", "raylet.err", "gcs_server.out", "raylet.out"):
        for log in sorted(root.glob(f"session_2*/logs/{name}")):
            with suppress(OSError):
                with log.open("rb") as file:
                    file.seek(max(0, log.stat().st_size - 16_384))
                    text = file.read().decode(errors="replace")
                told = [line.strip() for line in text.splitlines() if _tells(line)]
                found += [f"{name.partition('.')[0]}: {line[:400]}" for line in told[-lines:]]
    return "\n".join(dict.fromkeys(found[: 2 * lines]))


def _tells(line: str) -> bool:
    """Whether a line of a log is more than a frame of a stack, or a remark that all is well."""
    line = line.strip()
    return bool(line) and "_raylet.so" not in line and not line.startswith(("***", "/", "@", "#")) and " I " not in line


def _places() -> list[Path]:
    """Where such a folder may lie: where the user says, else where temporary files do."""
    given = os.environ.get(VARIABLE)
    if given:
        return [Path(given)]
    usual = os.environ.get("TMPDIR") if sys.platform == "linux" else None  # elsewhere it is too long for sockets
    return [Path(place) for place in dict.fromkeys([*([usual] if usual else []), "/tmp", "/var/tmp", "/dev/shm"])]


def _make(places: list[Path]) -> tuple[Path, IO[str]]:
    failures = []
    for place in places:
        room = LONGEST - len(os.fsencode(_INSIDE.format(pid=os.getpid())))
        if len(os.fsencode(place)) > room:
            failures.append(f"{place} is longer than the {room} bytes that a socket's path leaves it")
            continue
        _remove_left_over(place)
        try:
            if os.environ.get(VARIABLE):
                place.mkdir(parents=True, exist_ok=True)
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place.absolute()))  # mode 0700
            lock = (path / LOCK).open("w", encoding="ascii")
        except OSError as error:
            failures.append(f"{place}: {error.strerror}")
            continue
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path, lock
    raise InputError(
        f"Ray could not start: there is no folder for its sockets and logs ({'; '.join(failures)}). Set {VARIABLE} to "
        "one where you may write, of a short path."
    )


def _remove_left_over(place: Path) -> None:
    """Remove this user's folders whose process died without removing its own."""
    with suppress(OSError):
        for path in place.glob(f"{PREFIX}????????"):
            with suppress(OSError):
                found = path.lstat()
                mine = found.st_uid == os.getuid() and path.is_dir() and not path.is_symlink()
                if mine and time.time() - found.st_mtime > NEW and _is_left_over(path / LOCK):
                    shutil.rmtree(path, ignore_errors=True)


def _is_left_over(lock: Path) -> bool:
    try:
        with lock.open("r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:  # held, or a file system without locks
        return False
    return True

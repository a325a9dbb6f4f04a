"""Files that are there whole or not at all, lines that are on the disk before anything goes on, and SHA-256."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

DRAFT = ".part"
"""How the name of a draft ends; it begins with a dot."""
LONGEST_NAME = 143
"""Bytes of a file's name that encrypted file systems take; most take 255."""


@contextmanager
def whole(path: Path, *, wait: bool, shared: bool = False) -> Iterator[IO[bytes]]:
    """A file to write what `path` shall hold; a reader of `path` sees what was there before, or all of it.

    `wait`: it is on the disk before `path` shows it, so that not even a loss of power leaves half of it. `shared`:
    several processes or threads may write this path at a time, each a draft of its own. Raises what the block raises,
    and OSError where there is no room; `path` is then as before.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # a file in its place would be the end of a device, for everybody
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    draft = _draft(path, shared)
    try:
        with draft.open("wb") as file:
            yield file
            if wait:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def write_whole(
    path: Path, content: str | bytes | Sequence[bytes | memoryview], *, wait: bool, shared: bool = False
) -> None:
    """Write a text as UTF-8, bytes, or parts one after the other; `wait` and `shared` as in `whole`."""
    parts = [content.encode("utf-8")] if isinstance(content, str) else content
    with whole(path, wait=wait, shared=shared) as file:
        for part in [parts] if isinstance(parts, bytes) else parts:
            file.write(part)


@contextmanager
def whole_folder(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """An empty folder to fill with what `path` shall hold; what was there is replaced once the block has ended.

    What a block that was broken off left is removed by the next one. `shared`: several processes or threads may write
    this path at a time, each a draft of its own, of which one stays. Raises what the block raises, and OSError where
    there is no room; `path` is then as before.
    """
    draft = _draft(path, shared)
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)
    try:
        yield draft
    except BaseException:
        if shared:  # nobody else would ever remove it
            shutil.rmtree(draft, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path, ignore_errors=shared)
    try:
        draft.replace(path)
    except OSError:
        if not (shared and path.exists()):
            raise
        shutil.rmtree(draft, ignore_errors=True)  # another's took the place just before


def is_draft(path: Path) -> bool:
    """Whether a file or folder is what `whole` or `whole_folder` has not finished."""
    return path.name.startswith(".") and path.name.endswith(DRAFT)


def append_line(path: Path, text: str) -> None:
    """Append one line of ASCII and wait until it is on the disk. What a crash left of an unfinished last line is cut
    off first. One process at a time."""
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        if size and file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(text.encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def append_after(path: Path, line_after: Callable[[bytes], str]) -> str:
    """Append the line of ASCII that `line_after` makes of the file's bytes so far, and wait until it is on the disk.

    Several processes may do so at a time: each holds the file's lock, where the file system has locks. What a crash
    left of an unfinished last line is ended and stays. Returns the line.
    """
    with path.open("a+b") as file:
        with suppress(OSError):  # a file system without locks: two lines may then be made of the same bytes
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        torn = b"\n" if content and not content.endswith(b"\n") else b""
        line = line_after(content + torn)
        file.write(torn + line.encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return line


MOST_BYTES = 512 * 2**20
"""The largest file that `read_regular` takes into memory."""


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file. Raises OSError where it is larger than `MOST_BYTES`, and for anything else that may
    have taken its place: the reading of a pipe without a writer, or of a device, may never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        mode = status.st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MOST_BYTES >> 20} MiB", str(path))
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. Raises OSError where it can't be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_sha256(*parts: bytes | memoryview) -> str:
    """The SHA-256 of bytes, part behind part, in hexadecimal."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def text_sha256(text: str, errors: str = "surrogateescape") -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal; `errors` as in str.encode, by which any name can be hashed."""
    return bytes_sha256(text.encode("utf-8", errors))


def as_utf8(text: str) -> str:
    r"""The text as any file and screen can hold it: bytes of a name that are no UTF-8 are written out, as `caf\xe9`."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a half of a character, which no name holds
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_sha256(value: Any) -> str:
    """The SHA-256 of plain JSON values, in hexadecimal; the same for any order of keys."""
    return text_sha256(json.dumps(value, sort_keys=True))


def _draft(path: Path, shared: bool) -> Path:
    """Where `path` is written first: beside it, hidden, so that no listing takes it for a file of its own."""
    own = f".{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}" if shared else ""
    name = f".{path.name}{own}{DRAFT}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{bytes_sha256(os.fsencode(name))[:32]}{DRAFT}"
    return path.with_name(name)


def is_file(path: Path) -> bool:
    """Whether a file lies there; no name can be too long for this question, and no folder too closed."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """The same of a folder."""
    return os.path.isdir(path)  # noqa: PTH112 - that of a Path raises for a name that is too long

"""Files of one folder by their names: in a folder that this process sees, or wherever else another one keeps them."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from trainables.files import write_whole

Part = bytes | memoryview


class Looks(NamedTuple):
    """How a file looks from outside."""

    bytes: int
    mtime_ns: int


class SmallFiles(Protocol):
    """Files by names, which may hold slashes but lead nowhere else. All of it raises OSError where it can't be done."""

    def read(self, name: str) -> bytes:
        """All that a file holds."""
        ...

    def write(self, name: str, parts: Sequence[Part], *, wait: bool) -> Looks:
        """Write the parts one after the other, whole or not at all; `wait` until they are on the disk."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Give a file another name; what has it is replaced."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, where it is there."""
        ...

    def exists(self, name: str) -> bool:
        """Whether it is there. Where asking costs more, the answer may be some time old."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """Those of a folder that this process sees. Several processes may write one name at a time."""

    folder: Path
    made: bool = True
    """Whether a folder that is missing is made, in one that is there."""

    def read(self, name: str) -> bytes:
        return self._path(name).read_bytes()

    def write(self, name: str, parts: Sequence[Part], *, wait: bool) -> Looks:
        path = self._path(name)
        if self.made:
            self.folder.mkdir(exist_ok=True)
        if path.parent != self.folder:
            if not path.parent.resolve().is_relative_to(self.folder.resolve()):
                raise OSError("a link there leads out of the folder")
            path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, parts, wait=wait, shared=True)
        status = path.stat()
        return Looks(status.st_size, status.st_mtime_ns)

    def rename(self, name: str, to: str) -> None:
        self._path(name).replace(self._path(to))

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        return self._path(name).exists()

    def _path(self, name: str) -> Path:
        refuse_outside(name)
        return self.folder / name


def refuse_outside(name: str) -> None:
    """PermissionError for a name that may lead out of its folder, or is none."""
    if not name or name[0] == "/" or ".." in name.split("/"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


@dataclass(frozen=True)
class NamedFile:
    """One of them."""

    files: SmallFiles
    name: str

    def read(self) -> bytes:
        return self.files.read(self.name)

    def write(self, *parts: Part, wait: bool) -> None:
        self.files.write(self.name, parts, wait=wait)

    def rename(self, to: str) -> None:
        self.files.rename(self.name, to)

    def remove(self) -> None:
        self.files.remove(self.name)

    def exists(self) -> bool:
        return self.files.exists(self.name)

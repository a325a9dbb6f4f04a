"""A walk over a tree of files: names by folder, without a Path for each of 100,000 files."""

import errno
import os
import re
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from orchestrator.data.layouts.listing import HIDDEN, ListedFile, Skipped, Walk, suffix_of
from trainables.errors import InputError

Row = TypeVar("Row", ListedFile, Skipped)
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
Identity = tuple[int, int] | str
"""Device and inode of a folder; its real path where the file system numbers none."""

SYSTEM_FOLDERS = frozenset(
    (
        "@eadir", "@tmp", "@recycle", "@recently-snapshot", "@sharebin", "#recycle", "#snapshot", "$recycle.bin",
        "system volume information", "lost+found", "__macosx", "__pycache__", "network trash folder", "temporary items",
        "thevolumesettingsfolder",
    )
)  # fmt: skip
"""Folders that systems and storage devices put beside the user's, without capitals; `found.000` of a repair too."""


def in_order(listed: Iterable[Row]) -> tuple[Row, ...]:
    """In the order of the paths' bytes."""
    rows = list(listed)
    if all(one.path.isascii() for one in rows):
        return tuple(sorted(rows, key=attrgetter("path")))
    return tuple(sorted(rows, key=lambda one: os.fsencode(one.path)))


def checked_root(root: Path, holds: str) -> Path:
    """The root, if it is a folder that can be listed; InputError where not."""
    try:
        root.stat()
        if not root.is_dir():
            archive = root.name.lower().endswith(ARCHIVES)
            way = "an archive: unpack it, and give" if archive else "a file: give"
            raise InputError(f"The data path {str(root)!r} is {way} the folder that holds {holds} (data.path).")
        with os.scandir(root):
            return root
    except InputError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"The data folder {str(root)!r} does not exist. Check the path (data.path).") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"The data folder {str(root)!r} can't be read: {reason}. Give this user the right to list it, or check the "
            "path (data.path)."
        ) from error


def is_system_folder(name: str) -> bool:
    """Whether a system put a folder of this name there, for itself."""
    return name.lower() in SYSTEM_FOLDERS or re.fullmatch(r"found\.\d{3}", name.lower()) is not None


def walk(root: Path, suffixes: tuple[str, ...]) -> Walk:
    """The files below a root. In hidden and system folders they are counted only.

    Each folder is read once: first those that lie in the tree, then, in the order of their paths, those that links
    lead to. An entry that can't be read costs no other.
    """
    walker = _Walker(root, suffixes)
    walker.run()
    return walker.walk


class _Walker:
    def __init__(self, root: Path, suffixes: tuple[str, ...]) -> None:
        self.walk = Walk({}, {}, {}, [], Counter(), [])
        self._root = str(root)
        self._suffixes = suffixes
        self._read: dict[Identity, str | None] = {}
        """The folders that were read, by relative path; None for those that the root lies in."""
        self._links: list[str] = []
        for above in Path(os.path.realpath(root)).parents:
            try:
                self._read[_identity(str(above))] = None
            except OSError:
                continue

    def run(self) -> None:
        starts = [""]
        while starts:
            for start in starts:
                pending = [(start, "")]
                while pending:
                    pending += reversed(self._folder(*pending.pop()))
            starts, self._links = sorted(self._links, key=os.fsencode), []

    def _folder(self, folder: str, apart: str) -> list[tuple[str, str]]:
        """Read one folder; the folders in it. `apart`: the hidden or system folder that it is or lies in."""
        entries: list[os.DirEntry[str]] = []
        try:
            path = self._path(folder)
            identity = _identity(path)
            if identity in self._read:
                self._skip(folder, apart, _again(folder, self._read[identity]))
                return []
            self._read[identity] = folder
            with os.scandir(path) as listed:
                for entry in listed:
                    entries.append(entry)
        except OSError as error:
            self._skip(folder, apart, f"the folder can't be read: {error.strerror}")
        else:
            if not apart and all(entry.name.startswith(".") for entry in entries):
                self.walk.empty.append(folder)
        below: list[tuple[str, str]] = []
        names: list[str] = []
        inside = f"{folder}/" if folder else ""
        for entry in sorted(entries, key=lambda entry: entry.name):
            try:
                self._entry(entry, inside + entry.name, apart, names, below)
            except OSError as error:
                loop = error.errno == errno.ELOOP
                reason = "a link that leads to itself" if loop else f"can't be read: {error.strerror}"
                self._skip(inside + entry.name, apart, reason)
        if names:
            self.walk.found[folder] = names
        return below

    def _entry(
        self, entry: os.DirEntry[str], path: str, apart: str, names: list[str], below: list[tuple[str, str]]
    ) -> None:
        """Take in one entry of a folder. Raises OSError where it can't be seen what it is."""
        name = entry.name
        hidden, taken = name.startswith("."), name.lower().endswith(self._suffixes)
        if entry.is_dir():
            aside = apart or (path if hidden or is_system_folder(name) else "")
            if entry.is_symlink() and not aside:
                self._links.append(path)
            elif not entry.is_symlink():
                below.append((path, aside))
            if taken and not aside:
                self._skip(path, "", "a folder, not a file; the files in it are taken one by one")
        elif entry.is_file():
            if apart or hidden:
                self.walk.apart[apart or HIDDEN] += taken
            elif taken:
                names.append(name)
            else:
                self._other(path)
        elif entry.is_symlink() and not os.path.exists(self._path(path)):  # noqa: PTH110 - as fast as the walk
            self._skip(path, apart or hidden, "a link to nothing")
        elif taken:
            self._skip(path, apart or hidden, "not a regular file")
        elif not apart and not hidden:
            self._other(path)

    def _other(self, path: str) -> None:
        suffix = suffix_of(path)
        self.walk.others.setdefault(path.rpartition("/")[0], Counter())[suffix] += 1
        self.walk.examples.setdefault(suffix, path)

    def _skip(self, path: str, apart: str | bool, reason: str) -> None:
        if not apart:
            self.walk.skipped.append(Skipped(path, reason))

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def _identity(path: str) -> Identity:
    status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _again(folder: str, read: str | None) -> str:
    """Why a folder that was read already, as `read`, is not read again."""
    if read is None or not read or folder.startswith(f"{read}/"):
        return "a link to a folder that it lies in"
    return f"a link to a folder that is read already, as {read!r}"

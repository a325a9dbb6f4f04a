"""A walk over a tree of files: names by folder, without a Path for each of 100,000 files."""

import os
from collections import Counter
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from orchestrator.data.listing import SUFFIXES, Layout, ListedFile, Skipped
from trainables.errors import InputError

Row = TypeVar("Row", ListedFile, Skipped)


class Walk(NamedTuple):
    """What lies below a root."""

    found: dict[str, list[str]]
    """By relative folder, the names of the files that have one of the suffixes."""
    others: Counter[str]
    """How many files have another suffix, by suffix."""
    skipped: list[Skipped]
    """What can't be read."""


def in_order(listed: list[Row]) -> tuple[Row, ...]:
    """In the order of the paths' bytes."""
    if all(one.path.isascii() for one in listed):
        return tuple(sorted(listed, key=attrgetter("path")))
    return tuple(sorted(listed, key=lambda one: os.fsencode(one.path)))


def checked_root(root: Path, holds: str = "one folder for each class") -> Path:
    """The root, if it is a folder that can be listed; InputError where not."""
    if not root.exists():
        raise InputError(f"The data folder {str(root)!r} does not exist. Check the path (data.path).")
    if not root.is_dir():
        raise InputError(f"The data path {str(root)!r} is a file. Give the folder that holds {holds}.")
    try:
        with os.scandir(root):
            return root
    except OSError as error:
        raise InputError(
            f"The data folder {str(root)!r} can't be read: {error.strerror}. Give this user the right to list it."
        ) from error


def walk(root: Path, suffixes: tuple[str, ...]) -> Walk:
    """The files below a root. Names that start with a dot are left alone.

    Links are followed, a link to a folder above itself is not.
    """
    found: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    skipped: list[Skipped] = []
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        folder, above = pending.pop()
        inside = f"{folder}/" if folder else ""
        names: list[str] = []
        try:
            status = (root / folder).stat()
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                skipped.append(Skipped(folder, "a link to a folder that it lies in"))
                continue
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        continue
                    if entry.is_dir():
                        pending.append((inside + name, above | {identity}))
                    elif not name.lower().endswith(suffixes):
                        others[PurePosixPath(name).suffix.lower()] += 1
                    elif entry.is_file():
                        names.append(name)
                    else:
                        reason = "a link to nothing" if entry.is_symlink() else "not a regular file"
                        skipped.append(Skipped(inside + name, reason))
        except OSError as error:
            skipped.append(Skipped(folder, f"the folder can't be read: {error.strerror}"))
        if names:
            found[folder] = names
    return Walk(found, others, skipped)


def nothing_found(root: Path, layout: Layout, others: Counter[str]) -> InputError:
    """What to say where no file has one of a layout's suffixes."""
    message = f"No {listed_suffixes(layout)} files in {str(root)!r} or the folders below it (layout: {layout}). "
    if not others:
        return InputError(message + "There are no other files either. Check the path (data.path).")
    counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common(5))
    message += f"Found instead: {counts}. "
    for other, suffixes in SUFFIXES.items():
        if suffixes != SUFFIXES[layout] and any(suffix in suffixes for suffix in others):
            return InputError(message + f"Use layout: {other} (data.layout), or check the path (data.path).")
    return InputError(message + "Check the path (data.path).")


def listed_suffixes(layout: Layout) -> str:
    """The suffixes that a layout takes, in words."""
    suffixes = SUFFIXES[layout]
    return suffixes[0] if len(suffixes) == 1 else ", ".join(suffixes[:-1]) + " or " + suffixes[-1]

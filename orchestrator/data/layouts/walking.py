"""A walk over a tree of files: names by folder, without a Path for each of 100,000 files."""

import os
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import TypeVar

from orchestrator.data.layouts.listing import Layout, ListedFile, Skipped, Walk
from trainables.errors import InputError

Row = TypeVar("Row", ListedFile, Skipped)


def in_order(listed: list[Row]) -> tuple[Row, ...]:
    """In the order of the paths' bytes."""
    if all(one.path.isascii() for one in listed):
        return tuple(sorted(listed, key=attrgetter("path")))
    return tuple(sorted(listed, key=lambda one: os.fsencode(one.path)))


def checked_root(root: Path, holds: str) -> Path:
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


def nothing_found(root: Path, layout: Layout, others: Counter[str], every: Iterable[Layout]) -> InputError:
    """What to say where no file has one of a layout's suffixes; `every` layout may be the one that was meant."""
    message = f"No {listed_suffixes(layout)} files in {str(root)!r} or the folders below it (layout: {layout.name}). "
    if not others:
        return InputError(message + "There are no other files either. Check the path (data.path).")
    counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common(5))
    message += f"Found instead: {counts}. "
    for other in every:
        if other.suffixes != layout.suffixes and any(suffix in other.suffixes for suffix in others):
            return InputError(message + f"Use layout: {other.name} (data.layout), or check the path (data.path).")
    return InputError(message + "Check the path (data.path).")


def listed_suffixes(layout: Layout) -> str:
    """The suffixes that a layout takes, in words."""
    suffixes = layout.suffixes
    return suffixes[0] if len(suffixes) == 1 else ", ".join(suffixes[:-1]) + " or " + suffixes[-1]

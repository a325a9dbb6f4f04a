"""What is to be scored: files, the files of folders, and paths on standard input."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.depth_folders import DEPTH_FOLDERS
from orchestrator.data.layouts.left_out import listed_suffixes, plural, remarks_on
from orchestrator.data.layouts.listing import Layout
from orchestrator.data.layouts.walking import checked_root, walk
from trainables.errors import InputError
from trainables.files import is_folder

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Inputs:
    """Paths, each once, in the order in which they were given; below a folder, by their bytes."""

    paths: tuple[str, ...]
    remarks: tuple[str, ...]
    """What was left out, one sentence each."""


def inputs_of(given: Sequence[str | Path], layout: Layout, lines: Iterable[str] = ()) -> Inputs:
    """The files that are meant, for a model that was trained on data of `layout`. None is opened.

    `given`: files, whatever they are called; folders, of which the files with a suffix that the model's layout takes
    are meant; `-`: one path a line of `lines`, taken as it is. InputError for what is not there, and for nothing.
    """
    found: dict[str, None] = {}
    twice, remarks = 0, list[str]()
    for one in given:
        if str(one) == STANDARD_INPUT:
            paths: Iterable[str] = _listed(lines)
        elif not str(one):
            raise InputError("An empty name was given as what to score. Give . for the folder this runs in.")
        elif is_folder(one):
            paths, left_out = _below(Path(one), layout)
            remarks += left_out
        elif os.path.lexists(one):
            paths = [str(one)]
        else:
            raise InputError(f"There is no file and no folder {str(one)!r}. Check the path.")
        for path in paths:
            twice += path in found
            found[path] = None
    if not found:
        raise InputError(
            f"There is nothing to score: no {listed_suffixes(layout)} file was given or lies in what was given. "
            f"{' '.join(remarks)}".rstrip()
        )
    if twice:
        remarks.append(f"{plural(twice, 'path')} given more than once: each is scored once.")
    return Inputs(tuple(found), tuple(remarks))


def _listed(lines: Iterable[str]) -> list[str]:
    """The paths of a list, one a line. InputError for a list that is written otherwise."""
    try:
        paths = [path for line in lines if (path := line.rstrip("\r\n"))]
    except UnicodeDecodeError:
        raise InputError(
            "The list of paths holds bytes that this locale can't read. Give the folder itself, or set "
            "PYTHONIOENCODING=utf-8:surrogateescape."
        ) from None
    if any("\0" in path for path in paths):
        raise InputError("The list of paths is parted by zero bytes. Give one path a line: find -print, not -print0.")
    return paths


def _below(root: Path, layout: Layout) -> tuple[list[str], list[str]]:
    """The files of a folder that are pictures or series, and what was left out."""
    tree = walk(checked_root(root, f"{listed_suffixes(layout)} files"), layout.suffixes)
    paths = [str(root / folder / name) for folder in tree.found for name in tree.found[folder]]
    depth = DEPTH_FOLDERS.get(layout.name)
    pictures = [path for path in paths if depth is None or depth.is_picture(Path(path))]
    skipped = [f"{one.path}: {one.reason}." for one in tree.skipped]
    return sorted(pictures, key=os.fsencode), [*skipped, *remarks_on(tree, layout)]

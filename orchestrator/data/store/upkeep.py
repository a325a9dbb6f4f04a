"""Keeping a store's folder in order: one process at a time, whole shards only, little that nobody needs."""

import fcntl
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestrator.data.files.sight import PICTURE_BYTES, SERIES_BYTES
from orchestrator.data.store.index import Index, Row, Rows, read_index, write_index
from orchestrator.data.store.shards import (
    Shape,
    ShardContents,
    has_views,
    looks_unchanged,
    read_shard,
    remove_shard,
    repack,
    rows_per_shard,
)
from orchestrator.data.store.store import Recipe, read_recipe, write_recipe
from trainables.errors import InputError

LOOSE_SHARDS = 64
"""So many shards more than twice the full ones may pile up before they are packed anew."""


@contextmanager
def claimed(folder: Path, recipe: Recipe) -> Iterator[Index | None]:
    """Make `folder` a store of this recipe, for this process alone; its index, where it was finished before.

    InputError where the folder can't be written, holds something else, or is being filled by another process.
    """
    _refuse_strangers(folder)
    with writing(folder):
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(lock, folder)
        before = read_recipe(folder)
        if before is not None and (differences := before.differences(recipe)):
            raise InputError(
                f"The store in {str(folder)!r} holds other pictures than are asked for now: {'; '.join(differences)}. "
                "Choose another folder, or remove this one."
            )
        index = read_index(folder)
        with writing(folder):
            write_recipe(folder, recipe)
        yield index
    finally:
        os.close(lock)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the system says of a store that can't be written into an InputError."""
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from error


def unwritable(folder: Path, reason: str) -> InputError:
    """What to tell where a store can't be written."""
    return InputError(
        f"The store in {str(folder)!r} can't be written: {reason}. Make room, give this user the right to write, "
        "or choose another folder. The shards that are whole are kept."
    )


def known_shards(folder: Path, shape: Shape, before: Index | None) -> Iterator[ShardContents]:
    """The shards that are whole, by name: those in the index, and those that an interrupted run left."""
    listed = {shard.name: shard for shard in before.shards} if before is not None else {}
    names = sorted(path.stem for path in (folder / "shards").glob("[!.]*.json"))
    for name in names:
        contents = read_shard(folder / "shards", name, shape, listed.get(name))
        if contents is not None:
            yield contents


def is_current(folder: Path, before: Index, recipe: Recipe, shape: Shape, seen: str) -> bool:
    """Whether a store holds just what is asked for: nothing in it or in its files looks as if it had changed."""
    return (before.identity, before.shape, before.seen) == (recipe.identity, shape, seen) and all(
        looks_unchanged(folder / "shards", shard) for shard in before.shards
    )


def knows_sights(folder: Path, before: Index, plots: bool) -> bool:
    """Whether a store knows what is seen in each picture, of series or of others; one of an older release does not."""
    length = SERIES_BYTES if plots else PICTURE_BYTES
    return all(before.rows.sight) and all(has_views(folder / "shards", shard, length) for shard in before.shards)


def finish(folder: Path, recipe: Recipe, index: Index) -> Index:
    """Pack the shards anew where most is unused or they are many; write the index; remove what it doesn't list."""
    used = {(row.shard, row.place): row for row in index.rows.all()}
    needed = math.ceil(len(used) / rows_per_shard(index.shape))
    with writing(folder):
        if sum(shard.rows for shard in index.shards) > 2 * len(used) or len(index.shards) > 2 * needed + LOOSE_SHARDS:
            index = _packed(folder / "shards", recipe, index, list(used.values()))
        write_index(folder, index)
        listed = {shard.name for shard in index.shards}
        for path in (folder / "shards").iterdir():
            if path.name.startswith("."):
                path.unlink(missing_ok=True)
            elif path.stem not in listed:
                remove_shard(folder / "shards", path.stem)
    return index


def _packed(shards: Path, recipe: Recipe, index: Index, used: list[Row]) -> Index:
    """The index with its pictures in full shards, which are written."""
    places = [
        (
            *(index.shards[row.shard], row.place, recipe.key(row.content, row.mask), (row.height, row.width)),
            index.readings[row.reading] if row.reading >= 0 else None,
        )
        for row in used
    ]
    packed = list(repack(shards, places))
    moved = [(number, place) for number, one in enumerate(packed) for place in range(one.shard.rows)]
    where = {(row.shard, row.place): place for row, place in zip(used, moved, strict=True)}
    rows = [
        row._replace(shard=number, place=place, sight=row.sight if packed[number].sights else "")
        for row in index.rows.all()
        for number, place in [where[row.shard, row.place]]
    ]
    return replace(index, rows=Rows.of(rows), shards=tuple(one.shard for one in packed))


def _refuse_strangers(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"The store's folder {str(folder)!r} is a file. Choose another folder.")
    if folder.is_dir() and read_recipe(folder) is None:
        strangers = sorted(path.name for path in folder.iterdir() if path.name not in (".lock", "shards"))
        if strangers:
            raise InputError(
                f"The folder {str(folder)!r} holds something that is no store of pictures ({strangers[0]!r}). "
                "Choose a new or empty folder."
            )


def _lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"Another process is filling the store in {str(folder)!r}. Wait for it to end, or choose another folder."
        ) from error
    except OSError:
        pass  # some network file systems have no locks; shards and index are written whole all the same

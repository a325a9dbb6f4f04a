"""A store: the pictures of one data set in one style and size, kept by content and mapped from disk.

A store's folder holds `store.json` (what the pictures are made from), `index.json` (whose picture lies where, and what
was left out and why) and `shards/`. A shard's size and header are checked at each `open_store`; its checksum when
`fill_store` meets it for the first time, or finds it with another size or time than the index says.
"""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.layouts import Layout, Part, Skipped
from orchestrator.data.shards import Shape, Shard, has_right_form, open_shard
from orchestrator.data.store_index import FORMAT, Index, read_json, write_json
from orchestrator.data.store_index import read_index as read_index
from trainables.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """What a store's pictures are made from, besides the files."""

    layout: Layout
    style: str | None
    """A plot style; None for the images layout."""
    size: tuple[int, int] | None
    """(height, width); None for full size."""
    column: str | None
    identity: str
    """The names and versions of all that the pixels depend on."""

    def key(self, content: str) -> str:
        """The name of the picture that this recipe makes of a content."""
        return sha256(f"{content}\n{self.identity}\n{self.size}\n{self.column!a}".encode()).hexdigest()[:32]

    def differences(self, other: "Recipe") -> list[str]:
        """Where the user asked for something else, as `name old, not new`; other versions are no difference."""
        names = ("layout", "style", "size", "column")
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [f"{name} {mine}, not {theirs}" for name, mine, theirs in pairs if mine != theirs]


class StoredPictures:
    """uint8 pictures (N, H, W, 3) that stay on the disk until rows are asked for. Pickles as places, not data."""

    def __init__(
        self, folder: Path, shards: tuple[Shard, ...], shard: NDArray[np.int32], place: NDArray[np.int32], shape: Shape
    ) -> None:
        self._folder = folder
        self._shards = shards
        self._shard = shard
        self._place = place
        self._shape = shape

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self._shard), *self._shape)

    def __len__(self) -> int:
        return len(self._shard)

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The pictures at `rows` (any NumPy index into N), copied; IndexError where there is no such row."""
        shards, places = self._shard[rows], self._place[rows]
        pictures = np.empty((*np.shape(shards), *self._shape), dtype=np.uint8)
        flat = pictures.reshape(-1, *self._shape)
        order = np.argsort(shards, axis=None, kind="stable")
        opened, current = np.empty(0, dtype=np.uint8), -1
        for target, number, place in zip(
            order.tolist(), shards.ravel()[order].tolist(), places.ravel()[order].tolist(), strict=True
        ):
            if number != current:
                shard, current = self._shards[number], number
                opened = open_shard(self._folder / f"{shard.name}.npy", shard.mtime_ns)
            flat[target] = opened[place]
        return pictures

    def select(self, rows: NDArray[np.int64]) -> "StoredPictures":
        """The pictures at `rows` alone, in that order, still on the disk."""
        return StoredPictures(self._folder, self._shards, self._shard[rows], self._place[rows], self._shape)


@dataclass(frozen=True, eq=False)
class Store:
    """A finished store, in the order of the relative paths."""

    folder: Path
    recipe: Recipe
    pictures: StoredPictures
    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    """(N,): the index into `classes`."""
    classes: tuple[str, ...]
    parts: tuple[Part | None, ...]
    """(N,): the part that the user's folders put each picture in."""
    content: tuple[str, ...]
    """(N,): the hash of each file's bytes."""
    fingerprint: str
    """The hash of relative paths and contents; the same for every style and size."""
    sizes: NDArray[np.int64] = field(repr=False)
    """(N, 2): true height and width; what lies beyond is white."""
    skipped: tuple[Skipped, ...] = ()


def open_store(folder: Path) -> Store:
    """The store in a folder. InputError where it is none, isn't finished, or has a shard of wrong size or header."""
    recipe = read_recipe(folder)
    if recipe is None:
        raise InputError(f"{str(folder)!r} is no store of pictures. Make one with: orchestrate render")
    index = read_index(folder)
    if index is None:
        raise InputError(
            f"The store in {str(folder)!r} is not finished. Run the rendering again: it goes on from there."
        )
    broken = [shard for shard in index.shards if not has_right_form(folder / "shards", shard, index.shape)]
    if broken:
        raise InputError(
            f"{len(broken)} of {len(index.shards)} shards of the store in {str(folder)!r} are missing or truncated "
            f"({broken[0].name}). Run the rendering again: it makes what is missing anew."
        )
    return store_of(folder, recipe, index)


def store_of(folder: Path, recipe: Recipe, index: Index) -> Store:
    """The store that an index describes."""
    rows = index.rows
    places = (np.array(rows.shard, dtype=np.int32), np.array(rows.place, dtype=np.int32))
    return Store(
        folder=folder,
        recipe=recipe,
        pictures=StoredPictures(folder.absolute() / "shards", index.shards, *places, index.shape),
        paths=tuple(rows.path),
        labels=np.array(rows.label, dtype=np.int64),
        classes=index.classes,
        parts=tuple(rows.part),
        content=tuple(rows.content),
        fingerprint=index.fingerprint,
        sizes=np.array([rows.height, rows.width], dtype=np.int64).T,
        skipped=tuple(Skipped(row.path, row.reason) for row in index.failed),
    )


def read_recipe(folder: Path) -> Recipe | None:
    """What a folder's pictures are made from; None where it is no store of this format."""
    described = read_json(folder / "store.json")
    if described is None or described.pop("format", None) != FORMAT:
        return None
    try:
        size = described.pop("size")
        return Recipe(size=None if size is None else (size[0], size[1]), **described)
    except (KeyError, TypeError, IndexError):
        return None


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Make a folder a store; one that is unfinished where the recipe is another than before."""
    if recipe != read_recipe(folder):
        (folder / "index.json").unlink(missing_ok=True)
        write_json(folder / "store.json", {"format": FORMAT, **asdict(recipe)})

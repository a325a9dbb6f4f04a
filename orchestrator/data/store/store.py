"""A store: the pictures of one data set in one style and size, kept by content and mapped from disk.

A store's folder holds `store.json` (what the pictures are made from), `index.json` (whose picture lies where, and what
was left out and why) and `shards/`. A shard's size and header are checked at each `open_store`; its checksum when
`fill_store` meets it for the first time, or finds it with another size or time than the index says.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.mask_reading import MaskState, settled_states
from orchestrator.data.files.mask_remarks import mask_remarks
from orchestrator.data.files.picture_facts import Facts, picture_remarks
from orchestrator.data.files.picture_layers import RGB, Planes, channels_of
from orchestrator.data.files.series import DecimalMark, Gaps, Reading
from orchestrator.data.files.series_remarks import series_remarks
from orchestrator.data.layouts.listing import Part, Skipped
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.store.index import FORMAT, Index, read_json, write_json
from orchestrator.data.store.index import read_index as read_index
from orchestrator.data.store.lazy_arrays import StoredDepths, StoredMasks, StoredPictures, StoredViews
from orchestrator.data.store.shards import ShardFolder, has_right_form
from trainables.errors import InputError
from trainables.files import text_sha256


@dataclass(frozen=True)
class Recipe:
    """What a store's pictures are made from, besides the files."""

    layout: LayoutName
    style: str | None
    """A plot style; None for the images layout."""
    size: tuple[int, int] | None
    """(height, width); None for full size."""
    column: str | None
    identity: str
    """The names and versions of all that the pixels depend on."""
    planes: Planes = "rgb"
    """What is kept of each picture, in this order."""
    gaps: Gaps = "drop"
    """Of series: what becomes of rows without a number."""
    decimal: DecimalMark = "auto"
    """Of series: the decimal mark, where it is given."""
    bits: int | None = None
    """What pictures of more than 8 bits a channel use of them; None for 16."""
    upright: bool = False
    """Whether pictures are turned as their EXIF says."""

    def key(self, content: str, mask: str = "") -> str:
        """The name of what this recipe makes of a content and of a mask's content."""
        if mask:
            content = f"{content}+{mask}"
        text = f"{content}\n{self.identity}\n{self.size}\n{self.column!a}"
        more = f"\n{self.gaps}\n{self.decimal}" if (self.gaps, self.decimal) != ("drop", "auto") else ""
        return text_sha256(text + more)[:32]

    def differences(self, other: "Recipe") -> list[str]:
        """Where the user asked for something else, as `name old, not new`; other versions are no difference."""
        names = ("layout", "style", "size", "column", "gaps", "decimal")
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [f"{name} {mine}, not {theirs}" for name, mine, theirs in pairs if mine != theirs]


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
    """(N,): the hash of each file's bytes, and of its depth's."""
    fingerprint: str
    """The hash of relative paths and contents, masks included; the same for every style and size."""
    sizes: NDArray[np.int64] = field(repr=False)
    """(N, 2): true height and width; what lies beyond is white."""
    skipped: tuple[Skipped, ...]
    depth: StoredDepths | None
    """Depth maps (N, H, W) float32, where the layout has depth."""
    masks: StoredMasks | None
    """Masks (N, H, W) uint8: 255 where a defect is; where any file has a mask."""
    masked: NDArray[np.bool_]
    """(N,): True where the defects are known: for every normal picture of a layout that says what is normal, and for
    anomalies whose mask can be used at this size."""
    mask_states: tuple[MaskState, ...] = field(repr=False)
    """(N,): what is known of each anomaly's mask."""
    mask_values: tuple[str, ...] = field(default=(), repr=False)
    """(N,): the values of each mask, for a person."""
    of_pictures: tuple[str, ...] = ()
    """What the user should know of how the pictures were read."""
    readings: dict[str, Reading] = field(default_factory=dict, repr=False)
    """Of series: how each was read, by path."""
    sights: tuple[str, ...] = ()
    """(N,): the name of what is seen in each, which duplicates share; empty where an older release drew it."""
    views: StoredViews | None = field(default=None, repr=False)
    """What near-duplicates are found by; None where it is missing for some of them."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of how files were read and of masks that can't be used, a sentence each."""
        if self.readings:
            return tuple(series_remarks(self.readings, self.recipe.column, self.recipe.gaps))
        if self.masks is None:
            return self.of_pictures
        normal = LAYOUTS[self.recipe.layout].normal
        kinds = [self.classes[label] for label in self.labels.tolist()]
        told = zip(kinds, self.mask_states, self.mask_values, strict=True)
        masks = [(state, values) for kind, state, values in told if kind != normal]
        return (*self.of_pictures, *mask_remarks(masks))


def open_store(folder: str | Path) -> Store:
    """The store in a folder; pictures are read when they are asked for.

    `pictures[rows]` gives uint8 RGB (n, H, W, 3) of an array of rows. InputError where the folder holds no store, one
    that isn't finished, or a shard of wrong size or header.
    """
    folder = Path(folder)
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
    shards = folder.absolute() / "shards"
    where = (ShardFolder(shards), index.shards, *places, index.shape)
    depth, mask = (channels_of(recipe.planes, name) for name in ("depth", "mask"))
    labels = np.array(rows.label, dtype=np.int64)
    normal = LAYOUTS[recipe.layout].normal
    states = settled_states(rows.state, rows.values)
    facts = [] if LAYOUTS[recipe.layout].plots else list(map(Facts, rows.turn, rows.top))
    is_normal = labels == (index.classes.index(normal) if normal in index.classes else -1)
    return Store(
        folder=folder,
        recipe=recipe,
        pictures=StoredPictures(*where, RGB),
        paths=tuple(rows.path),
        labels=labels,
        classes=index.classes,
        parts=tuple(rows.part),
        content=tuple(rows.content),
        fingerprint=index.fingerprint,
        sizes=np.array([rows.height, rows.width], dtype=np.int64).T,
        skipped=tuple(Skipped(row.path, row.reason) for row in index.failed),
        depth=None if depth is None else StoredDepths(*where, depth),
        masks=None if mask is None else StoredMasks(*where, mask),
        masked=is_normal | (np.array(states) == "known"),
        mask_states=tuple(states),
        mask_values=tuple(rows.values),
        of_pictures=tuple(picture_remarks(facts, recipe.bits, recipe.upright)),
        readings=index.readings_by_path(),
        sights=tuple(rows.sight),
        views=StoredViews(shards, index.shards, *places) if all(rows.sight) else None,
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

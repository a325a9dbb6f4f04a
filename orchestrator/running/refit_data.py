"""The pictures of a refit: those of the run's parts, by its own store, and those of a folder that is added to them."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.files.image_files import MOST_BITS
from orchestrator.data.fill.drawing import recipe_of
from orchestrator.data.fill.render_tree import fill_with_line, skipped_lines
from orchestrator.data.layouts.left_out import plural
from orchestrator.data.layouts.listing import PARTS, ListedFile, Listing
from orchestrator.data.layouts.names import same_name
from orchestrator.data.layouts.table import LAYOUTS, find_files
from orchestrator.data.store.joined import joined
from orchestrator.data.store.store import Store, open_store
from orchestrator.experiment.messages import unknown_key
from orchestrator.machine.engine import Engine
from orchestrator.machine.progress import Reporter
from orchestrator.running.refit_source import Source
from orchestrator.stages.context import Prepared
from orchestrator.stages.prepare import store_name
from trainables.errors import InputError
from trainables.files import json_sha256
from trainables.interface import Samples

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Listed:
    """The files that are added, before any is opened."""

    listing: Listing
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class More:
    """The pictures that are added."""

    store: Store
    rows: Rows
    """Of those that the run does not have."""
    labels: NDArray[np.int64]
    """Of these rows, (N,): by the run's classes; of detection 0."""
    known: dict[str, int]
    """How many are left out because the run has them, by the part that it has them in."""


@dataclass(frozen=True)
class RefitData:
    """All pictures that a refit may train on, and those that validation holds."""

    prepared: Prepared
    size: tuple[int, int]
    more: More | None
    fixed: Rows
    """Rows of the run that train whatever is held out: train, and test where that is asked for."""

    @property
    def store(self) -> Store:
        """The run's pictures."""
        return self.prepared.stores[self.size]

    @property
    def validation(self) -> Rows:
        """The run's rows of validation."""
        return self.prepared.split.validation

    def trainable(self, rows: Rows) -> Rows:
        """Those of the run's rows that the family may train on: of detection the normal ones."""
        normal = self.prepared.normal
        return rows if normal is None else rows[self.store.labels[rows] == self.store.classes.index(normal)]

    def train(self, added: Rows) -> Samples:
        """The training part, with some rows of validation `added` as far as they may train."""
        rows = np.sort(np.concatenate([self.fixed, self.trainable(added)]))
        own = self.prepared.samples(self.size, rows)
        if self.more is None:
            return own
        store, chosen = self.more.store, self.more.rows
        paths = tuple(f"{store.folder.name}/{store.paths[row]}" for row in chosen)
        new = Samples(
            pictures=store.pictures.select(chosen),
            labels=self.more.labels,
            classes=own.classes,
            paths=paths,
            depth=None if store.depth is None else store.depth.select(chosen),
            kinds=() if self.prepared.normal is None else (self.prepared.normal,) * len(chosen),
            groups=paths,
        )
        return joined(own, new)

    def held_out(self, rows: Rows, masks: bool = False) -> Samples:
        """Some rows of the run, to be scored."""
        return self.prepared.samples(self.size, rows, masks)

    def fingerprint(self, added: Rows, held: Rows) -> str:
        """Of the pictures that one training sees: files, what drew them, and which part each is in."""
        told = [self.store.fingerprint, asdict(self.store.recipe), self.fixed.tolist(), added.tolist(), held.tolist()]
        more = [] if self.more is None else [self.more.store.fingerprint, self.more.rows.tolist()]
        return json_sha256([*told, more])


def list_more(source: Source, folder: Path) -> Listed:
    """The files of a folder that lies as the run's data do, which can be added to its training part.

    InputError where it does not lie so, has classes that the run does not know, or nothing to train on.
    """
    data, kept, wanted = source.experiment.data, source.kept, source.normal
    listing = find_files(folder, data.layout, partial=True)
    remarks = list(listing.remarks)
    outside = [file for file in listing.files if file.part not in (None, "train")]
    if outside:
        parts = ", ".join(part for part in PARTS if any(file.part == part for file in outside))
        remarks.append(f"{plural(len(outside), 'file')} of {folder} left out: its folders put them in {parts}.")
    files = [file for file in listing.files if file.part in (None, "train")]
    if wanted is not None:
        normal = [file for file in files if same_name(file.class_name, [wanted]) is not None]
        if not normal:
            found = ", ".join(sorted({file.class_name for file in files})) or "none"
            raise InputError(
                f"{folder} holds nothing to train on: {kept.variant} learns from pictures of the class {wanted!r}, "
                f"and the classes there are: {found}. Put normal pictures into a folder {wanted!r}."
            )
        if len(normal) < len(files):
            remarks.append(
                f"{plural(len(files) - len(normal), 'file')} of {folder} left out: of other classes than "
                f"{wanted!r}, and detection trains on normal pictures alone."
            )
        files = [file._replace(class_name=wanted) for file in normal]
    else:
        files = [_of_class(file, kept.classes, folder) for file in files]
    if not files:
        raise InputError(f"{folder} holds nothing to train on. {' '.join(remarks)}".rstrip())
    return Listed(replace(listing, files=tuple(files)), tuple(remarks))


def _of_class(file: ListedFile, classes: tuple[str, ...], folder: Path) -> ListedFile:
    known = same_name(file.class_name, classes)
    if known is None:
        what = unknown_key(file.class_name, list(classes), str(folder), noun=("class", "classes"))
        raise InputError(f"--data: {what} A refit learns no new class: rename the folder, or sweep anew with all data.")
    return file._replace(class_name=known)


def run_store(source: Source, reporter: Reporter, engine: Engine) -> Store:
    """The run's pictures at the variant's size: as they lie there, else drawn again from its data.

    InputError where they are needed and the data are not there, or are others now.
    """
    data, folder, size = source.experiment.data, source.run, source.setting.size
    place = (data.store or folder.stores) / store_name(data, size)
    try:
        store = open_store(place)
    except InputError:
        store = None
    if store is not None and store.fingerprint == source.split.data and _drawn_as_now(store):
        return store
    if not data.path.exists():
        raise InputError(
            f"The pictures of {folder.root} are not whole in {place}, and its data, which lay in {data.path}, are not "
            f"there. Where they were moved: orchestrate sweep {folder.experiment} --set data.path=WHERE_THEY_ARE "
            f"--out {folder.root} --resume"
        )
    filled = fill_with_line(
        reporter,
        engine,
        data.path,
        place,
        layout=data.layout,
        style=data.style,
        size=size,
        column=data.column,
        gaps=data.gaps,
        decimal=data.decimal,
        bits=data.bits,
        resumed=True,
        strict=False,
    )
    if filled.store.fingerprint != source.split.data:
        raise InputError(
            f"The data in {data.path} are not those that {folder.root} was started with: files were added, removed or "
            "changed. Put them back, and give new ones by --data."
        )
    return filled.store


def _drawn_as_now(store: Store) -> bool:
    """Whether this version would draw the same: what is added must be drawn alike."""
    one = store.recipe
    how = (one.layout, one.style or "", one.size, one.column, one.planes, one.gaps, one.decimal, one.bits, one.upright)
    return recipe_of(*how).identity == one.identity


def draw_more(
    source: Source, listed: Listed, own: Store, place: Path, reporter: Reporter, engine: Engine, strict: bool
) -> More:
    """Draw what is added, as the run's pictures are, and leave out what the run has in one of its parts."""
    data, recipe = source.experiment.data, own.recipe
    filled = fill_with_line(
        reporter,
        engine,
        listed.listing,
        place,
        layout=data.layout,
        style=data.style,
        size=source.setting.size,
        column=data.column,
        gaps=data.gaps,
        decimal=data.decimal,
        bits=None if LAYOUTS[data.layout].plots else recipe.bits or MOST_BITS,
        upright=recipe.upright or None,
        sights=True,
        strict=strict,
        title="render --data",
    )
    for line in (*skipped_lines(filled), *filled.store.remarks):
        reporter.say(line)
    store = filled.store
    seen = all(own.sights) and bool(own.sights)
    names = own.sights if seen else own.content
    part_of = {name: part for name, part in zip(names, source.split.part_names(), strict=True) if part is not None}
    known = [part_of.get(name) for name in (store.sights if seen else store.content)]
    counts = Counter(part for part in known if part is not None)
    rows = np.flatnonzero([part is None for part in known])
    if counts:
        parts = ", ".join(f"{counts[part]} in {part}" for part in PARTS if counts[part])
        by = "content" if seen else "bytes (an older release drew them, which did not note what is seen)"
        reporter.say(
            f"{plural(sum(counts.values()), 'picture')} of --data left out: the run has the same {by}: {parts}."
        )
    labels = np.array([own.classes.index(store.classes[label]) for label in store.labels[rows]], dtype=np.int64)
    if source.normal is not None:
        labels[:] = 0
    return More(store, rows, labels, {part: counts[part] for part in PARTS if counts[part]})

"""What is known of each file while a store is filled: its content, its key, and its picture or why it has none."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.data.files.content_hashes import UNSURE, Content, Look, digest, hash_contents
from orchestrator.data.files.mask_reading import settled_states
from orchestrator.data.files.mask_remarks import unclear_values
from orchestrator.data.files.picture_facts import Facts
from orchestrator.data.files.series import Reading
from orchestrator.data.files.strict_reading import refuse, unread_cells
from orchestrator.data.fill.draw_batch import Job
from orchestrator.data.fill.drawing import first_picture
from orchestrator.data.fill.worker_results import Drawn
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.names import times
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.store.index import FailedRow, Index, Row, Rows, fingerprint
from orchestrator.data.store.shards import Shape, Shard, ShardContents
from orchestrator.data.store.store import Recipe
from orchestrator.data.store.upkeep import known_shards
from trainables.errors import InputError


class Filling:
    """The files of one listing on their way into a store."""

    def __init__(
        self,
        listing: Listing,
        looks: Sequence[Look | None],
        folder: Path,
        recipe: Recipe,
        shape: Shape,
        before: Index | None,
        facts: Mapping[str, Facts] | None = None,
        sights: bool = False,
    ) -> None:
        """`facts` of pictures by path, as far as they are known. `sights`: what shards of older releases hold is drawn
        again, as it is not known what is seen in it. InputError where no mask is clear."""
        self._listing = listing
        self._looks = looks
        self._recipe = recipe
        self._shape = shape
        self._root = str(listing.root.resolve())
        self._facts = facts or {}
        known = _contents_of(before) if before is not None and before.root == self._root else {}
        if before is not None and before.identity != recipe.identity:  # masks may have been read otherwise
            known = {path: content for path, content in known.items() if not content.mask}
        self._contents, self._reasons = hash_contents(listing, looks, known, recipe.size)
        _refuse_unclear(self._contents, listing.root)
        self._keys: dict[tuple[str, str], str] = {}
        self._failures: dict[str, str] = {}
        if before is not None and before.identity == recipe.identity:
            self._failures = {row.content: row.reason for row in before.failed if row.content is not None}
        self._shards: dict[str, Shard] = {}
        self._places: dict[str, tuple[str, int, tuple[int, int]]] = {}
        self._readings: dict[str, Reading] = {}
        self._sights: dict[str, str] = {}
        for contents in known_shards(folder, shape, before):
            if contents.sights or not sights:
                self._take(contents)
        self.rendered = 0
        self.remarks: set[str] = set()

    def missing(self) -> list[Job]:
        """What to draw, in order: one for each content that has no picture yet and did not fail before."""
        wanted: dict[str, Job] = {}
        for file in self._listing.files:
            content = self._contents.get(file.path)
            if content is not None and content.content not in self._failures:
                key = self._key(content)
                if key not in self._places:
                    wanted.setdefault(key, (file.path, file.depth, file.mask))
        return list(wanted.values())

    def bytes_of(self, jobs: Sequence[Job]) -> int:
        """How many bytes the files of these jobs hold."""
        wanted = {path for path, _, _ in jobs}
        looks = zip(self._listing.files, self._looks, strict=True)
        return sum(look[0] for file, look in looks if look is not None and file.path in wanted)

    def add(self, result: Drawn) -> None:
        """Take in what `DrawBatch.draw` gave. InputError where pictures that keep their size differ in it."""
        for path, drawn, mask in result["drawn"]:
            self._changed(path, drawn, mask)
        for path, content, reason, other_shape in result["failed"]:
            if other_shape and not LAYOUTS[self._recipe.layout].plots:
                first, (height, width) = first_picture(self._listing, self._recipe.upright)
                raise InputError(
                    f"At full size all pictures must have one size, and {first!r} has {height}x{width} pixels where "
                    f"{path!r} has {reason}. Set a size (data.size), to which all are resized."
                )
            self._reasons[path] = reason
            if content is not None:
                self._changed(path, content)
                self._failures[content] = reason
        if result["shard"] is not None:
            shard, keys, sizes, told, sights = result["shard"]
            readings = tuple(None if one is None else Reading.of(one) for one in told)
            pairs = tuple((height, width) for height, width in sizes)
            self._take(ShardContents(Shard(*shard), tuple(keys), pairs, readings, tuple(sights)))
            self.rendered += len(keys)
        self.remarks |= {result["remark"]} - {""}

    def index(self, least_classes: int = 2) -> Index:
        """The rows of the files that have pictures, and those that have none, with the reason.

        InputError where no picture, or those of fewer classes, came out.
        """
        shards = sorted(self._shards)
        numbers = {name: number for number, name in enumerate(shards)}
        rows: list[Row] = []
        failed = [FailedRow(one.path, one.reason, None, *UNSURE) for one in self._listing.skipped]
        drawn = [file for file in self._listing.files if self._place(file.path) is not None]
        classes = sorted({file.class_name for file in drawn}, key=os.fsencode)
        labels = {name: label for label, name in enumerate(classes)}
        ways: dict[Reading, int] = {}
        for file in self._listing.files:
            found, content = self._place(file.path), self._contents.get(file.path)
            if content is not None and found is not None:
                name, place, size = found
                label = labels[file.class_name]
                known = (label, file.part, content.content, *size, *content.look, numbers[name], place)
                reading = self._readings.get(self._key(content))
                way = -1 if reading is None else ways.setdefault(reading, len(ways))
                facts = self._facts.get(file.path, Facts())
                mask = (content.mask, content.state, content.values)
                sight = self._sights.get(self._key(content), "")
                rows.append(Row(file.path, *known, *mask, *facts, way, sight))
            elif content is not None and content.content in self._failures:
                failed.append(FailedRow(file.path, self._failures[content.content], content.content, *content.look))
            else:
                reason = self._reasons.get(file.path, "it changed while it was read; run again")
                failed.append(FailedRow(file.path, reason, None, *UNSURE))
        failed.sort(key=lambda row: os.fsencode(row.path))
        if len(classes) < least_classes:
            raise self._too_few(classes, len(rows), failed)
        # What failed for another cause than its content is tried again, and what changed lately is hashed again.
        kept = {row.path for row in failed if row.content is not None}.union(row.path for row in rows)
        settled = all(
            file.path in kept and self._contents[file.path].look == look
            for file, look in zip(self._listing.files, self._looks, strict=True)
        )
        return Index(
            identity=self._recipe.identity,
            shape=self._shape,
            root=self._root,
            seen=digest(self._listing, self._looks) if settled else None,
            fingerprint=fingerprint(
                (row.path, identified(self._recipe.layout, row.content, row.mask, classes[row.label])) for row in rows
            ),
            classes=tuple(classes),
            rows=Rows.of(rows),
            failed=tuple(failed),
            shards=tuple(self._shards[name] for name in shards),
            readings=tuple(ways),
        )

    def _place(self, path: str) -> tuple[str, int, tuple[int, int]] | None:
        """The shard, the row in it and the size of a file's picture; None where it has none."""
        content = self._contents.get(path)
        return self._places.get(self._key(content)) if content is not None else None

    def _key(self, content: Content) -> str:
        """The recipe's key of a content, computed once."""
        known = (content.content, content.mask)
        if known not in self._keys:
            self._keys[known] = self._recipe.key(*known)
        return self._keys[known]

    def _changed(self, path: str, content: str, mask: str = "") -> None:
        """A worker read a file: where it holds something else than when it was hashed, that counts.

        A picture with a mask is left out until the next run, as what its mask is worth was learnt from the old bytes.
        """
        before = self._contents[path]
        if (before.content, before.mask) != (content, mask) and not (before.mask or mask):
            self._contents[path] = Content(content, UNSURE)

    def _take(self, contents: ShardContents) -> None:
        self._shards[contents.shard.name] = contents.shard
        for place, (key, size) in enumerate(zip(contents.keys, contents.sizes, strict=True)):
            self._places.setdefault(key, (contents.shard.name, place, size))
            reading = contents.readings[place]
            if reading is not None:
                self._readings[key] = reading
            if contents.sights and self._places[key][:2] == (contents.shard.name, place):
                self._sights[key] = contents.sights[place]

    def _too_few(self, classes: list[str], pictures: int, failed: list[FailedRow]) -> InputError:
        reasons = Counter(row.reason for row in failed).most_common(3)
        why = "; ".join(f"{times(count)}: {reason}" for reason, count in reasons)
        what = f"only class {classes[0]!r} has files that give pictures" if classes else "no file gives a picture"
        return InputError(
            f"Of the {pictures + len(failed)} files in {str(self._listing.root)!r} {len(failed)} can't be used, and "
            f"{what}. The most common reasons: {why}. Mend these files, or check data.layout and data.column."
        )


def identified(layout: LayoutName, content: str, mask: str, class_name: str) -> str:
    """What a picture adds to the data's fingerprint besides its path: all that it is, and that its path does not say.

    `content` and `mask` are hashes; `mask` is empty where there is none.
    """
    text = f"{content}+{mask}" if mask else content
    # The annotation of the spill layout gives the class; elsewhere the folder does.
    return f"{text}={class_name}" if LAYOUTS[layout].annotated else text


def _contents_of(index: Index) -> dict[str, Content]:
    """What the files held and how they looked, by relative path."""
    rows = index.rows
    looks = zip(rows.size, rows.mtime_ns, rows.inode, strict=True)
    known = dict(zip(rows.path, map(Content, rows.content, looks, rows.mask, rows.state, rows.values), strict=True))
    for row in index.failed:
        if row.content is not None:
            known[row.path] = Content(row.content, (row.size, row.mtime_ns, row.inode))
    return known


def _refuse_unclear(contents: Mapping[str, Content], root: Path) -> None:
    """InputError where there are masks, and of none that can be read it is clear what it marks."""
    masks = [content for content in contents.values() if content.mask]
    values = [content.values for content in masks]
    states = settled_states([content.state for content in masks], values)
    if "unclear" in states and set(states) <= {"unclear", "unreadable", "size"}:
        raise InputError(
            f"None of the {len(masks)} masks in {str(root)!r} says what is a defect: their values can mean several "
            f"things ({unclear_values(zip(states, values, strict=True))}). Write them with 0 where the picture is "
            "sound and 255 where it is not, or take them away to do without figures of pixels."
        )


def refuse_failures(index: Index, root: Path) -> None:
    """InputError that names the files without a picture, and those with cells that can't be read, if there are any."""
    readings = index.readings_by_path().items()
    doubts = [(path, unread_cells(reading.unread, reading.example)) for path, reading in readings if reading.unread]
    refuse(root, [*((row.path, row.reason) for row in index.failed), *doubts])

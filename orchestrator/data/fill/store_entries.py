"""What is known of each file while a store is filled: its content, its key, and its picture or why it has none."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from orchestrator.data.files.content_hashes import UNSURE, Content, Look, digest, hash_contents
from orchestrator.data.fill.draw_batch import Job
from orchestrator.data.fill.drawing import first_picture
from orchestrator.data.fill.worker_results import Drawn
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import LAYOUTS, LayoutName
from orchestrator.data.store.index import FailedRow, Index, Row, Rows, fingerprint
from orchestrator.data.store.shards import Shape, Shard, ShardContents
from orchestrator.data.store.store import Recipe
from orchestrator.data.store.upkeep import known_shards
from trainables.errors import InputError

NAMED = 10
"""How many bad files an error names."""


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
    ) -> None:
        self._listing = listing
        self._looks = looks
        self._recipe = recipe
        self._shape = shape
        self._root = str(listing.root.resolve())
        known = _contents_of(before) if before is not None and before.root == self._root else {}
        self._contents, self._reasons = hash_contents(listing, looks, known, recipe.size)
        self._keys: dict[tuple[str, str], str] = {}
        self._failures: dict[str, str] = {}
        if before is not None and before.identity == recipe.identity:
            self._failures = {row.content: row.reason for row in before.failed if row.content is not None}
        self._shards: dict[str, Shard] = {}
        self._places: dict[str, tuple[str, int, tuple[int, int]]] = {}
        for contents in known_shards(folder, shape, before):
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
                first, (height, width) = first_picture(self._listing)
                raise InputError(
                    f"At full size all pictures must have one size, and {first!r} has {height}x{width} pixels where "
                    f"{path!r} has {reason}. Set a size (data.size), to which all are resized."
                )
            self._reasons[path] = reason
            if content is not None:
                self._changed(path, content)
                self._failures[content] = reason
        if result["shard"] is not None:
            shard, keys, sizes = result["shard"]
            self._take(ShardContents(Shard(*shard), tuple(keys), tuple((height, width) for height, width in sizes)))
            self.rendered += len(keys)
        self.remarks |= {result["remark"]} - {""}

    def index(self) -> Index:
        """The rows of the files that have pictures, and those that have none, with the reason.

        InputError where no picture, or those of one class only, came out.
        """
        shards = sorted(self._shards)
        numbers = {name: number for number, name in enumerate(shards)}
        rows: list[Row] = []
        failed = [FailedRow(one.path, one.reason, None, *UNSURE) for one in self._listing.skipped]
        drawn = [file for file in self._listing.files if self._place(file.path) is not None]
        classes = sorted({file.class_name for file in drawn}, key=os.fsencode)
        labels = {name: label for label, name in enumerate(classes)}
        for file in self._listing.files:
            found, content = self._place(file.path), self._contents.get(file.path)
            if content is not None and found is not None:
                name, place, size = found
                label = labels[file.class_name]
                known = (label, file.part, content.content, *size, *content.look, numbers[name], place)
                rows.append(Row(file.path, *known, content.mask, content.state))
            elif content is not None and content.content in self._failures:
                failed.append(FailedRow(file.path, self._failures[content.content], content.content, *content.look))
            else:
                reason = self._reasons.get(file.path, "it changed while it was read; run again")
                failed.append(FailedRow(file.path, reason, None, *UNSURE))
        failed.sort(key=lambda row: os.fsencode(row.path))
        self._refuse_too_few(classes, len(rows), failed)
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

    def _refuse_too_few(self, classes: list[str], pictures: int, failed: list[FailedRow]) -> None:
        if len(classes) >= 2:
            return
        reasons = Counter(row.reason for row in failed).most_common(3)
        why = "; ".join(f"{count} times: {reason}" for reason, count in reasons)
        what = f"only class {classes[0]!r} has files that give pictures" if classes else "no file gives a picture"
        raise InputError(
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
    known = dict(zip(rows.path, map(Content, rows.content, looks, rows.mask, rows.state), strict=True))
    for row in index.failed:
        if row.content is not None:
            known[row.path] = Content(row.content, (row.size, row.mtime_ns, row.inode))
    return known


def refuse_failures(index: Index, root: Path) -> None:
    """InputError that names the files without a picture, if there are any."""
    if not index.failed:
        return
    lines = [f"  {row.path!r}: {row.reason}" for row in index.failed[:NAMED]]
    if len(index.failed) > NAMED:
        lines.append(f"  and {len(index.failed) - NAMED} more")
    raise InputError(
        f"{len(index.failed)} files in {str(root)!r} can't be used, and strict asks for none:\n"
        + "\n".join(lines)
        + "\nMend or remove them, or run without strict: they are then left out."
    )

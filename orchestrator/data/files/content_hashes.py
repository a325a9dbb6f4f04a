"""The hash of every file's bytes, read again only where a file may have changed."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from orchestrator.data.files.image_files import ImageError, picture_size
from orchestrator.data.files.mask_reading import MaskState
from orchestrator.data.files.picture_layers import mask_state
from orchestrator.data.files.source_files import Content as Read
from orchestrator.data.files.source_files import SourceFiles, SourceFolder
from orchestrator.data.layouts.listing import ListedFile, Listing
from trainables.files import bytes_sha256, text_sha256

SETTLED_NS = 2 * 10**9
"""A file younger than this may change again within the clock tick of its time (two seconds on some file systems)."""


Look = tuple[int, int, int]
"""How one file looks from outside, by size, time (ns) and inode: while that stays, so does its content.

Of a picture with depth or mask: the sum of sizes, the latest time, and a hash of how each of its files looks.
"""

UNSURE: Look = (-1, -1, -1)
"""How no file looks: a content that goes with it is hashed again."""


class Content(NamedTuple):
    """What one listed file held, and how it looked then."""

    content: str
    """The hash of the picture's bytes and, where it has depth, of the depth's: equal ones are duplicates."""
    look: Look
    mask: str = ""
    """The hash of the mask's bytes, "" where there is none."""
    state: MaskState = ""
    """Whether that mask can be used."""
    values: str = ""
    """The mask's values, which tell what masks of one value mean."""


class Sources(NamedTuple):
    """The bytes that one listed picture is made of."""

    picture: bytes
    depth: bytes | None = None
    mask: bytes | None = None

    @property
    def content(self) -> str:
        """The hash of picture and depth."""
        alone = content_hash(self.picture)
        return alone if self.depth is None else content_hash(f"{alone}+{content_hash(self.depth)}".encode("ascii"))

    @property
    def mask_hash(self) -> str:
        """The hash of the mask, "" where there is none."""
        return "" if self.mask is None else content_hash(self.mask)


def content_hash(data: bytes) -> str:
    """The name of a content: 128 bits of its SHA-256."""
    return bytes_sha256(data)[:32]


def look_at(listing: Listing) -> list[Look | None]:
    """How each listed file looks; None where it can't be seen."""
    looks: list[Look | None] = []
    root = f"{listing.root}/"
    for file in listing.files:
        try:
            if file.depth is None and file.mask is None:
                looks.append(_look(root + file.path))
            else:
                looks.append(_joined([_look(root + path) for path in _paths(file)]))
        except OSError:
            looks.append(None)
    return looks


def digest(listing: Listing, looks: Sequence[Look | None]) -> str:
    """The hash of all that a listing says and how its files look."""
    lines = [
        f"{file.path}\0{look}" + (f"\0{file[1:]!a}" if listing.normal is not None or _renamed(file) else "")
        for file, look in zip(listing.files, looks, strict=True)
    ]
    text = "\n".join([str(listing.root.resolve()), *lines, *map(str, listing.skipped)])
    return text_sha256(text, "surrogatepass")[:32]


def hash_contents(
    listing: Listing,
    looks: Sequence[Look | None],
    known: Mapping[str, Content],
    size: tuple[int, int] | None = None,
) -> tuple[dict[str, Content], dict[str, str]]:
    """Each file's content by relative path; and for those that can't be read, the reason.

    A file that looks as it did when its `known` content was read is not read. `size` is what pictures are kept at,
    which masks are judged by.
    """
    contents: dict[str, Content] = {}
    unreadable: dict[str, str] = {}
    for file, look in zip(listing.files, looks, strict=True):
        before = known.get(file.path)
        if before is not None and before.look == look and (before.mask != "") == (file.mask is not None):
            contents[file.path] = before
            continue
        now = time.time_ns()
        try:
            sources = read_sources(str(listing.root), file)
            content, mask = sources.content, sources.mask_hash
        except OSError as error:
            unreadable[file.path] = f"can't be read: {error.strerror}"
            continue
        except MemoryError:
            unreadable[file.path] = "too large for this machine's memory"
            continue
        settled = look is not None and now - look[1] > SETTLED_NS
        seen = look if look is not None and settled else UNSURE
        contents[file.path] = Content(content, seen, mask, *_state(sources, size))
    return contents, unreadable


def read_sources(root: str, file: ListedFile) -> Sources:
    """The bytes of a listed picture, its depth and its mask. OSError where one can't be read."""
    (found,) = each_sources(SourceFolder(root), [file])
    if isinstance(found, Sources):
        return found
    raise found


def each_sources(files: SourceFiles, listed: Sequence[ListedFile]) -> Iterator[Sources | OSError | MemoryError]:
    """The bytes of each listed picture, its depth and its mask, in order; or why one can't be read."""
    read = files.each([path for file in listed for path in _paths(file)])
    for file in listed:
        yield _joined_sources(file, list(islice(read, len(_paths(file)))))


def _joined_sources(file: ListedFile, read: Sequence[Read]) -> Sources | OSError | MemoryError:
    picture, *beside = read
    if not isinstance(picture, bytes):
        return picture
    for one in beside:
        if isinstance(one, OSError):
            return OSError(one.errno, f"{one.strerror} (its depth or mask)")
        if isinstance(one, MemoryError):
            return one
    rest = [one for one in beside if isinstance(one, bytes)]
    depth = None if file.depth is None else rest.pop(0)
    return Sources(picture, depth, None if file.mask is None else rest.pop(0))


def _state(sources: Sources, size: tuple[int, int] | None) -> tuple[MaskState, str]:
    if sources.mask is None:
        return "", ""
    try:
        return mask_state(sources.mask, picture_size(sources.picture, upright=True), size)
    except ImageError:
        return "unreadable", ""


def _renamed(file: ListedFile) -> bool:
    """Whether the class has another name than its folder: in Unicode's other form, or with bytes that are no UTF-8."""
    return not file.path.isascii() and file.class_name not in file.path.split("/")


def _paths(file: ListedFile) -> list[str]:
    return [path for path in (file.path, file.depth, file.mask) if path is not None]


def _look(path: str) -> Look:
    status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call, for 100,000 files
    return status.st_size, status.st_mtime_ns, status.st_ino


def _joined(looks: Sequence[Look]) -> Look:
    mixed = int(text_sha256(repr(looks))[:12], 16)
    return sum(size for size, _, _ in looks), max(time for _, time, _ in looks), mixed

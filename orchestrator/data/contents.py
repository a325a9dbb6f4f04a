"""The hash of every file's bytes, read again only where a file may have changed."""

import os
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from orchestrator.data.layouts import Listing

SETTLED_NS = 2 * 10**9
"""A file younger than this may change again within the clock tick of its time (two seconds on some file systems)."""


Look = tuple[int, int, int]
"""How one file looks from outside, by size, time (ns) and inode: while that stays, so does its content."""

UNSURE: Look = (-1, -1, -1)
"""How no file looks: a content that goes with it is hashed again."""


class Content(NamedTuple):
    """What one file held, and how it looked then."""

    content: str
    look: Look


def content_hash(data: bytes) -> str:
    """The name of a content: 128 bits of its SHA-256."""
    return sha256(data).hexdigest()[:32]


def look_at(listing: Listing) -> list[Look | None]:
    """How each listed file looks; None where it can't be seen."""
    looks: list[Look | None] = []
    root = f"{listing.root}/"
    for file in listing.files:
        try:
            status = os.stat(root + file.path)  # noqa: PTH116 - a Path costs more than the call, for 100,000 files
        except OSError:
            looks.append(None)
        else:
            looks.append((status.st_size, status.st_mtime_ns, status.st_ino))
    return looks


def digest(listing: Listing, looks: Sequence[Look | None]) -> str:
    """The hash of all that a listing says and how its files look."""
    lines = [f"{file.path}\0{look}" for file, look in zip(listing.files, looks, strict=True)]
    text = "\n".join([str(listing.root.resolve()), *lines, *map(str, listing.skipped)])
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def hash_contents(
    listing: Listing, looks: Sequence[Look | None], known: Mapping[str, Content]
) -> tuple[dict[str, Content], dict[str, str]]:
    """Each file's content by relative path; and for those that can't be read, the reason.

    A file that looks as it did when its `known` content was read is not read.
    """
    contents: dict[str, Content] = {}
    unreadable: dict[str, str] = {}
    for file, look in zip(listing.files, looks, strict=True):
        before = known.get(file.path)
        if before is not None and before.look == look:
            contents[file.path] = before
            continue
        now = time.time_ns()
        try:
            with open(f"{listing.root}/{file.path}", "rb", buffering=0) as opened:  # noqa: PTH123 - as above
                hashed = content_hash(opened.read())
        except OSError as error:
            unreadable[file.path] = f"can't be read: {error.strerror}"
            continue
        except MemoryError:
            unreadable[file.path] = "too large for this machine's memory"
            continue
        settled = look is not None and now - look[1] > SETTLED_NS
        contents[file.path] = Content(hashed, look if look is not None and settled else UNSURE)
    return contents, unreadable

"""What trainings on this machine keep for one another: listed, and removed."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from trainables.cache import LIMIT_VARIABLE, Listed, own_cache
from trainables.errors import InputError
from trainables.printing import printable

DAY = 86_400.0
LONGEST = 100
HASH = re.compile(r"[0-9a-f]{32,}")


class CacheEntry(BaseModel):
    """One entry."""

    model_config = ConfigDict(frozen=True)

    kind: str
    """What is kept: features of frozen networks, first stages of training, principal components."""
    key: str
    bytes: int
    used: str
    """When it was last used: UTC, ISO 8601."""
    about: dict[str, Any]
    """What the key is made of."""


class CacheContents(BaseModel):
    """What lies in the cache, the longest unused first, or what was removed from it."""

    model_config = ConfigDict(frozen=True)

    folder: str
    most_bytes: int
    """What it may take; of more, what was unused for longest goes."""
    entries: tuple[CacheEntry, ...]

    @property
    def bytes(self) -> int:
        """Of all entries."""
        return sum(one.bytes for one in self.entries)


def cached() -> CacheContents:
    """What trainings on this machine keep for one another. Raises InputError where its limit is no number."""
    cache = own_cache()
    return _contents(cache.listed())


def clean_cache(older_than: float | None = None, kind: str | None = None) -> CacheContents:
    """Remove what was not used for `older_than` days, or one kind; unset: all. Gives what was removed.

    What is removed is computed anew when it is needed. Raises InputError for a negative number of days, and for a
    kind of which nothing lies there.
    """
    if older_than is not None and not older_than >= 0:
        raise InputError(f"--older-than is {older_than:g}; it must be a number of days, 0 or more.")
    cache = own_cache()
    entries = cache.listed()
    kinds = sorted({one.kind for one in entries})
    if kind is not None and kind not in kinds:
        there = f"it holds {', '.join(kinds)}" if kinds else "it is empty"
        raise InputError(f"The cache in {cache.folder} holds nothing of the kind {printable(kind)!r}; {there}.")
    moment = time.time() - (older_than or 0) * DAY
    chosen = [one for one in entries if (kind is None or one.kind == kind) and one.used <= moment]
    cache.remove(chosen)
    return _contents(chosen)


def contents_text(contents: CacheContents) -> str:
    """What lies in the cache, for a person."""
    where = f"{contents.folder}, which may take {_size(contents.most_bytes)} ({LIMIT_VARIABLE})"
    if not contents.entries:
        return f"Nothing lies in {where}."
    rows = [
        (one.kind, _size(one.bytes), f"{one.used[:16].replace('T', ' ')} UTC", about_text(one.about))
        for one in contents.entries
    ]
    head = ("kind", "size", "last used", "what")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}" for row in (head, *rows)]
    count = len(rows)
    entries = "1 entry" if count == 1 else f"{count:,} entries"
    return "\n".join([*lines, "", f"{entries}, {_size(contents.bytes)}, in {where}."])


def removed_text(removed: CacheContents) -> str:
    """What was removed, for a person."""
    count = len(removed.entries)
    entries = "1 entry" if count == 1 else f"{count:,} entries"
    return f"Removed {entries}, {_size(removed.bytes)}, from {removed.folder}."


def about_text(about: Mapping[str, Any]) -> str:
    """What a key is made of, in a line, without hashes."""
    parts = []
    for name, value in about.items():
        text = f"{value}"
        if value not in ("", None, [], {}) and not HASH.search(text):
            parts.append(text if name == "what" else f"{name} {text}")
    text = printable(", ".join(parts))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _size(size: int) -> str:
    """In powers of ten, as the limit is given."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _contents(entries: list[Listed]) -> CacheContents:
    cache = own_cache()
    return CacheContents(
        folder=str(cache.folder),
        most_bytes=cache.most_bytes,
        entries=tuple(
            CacheEntry(
                kind=one.kind,
                key=one.key,
                bytes=one.bytes,
                used=datetime.fromtimestamp(one.used, UTC).isoformat(timespec="seconds"),
                about=dict(one.about),
            )
            for one in entries
        ),
    )

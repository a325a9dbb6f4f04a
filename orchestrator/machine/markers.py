"""Files that are left in folders for a moment: who sees them on another machine sees the same folders."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from trainables.files import DRAFT


@contextmanager
def markers(names: Mapping[Path, str]) -> Iterator[dict[str, str]]:
    """By the path of a file of random content in each folder: what the folder is called. They are removed again."""
    made: dict[str, str] = {}
    try:
        for place, name in names.items():
            place.mkdir(parents=True, exist_ok=True)
            marker = place / f".seen-{secrets.token_hex(8)}{DRAFT}"
            made[str(marker)] = f"{name} {place}"
            marker.write_text(secrets.token_hex(16), encoding="ascii")
        yield made
    finally:
        for path in made:
            with suppress(OSError):
                Path(path).unlink()

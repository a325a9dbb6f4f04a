"""What `strict` asks of a tree of files: none that can't be used, and no cell that can't be read."""

import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.data.files.csv_table import SeriesError
from orchestrator.data.files.links import leads_out, without_quotes
from orchestrator.data.files.series import DecimalMark, parse_series
from orchestrator.data.layouts.listing import Listing
from trainables.errors import InputError
from trainables.files import read_regular

NAMED = 10
"""Files that one error names."""
SECONDS = 5.0
"""That reading series beforehand may take: with more files, the rest is seen where they are drawn."""


def refuse_unreadable_series(
    listing: Listing, column: str | None, decimal: DecimalMark, seconds: float = SECONDS
) -> None:
    """InputError that names the files that give no series, or hold cells that can't be read; nothing is drawn.

    Of many files so many are read as `seconds` allow.
    """
    if not listing.layout.plots:
        return
    failed, doubts = list[tuple[str, str]](), list[tuple[str, str]]()
    began, root = time.monotonic(), str(listing.root)
    for file in listing.files:
        if time.monotonic() - began > seconds:
            break
        try:
            reading = parse_series(read_regular(listing.root / file.path), column, decimal=decimal).reading
        except OSError as error:
            failed.append((file.path, f"can't be read: {error.strerror}"))
        except SeriesError as error:
            failed.append((file.path, without_quotes(str(error)) if leads_out(root, file.path) else str(error)))
        else:
            if reading.unread:
                example = "…" if leads_out(root, file.path) else reading.example
                doubts.append((file.path, unread_cells(reading.unread, example)))
    refuse(listing.root, [*failed, *doubts])


def unread_cells(count: int, example: str) -> str:
    """What is wrong with a file that holds cells which can't be read."""
    return f"{count} cell{'' if count == 1 else 's'} can't be read without doubt, such as {example!r}"


def refuse(root: Path, bad: Sequence[tuple[str, str]]) -> None:
    """InputError that names files by path and reason, if there are any."""
    if not bad:
        return
    lines = [f"  {path!r}: {reason}" for path, reason in bad[:NAMED]]
    if len(bad) > NAMED:
        lines.append(f"  and {len(bad) - NAMED} more")
    raise InputError(
        f"{len(bad)} file{'' if len(bad) == 1 else 's'} in {str(root)!r} can't be used, and strict asks for none:\n"
        + "\n".join(lines)
        + "\nMend or remove them, or run without strict: files, or cells, that can't be read are then left out."
    )

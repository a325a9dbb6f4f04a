"""What workers that draw or export tell the driver; it travels as JSON, which makes lists of tuples."""

from collections.abc import Sequence
from typing import TypedDict


class BatchResult(TypedDict):
    """What became of a batch of files."""

    drawn: Sequence[Sequence[object]]
    failed: Sequence[Sequence[object]]


class Drawn(TypedDict):
    """What `DrawBatch` gives."""

    drawn: list[tuple[str, str, str]]
    """Path, hash of the content, hash of the mask."""
    failed: list[tuple[str, str | None, str, bool]]
    """Path, hash of the content where the same content would fail again, reason, whether it has another size."""
    shard: (
        tuple[
            tuple[str, int, int, int, int],
            Sequence[str],
            Sequence[tuple[int, int]],
            Sequence[Sequence[object] | None],
            Sequence[str],
        ]
        | None
    )
    """The fields of a `ShardContents`; None where nothing was drawn."""
    remark: str
    """What the user should know of how they were drawn; or empty."""
    error: str
    """Why the shard can't be written; or empty."""


class Written(TypedDict):
    """What `WritePngs` gives."""

    drawn: list[tuple[str, str, int, int]]
    """Target, what the picture is made from, the file's size and time."""
    failed: list[tuple[str, str]]
    """Target, reason."""

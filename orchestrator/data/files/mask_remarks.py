"""What to say of masks that can't be used."""

from collections import Counter
from collections.abc import Iterable

from orchestrator.data.files.picture_layers import MaskState

REASONS: dict[MaskState, str] = {
    "": "without a mask",
    "empty": "with an empty mask (nothing in it is above 127: a mask holds 0 and 255)",
    "vanished": "with a mask of which nothing is left at this size",
    "size": "with a mask of another size than the picture",
    "unreadable": "with a mask that can't be read as a picture",
}


def mask_remarks(states: Iterable[MaskState]) -> list[str]:
    """A sentence for each reason, from the states of all anomalies' masks."""
    counts = Counter(states)
    total = sum(counts.values())
    return [
        f"Of {total} anomalies, {counts[state]} {reason}: counted in figures of pictures, left out of those of pixels."
        for state, reason in REASONS.items()
        if counts[state]
    ]

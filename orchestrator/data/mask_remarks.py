"""What to say of masks that can't be used."""

from collections import Counter
from collections.abc import Iterable

from orchestrator.data.planes import MaskState

REASONS: dict[MaskState, str] = {
    "": "have no mask",
    "empty": "have an empty mask (nothing in it is above 127: a mask is 0 and 255, not 0 and 1)",
    "vanished": "have a mask of which nothing is left at this size",
    "size": "have a mask of another size than the picture",
    "unreadable": "have a mask that can't be read as a picture",
}


def mask_remarks(states: Iterable[MaskState]) -> list[str]:
    """A sentence for each reason, from the states of all anomalies' masks."""
    counts = Counter(states)
    total = sum(counts.values())
    return [
        f"{counts[state]} of {total} anomalies {reason}: they count for figures of pictures, not of pixels."
        for state, reason in REASONS.items()
        if counts[state]
    ]

"""What to say of masks that can't be used."""

from collections import Counter
from collections.abc import Iterable

from orchestrator.data.files.mask_reading import MaskState

REASONS: dict[MaskState, str] = {
    "": "without a mask",
    "empty": "with an empty mask (all of it is 0)",
    "vanished": "with a mask of which nothing is left at this size",
    "size": "with a mask of another size than the picture",
    "unreadable": "with a mask that can't be read as a picture",
    "unclear": "with a mask whose values can mean several things",
}
EXAMPLES = 3
"""How many sets of values a remark names."""


def mask_remarks(masks: Iterable[tuple[MaskState, str]]) -> list[str]:
    """A sentence for each reason, from the states and values of all anomalies' masks."""
    told = list(masks)
    counts = Counter(state for state, _ in told)
    unclear = f" ({unclear_values(told)}; write masks with 0 and 255)"
    return [
        f"Of {len(told)} anomalies, {counts[state]} {reason}{unclear if state == 'unclear' else ''}: counted in "
        "figures of pictures, left out of those of pixels."
        for state, reason in REASONS.items()
        if counts[state]
    ]


def unclear_values(masks: Iterable[tuple[MaskState, str]]) -> str:
    """The values of unclear masks, the most frequent first."""
    found = Counter(values for state, values in masks if state == "unclear")
    named = "; ".join(values for values, _ in found.most_common(EXAMPLES))
    return f"found: {named}" + (f"; and {len(found) - EXAMPLES} other sets of values" if len(found) > EXAMPLES else "")

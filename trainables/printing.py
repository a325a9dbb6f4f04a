"""Texts that nobody vouches for, such as names of files, fit for a terminal, a page or a message."""

import unicodedata
from typing import Any


def printable(value: Any) -> str:
    """Text that any page can hold: control characters and bytes that are no UTF-8 become visible escapes."""
    return "".join(repr(one)[1:-1] if _unprintable(one) else one for one in str(value))


def printable_lines(text: str) -> str:
    """The same for text of several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def _unprintable(character: str) -> bool:
    # Directional overrides (Cf, as joiners are) would let a name turn round the text beside it.
    bidirectional = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return bidirectional or unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")

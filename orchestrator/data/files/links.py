"""Links that lead out of the data folder: what such a file holds may be none of the business of a report's readers."""

import os
import re


def leads_out(root: str, path: str) -> bool:
    """Whether a file, by its path relative to the root, really lies elsewhere."""
    inside = os.path.realpath(root)
    return os.path.commonpath([inside, os.path.realpath(f"{root}/{path}")]) != inside


def without_quotes(reason: str) -> str:
    """A reason without the text that it quotes from a file."""
    return re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "'…'", reason)

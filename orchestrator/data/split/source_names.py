"""Names that say which pictures are of one source: what to write into `data.split.group`, where that is plausible."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.layouts.names import visible
from orchestrator.data.split.grouped_division import stem_of

EXPRESSIONS = (r"^(.+)[_-]\d+[_-]\d+$", r"^(.+)[_-][A-Za-z]*\d+$", r"^([A-Za-z]+\d+)[A-Za-z]+\d*$")
"""What is tried, the coarsest sources first: img01_160_0 and rec3-004 and img01_p1 and s01e02."""
MOST_STRAYS = 0.1
LEAST_SHARED = 0.8
"""The share of pictures that must have a companion."""
LEAST_SOURCES = 3
"""In half of the classes, so that there is something to divide."""
MIXED_SOURCES, LARGEST_MIXED = 20, 0.05
"""Where sources mix classes, as patches of one picture may, they must be many and small: else they are settings."""


def group_suggestion(files: Sequence[ListedFile]) -> list[str]:
    """One sentence with the value of `data.split.group` that the stems suggest; none where they suggest nothing.

    It is for a person to decide: names alone prove nothing, so it is never applied.
    """
    for expression in EXPRESSIONS:
        sources = _sources(files, expression)
        if sources and _plausible(sources, files):
            name, members = max(sources.items(), key=lambda item: (min(len(item[1]), 9), item[0]))
            stems = ", ".join(visible(stem_of(file.path)) for file in members[:3])
            held = sum(map(len, sources.values()))
            more = ", …" if len(members) > 3 else ""
            return [
                f"Names look as if several files were of one source: {len(sources)} such as '{visible(name)}' "
                f"({stems}{more}) hold {held} of {len(files)} files. If they are, keep each source in one part: "
                f"data.split.group: '{expression}' in the file, or --set 'data.split.group={expression}'."
            ]
    return []


def _sources(files: Sequence[ListedFile], expression: str) -> dict[str, list[ListedFile]]:
    """The files by source; empty where too many stems do not match."""
    pattern, found = re.compile(expression), defaultdict(list)
    for file in files:
        match = pattern.search(stem_of(file.path))
        if match is not None:
            found[match[1]].append(file)
    matched = sum(map(len, found.values()))
    return dict(found) if matched >= (1 - MOST_STRAYS) * len(files) else {}


def _plausible(sources: dict[str, list[ListedFile]], files: Sequence[ListedFile]) -> bool:
    """Whether these are sources, which are numbered, and not kinds or one running number."""
    total = sum(map(len, sources.values()))
    numbered = sum(any(one.isdigit() for one in name) for name in sources)
    shared = sum(len(members) for members in sources.values() if len(members) > 1)
    if numbered < (1 - MOST_STRAYS) * len(sources) or shared < LEAST_SHARED * total:
        return False
    classes = [{file.class_name for file in members} for members in sources.values()]
    mixed = sum(len(names) > 1 for names in classes)
    if mixed > MOST_STRAYS * len(sources):
        return len(sources) >= MIXED_SOURCES and max(map(len, sources.values())) <= LARGEST_MIXED * total
    held = Counter(name for names in classes for name in names)
    enough = sum(count >= LEAST_SOURCES for count in held.values())
    return 2 * enough >= len({file.class_name for file in files})

"""What the report says of the data: the parts of the split, what to know of it, and files that were left out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.data.files.series_remarks import reading_line
from orchestrator.data.store.index import Index, read_index
from orchestrator.report.document.document import Block, Facts, Fold, Listing, Section
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.numbers.run_data import RunData

MOST_LINES = 40


def data_section(data: RunData, more: Sequence[tuple[str, str]] = ()) -> Section | None:
    """Read loosely: what the run's files don't say is left out. `more`: further facts."""
    facts = [(f"{part.capitalize()} part", plural(size, "picture")) for part, size in part_sizes(data.split).items()]
    if data.classes:
        facts.append(("Classes", f"{len(data.classes)}: {words([printable(name) for name in data.classes], 30)}"))
    facts += more
    blocks: list[Block] = [Facts(facts)] if facts else []
    given = data.split.get("remarks")
    remarks = [printable(one) for one in given] if isinstance(given, list) else []
    if remarks:
        blocks.append(Listing(_cut(remarks)))
    skipped = [f"{printable(path)}: {printable(reason)}" for path, reason in skipped_files(data)]
    if skipped:
        blocks.append(Fold(f"{plural(len(skipped), 'skipped file')}", [Listing(_cut(skipped))]))
    odd = [f"{printable(path)}: {printable(line)}" for path, line in odd_files(data)]
    if odd:
        title = f"{plural(len(odd), 'file')} of which something was left out or guessed"
        blocks.append(Fold(title, [Listing(_cut(odd))]))
    text = ["There is nothing to remark on the split."] if data.split and not remarks else []
    return Section("data", "Data and split", text, blocks) if blocks else None


def part_sizes(split: dict[str, Any]) -> dict[str, int]:
    """How many pictures each part of the split holds."""
    pictures = split.get("pictures")
    if not isinstance(pictures, list):
        return {}
    counts = Counter(row[1] for row in pictures if isinstance(row, list) and len(row) == 2 and isinstance(row[1], str))
    return {part: counts[part] for part in ("train", "validation", "test") if counts[part]}


def skipped_files(data: RunData) -> list[tuple[str, str]]:
    """(path, reason) of each file of the experiment's data that gave no picture, as a store of this run tells it."""
    index = _index_of(data)
    return [] if index is None else [(row.path, row.reason) for row in index.failed]


def odd_files(data: RunData) -> list[tuple[str, str]]:
    """(path, what of it was left out or guessed) of each series of which there is something to say."""
    index = _index_of(data)
    found = {} if index is None else index.readings_by_path()
    return [(path, line) for path, reading in found.items() if (line := reading_line(reading))]


def _index_of(data: RunData) -> Index | None:
    """The index of a store of this run with the experiment's data; None where there is none."""
    told = data.experiment.get("data")
    source = {key: value for key, value in told.items() if isinstance(value, str)} if isinstance(told, dict) else {}
    roots = [data.run.stores, *([Path(source["store"])] if source.get("store") else [])]
    for folder in (folder for root in roots if root.is_dir() for folder in sorted(root.iterdir())):
        index = read_index(folder)
        if index is not None and (source.get("path") is None or Path(index.root) == Path(source["path"])):
            return index
    return None


def _cut(lines: Sequence[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return list(lines)
    return [*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES} more"]

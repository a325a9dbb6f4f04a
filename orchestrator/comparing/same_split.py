"""Whether two runs were judged on the same pictures: by the fingerprints of records and split.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.comparing.foreign import ForeignData
from orchestrator.comparing.reading import NamedRun
from orchestrator.report.document.formatting import count, plural, printable, words


@dataclass(frozen=True)
class SplitCheck:
    """What two runs' fingerprints say."""

    differences: tuple[str, ...]
    """A sentence each; none where both were judged on the same split of the same data."""
    test_first: int | None = None
    """Test pictures; None where split.json does not say."""
    test_second: int | None = None
    common: int | None = None
    """Test pictures of both, by relative path."""
    elsewhere: int | None = None
    """Test pictures of the first that the second trains on or chooses by."""

    @property
    def same(self) -> bool:
        return not self.differences

    @property
    def counts(self) -> str:
        """The test pictures in common, in words; empty where it is not known."""
        if self.common is None or self.test_first is None or self.test_second is None:
            return ""
        text = (
            f"{plural(self.common, 'test picture')} in common, by path, of {count(self.test_first)} and "
            f"{count(self.test_second)}"
        )
        if self.elsewhere:
            text += f"; {count(self.elsewhere)} of the first run's test pictures train or choose in the second"
        return f"{text}."


def check_split(first: NamedRun, second: NamedRun) -> SplitCheck:
    """Compare the fingerprints of data and split that records and split.json of both runs hold.

    A file of another tool has none: its scores were joined with the first run's test pictures, and of its metrics
    nobody knows the pictures.
    """
    if second.foreign is not None:
        return _check_foreign(second.name, second.foreign)
    found = []
    for field, noun in (("data", "data"), ("split", "split")):
        ours, theirs = _fingerprints(first, field), _fingerprints(second, field)
        for run, values in ((first, ours), (second, theirs)):
            if len(values) > 1:
                found.append(f"{run.name} holds {len(values)} fingerprints of its {noun}: {words(values)}.")
        if ours != theirs:
            differ = "The data differ" if field == "data" else "The split differs"
            found.append(f"{differ}: {words(ours)} in {first.name}, {words(theirs)} in {second.name}.")
    parts, others = _parts(first.data.split), _parts(second.data.split)
    if not parts or not others:
        return SplitCheck(tuple(found))
    tested = {path for path, part in parts.items() if part == "test"}
    also = {path for path, part in others.items() if part == "test"}
    elsewhere = sum(others.get(path) in ("train", "validation") for path in tested)
    return SplitCheck(tuple(found), len(tested), len(also), len(tested & also), elsewhere)


def _check_foreign(name: str, data: ForeignData) -> SplitCheck:
    if data.is_table:
        return SplitCheck((f"{name} is a table of metrics: on which pictures they were measured is not known.",))
    tested = len(next(iter(data.kept.values())).labels)
    return SplitCheck((), tested, tested, tested, 0)


def _fingerprints(run: NamedRun, field: str) -> list[str]:
    """The distinct ones of a run's records and of its split.json."""
    kept = run.data.split.get("data" if field == "data" else "fingerprint")
    said = [*run.data.distinct(field), *([str(kept)] if kept else [])]
    return [printable(value) for value in dict.fromkeys(said)]


def _parts(split: Mapping[str, Any]) -> dict[str, str]:
    """Relative path -> part, as split.json has it; empty where it holds none."""
    rows = split.get("pictures")
    pairs = [row for row in rows if isinstance(row, list) and len(row) == 2] if isinstance(rows, list) else []
    return {str(path): str(part) for path, part in pairs}

"""The annotation of the spill layout: a line `name.jpg 0` for a normal test picture, `name.jpg 1` for a spill."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.listing import Skipped
from orchestrator.data.layouts.names import folded, paired, times
from trainables.errors import InputError
from trainables.files import read_regular

ANNOTATION = "test/test_annotation.txt"
TEST = "test/imgs"
CLASSES = {"0": "normal", "1": "spill"}


@dataclass(frozen=True)
class Annotated:
    """What an annotation says of the pictures in its folder."""

    classes: dict[str, str]
    """The class of each picture that can be used, by relative path."""
    skipped: list[Skipped]
    """Lines and pictures that can't, a line as `file:number`."""
    remarks: list[str]
    """How many, one for each reason."""


def annotation_in(root: Path) -> str:
    """Where the annotation lies below the root, whatever its capitals; as the layout has it where there is none."""
    found = ""
    for name in ANNOTATION.split("/"):
        try:
            names = [entry.name for entry in (root / found).iterdir()]
        except OSError:
            return ANNOTATION
        there = sorted((one for one in names if folded(one) == name), key=lambda one: (one != name, one))
        if not there:
            return ANNOTATION
        found = f"{found}/{there[0]}" if found else there[0]
    return found


def read_annotation(root: Path, annotation: str, pictures: Sequence[str]) -> Annotated:
    """Match the lines of the `annotation` with the `pictures` (relative paths below TEST).

    A line's name is that of a picture where both are equal in Unicode's normal form. InputError where the file is
    missing, can't be read, or none of its lines can be used.
    """
    lines, skipped = _lines(root, annotation)
    path_of = paired(lines, {path[len(TEST) + 1 :]: path for path in pictures})
    classes: dict[str, str] = {}
    known: set[str] = set()
    for name, said in lines.items():
        if name not in path_of:
            skipped.append((f"{annotation}:{said[0][0]}", "a line that names a missing picture"))
            continue
        known.add(path_of[name])
        if len({kind for _, kind in said}) > 1:
            skipped.append((path_of[name], "annotated both 0 and 1"))
        else:
            classes[path_of[name]] = said[0][1]
    skipped += [(path, "a picture without a line in the annotation") for path in pictures if path not in known]
    if not classes:
        reasons = "; ".join(
            f"{times(count)}: {why}" for why, count in Counter(why for _, why in skipped).most_common(3)
        )
        raise InputError(
            f"No line of the annotation {str(root / annotation)!r} can be used"
            + (f" ({reasons})" if reasons else ": it is empty")
            + f". Give a line for each picture in {TEST}: name.jpg 0, or name.jpg 1 for a spill."
        )
    counts = Counter(why for _, why in skipped)
    remarks = [f"{count} left out of {annotation} and its pictures: {why}." for why, count in counts.items()]
    return Annotated(classes, [Skipped(*one) for one in skipped], remarks)


def _lines(root: Path, annotation: str) -> tuple[dict[str, list[tuple[int, str]]], list[tuple[str, str]]]:
    """What the lines say, as (number, class) by the name that they give; and those that say nothing, or no more."""
    file = root / annotation
    try:
        text = read_regular(file).decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise InputError(
            f"The annotation {str(file)!r} can't be read: {error.strerror}. It says which pictures of {TEST} are "
            "normal, a line for each: name.jpg 0, or name.jpg 1 for a spill."
        ) from error
    lines: dict[str, list[tuple[int, str]]] = {}
    skipped: list[tuple[str, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.strip().rsplit(maxsplit=1)
        name, label = fields if len(fields) == 2 else ("", "")
        place = f"{annotation}:{number}"
        if label not in CLASSES:
            skipped.append((place, "a malformed line: it must be a name, a space, and 0 or 1"))
            continue
        if name in lines:
            kind = "repeats" if lines[name][0][1] == CLASSES[label] else "contradicts"
            skipped.append((place, f"a line that {kind} an earlier one"))
        lines.setdefault(name, []).append((number, CLASSES[label]))
    return lines, skipped

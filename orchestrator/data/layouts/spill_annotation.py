"""The annotation of the spill layout: a line `name.jpg 0` for a normal test picture, `name.jpg 1` for a spill."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.listing import Skipped
from trainables.errors import InputError

ANNOTATION = "test/test_annotation.txt"
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


def read_annotation(root: Path, folder: str, pictures: Sequence[str]) -> Annotated:
    """Match the lines of the annotation with the `pictures` (relative paths below `folder`).

    InputError where the file is missing, can't be read, or none of its lines can be used.
    """
    file = root / ANNOTATION
    try:
        text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise InputError(
            f"The annotation {str(file)!r} can't be read: {error.strerror}. It says which pictures of {folder} are "
            "normal, a line for each: name.jpg 0, or name.jpg 1 for a spill."
        ) from error
    lines: dict[str, tuple[int, str]] = {}
    contradicted: set[str] = set()
    skipped: list[tuple[str, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.strip().rsplit(maxsplit=1)
        name, label = fields if len(fields) == 2 else ("", "")
        path = f"{folder}/{name}"
        if label not in CLASSES:
            skipped.append((f"{ANNOTATION}:{number}", "a malformed line: it must be a name, a space, and 0 or 1"))
        elif path not in lines:
            lines[path] = (number, CLASSES[label])
        elif lines[path][1] == CLASSES[label]:
            skipped.append((f"{ANNOTATION}:{number}", "a line that repeats an earlier one"))
        else:
            skipped.append((f"{ANNOTATION}:{number}", "a line that contradicts an earlier one"))
            contradicted.add(path)
    there = set(pictures)
    classes = {path: kind for path, (_, kind) in lines.items() if path in there and path not in contradicted}
    for path, (number, _) in lines.items():
        if path not in there:
            skipped.append((f"{ANNOTATION}:{number}", "a line that names a missing picture"))
    for path in pictures:
        if path in contradicted:
            skipped.append((path, "annotated both 0 and 1"))
        elif path not in lines:
            skipped.append((path, "a picture without a line in the annotation"))
    if not classes:
        reasons = "; ".join(f"{count} times: {why}" for why, count in Counter(why for _, why in skipped).most_common(3))
        raise InputError(
            f"No line of the annotation {str(file)!r} can be used"
            + (f" ({reasons})" if reasons else ": it is empty")
            + f". Give a line for each picture in {folder}: name.jpg 0, or name.jpg 1 for a spill."
        )
    counts = Counter(why for _, why in skipped)
    remarks = [f"{count} left out of {ANNOTATION} and its pictures: {why}." for why, count in counts.items()]
    return Annotated(classes, [Skipped(*one) for one in skipped], remarks)

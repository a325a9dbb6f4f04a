"""Names of folders and files as people and systems write them: Unicode forms, capitals, bytes that are no UTF-8."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

from trainables.errors import InputError
from trainables.files import as_utf8

MASKS = frozenset(
    (
        "groundtruth", "groundtruths", "masks", "labels", "annotation", "annotations", "segmentation", "segmentations",
        "segmentationmask", "segmentationmasks", "segmasks", "labelmasks", "maskimages", "boundingboxes", "bboxes",
    )
)  # fmt: skip
"""What folders of masks or labels are called, without capitals and marks between."""


def normal_form(name: str) -> str:
    """The name in Unicode's form NFC, by which names are compared: a Mac writes NFD, and both look alike."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def same_name(name: str, among: Iterable[str]) -> str | None:
    """The one of `among` that is the name: as it is written, else in normal form; None where there is none."""
    names = list(among)
    if name in names:
        return name
    return next((one for one in names if normal_form(one) == normal_form(name)), None)


def folded(name: str) -> str:
    """The same without capitals, by which the names that a layout gives to folders are compared."""
    return normal_form(name).casefold()


def plain(name: str) -> str:
    """A name without capitals and marks."""
    return re.sub(r"[\W_]+", "", folded(name))


def visible(name: str) -> str:
    """The name for a sentence: as `as_utf8`, with what is not printed, or turns the text around, written out too."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in as_utf8(name))


def quoted(names: Iterable[str], most: int = 5) -> str:
    """Names for a sentence, each as `visible`: the first few, and how many more."""
    listed = list(names)
    said = ", ".join(f"'{visible(name)}'" for name in listed[:most])
    return said + (f" and {len(listed) - most} more" if len(listed) > most else "")


def class_names(folders: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The class of each folder's name, and remarks on those that are not simply their name.

    Names that are one in normal form are one class, which is called as the one in NFC, else as the first of them. What
    is no UTF-8 is written out (`as_utf8`): the classes' names go into files that hold text only. InputError where this
    gives two folders one name.
    """
    forms: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(folders), key=os.fsencode):
        forms[normal_form(name)].append(name)
    classes: dict[str, str] = {}
    remarks: list[str] = []
    owners: dict[str, str] = {}
    for form, names in forms.items():
        called = form if form in names else names[0]
        if owners.setdefault(as_utf8(called), called) != called:
            raise InputError(
                f"Two class folders would both be shown as '{visible(called)}': one has this name, that of the other "
                "is no UTF-8. Rename one of them."
            )
        classes |= dict.fromkeys(names, as_utf8(called))
        if len(names) > 1:
            remarks.append(
                f"The class folders {' and '.join(map(ascii, names))} are one class, {as_utf8(called)!r}: their names "
                "differ in Unicode's form only (NFC and NFD)."
            )
        if as_utf8(called) != called:
            remarks.append(f"The name of the class folder '{visible(called)}' is no UTF-8; it is shown so.")
    return classes, [*remarks, *_capitals(set(classes.values()))]


def paired(keys: Iterable[str], others: Mapping[str, str]) -> dict[str, str]:
    """For each key the value of the same key in `others`; for what is left the one that is equal in normal form, and
    then the one that is equal but for capitals. A value goes to one key (or to equal ones)."""
    wanted = sorted(set(keys), key=os.fsencode)
    found = {key: others[key] for key in wanted if key in others}
    for form in (normal_form, folded):
        taken = set(found.values())
        left = {form(key): value for key, value in sorted(others.items(), reverse=True) if value not in taken}
        for key in wanted:
            if key not in found and form(key) in left:
                found[key] = left.pop(form(key))
    return found


def _capitals(classes: set[str]) -> list[str]:
    """A remark on classes whose names differ in capitals only."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(classes):
        alike[folded(name)].append(name)
    return [
        f"The classes {' and '.join(map(repr, names))} are taken as {len(names)}; their names differ in capitals only."
        for names in alike.values()
        if len(names) > 1
    ]


def times(count: int) -> str:
    """How often: once, 3 times."""
    return "once" if count == 1 else f"{count} times"

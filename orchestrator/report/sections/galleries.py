"""What the models see: picture strips that evaluated models left, checked, made small, and put into the page."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.report.document.document import Block, Charts, Code, Fold, Listing, Section, Strip, Strips, Table
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.strip_files import encoded_picture, opened_strip

MOST_STRIPS = 12
"""Of one gallery."""
LARGEST_PAGE = 4_800_000
"""Bytes that a report's page is kept under."""
ROOM = 3_500_000
"""Bytes of the page that pictures may take at most."""
_CELL = 160
"""About the bytes that a table's cell takes beside its text."""


@dataclass(frozen=True)
class _Gallery:
    variant: str
    title: str
    strips: tuple[Strip, ...]

    @property
    def size(self) -> int:
        return sum(len(strip.data) for strip in self.strips)


def gallery_section(data: RunData, variants: Sequence[str], room: int = ROOM) -> Section | None:
    """The galleries of each variant's first completed seed; None where there is nothing to show or to say.

    Nothing in a run's folder is trusted: what is no small PNG of that name is left out, and the section says so.
    `room`: the bytes that pictures may take; first every variant's first gallery, then every one's second.
    """
    remarks: list[str] = []
    found = {name: _read(data, name, remarks) for name in variants if data.completed.get(name)}
    kept, left_out = _fitting(list(found.values()), room)
    if left_out:
        names = words(list(dict.fromkeys(printable(one.variant) for one in left_out)))
        noun = "gallery" if len(left_out) == 1 else "galleries"
        remarks.append(
            f"{len(left_out)} {noun} of {names} left out to keep this page small; the pictures are in "
            "models/<variant>/<seed>/gallery of the run's folder."
        )
    folds: list[Block] = []
    for name in found:
        shown = [Strips(one.title, one.strips) for one in kept if one.variant == name]
        if shown:
            folds.append(Fold(f"{printable(name)}, seed {data.completed[name][0].seed}", shown, opened=True))
    if not folds and not remarks:
        return None
    blocks = [*folds, Listing(remarks)] if remarks else folds
    if data.task == "classification":
        said = "From each variant's first seed: the test pictures whose wrong class got the highest probability."
        return Section("gallery", "Most confused pictures", [said] if folds else [], blocks)
    said = "From each variant's first seed: pictures of the validation part, unless a title says otherwise."
    return Section("gallery", "What the models see", [said] if folds else [], blocks)


def size_of(parts: Iterable[Section | Block | None]) -> int:
    """About how many bytes of the page these take: figures exactly, the rest by a generous rule."""
    total = 0
    for part in parts:
        match part:
            case Section() | Fold():
                total += 500 + size_of(part.blocks)
            case Charts():
                total += sum(len(chart.svg) + 3 * len(chart.caption) + 1000 for chart in part.charts)
            case Table():
                total += sum(_CELL + 2 * len(cell.text + cell.detail) for row in part.rows for cell in row)
            case Code():
                total += 2 * len(part.text)
            case Strips():
                total += sum(len(strip.data) + 3 * len(strip.label) for strip in part.strips)
            case Listing():
                total += sum(50 + 2 * len(item) for item in part.items)
    return total


def _fitting(galleries: Sequence[Sequence[_Gallery]], room: int) -> tuple[list[_Gallery], list[_Gallery]]:
    """Those that fit, round by round over the variants, and those that don't."""
    kept: list[_Gallery] = []
    left_out: list[_Gallery] = []
    for turn in range(max((len(ours) for ours in galleries), default=0)):
        for ours in galleries:
            if turn < len(ours):
                fits = ours[turn].size <= room
                (kept if fits else left_out).append(ours[turn])
                room -= ours[turn].size if fits else 0
    return kept, left_out


def _read(data: RunData, variant: str, remarks: list[str]) -> list[_Gallery]:
    """The galleries of one variant; what is wrong with them joins `remarks`."""
    folder = data.run.gallery(variant, data.completed[variant][0].seed)
    found = read_strips(folder, printable(variant), remarks)
    return [_Gallery(variant, one.title, tuple(one.strips)) for one in found]


def read_strips(folder: Path, owner: str, remarks: list[str]) -> list[Strips]:
    """The galleries in a folder; what is wrong with them joins `remarks`, which name the `owner`."""
    try:
        described = json.loads((folder / "gallery.json").read_bytes())
        listed = list(described["galleries"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        remarks.append(f"The gallery of {owner} can't be read ({printable(error)}).")
        return []
    galleries = []
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("rows"), list):
            remarks.append(f"{owner}: a gallery without rows was left out.")
            continue
        title = printable(one.get("title", ""))
        strips: list[Strip] = []
        for row in one["rows"][:MOST_STRIPS]:
            strip, reason = _strip(folder, row, title)
            if strip is None:
                remarks.append(f"{owner}: a strip was left out: {reason}.")
            else:
                strips.append(strip)
        if len(one["rows"]) > MOST_STRIPS:
            remarks.append(f"{owner}: {plural(len(one['rows']) - MOST_STRIPS, 'strip')} beyond the first "
                           f"{MOST_STRIPS} of a gallery left out.")  # fmt: skip
        if strips:
            galleries.append(Strips(title, tuple(strips)))
    return galleries


def _strip(folder: Path, row: Any, title: str) -> tuple[Strip | None, str]:
    """One strip of K pictures, or the reason why not."""
    opened, reason = opened_strip(folder, row)
    if opened is None:
        return None, reason
    image, pictures, label = opened
    width, height = image.width // pictures, image.height
    encoded, exact = encoded_picture(image, pictures)
    alt = f"{title}: {label}, {plural(pictures, 'picture')} side by side"
    return Strip(label, alt, encoded, pictures, width, height, exact), ""

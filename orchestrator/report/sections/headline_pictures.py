"""Six pictures of what the winner sees, out of the strips that its evaluation left."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from orchestrator.artifacts.galleries import CONFUSED, GAP, MAP, OVERLAY, PICTURE, shown_by_score
from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.document.document import Tile
from orchestrator.report.document.formatting import printable, shorten
from orchestrator.report.numbers.predictions import read_scores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.strip_files import encoded_picture, opened_strip

MOST_TILES = 6
Tone = Literal["", "good", "bad"]


@dataclass(frozen=True)
class _Shown:
    label: str
    tone: Tone
    detail: str
    image: Image.Image


def headline_tiles(data: RunData, record: TrialRecord) -> tuple[list[Tile], str]:
    """At most six tiles of one evaluated cell, and what they are, or why there are none."""
    folder = data.run.gallery(record.variant, record.seed)
    galleries = _read(folder)
    name = printable(record.variant)
    if data.task == "detection":
        shown = _scored(data, record, folder, galleries)
        none = f"No heat maps to show: the evaluation of {name} left none of its test pictures."
        said = (
            "Each test picture, and below it the anomaly map over it: the brighter, the stranger. "
            f"{_colours(galleries)}A picture is called an anomaly where its score is above the threshold. {name}, seed "
            f"{record.seed}."
        )
    else:
        shown = _confused(folder, galleries)
        mistaken = record.confusion and np.trace(np.array(record.confusion)) < np.sum(record.confusion)
        none = (
            f"No pictures to show: the evaluation of {name} left none."
            if mistaken or not record.confusion
            else f"No test picture was mistaken by {name} with seed {record.seed}."
        )
        said = f"The most confident mistakes of the most confused pairs of classes. {name}, seed {record.seed}."
    return [_tile(one) for one in shown[:MOST_TILES]], said if shown else none


def _colours(galleries: dict[str, list[Any]]) -> str:
    """The ends of the maps' colours, as their strip's label has them; empty, or a sentence with a space behind it."""
    labels = [row.get("label") for rows in galleries.values() for row in rows if isinstance(row, dict)]
    ends = next((one.removeprefix(MAP) for one in labels if isinstance(one, str) and one.startswith(MAP)), "")
    return (
        f"One scale for all: {printable(ends)}, set by validation pictures (in the overlay black is clear). "
        if ends
        else ""
    )


def _tile(one: _Shown) -> Tile:
    encoded, exact = encoded_picture(one.image)
    alt = f"{one.label}: {one.detail}"
    return Tile(one.label, one.detail, encoded, alt, one.image.width, one.image.height, exact, one.tone)


def _read(folder: Path) -> dict[str, list[Any]]:
    """Title -> rows of each gallery; what is no gallery is left out, and the gallery's own section says so."""
    try:
        listed = json.loads((folder / "gallery.json").read_bytes())["galleries"]
        return {one["title"]: list(one["rows"]) for one in listed if isinstance(one["title"], str)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _cut(image: Image.Image, pictures: int) -> list[Image.Image]:
    """The single pictures of a strip, without the gaps between them."""
    width = image.width // pictures
    return [
        image.crop((row * width, 0, max(row * width + 1, (row + 1) * width - GAP), image.height))
        for row in range(pictures)
    ]


def _scored(data: RunData, record: TrialRecord, folder: Path, galleries: dict[str, list[Any]]) -> list[_Shown]:
    """Hits, misses and false alarms, taken in turn, two of each where there are; then what else there is."""
    kept, _ = read_scores(data, [record])
    if kept is None or record.threshold is None:
        return []
    # The strips follow the order of the evaluation, the scores here that of their paths.
    scores, labels, paths = np.empty(len(kept.labels)), np.empty_like(kept.labels), np.empty_like(kept.paths)
    order = kept.orders[0]
    scores[order], labels[order], paths[order] = kept.scores[0], kept.labels, kept.paths
    groups: dict[str, list[_Shown]] = {"hit": [], "miss": [], "false alarm": [], "rightly passed": []}
    for title, rows in shown_by_score(scores, labels).items():
        pairs = _pairs(folder, galleries.get(title, []))
        if len(pairs) != len(rows):
            continue
        for row, image in zip(rows.tolist(), pairs, strict=True):
            flagged = bool(scores[row] > record.threshold.value)
            kind = (
                ("hit" if flagged else "miss") if labels[row] == 1 else "false alarm" if flagged else "rightly passed"
            )
            tone: Tone = "good" if kind in ("hit", "rightly passed") else "bad"
            path = printable(paths[row].decode("utf-8", errors="surrogateescape"))
            detail = f"{shorten(path, 40)}, score {scores[row]:.3g} (threshold {record.threshold.value:.3g})"
            groups[kind].append(_Shown(kind.capitalize(), tone, detail, image))
    # The clearest hits and the worst misses first.
    groups["hit"].reverse()
    kinds = [groups[kind] for kind in ("hit", "miss", "false alarm")]
    two = [one for ours in kinds for one in ours[:2]]
    rest = [one for turn in zip_longest(*(ours[2:] for ours in kinds)) for one in turn if one is not None]
    chosen = [*two, *rest, *groups["rightly passed"]][:MOST_TILES]
    return [one for kind in groups for one in chosen if one.label == kind.capitalize()]


def _pairs(folder: Path, rows: Sequence[Any]) -> list[Image.Image]:
    """Each picture with its overlay below it; none where a strip is missing or not what it should be."""
    found = {}
    for row in rows:
        opened, _ = opened_strip(folder, row)
        if opened is not None:
            found[opened[2]] = _cut(opened[0], opened[1])
    above, below = found.get(PICTURE, []), found.get(OVERLAY, [])
    if len(above) != len(below) or any(one.size != other.size for one, other in zip(above, below, strict=True)):
        return []
    return [_stacked(one, other) for one, other in zip(above, below, strict=True)]


def _stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    gap = max(1, above.height // 48)
    image = Image.new("RGB", (above.width, 2 * above.height + gap), "white")
    image.paste(above, (0, 0))
    image.paste(below, (0, above.height + gap))
    return image


def _confused(folder: Path, galleries: dict[str, list[Any]]) -> list[_Shown]:
    """The first picture of each pair of classes, then the second of each."""
    pairs: list[list[_Shown]] = []
    for row in galleries.get(CONFUSED, []):
        opened, _ = opened_strip(folder, row)
        if opened is None:
            continue
        image, pictures, label = opened
        # As the evaluation words it: "a taken for b (3 of 15); probability 0.93, 0.90".
        head, _, values = label.rpartition("; probability ")
        certain = values.split(", ") if head else []
        pairs.append(
            [
                _Shown(head or label, "bad", f"probability {certain[place]}" if place < len(certain) else "", one)
                for place, one in enumerate(_cut(image, pictures))
            ]
        )
    return [one for one in chain.from_iterable(zip_longest(*pairs)) if one is not None]

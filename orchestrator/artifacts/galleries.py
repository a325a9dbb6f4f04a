"""Strips of pictures that show what a model does: written beside its weights, read by the report."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.artifacts.heat_maps import binary_mask, heat_picture, overlay, scale_of
from trainables.files import write_whole
from trainables.interface import Gallery, Prediction, Samples

GAP = 2
SHOWN = 8
"""Pictures of a kind that a strip holds at most."""
PAIRS = 6
"""Confused pairs of classes that are shown at most."""
OF_A_PAIR = 4
"""Pictures that are shown of each."""
ANOMALIES = (
    "Anomalies of the test part by score: the worst, easiest to miss, at the left, the median in the middle, the best "
    "at the right"
)
NORMALS = "Normal pictures of the test part with the highest scores: the likeliest false alarms"
PICTURE, OVERLAY = "picture", "overlay"
"""Rows of these two galleries."""
MAP = "anomaly map: "
"""So begins the row of maps; behind it, the ends of their colours."""
CONFUSED = "Test pictures of the most confused pairs of classes, the most confident mistakes first"


def write_galleries(folder: Path, galleries: Sequence[Gallery]) -> None:
    """Write each row as one PNG strip (h, K·w, 3), then gallery.json, which names them. What was there is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    if not galleries:
        return
    folder.mkdir(parents=True)
    listed = []
    for number, gallery in enumerate(galleries):
        rows = []
        for place, (label, pictures) in enumerate(gallery.rows):
            name = f"{number}-{place}.png"
            Image.fromarray(strip(pictures)).save(folder / name)
            rows.append({"label": label, "file": name, "count": len(pictures)})
        listed.append({"title": gallery.title, "rows": rows})
    write_whole(folder / "gallery.json", json.dumps({"format": 1, "galleries": listed}, indent=1), wait=False)


def strip(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (K, h, w, 3) side by side, each with a white gap of GAP pixels at its right."""
    return np.concatenate(list(np.pad(pictures, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)), axis=1)


def handful(samples: Samples) -> Samples:
    """At most SHOWN normal and SHOWN anomalous samples, evenly spread over the part, read into memory."""
    rows = [_spread(np.flatnonzero(samples.labels == label)) for label in (0, 1)]
    return samples.select(np.concatenate(rows))


def heat_map_gallery(
    samples: Samples, prediction: Prediction, low: float, pixel_threshold: float
) -> tuple[Gallery, ...]:
    """Test pictures with heat map, mask and overlay: the anomalies from the lowest score to the highest, and the
    normals with the highest scores. All have the one scale of colours that `scale_of` gives."""
    if prediction.maps is None:
        return ()
    scale = scale_of(low, pixel_threshold)
    galleries = []
    for title, rows in shown_by_score(prediction.scores, samples.labels).items():
        if not len(rows):
            continue
        shown = samples.select(rows)
        pictures, maps = np.asarray(shown.pictures), prediction.maps[rows]
        found = [binary_mask(one, pixel_threshold) for one in maps]
        lines: list[tuple[str, NDArray[np.uint8]]] = [
            (PICTURE, pictures),
            (
                f"{MAP}black up to {scale[0]:.3g}, pale yellow from {scale[1]:.3g} on",
                np.stack([heat_picture(one, scale) for one in maps]),
            ),
            (
                OVERLAY,
                np.stack([overlay(picture, one, scale) for picture, one in zip(pictures, maps, strict=True)]),
            ),
            (
                f"found: above {pixel_threshold:.3g}",
                _grey(np.stack(found)),
            ),
        ]
        if shown.masks is not None:
            truth = np.asarray(shown.masks)
            if shown.masked is not None:  # of the others it is not known what they mark
                truth = truth * shown.masked[:, None, None].astype(np.uint8)
            lines.append(("true mask", _grey(truth)))
        galleries.append(Gallery(title, tuple(lines)))
    return tuple(galleries)


def shown_by_score(scores: NDArray[np.floating], labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """By the gallery's title, the test pictures that stand in it from left to right.

    `scores`, `labels` (N,): of the test part in its own order. By these a reader of the strips knows which is which.
    """
    anomalies, normals = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    anomalies = anomalies[np.argsort(scores[anomalies], kind="stable")]
    normals = normals[np.argsort(-scores[normals], kind="stable")]
    return {ANOMALIES: _spread(anomalies, SHOWN - 1), NORMALS: normals[:SHOWN]}


def confused_gallery(samples: Samples, prediction: Prediction) -> tuple[Gallery, ...]:
    """The test pictures that a classifier was most confidently wrong on, a few of each most confused pair of classes.

    A row a pair, the pair that is confused most often first; in it, the pictures whose wrong class got the highest
    probability, from left to right.
    """
    taken = prediction.scores.argmax(axis=1)
    wrong = np.flatnonzero(taken != samples.labels)
    if not len(wrong):
        return ()
    pairs, counts = np.unique(np.stack([samples.labels[wrong], taken[wrong]]), axis=1, return_counts=True)
    rows = []
    for place in np.argsort(-counts, kind="stable")[:PAIRS]:
        true, predicted = pairs[:, place]
        ours = wrong[(samples.labels[wrong] == true) & (taken[wrong] == predicted)]
        shown = ours[np.argsort(-prediction.scores[ours, predicted], kind="stable")][:OF_A_PAIR]
        certain = ", ".join(f"{one:.2f}" for one in prediction.scores[shown, predicted])
        all_of_it = int((samples.labels == true).sum())
        label = (
            f"{samples.classes[true]} taken for {samples.classes[predicted]} ({counts[place]} of {all_of_it}); "
            f"probability {certain}"
        )
        rows.append((label, samples.pictures[shown]))
    return (Gallery(CONFUSED, tuple(rows)),)


def _spread(rows: NDArray[np.int64], most: int = SHOWN) -> NDArray[np.int64]:
    """At most so many, evenly: the first, the last and, where `most` is odd, the middle one."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def _grey(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(masks[..., None], 3, axis=-1)

"""The pictures that a classifier was most confidently wrong on."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from orchestrator.artifacts.galleries import GAP, OF_A_PAIR, PAIRS, confused_gallery, write_galleries
from trainables.interface import Prediction, Samples

CLASSES = ("a", "b<i>", "c")


def samples(labels: list[int]) -> Samples:
    """Each picture is wholly of its own row's grey."""
    pictures = np.broadcast_to(np.arange(len(labels), dtype=np.uint8)[:, None, None, None], (len(labels), 4, 6, 3))
    paths = tuple(f"{row}.png" for row in range(len(labels)))
    return Samples(pictures.copy(), np.array(labels), CLASSES, paths)


def prediction(taken: list[int], certain: list[float]) -> Prediction:
    scores = np.repeat((1 - np.array(certain))[:, None] / 2, 3, axis=1)
    scores[np.arange(len(taken)), taken] = certain
    return Prediction(scores)


def test_the_most_confident_mistakes_of_the_most_confused_pairs() -> None:
    labels = [0, 0, 0, 0, 1, 1, 2]
    taken = [1, 1, 0, 1, 0, 1, 2]
    gallery = confused_gallery(samples(labels), prediction(taken, [0.6, 0.9, 0.99, 0.7, 0.8, 0.9, 0.9]))
    assert len(gallery) == 1
    (first, pictures), (second, other) = gallery[0].rows
    assert first == "a taken for b<i> (3 of 4); probability 0.90, 0.70, 0.60"
    assert pictures[:, 0, 0, 0].tolist() == [1, 3, 0]
    assert second == "b<i> taken for a (1 of 2); probability 0.80"
    assert other[:, 0, 0, 0].tolist() == [4]


def test_few_of_many_and_none_of_none() -> None:
    drawn = np.random.default_rng(0)
    labels = drawn.integers(3, size=200).tolist()
    taken = drawn.integers(3, size=200).tolist()
    (gallery,) = confused_gallery(samples(labels), prediction(taken, [0.5] * 200))
    assert len(gallery.rows) == PAIRS
    assert all(len(pictures) == OF_A_PAIR for _, pictures in gallery.rows)
    counts = [int(label.split("(")[1].split()[0]) for label, _ in gallery.rows]
    assert counts == sorted(counts, reverse=True)
    assert confused_gallery(samples(labels), prediction(labels, [0.9] * 200)) == ()


def test_written_as_strips(tmp_path: Path) -> None:
    galleries = confused_gallery(samples([0, 0, 1]), prediction([1, 1, 1], [0.9, 0.8, 0.7]))
    write_galleries(tmp_path / "gallery", galleries)
    described = json.loads((tmp_path / "gallery" / "gallery.json").read_text())
    assert described["galleries"][0]["rows"] == [
        {"label": "a taken for b<i> (2 of 2); probability 0.90, 0.80", "file": "0-0.png", "count": 2}
    ]
    with Image.open(tmp_path / "gallery" / "0-0.png") as strip:
        assert strip.size == (2 * (6 + GAP), 4)

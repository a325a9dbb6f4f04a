"""The six pictures above all else: hits, misses and false alarms by the kept scores, from strips nobody vouches for."""

import base64
import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from builders.detection_runs import DetectionBuilder
from PIL import Image

from orchestrator.artifacts.galleries import confused_gallery, heat_map_gallery, write_galleries
from orchestrator.artifacts.records import ThresholdChoice, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Tile
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.headline_pictures import headline_tiles
from trainables.interface import Prediction, Samples

MakeRun = Callable[..., RunFolder]


def seen_by_detector(make_detection_run: MakeRun, line: float, shade: int = 10) -> RunFolder:
    """A run whose every test picture is of one colour, ten times its row; the threshold lies at `line`."""

    def then(builder: DetectionBuilder) -> None:
        builder.cell("pca", 0, threshold=ThresholdChoice(strategy="max_normal", value=line))
        with np.load(builder.run.predictions("pca", 0)) as kept:
            scores, labels = kept["scores"], kept["labels"]
        pictures = np.full((len(labels), 12, 12, 3), 0, np.uint8)
        pictures += (shade * np.arange(len(labels), dtype=np.uint8))[:, None, None, None]
        maps = np.zeros((len(labels), 12, 12), np.float32)
        samples = Samples(pictures, labels, paths=builder.paths, classes=("normal", "anomaly"))
        galleries = heat_map_gallery(samples, Prediction(scores, maps), 0.0, 1.0)
        write_galleries(builder.run.gallery("pca", 0), galleries)

    return make_detection_run(variants={"pca": 1.5}, seeds=(), search=0, pictures=20, then=then)


def tiles_of(run: RunFolder) -> tuple[list[Tile], str]:
    return headline_tiles(read_run(run), next(one for one in read_records(run.records) if one.stage == "evaluation"))


def colour(tile: Tile) -> int:
    """Of the picture in the tile's upper half."""
    content = base64.b64decode(tile.data.partition("base64,")[2])
    with Image.open(io.BytesIO(content)) as image:
        pixel = image.convert("RGB").getpixel((3, 3))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


@pytest.mark.parametrize("line", [0.0, 1.0, 2.0, 3.0, 4.5, 1e9])
def test_each_picture_is_what_it_is_called(make_detection_run: MakeRun, line: float) -> None:
    run = seen_by_detector(make_detection_run, line)
    tiles, said = tiles_of(run)
    assert len(tiles) == 6
    assert "the brighter, the stranger. One scale for all: black up to 0, pale yellow from 3 on" in said
    with np.load(run.predictions("pca", 0)) as kept:
        scores, labels, paths = kept["scores"], kept["labels"], [one.decode() for one in kept["paths"]]
    for tile in tiles:
        row = colour(tile) // 10
        assert tile.detail.startswith(f"{paths[row]}, score {scores[row]:.3g} ")
        flagged = scores[row] > line
        expected = ("Hit" if flagged else "Miss") if labels[row] else ("False alarm" if flagged else "Rightly passed")
        assert tile.label == expected
        assert tile.tone == ("good" if expected in ("Hit", "Rightly passed") else "bad")
    wanted = {"Hit": (scores[labels == 1] > line).any(), "Miss": (scores[labels == 1] <= line).any(),
              "False alarm": (scores[labels == 0] > line).any()}  # fmt: skip
    assert {one.label for one in tiles} >= {name for name, there in wanted.items() if there}


def test_the_page_shows_them_above_all_else(make_detection_run: MakeRun) -> None:
    run = seen_by_detector(make_detection_run, 2.0)
    page = write_report(run, figures=False).read_text(encoding="utf-8")
    shown = page[page.index('class="tiles"') : page.index('id="summary"')]
    assert shown.count('<img src="data:image/png;base64,') == 6
    assert '<strong class="good">Hit</strong>' in shown


@pytest.mark.parametrize("spoilt", ["missing", "no json", "a link", "no picture", "fewer", "a list", "a bomb"])
def test_what_is_not_as_it_was_left_is_not_shown(make_detection_run: MakeRun, spoilt: str) -> None:
    run = seen_by_detector(make_detection_run, 2.0)
    folder = run.gallery("pca", 0)
    described = json.loads((folder / "gallery.json").read_text())
    if spoilt == "missing":
        (folder / "gallery.json").unlink()
    elif spoilt == "no json":
        (folder / "gallery.json").write_text("{")
    elif spoilt == "a list":
        (folder / "gallery.json").write_text("[1]")
    else:
        for gallery in described["galleries"]:
            for row in gallery["rows"]:
                path = folder / row["file"]
                if spoilt == "a link":
                    path.unlink()
                    path.symlink_to("/etc/hostname")
                elif spoilt == "no picture":
                    path.write_bytes(b"GIF89a")
                elif spoilt == "a bomb":
                    Image.new("1", (6000, 6000)).save(path)
                else:
                    row["count"] = 1
        (folder / "gallery.json").write_text(json.dumps(described))
    tiles, said = tiles_of(run)
    assert tiles == []
    assert said == "No heat maps to show: the evaluation of pca left none of its test pictures."


def test_a_classifier_shows_what_it_takes_for_what(make_run: MakeRun) -> None:
    run = make_run(variants={"pca_logistic": 0.4}, pictures=90, search=0, seeds=(0,))
    with np.load(run.predictions("pca_logistic", 0)) as kept:
        scores, labels = kept["scores"], kept["labels"]
    classes = tuple(read_run(run).classes)
    pictures = np.zeros((len(labels), 12, 12, 3), np.uint8)
    samples = Samples(pictures, labels, paths=tuple(str(row) for row in range(len(labels))), classes=classes)
    write_galleries(run.gallery("pca_logistic", 0), confused_gallery(samples, Prediction(scores)))
    tiles, said = tiles_of(run)
    assert len(tiles) == 6
    assert len({one.label for one in tiles}) == 6
    assert all(" taken for " in one.label and one.detail.startswith("probability 0.") for one in tiles)
    assert "The most confident mistakes" in said


def test_a_classifier_without_a_mistake(make_run: MakeRun) -> None:
    run = make_run(variants={"pca_logistic": 9.0}, pictures=90, search=0, seeds=(0,))
    assert tiles_of(run) == ([], "No test picture was mistaken by pca_logistic with seed 0.")

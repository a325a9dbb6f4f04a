"""The file that `init --data` writes: it fits what lies there, and a sweep of it can begin as it stands."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator import Experiment, InputError, read_records, write_starter
from orchestrator.experiment.preflight import Settled, settle

SHARED = Path(__file__).parents[4] / "shared" / "data"


def pictures(root: Path, counts: dict[str, int], side: tuple[int, int] = (40, 48), suffix: str = ".png") -> Path:
    """So many different small pictures in each folder."""
    random = np.random.default_rng(1)
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            values = random.integers(0, 255, (*side, 3), dtype=np.uint8)
            Image.fromarray(values).save(root / folder / f"{number:03d}{suffix}")
    return root


def series(root: Path, counts: dict[str, int]) -> Path:
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            rows = "\n".join(str((row * 7 + number * 13 + len(folder)) % 31) for row in range(20))
            (root / folder / f"{number}.csv").write_text(f"value\n{rows}\n")
    return root


def with_depth(root: Path) -> Path:
    for part, count in (("train/normal", 8), ("val/normal", 4), ("test/normal", 4), ("test/anomaly", 4)):
        pictures(root / part, {"rgb": count}, (96, 96))
        (root / part / "depth").mkdir()
        for number in range(count):
            Image.fromarray(np.full((96, 96), 900 + number, np.uint16)).save(root / part / f"depth/{number:03d}.png")
    return root


def spill(root: Path) -> Path:
    pictures(root, {"train": 12, "proliv": 4, "test/imgs": 8}, (24, 40), ".jpg")
    lines = [f"{number:03d}.jpg {number % 2}" for number in range(8)]
    (root / "test" / "test_annotation.txt").write_text("\n".join(lines))
    return root


def begun(root: Path, file: Path, **options: Any) -> tuple[Settled, list[str]]:
    """What a sweep of the written file would run, and what was said."""
    said = write_starter(file, data=root, **options)
    return settle(Experiment.load(file)), said


MAKERS: dict[str, tuple[Callable[[Path], Path], str, str | None, str, str]] = {
    "two classes": (lambda root: pictures(root, {"good": 9, "broken": 9}), "images", "good", "roc_auc", "pca"),
    "mostly ok": (lambda root: pictures(root, {"OK": 20, "a": 4, "b": 4}), "images", "OK", "roc_auc", "pca"),
    "numbered": (lambda root: pictures(root, {"0_Normal": 9, "1_bad": 9}), "images", "0_Normal", "roc_auc", "pca"),
    "one among others": (
        lambda root: pictures(root, {"normal": 5, "a": 5, "b": 5}), "images", None, "macro_f1", "pca_logistic",
    ),
    "no normal": (lambda root: pictures(root, {"cat": 5, "dog": 5}), "images", None, "macro_f1", "pca_logistic"),
    "parts of classes": (
        lambda root: pictures(root, {f"{part}/{name}": 4 for part in ("train", "test") for name in ("good", "bad")}),
        "images", None, "macro_f1", "pca_logistic",
    ),
    "parts of detection": (
        lambda root: pictures(root, {"train/good": 9, "val/good": 4, "test/good": 4, "test/bad": 4}),
        "mvtec", "good", "validation_loss", "pca",
    ),
    "series": (lambda root: series(root, {"spike": 6, "step": 6}), "series", None, "macro_f1", "pca_logistic"),
    "series with normal": (lambda root: series(root, {"normal": 9, "st'ep": 5}), "series", "normal", "roc_auc", "pca"),
    "large": (
        lambda root: pictures(root, {"good": 9, "a: defect #1": 6}, (300, 260)), "images", "good", "roc_auc", "pca",
    ),
    "class of digits": (lambda root: pictures(root, {"ok": 9, "2024-01-01": 5}), "images", "ok", "roc_auc", "pca"),
    "depth": (with_depth, "rgbd", "normal", "validation_loss", "pca"),
    "spill": (spill, "spill", "normal", "roc_auc", "pca"),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_written_can_be_run_as_it_stands(name: str, tmp_path: Path) -> None:
    make, layout, normal, metric, baseline = MAKERS[name]
    settled, said = begun(make(tmp_path / "da ta"), tmp_path / "e.yaml")
    experiment = settled.experiment
    assert (experiment.data.layout, settled.goal.normal, settled.goal.metric) == (layout, normal, metric)
    assert experiment.baseline == baseline
    assert len(experiment.families) >= 2 or experiment.data.layout == "mvtec"
    assert layout in said[0]
    assert (repr(normal) if normal else "classification") in said[0]


def test_a_tree_with_masks_is_detected(tile_tree: Path, tmp_path: Path) -> None:
    settled, _ = begun(tile_tree, tmp_path / "e.yaml")
    assert (settled.goal.metric, settled.goal.strategies) == ("validation_loss", ("percentile(95)",))
    assert {variant.family for variant in settled.experiment.families} == {"pca", "vae", "conv_autoencoder"}


@pytest.mark.parametrize("name", ["tile", "spill", "series", "pothole", "plots"])
def test_the_real_data_get_a_file_that_fits(name: str, tmp_path: Path) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"needs the real data ../shared/data/{name}")
    settled, _ = begun(SHARED / name, tmp_path / "e.yaml")
    assert len(settled.experiment.families) >= 2
    assert settled.experiment.data.path == (SHARED / name).resolve()


def test_layout_and_normal_can_be_given(tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", {"train/good": 6, "train/x": 6, "test/good": 4, "test/x": 4})
    write_starter(tmp_path / "a.yaml", data=root, layout="images")
    with pytest.raises(InputError, match="put 6 anomalies in train"):
        write_starter(tmp_path / "b.yaml", data=root, normal="good")
    with pytest.raises(InputError, match="one of the classes: good, x"):
        write_starter(tmp_path / "b.yaml", data=root, normal="god")
    with pytest.raises(InputError, match="no layout 'imges'"):
        write_starter(tmp_path / "b.yaml", data=root, layout="imges")
    with pytest.raises(InputError, match="of --data lies"):
        write_starter(tmp_path / "b.yaml", normal="good")
    assert not (tmp_path / "b.yaml").exists(), "nothing is left of what could not be written"
    cats = pictures(tmp_path / "cats", {"cat": 9, "dog": 9})
    settled, said = begun(cats, tmp_path / "c.yaml", normal="cat")
    assert settled.goal.normal == "cat"
    assert "as asked" in said[0]


@pytest.mark.parametrize(
    ("counts", "words"),
    [({"a": 9}, "At least two classes"), ({}, "does not exist"), ({"a": 9, "b": 1}, "No experiment can be made")],
)
def test_data_of_which_nothing_can_be_made_are_refused(tmp_path: Path, counts: dict[str, int], words: str) -> None:
    root = pictures(tmp_path / "data", counts)
    with pytest.raises(InputError, match=words):
        write_starter(tmp_path / "e.yaml", data=root)
    assert not (tmp_path / "e.yaml").exists()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("mine")
    with pytest.raises(InputError, match="nothing is overwritten"):
        write_starter(tmp_path / "e.yaml", data=tmp_path / "nowhere")
    assert (tmp_path / "e.yaml").read_text() == "mine"


def test_the_command(orchestrate: Callable[..., Any], tmp_path: Path) -> None:
    root = pictures(tmp_path / "data", {"good": 9, "bad": 9})
    ended = orchestrate("init", tmp_path / "e.yaml", "--data", root)
    assert ended.code == 0
    assert "'good'" in ended.out
    assert "guessed" in ended.out
    assert "Set data.path" not in ended.out


def refused(tmp_path: Path, root: Path, families: Sequence[str], **data: Any) -> str:
    values = {"data": {"path": str(root), "size": 32, **data}, "families": list(families)}
    with pytest.raises(InputError) as caught:
        settle(Experiment.from_mapping(values))
    return str(caught.value)


def test_families_for_the_other_task_are_refused_with_those_that_fit(tile_tree: Path, tmp_path: Path) -> None:
    message = refused(tmp_path, tile_tree, ["pca_logistic", "plot_classifier"], layout="mvtec")
    assert message.startswith("pca_logistic, plot_classifier: for classification")
    assert "patch_knn" in message
    assert "orchestrate init FILE --data" in message
    message = refused(tmp_path, spill(tmp_path / "spill"), ["pca_logistic"], layout="spill")
    assert "too few" not in message
    root = pictures(tmp_path / "data", {"cat": 9, "dog": 9})
    message = refused(tmp_path, root, ["pca", "vae"], layout="images")
    assert "Set data.normal to one of: cat, dog" in message
    assert "pca_logistic" in message


@pytest.mark.parametrize(
    ("counts", "data", "words"),
    [
        ({"train/a": 4, "train/b": 4, "test/a": 4, "test/c": 4}, {}, "None of its files is in train"),
        ({"train/good": 4, "train/x": 4, "test/good": 4, "test/x": 4}, {"normal": "good"}, "put 4 anomalies in train"),
        ({"good": 9, "x": 1}, {"normal": "good"}, "1 anomalies"),
        ({"good": 9, "x": 9}, {"normal": "good", "split": {"group": "^(z.*)$"}}, "matches the stem of no picture"),
        ({"a": 9, "b": 9}, {"split": {"anomalies_to_validation": 0.3}}, "is for detection"),
    ],
)
def test_what_can_t_be_divided_is_said_before_anything_starts(
    tmp_path: Path, counts: dict[str, int], data: dict[str, Any], words: str
) -> None:
    root = pictures(tmp_path / "data", counts)
    family = "pca" if "normal" in data else "pca_logistic"
    assert words in refused(tmp_path, root, [family], layout="images", **data)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("name", ["two classes", "parts of detection", "series", "depth", "spill"])
def test_the_first_sweep_of_what_is_written_ends_well(
    name: str, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    root = MAKERS[name][0](tmp_path / "data")
    assert orchestrate("init", tmp_path / "e.yaml", "--data", root).code == 0
    small = ["--set", "budget.trials=1", "--set", "budget.epochs=1", "--set", "seeds=[0]", "--quiet"]
    ended = orchestrate("sweep", tmp_path / "e.yaml", "--out", tmp_path / "run", *small, "--json")
    assert ended.code == 0, ended.err
    families = Experiment.load(tmp_path / "e.yaml").families
    assert {row["variant"] for row in json.loads(ended.out)["leaderboard"]} == {one.name for one in families}
    assert {record.status for record in read_records(tmp_path / "run" / "records.jsonl")} == {"completed"}

"""What won is trained once more: on which pictures, for how many epochs, with which threshold, and what is said."""

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import builders.counted_family
import numpy as np
import pytest
import torch
from builders.told import Told
from PIL import Image

from orchestrator import Experiment, InputError, RunFolder, load_model, predict, read_records, refit, run
from orchestrator.artifacts.models import KeptModel
from orchestrator.artifacts.records import append_record
from orchestrator.data.split.split import Split
from orchestrator.families import ENSEMBLE_FAMILY
from orchestrator.machine.progress import Reporter
from orchestrator.machine.stopping import Stopped
from orchestrator.scoring.thresholds import parse_strategy

pytestmark = pytest.mark.usefixtures("ray_session")

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def made(tile_tree: Path, tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    """A run of a detector whose third epoch of five is the best: `run`, the family's file `counted.py` beside it."""
    folder = tmp_path_factory.mktemp("refit")
    shutil.copyfile(str(builders.counted_family.__file__), folder / "counted.py")
    values: dict[str, Any] = {
        "data": {"path": str(tile_tree), "layout": "mvtec", "size": 32, "split": {"anomalies_to_validation": 0.3}},
        "families": [{"name": "turning", "family": f"{folder / 'counted.py'}:TURNING"}],
        "threshold": {"strategies": ["max_normal"]},
        "budget": {"trials": 1, "epochs": 5, "patience": None, "concurrent": 1},
        "objective": {"metric": "validation_loss"},
        "seeds": [0, 1],
    }
    run(Experiment.from_mapping(values), folder / "run", until="evaluate", reporter=QUIET)
    return folder


@pytest.fixture
def files(made: Path) -> Iterator[Path]:
    """Where the family writes what it was trained with, empty."""
    for name in ("seen.jsonl", "fits.txt", "interrupt"):
        (made / name).unlink(missing_ok=True)
    yield made
    (made / "interrupt").unlink(missing_ok=True)


def trust(made: Path) -> str:
    return f"{made / 'counted.py'}:TURNING"


def seen(made: Path) -> list[tuple[set[str], set[str]]]:
    """Of each training begun since: the paths of its training part, and of what it scored."""
    lines = (made / "seen.jsonl").read_text().splitlines()
    return [(set(train), set(validation)) for train, validation in map(json.loads, lines)]


def part(folder: Path, name: str, normal: bool = False) -> set[str]:
    split = Split.load(RunFolder(folder).split)
    paths = {split.paths[row] for row in getattr(split, name)}
    return {path for path in paths if "/good/" in path} if normal else paths


def more_tiles(folder: Path, tile_tree: Path, new: int = 3) -> Path:
    """Normal tiles that are new, one that trained, one of the test part in other bytes; and an anomaly to test."""
    random = np.random.default_rng(5)
    (folder / "train/good").mkdir(parents=True)
    for number in range(new):
        Image.fromarray(random.integers(90, 150, (32, 32), dtype=np.uint8)).save(folder / f"train/good/{number}.png")
    shutil.copyfile(tile_tree / "train/good/003.png", folder / "train/good/again.png")
    Image.open(tile_tree / "test/good/002.png").save(folder / "train/good/tested.bmp")
    (folder / "test/hole").mkdir(parents=True)
    shutil.copyfile(tile_tree / "test/hole/001.png", folder / "test/hole/a.png")
    return folder


def test_all_trains_on_train_and_validation_and_never_on_test(files: Path, tmp_path: Path, tile_tree: Path) -> None:
    found = refit(files / "run", tmp_path / "model", everything=True, trust=trust(files), reporter=QUIET)
    train, test = part(files / "run", "train"), part(files / "run", "test")
    held, normal = part(files / "run", "validation"), part(files / "run", "validation", normal=True)
    assert train
    assert normal < held
    *folds, last = seen(files)
    assert last == (train | normal, held), "anomalies train nothing"
    assert len(folds) == 3
    assert all(not test & (trained | scored) for trained, scored in [*folds, last])
    assert all(trained == (train | normal) - scored for trained, scored in folds)
    scored = sorted(path for _, paths in folds for path in paths)
    assert scored == sorted(held), "each is scored once, by a model that has not seen it"
    (record, _) = [one for one in read_records(files / "run/records.jsonl") if one.stage == "evaluation"]
    kept = found.kept
    assert (kept.epoch, record.epoch) == (3, 3), "of five"
    with np.load(tmp_path / "model/validation_scores.npz") as scores:
        own = parse_strategy("max_normal").fit(scores["validation_scores"], scores["validation_labels"])
        assert len(scores["validation_scores"]) == len(held)
    assert kept.strategy == "max_normal"
    assert kept.threshold == own
    assert kept.reference is not None
    assert kept.reference.pictures == len(normal)
    assert kept.refit is not None
    assert kept.refit["pictures"] == {"train": len(train), "validation": len(normal), "test": 0, "new data": 0}
    assert (
        kept.refit["source"]["weights"]
        == KeptModel.model_validate_json(
            (files / "run/models/turning" / str(kept.seed) / "model.json").read_text()
        ).weights
    )
    assert "no figure is its own" in found.text()
    assert "cross-fitted scores: 3 models" in found.text()
    model = load_model(tmp_path / "model", trust=trust(files))
    result = predict(tmp_path / "model", tile_tree / "test/hole", tmp_path / "out.csv", trust=trust(files),
                     strategy="percentile(95)", reporter=QUIET)  # fmt: skip
    assert sum(result.counts.values()) == 8
    assert result.counts.get("failed", 0) == 0
    prediction = model.predict([tile_tree / "test/hole/000.png"])
    assert np.isfinite(prediction.scores).all()
    assert not (tmp_path / "model/unfinished").exists()


def test_new_data_join_the_training_part_and_validation_stays_held_out(
    files: Path, tmp_path: Path, tile_tree: Path
) -> None:
    told = Told()
    added = more_tiles(tmp_path / "more", tile_tree)
    found = refit(files / "run", tmp_path / "model", data=added, trust=trust(files), seed=1, reporter=told)
    train, held = part(files / "run", "train"), part(files / "run", "validation")
    ((trained, scored),) = seen(files)
    assert trained - train == {f"added/train/good/{number}.png" for number in range(3)}
    assert scored == held
    said = "\n".join(told.lines)
    assert "1 file of" in said, "the folder's own test part"
    assert "2 pictures of --data left out: the run has the same content: 1 in train, 1 in test." in said
    assert found.kept.refit is not None
    assert found.kept.refit["more"]["known"] == {"train": 1, "test": 1}
    assert found.kept.refit["validation"].keys() == found.kept.refit["validation_before"].keys() > {"roc_auc"}
    assert (found.kept.seed, found.kept.epoch) == (1, 3)
    assert "The test part was not read" in found.text()


def test_with_test_and_without_folds(files: Path, tmp_path: Path) -> None:
    found = refit(files / "run", tmp_path / "model", everything=True, with_test=True, folds=0, seed=7,
                  trust=trust(files), reporter=QUIET)  # fmt: skip
    ((trained, _),) = seen(files)
    assert trained == {path for name in ("train", "validation", "test") for path in part(files / "run", name, True)}
    evaluated = KeptModel.model_validate_json((files / "run/models/turning/0/model.json").read_text())
    assert (found.kept.seed, found.kept.epoch) == (7, 3)
    assert found.kept.threshold == evaluated.threshold
    assert found.kept.reference == evaluated.reference
    assert "The threshold is another model's" in found.text()
    assert "No test figure of this run says anything of it" in found.text()


@pytest.mark.usefixtures("one_thread")
def test_a_refit_that_was_stopped_goes_on_by_the_same_call(files: Path, tmp_path: Path) -> None:
    whole = refit(files / "run", tmp_path / "whole", everything=True, folds=2, trust=trust(files), reporter=QUIET)
    begun = seen(files)
    (files / "interrupt").write_text("2")
    with pytest.raises(Stopped):
        refit(files / "run", tmp_path / "model", everything=True, folds=2, trust=trust(files), reporter=QUIET)
    assert not (tmp_path / "model/model.json").exists()
    with pytest.raises(InputError, match="another refit, broken off: folds 2 there, 3 here"):
        refit(files / "run", tmp_path / "model", everything=True, trust=trust(files), reporter=QUIET)
    again = refit(files / "run", tmp_path / "model", everything=True, folds=2, trust=trust(files), reporter=QUIET)
    assert seen(files) == 2 * begun, "none is begun twice"
    assert again.kept.threshold == whole.kept.threshold
    weights = [torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "model")]
    assert torch.equal(weights[0]["mean"], weights[1]["mean"])


def test_what_can_t_be_refitted_is_told_before_any_work(files: Path, tmp_path: Path, tile_tree: Path) -> None:
    out, given = tmp_path / "model", {"trust": trust(files), "reporter": QUIET}
    more = more_tiles(tmp_path / "more", tile_tree, new=0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/other.txt").touch()
    (tmp_path / "holes/train/hole").mkdir(parents=True)
    shutil.copyfile(tile_tree / "test/hole/001.png", tmp_path / "holes/train/hole/a.png")
    for keys, words in [
        ({}, "would be what the sweep did"),
        ({"with_test": True, "data": more}, "goes with --all"),
        ({"folds": 2, "data": more}, "--folds goes with --all"),
        ({"folds": 1, "everything": True}, "must be 2 or more"),
        ({"everything": True, "variant": "none"}, "has no evaluated variant 'none'. It has: turning"),
        ({"everything": True, "trust": ()}, "names code of one's own"),
        ({"everything": True, "out": tmp_path / "full"}, "is not empty and holds no broken-off refit"),
        ({"everything": True, "out": files / "run/models/turning/0"}, "holds a model already"),
        ({"everything": True, "run": tmp_path}, "holds no run"),
        ({"data": tmp_path / "nowhere"}, "does not exist"),
        ({"data": tmp_path / "holes"}, "holds none in train/good|lies as the layout mvtec has it"),
    ]:
        with pytest.raises(InputError, match=words):
            refit(**{"run": files / "run", "out": out, **given, **keys})
        assert not out.exists()
    with pytest.raises(InputError, match="adds nothing"):
        refit(files / "run", out, data=more, **given)
    assert not any(out.iterdir()), "what the error advises, --all, is no other refit"
    with pytest.raises(InputError, match="can't be made: Not a directory"):
        refit(files / "run", tmp_path / "full/other.txt/in", everything=True, **given)
    assert not (files / "seen.jsonl").exists()


def test_an_ensemble_has_no_training_of_its_own(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "run", tmp_path / "run", ignore=shutil.ignore_patterns("stores"))
    records = [one for one in read_records(tmp_path / "run/records.jsonl") if one.stage == "evaluation"]
    shutil.copytree(tmp_path / "run/models/turning", tmp_path / "run/models/all")
    for one in records:
        update = {"variant": "all", "family": ENSEMBLE_FAMILY, "cell": "all"}
        append_record(tmp_path / "run/records.jsonl", one.model_copy(update=update))
    with pytest.raises(InputError, match="all is an ensemble: it has no training of its own"):
        refit(tmp_path / "run", tmp_path / "model", variant="all", everything=True, reporter=QUIET)


def test_a_classifier_learns_from_one_new_class_folder(old: Path, orchestrate: Any) -> None:
    source = sorted((old / "series").glob("*/*.csv"))[0]
    (old / "more" / source.parent.name).mkdir(parents=True)
    values = source.read_text().splitlines()
    (old / "more" / source.parent.name / "new.csv").write_text("\n".join([values[0], *reversed(values[1:])]))
    shutil.copyfile(source, old / "more" / source.parent.name / "old.csv")
    ended = orchestrate("refit", "whole", "--variant", "pca_logistic", "--data", "more", "--all", "--out", "model")
    assert ended.code == 0, ended.err
    assert "1 picture of --data left out" in ended.err
    assert "1 of new data" in ended.out
    kept = load_model(old / "model").kept
    evaluated = load_model(old / "whole/models/pca_logistic" / str(kept.seed)).kept
    assert kept.refit is not None
    assert kept.refit["pictures"]["validation"] == len(Split.load(old / "whole/split.json").validation)
    assert (kept.threshold, kept.classes, kept.config) == (None, evaluated.classes, evaluated.config)
    assert orchestrate("predict", "model", "more", "--out", "found.csv").code == 0
    ended = orchestrate("refit", "whole", "--all", "--out", "model")
    assert (ended.code, "holds a model already" in ended.err) == (2, True)
    (old / "more" / source.parent.name).rename(old / "more" / "spikee")
    ended = orchestrate("refit", "whole", "--data", "more", "--out", "other")
    assert ended.code == 2
    assert "Unknown class 'spikee'" in ended.err
    assert "A refit learns no new class" in ended.err


def test_folds_spread_classes_and_keep_source_pictures_whole() -> None:
    from orchestrator.running.refit_training import dealt, folds_for

    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    groups = ("a", "a", "b", "c", "d", "e", "f", "g", "h")
    fold = dealt(labels, groups, 3)
    assert fold[0] == fold[1]
    assert all(set(fold[labels == label]) == {0, 1, 2} for label in (0, 1))
    assert folds_for(labels, groups, 9, detection=True) == 5
    with pytest.raises(InputError, match="--folds 0"):
        folds_for(labels, ("a",) * 6 + ("f", "g", "h"), 3, detection=True)
    sizes = np.bincount(fold)
    assert all(abs(one - other) <= 2 for one, other in pairwise(sizes.tolist()))


def test_one_worker_takes_the_batches_that_several_shared() -> None:
    from orchestrator.running.refit_source import with_whole_batches

    config = {"batch_size": 16, "learning_rate": 1e-3}
    assert with_whole_batches(config, "vae_transfer", 1) == config
    assert with_whole_batches(config, "vae_transfer", 2) == {**config, "batch_size": 32, "vae_batch_size": 64}

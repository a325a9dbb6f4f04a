"""A kept model becomes one file that scores as it does, or none."""

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from orchestrator import Experiment, InputError, export_model, load_model, run
from orchestrator.artifacts.models import KeptEnsemble, KeptMember, KeptModel, keep_ensemble, keep_model
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import read_readings
from orchestrator.data.split.split import Split
from orchestrator.data.store.store import open_store
from orchestrator.evaluation.evaluate_cell import write_scores
from orchestrator.families import FAMILIES, code_of, family_row
from orchestrator.scoring.ensembles import combined
from orchestrator.using.export.comparison import relative
from orchestrator.using.export.exporting import Exported, Format
from trainables.interface import Problem, Samples
from trainables.own_code import is_own

pytestmark = pytest.mark.usefixtures("ray_session", "one_thread")

SIDE = 32
ROOT = Path(__file__).parents[3]
BACKBONE = {"backbone": "shufflenet_v2_x0_5", "weights": "none"}
CONFIGS: dict[str, dict[str, Any]] = {
    "conv_autoencoder": {"architecture": "B", "batch_size": 8},
    "feature_autoencoder": {**BACKBONE, "layers": [1, 2], "grid": 8, "latent_dim": 4, "batch_size": 8},
    "patch_knn": {**BACKBONE, "layers": "1+2", "most_patches": 600, "reweighting": True},
    "pca": {"components": 4, "crop": 0.8, "blur": 0.5},
    "pca_logistic": {"thumbnail": 16, "components": 8},
    "plot_classifier": {**BACKBONE, "batch_size": 8, "train_layers": "head"},
    "vae": {"architecture": "small_conv", "latent_dim": 8, "score": "reconstruction_kl", "batch_size": 8},
    "vae_transfer": {"vae_architecture": "small_conv", "vae_latent_dim": 8, "vae_epochs": 1, "batch_size": 8},
}
QUICK = ("conv_autoencoder", "pca_logistic")
"""The others are exported where there is time: a detector with maps and a classifier go every way."""


@pytest.fixture(scope="module")
def tiles(tile_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on the tree's pictures whose one model is `pca`."""
    values = {
        "data": {"path": str(tile_tree), "layout": "mvtec", "size": SIDE, "split": {"anomalies_to_validation": 0.3}},
        "families": ["pca"],
        "budget": {"trials": 1, "epochs": 1},
        "seeds": [0],
    }
    folder = tmp_path_factory.mktemp("export") / "run"
    file = folder.parent / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return run(Experiment.load(file), folder, until="evaluate")


@pytest.fixture(scope="module")
def keep(tiles: RunFolder) -> Callable[..., Path]:
    """(family, configuration) -> the folder of a model that is trained for an epoch, kept and scored as a run does."""
    (place,) = tiles.stores.iterdir()
    store, split = open_store(place), Split.load(tiles.split)

    def samples(rows: np.ndarray, task: str) -> Samples:
        labels, classes = store.labels[rows], store.classes
        if task == "detection":
            labels, classes = (labels != store.classes.index("good")).astype(np.int64), ("normal", "anomaly")
        return Samples(store.pictures.select(rows), labels, classes, tuple(store.paths[row] for row in rows))

    def make(name: str, variant: str = "", precision: dict[str, Any] | None = None, **config: Any) -> Path:
        family, variant = family_row(name).family, variant or name
        folder = tiles.model(variant, 0)
        if folder.exists():
            return folder
        validation, test = samples(split.validation, family.task), samples(split.test, family.task)
        train = samples(split.train, "detection") if family.task == "detection" else validation
        model = family.build(family.config(**config), Problem(train.classes, (SIDE, SIDE, 3), 1), 0)
        for _ in model.fit(train, validation):
            pass
        chosen, found = model.predict(validation), model.predict(test)
        kept = KeptModel(
            family=name,
            variant=variant,
            seed=0,
            config=config,
            classes=train.classes,
            shape=(SIDE, SIDE, 3),
            preprocessing={"layout": "mvtec", "column": None, "style": "seed", "size": [SIDE, SIDE]},
            threshold=float(np.median(chosen.scores)) if family.task == "detection" else None,
            code=f"1, {code_of(name)}",
            precision=precision or {},
        )
        keep_model(folder, model.weights(), kept, 1)
        write_scores(tiles.predictions(variant, 0), found, test, chosen, validation)
        return folder

    return make


@pytest.fixture(scope="module")
def exported(keep: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """(family) -> its model as ONNX, exported once."""
    return functools.cache(
        lambda name: export_model(keep(name, **CONFIGS[name]), tmp_path_factory.mktemp("onnx") / "model.onnx")
    )


def test_an_ensemble_becomes_one_file(keep: Callable[..., Path], tiles: RunFolder, tmp_path: Path) -> None:
    folders = {name: keep(name, **CONFIGS[name]) for name in ("conv_autoencoder", "vae")}
    members = tuple(
        KeptMember(
            variant=name, seed=0, folder=f"../../{name}/0", weights=load_model(folder).kept.weights, weight=weight,
            center=center, scale=scale,
        )
        for (name, folder), (weight, center, scale) in zip(
            folders.items(), ((0.25, 1e-3, 1e-4), (0.75, 2e-2, 3e-3)), strict=True
        )
    )  # fmt: skip
    ensemble = KeptEnsemble(
        variant="both",
        seed=0,
        task="detection",
        classes=("normal", "anomaly"),
        members=members,
        threshold=0.3,
        code="1",
    )
    keep_ensemble(tiles.model("both", 0), ensemble)
    made = export_model(tiles.model("both", 0), tmp_path / "both.onnx")
    assert made.checked.holds
    assert made.checked.pictures > 10
    pictures, small = large()
    found = onnxruntime.InferenceSession(made.path).run(None, {"pictures": pictures})
    assert len(found) == 2, "scores and verdicts, no maps"
    expected = combined([load_model(folder).predict(small).scores for folder in folders.values()], members, "detection")
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)
    assert found[1].tolist() == (expected > 0.3).tolist()
    assert [one["variant"] for one in made.metadata["members"]] == ["conv_autoencoder", "vae"]


def large(count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of another size, and the same as Pillow resizes them."""
    pictures = np.random.default_rng(3).integers(0, 256, (count, 50, 81, 3), dtype=np.uint8)
    small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in pictures]
    return pictures, np.stack(small)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(FAMILIES)]
)
def test_every_family_scores_alike_in_onnxruntime(
    name: str, keep: Callable[..., Path], exported: Callable[[str], Exported]
) -> None:
    made, folder = exported(name), keep(name, **CONFIGS[name])
    assert made.checked.holds
    assert made.checked.pictures > 10
    assert max(made.checked.largest, made.checked.resized) < 1e-5
    assert [path.name for path in made.path.parent.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(made.path)
    model = load_model(folder)
    pictures, small = large()
    for count in (3, 1):
        expected = model.predict(small[:count])
        outputs = [output.name for output in session.get_outputs()]
        found = dict(zip(outputs, session.run(None, {"pictures": pictures[:count]}), strict=True))
        if FAMILIES[name].task == "classification":
            assert outputs == ["probabilities", "verdict"]
            np.testing.assert_allclose(found["probabilities"], expected.scores, atol=1e-5)
            assert found["verdict"].tolist() == expected.scores.argmax(axis=1).tolist()
            continue
        np.testing.assert_allclose(found["score"], expected.scores, rtol=1e-4)
        assert found["verdict"].tolist() == (expected.scores > model.kept.threshold).tolist()
        if expected.maps is not None:
            np.testing.assert_allclose(found["map"], expected.maps, rtol=1e-3, atol=1e-4 * expected.maps.max())
        for line, verdict in ((-1.0, True), (1e9, False)):
            given = {"pictures": pictures[:count], "threshold": np.array(line, np.float32)}
            assert session.run(["verdict"], given)[0].tolist() == [verdict] * count


def test_a_model_of_bfloat16_may_differ_by_its_digits_and_no_verdict(
    tiles: RunFolder, keep: Callable[..., Path], tmp_path: Path
) -> None:
    """Its scores are float32's here, moved as far as bfloat16 moves them."""
    config = {**CONFIGS["conv_autoencoder"], "bottleneck": 0.1}
    folder, file = keep("conv_autoencoder", "halved", {"dtype": "bfloat16"}, **config), tmp_path / "model.pt"
    scores = tiles.predictions("halved", 0)
    with np.load(scores) as read:
        values = dict(read)
    threshold = load_model(folder).kept.threshold or 0.0
    moved = values["scores"] * 1.002
    values["scores"] = np.where((moved > threshold) == (values["scores"] > threshold), moved, values["scores"])
    np.savez(scores, **values)
    made = export_model(folder, file, format="torch")
    assert made.checked.tolerance == 0.05
    assert made.checked.largest == pytest.approx(0.002, rel=0.01)
    assert made.checked.resized < 1e-5
    assert any("scored in bfloat16" in remark for remark in made.remarks)
    with pytest.raises(InputError, match="It was scored in bfloat16"):
        export_model(folder, file, format="torch", tolerance=1e-3, overwrite=True)
    with pytest.raises(InputError, match="is there already"):
        export_model(folder, file, format="torch")


@pytest.mark.parametrize(("format", "name"), [("torch", "pca"), ("torch", "pca_logistic"), ("torch.export", "pca")])
def test_torch_s_own_formats_score_alike(format: Format, name: str, keep: Callable[..., Path], tmp_path: Path) -> None:
    folder, file = keep(name, "short", **CONFIGS[name]) if name != "pca" else keep(name), tmp_path / "model.pt2"
    assert export_model(folder, file, format=format).checked.holds
    pictures, small = large()
    expected = load_model(folder).predict(small)
    detects = FAMILIES[name].task == "detection"
    given = (torch.from_numpy(pictures), torch.tensor(1e9)) if detects else (torch.from_numpy(pictures),)
    extra = {"metadata.json": ""}
    if format == "torch":
        with pytest.warns(FutureWarning, match="torch.jit.load"):
            found = torch.jit.load(file, _extra_files=extra)(*given)
    else:
        found = torch.export.load(file, extra_files=extra).module()(*given)
    np.testing.assert_allclose(found[0].numpy(), expected.scores, rtol=1e-5)
    told = json.loads(extra["metadata.json"])
    assert told["family"] == name
    assert not detects or not found[-1].any()


def test_what_the_file_tells_of_its_model(keep: Callable[..., Path], exported: Callable[[str], Exported]) -> None:
    made = exported("conv_autoencoder")
    kept = load_model(keep("conv_autoencoder")).kept
    told = {one.key: one.value for one in onnx.load(made.path).metadata_props}
    assert json.loads(told["classes"]) == ["normal", "anomaly"]
    assert float(told["threshold"]) == kept.threshold
    assert told["weights_sha256"] == kept.weights
    assert json.loads(told["config"]) == kept.config
    assert json.loads(told["check"])["holds"] is True
    assert "uint8 RGB (batch, height, width, 3)" in told["inputs"]
    assert told["family"] == "conv_autoencoder"
    assert "0 flipped verdicts" in made.text()
    assert str(ROOT).encode() not in made.path.read_bytes()


def test_the_reading_of_the_test_part_is_written_down(
    tiles: RunFolder, keep: Callable[..., Path], tmp_path: Path
) -> None:
    split = Split.load(tiles.split).fingerprint
    before = read_readings(tiles.test_reads, split).found
    export_model(keep("pca"), tmp_path / "model.pt", format="torch")
    after = read_readings(tiles.test_reads, split)
    assert after.found[:-1] == before
    assert not after.found[-1].judged
    assert all(one.judged for one in before if one.command.startswith("sweep"))
    assert (after.broken, after.unreadable) == ([], [])


def test_other_scores_are_refused_and_nothing_is_written(
    tiles: RunFolder, keep: Callable[..., Path], tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    folder, file = keep("pca", "spoiled", components=2), tmp_path / "model.pt"
    scores = tiles.predictions("spoiled", 0)
    with np.load(scores) as read:
        values = dict(read)
    values["scores"] = values["scores"] * 1.01
    np.savez(scores, **values)
    ended = orchestrate("export", folder, "--format", "torch", "--out", file)
    assert ended.code == 2
    assert "largest difference 9.9e-03 of the score" in " ".join(ended.err.split())
    assert not file.exists()
    assert orchestrate("export", folder, "--format", "torch", "--out", file, "--unchecked").code == 0
    extra = {"metadata.json": ""}
    with pytest.warns(FutureWarning, match="torch.jit.load"):
        torch.jit.load(file, _extra_files=extra)
    assert json.loads(extra["metadata.json"])["check"]["holds"] is False


def test_without_the_run_s_pictures_nothing_is_known(keep: Callable[..., Path], tmp_path: Path) -> None:
    alone, file = tmp_path / "models/pca/0", tmp_path / "model.pt"
    shutil.copytree(keep("pca"), alone)
    with pytest.raises(InputError, match=r"can't be known: .*--unchecked"):
        export_model(alone, file, format="torch")
    assert not file.exists()
    made = export_model(alone, file, format="torch", unchecked=True)
    assert made.checked.against == "the model itself, on generated pictures"
    assert made.checked.pictures == 0
    assert any("not computed again" in remark for remark in made.remarks)


def test_depth_and_code_without_a_module_are_refused(
    keep: Callable[..., Path], tiles: RunFolder, tmp_path: Path
) -> None:
    own = f"{ROOT / 'examples/own_parts.py'}:FAMILY"
    assert is_own(own)
    with pytest.raises(InputError, match="does not say what it predicts as one torch module"):
        export_model(keep(own, "mine"), tmp_path / "model.pt", format="torch", trust=own)
    family = FAMILIES["feature_autoencoder"].family
    config = family.config(**CONFIGS["feature_autoencoder"] | {"input": "rgbd"})
    model = family.build(config, Problem(("normal", "anomaly"), (SIDE, SIDE, 3), 1, depth=True), 0)
    assert family.module is not None
    with pytest.raises(InputError, match="reads depth beside the pictures"):
        family.module(model)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"format": "tflite"}, "Unknown format 'tflite'. Known formats: onnx, torch, torch.export"),
        ({"tolerance": -1.0}, "a number from 0 on"),
        ({"out": "absent/model.onnx"}, "does not exist"),
        ({"out": "."}, "is no file"),
        ({"model": "absent"}, "is no model"),
    ],
)
def test_what_can_t_be_is_said_at_once(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        export_model(**{"model": tmp_path, "out": tmp_path / "model.onnx", **given})


def test_a_missing_package_is_said_with_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime, and it is not installed.*anomaly-orchestrator\[export\]"):
        export_model(tmp_path, tmp_path / "model.onnx")


def test_a_difference_is_relative_to_a_score_that_is_not_too_small() -> None:
    expected = np.array([1.0, 2.0, 0.0])
    assert relative(np.array([1.0, 2.002, 0.0]), expected, "detection") == pytest.approx(1e-3)
    assert relative(np.array([1.0, 2.0, 1e-4]), expected, "detection") == pytest.approx(1e-2)
    assert relative(np.array([np.nan, 2.0, 0.0]), expected, "detection") == np.inf
    shares = np.array([[0.8, 0.2], [0.5, 0.5]])
    assert relative(shares + np.array([[0.0, 8e-4], [0.0, 0.0]]), shares, "classification") == pytest.approx(1e-3)


def test_the_example_serves_it_with_onnxruntime_and_numpy_alone(
    keep: Callable[..., Path], exported: Callable[[str], Exported], tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for package in (np, onnxruntime):
        folder = Path(package.__file__).parent
        for part in folder.parent.glob(f"{folder.name}*"):  # the package, its libraries, its metadata
            (bare / part.name).symlink_to(part)
    folder, file = keep("conv_autoencoder"), exported("conv_autoencoder").path
    pictures, small = large()
    np.save(tmp_path / "pictures.npy", pictures)
    (tmp_path / "one.ppm").write_bytes(b"P6\n# by hand\n81 50\n255\n" + pictures[0].tobytes())
    code = (
        f"import importlib.util, runpy, sys; sys.path.append({str(bare)!r}); "
        "absent = [importlib.util.find_spec(one) is None for one in ('torch', 'ray', 'PIL', 'orchestrator', 'onnx')]; "
        f"assert all(absent), absent; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = [ROOT / "examples/serve_onnx.py", file, tmp_path / "pictures.npy", tmp_path / "one.ppm"]
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    model = load_model(folder)
    scores = model.predict(small).scores
    np.testing.assert_allclose([row["score"] for row in rows], [*scores, scores[0]], rtol=1e-4)
    classes = [("normal", "anomaly")[int(score > (model.kept.threshold or 0))] for score in scores]
    assert [row["verdict"] for row in rows] == [*classes, classes[0]]

"""Kept models, trained for one epoch, and a run's folder that holds some."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from builders.provenance import provenance_of
from orchestrator import load_model
from orchestrator.artifacts.heat_maps import scale_of
from orchestrator.artifacts.models import KeptModel, keep_model
from orchestrator.artifacts.records import ThresholdChoice, TrialRecord, append_record
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.data.files.content_hashes import Sources
from orchestrator.data.files.image_files import decode_picture
from orchestrator.data.fill.drawing import Drawer, recipe_of
from orchestrator.evaluation.evaluate_cell import validation_reference
from orchestrator.families import family_row
from orchestrator.using.loaded_model import LoadedModel
from trainables.interface import Problem, Samples
from trainables.speed import Speed

SIDE = 32
CLASSES = ("step", "trend", "wave")


def plots_of(tree: Path) -> Samples:
    """The tree's plots, in the style `plain`."""
    paths = sorted(tree.rglob("*.csv"))
    drawer = Drawer(recipe_of("series", "plain", (SIDE, SIDE), None))
    pictures = np.stack([drawer(Sources(path.read_bytes())) for path in paths])
    labels = np.array([CLASSES.index(path.parent.name) for path in paths])
    return Samples(pictures, labels, CLASSES, tuple(map(str, paths)))


def trained(
    folder: Path,
    family: str,
    samples: Samples,
    preprocessing: dict[str, Any],
    *,
    variant: str = "",
    seed: int = 0,
    kept: Mapping[str, Any] | None = None,
    **config: Any,
) -> LoadedModel:
    """A model trained for one epoch, kept with the reference of its own samples, and loaded. `kept`: more to keep."""
    shape = (SIDE, SIDE, 3)
    row = family_row(family).family
    problem = Problem(samples.classes, shape, 1, depth=samples.depth is not None)
    model = row.build(row.config(**config), problem, seed)
    for _ in model.fit(samples, samples):
        pass
    note = KeptModel(
        family=family,
        variant=variant or family,
        seed=seed,
        config=config,
        classes=samples.classes,
        shape=shape,
        preprocessing={"column": None, "style": "seed", "size": [SIDE, SIDE], **preprocessing},
        code="1",
        reference=validation_reference(model.predict(samples).scores, samples, row.task),
        **(kept or {}),
    )
    keep_model(folder, model.weights(), note, 1)
    return load_model(folder)


def keep_tile_model(folder: Path, tile_tree: Path, variant: str = "tiles", seed: int = 0) -> None:
    """A detector of the tiles, whose maps are kept with their scale, and its validation scores."""
    paths = sorted((tile_tree / "train/good").glob("*.png"))
    pictures = np.stack([decode_picture(path.read_bytes(), (SIDE, SIDE)) for path in paths])
    normal = Samples(pictures, np.zeros(len(paths), np.int64), ("normal", "anomaly"), tuple(map(str, paths)))
    how = {"layout": "mvtec", "upright": True}
    config = {"architecture": "B", "batch_size": 8}
    model = trained(folder, "conv_autoencoder", normal, how, seed=seed, **config)
    found = model.predict(normal)
    assert found.maps is not None
    line = float(np.percentile(found.maps, 99))
    kept = {
        "threshold": float(found.scores.max()),
        "pixel_threshold": line,
        "heat_scale": scale_of(float(np.median(found.maps)), line),
        "strategy": "max_normal",
    }
    trained(folder, "conv_autoencoder", normal, how, variant=variant, seed=seed, kept=kept, **config)
    np.savez(folder / "test_scores.npz", validation_scores=found.scores, validation_labels=normal.labels)


def run_with(
    root: Path,
    figures: Mapping[str, Mapping[int, tuple[float, float]]],
    metric: str,
    family: str,
    *,
    objective: Mapping[str, Any] | None = None,
    speeds: Mapping[str, Speed] | None = None,
) -> Path:
    """A run's experiment and records: variant -> seed -> the metric on validation and on test. Models are to be kept
    in it. `objective`: more keys of it; `speeds`: of each variant's models."""
    folder = RunFolder(root)
    root.mkdir()
    values = {
        "data": {"path": "data", "layout": "series"},
        "families": [{"name": name, "family": family} for name in figures],
        "objective": {"metric": metric, "mode": "max", **(objective or {})},
        "seeds": sorted({seed for seeds in figures.values() for seed in seeds}),
    }
    folder.experiment.write_text(yaml.safe_dump(values), encoding="utf-8")
    origin = provenance_of(values)
    detection = family_row(family).task == "detection"
    for variant, seeds in figures.items():
        for seed, (validation, test) in seeds.items():
            record = TrialRecord(
                stage="evaluation",
                family=family,
                variant=variant,
                trial=0,
                seed=seed,
                split="test",
                config={},
                metrics={metric: test},
                epoch=1,
                history=[{"epoch": 1.0, metric: validation}],
                threshold=ThresholdChoice(strategy="max_normal", value=0.5) if detection else None,
                cell=variant,
                status="completed",
                seconds=1.0,
                speed=(speeds or {}).get(variant),
                provenance=origin,
            )
            append_record(folder.records, record)
    return root

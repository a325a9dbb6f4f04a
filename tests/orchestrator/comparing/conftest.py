"""Runs of detection as the orchestrator writes them, with the figures that a test gives them."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builders.provenance import provenance_of

from orchestrator.artifacts.records import TrialRecord, append_record

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run: by variant and seed its ROC-AUC, or several metrics by name.

    `scores`: by variant and seed; None: some that have the ROC-AUC; {}: none were kept.
    """

    def make(
        name: str,
        figures: Mapping[str, Mapping[int, float | Mapping[str, float]]],
        *,
        families: Mapping[str, str] | None = None,
        data: str = "d" * 32,
        split: str = "5" * 32,
        path: str = "data/spill",
        tested: Sequence[str] = ("test/0.png", "test/1.png"),
        code: str = "0.1.0",
        config: Mapping[str, Any] | None = None,
        scores: Mapping[tuple[str, int], Any] | None = None,
        status: str = "completed",
        **experiment: Any,
    ) -> Path:
        root = tmp_path / name
        root.mkdir(parents=True)
        kinds = dict.fromkeys(figures, "pca") | dict(families or {})
        values = {
            "data": {"path": path},
            "families": [{"name": variant, "family": kinds[variant]} for variant in figures],
            "objective": {"metric": "roc_auc", "mode": "max", "test_metric": "roc_auc"},
        }
        (root / "experiment.yaml").write_text(yaml.safe_dump(values | experiment, sort_keys=False), encoding="utf-8")
        pictures = [["train/0.png", "train"], *([one, "test"] for one in tested)]
        told = {"format": 1, "data": data, "fingerprint": split, "pictures": pictures}
        (root / "split.json").write_text(json.dumps(told), encoding="utf-8")
        provenance = provenance_of(values | experiment).model_copy(update={"data": data, "split": split, "code": code})
        for variant, seeds in figures.items():
            for seed, given in seeds.items():
                metrics = dict(given) if isinstance(given, Mapping) else {"roc_auc": given}
                kept = scores_of(metrics.get("roc_auc")) if scores is None else scores.get((variant, seed))
                if kept is not None:
                    write_scores(root / "models" / variant / str(seed) / "test_scores.npz", kept)
                append_record(
                    root / "records.jsonl",
                    TrialRecord(
                        stage="evaluation", family=kinds[variant], variant=variant, trial=0, seed=seed, split="test",
                        config=dict(config or {"components": 8}), metrics=metrics if status == "completed" else {},
                        status=status, seconds=2.5, parameters=1234, provenance=provenance,  # type: ignore[arg-type]
                    ),
                )  # fmt: skip
        return root

    return make


def scores_of(roc_auc: float | None, pictures: int = 300) -> Any:
    """Scores with that ROC-AUC, at least .5: a share of the anomalies above all normals, the others among them."""
    if roc_auc is None:
        return None
    half = pictures // 2
    among = (np.arange(half) + 0.5) / half
    anomalies = np.where(np.arange(half) < round((2 * roc_auc - 1) * half), 2.0, among[::-1])
    return np.stack([among, anomalies], axis=1).ravel()


def write_scores(path: Path, scores: Any) -> None:
    """Anomaly scores of pictures of which every second one is an anomaly."""
    path.parent.mkdir(parents=True)
    labels = np.arange(len(scores)) % 2
    names = np.array([os.fsencode(f"test/{row}.png") for row in range(len(scores))])
    np.savez_compressed(path, scores=scores, labels=labels, paths=names)

"""Runs of detection as the orchestrator writes them, made without training."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from builders.provenance import PROVENANCE, provenance_of
from orchestrator.artifacts.records import ThresholdChoice, TrialRecord, append_record
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.pixels import histograms
from orchestrator.scoring.thresholds import choose

SPLIT = {"anomalies_to_validation": 0.0, "group": r"^(.*)_\d+$"}
"""As its pictures are of source pictures, three each."""


class DetectionBuilder:
    """Writes one run of detection; the same arguments give the same run."""

    def __init__(self, root: Path, variants: dict[str, float], masks: bool, anomalies: bool, pictures: int) -> None:
        self.run, self.variants, self.anomalies = RunFolder(root), variants, anomalies
        self.provenance = PROVENANCE
        root.mkdir(parents=True)
        self.generator = np.random.default_rng(3)
        rows = np.arange(pictures)
        self.labels = (rows % 2).astype(np.int64)
        self.kinds = tuple(
            "good" if not label else ("crack", "hole<i>")[row // 2 % 2] for row, label in enumerate(self.labels)
        )
        self.paths = tuple(f"test/{kind}/{row:03d}.png" for row, kind in enumerate(self.kinds))
        self.groups = tuple(f"source{row // 3}" for row in rows)
        self.masks = np.zeros((pictures, 12, 12), dtype=np.uint8) if masks else None
        if self.masks is not None:
            self.masks[self.labels == 1, 3:7, 4:9] = 255
        self.masked = np.ones(pictures, dtype=bool)

    def experiment(self, seeds: Sequence[int], **more: Any) -> None:
        values: dict[str, Any] = {
            "data": {"path": "parts", "layout": "mvtec", "normal": "good", "split": SPLIT},
            "families": [{"name": name, "family": name.partition("-")[0]} for name in self.variants],
            "baseline": "pca",
            "objective": {"metric": "roc_auc", "mode": "max", "test_metric": "roc_auc"},
            "threshold": {"strategies": ["percentile(95)", "max_normal", "youden"], "metric": "balanced_accuracy"},
            "seeds": list(seeds),
        }
        self.provenance = provenance_of(values | more)
        self.run.experiment.write_text(yaml.safe_dump(values | more, sort_keys=False), encoding="utf-8")
        pictures = [[f"train/good/{row}.png", "train"] for row in range(40)]
        pictures += [[f"test/good/v{row}.png", "validation"] for row in range(30)] + [
            [path, "test"] for path in self.paths
        ]
        split = {
            "format": 1, "data": PROVENANCE.data, "fingerprint": PROVENANCE.split, "across": 0, "pictures": pictures,
            "remarks": ["The folders supply test.", "2 anomalies have an empty mask."],
        }  # fmt: skip
        self.run.split.write_text(json.dumps(split), encoding="utf-8")

    def scores(self, labels: Any, skill: float) -> Any:
        return self.generator.gamma(2.0, 1.0, len(labels)) + skill * labels

    def history(self, skill: float, epochs: int) -> list[dict[str, float]]:
        falls = 40 * np.exp(-np.arange(1, epochs + 1) / 4)
        return [
            {"epoch": epoch + 1.0, "train_loss": 10 + fall, "validation_loss": 11 + fall, "roc_auc": 0.5 + 0.04 * epoch}
            | ({"anomaly_loss": 14 + 4 * skill + fall} if self.anomalies else {})
            for epoch, fall in enumerate(falls.tolist())
        ]

    def record(self, variant: str, **more: Any) -> None:
        family = variant.partition("-")[0]
        cheap = family == "pca"
        values: dict[str, Any] = {
            "family": family, "variant": variant, "status": "completed", "seconds": 2.0 if cheap else 31.0,
            "history": self.history(self.variants[variant], 1 if cheap else 10), "epoch": 1 if cheap else 8,
            "parameters": 900 if cheap else 2_353_123, "provenance": self.provenance,
        }  # fmt: skip
        append_record(self.run.records, TrialRecord(**(values | more)))

    def trial(self, variant: str, number: int) -> None:
        metrics = {"roc_auc": float(0.7 + 0.2 * self.generator.random()), "validation_loss": 12.5 - number}
        config = {
            "latent": int(self.generator.integers(2, 64)),
            "learning_rate": float(10 ** self.generator.uniform(-5, -2)),
        }
        self.record(
            variant, stage="search", trial=number, seed=1_000, split="validation", metrics=metrics, config=config
        )

    def cell(self, variant: str, seed: int, **more: Any) -> None:
        """One evaluated cell with all that it leaves: scores, histograms of maps, a logged reading, the record."""
        skill = self.variants[variant] + float(self.generator.normal(0, 0.1))
        chosen_on = (np.arange(60) % 3 == 0).astype(np.int64) * self.anomalies
        validation, scores = self.scores(chosen_on, skill), self.scores(self.labels, skill)
        choice = choose(validation, chosen_on, ["percentile(95)", "max_normal", "youden"])
        path = self.run.predictions(variant, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        names = {"paths": self.paths, "groups": self.groups, "kinds": self.kinds, "classes": ("normal", "anomaly")}
        np.savez_compressed(
            path, scores=scores, labels=self.labels, validation_scores=validation, validation_labels=chosen_on,
            **{name: np.array([os.fsencode(one) for one in kept]) for name, kept in names.items()},
        )  # fmt: skip
        maps = None
        if self.masks is not None:
            noise = self.generator.normal(0, 1, self.masks.shape)
            maps = (noise + skill * (self.masks > 0)).astype(np.float32)
            histograms(maps, self.masks, self.masked).save(self.run.pixels(variant, seed))
        judged = (scores, self.labels)
        pixels = (maps, self.masks, self.masked if maps is not None else None)
        log = ReadingLog(self.run.test_reads, PROVENANCE.split, "sweep 0123456789ab")
        reading = log.add(variant, seed, f"{variant}{seed}", PROVENANCE.finished)
        values: dict[str, Any] = {
            "reading": reading,
            "config": {"latent": 16},
            "metrics": grade_detection(*judged, choice.value, *pixels),
            "per_kind": per_kind(*judged, self.kinds, choice.value, *pixels),
            "threshold": ThresholdChoice(strategy=choice.strategy, value=choice.value, folds=choice.folds),
        }
        self.record(variant, stage="evaluation", trial=1, seed=seed, split="test", **(values | more))

    def gallery(
        self, variant: str, seed: int, size: tuple[int, int] = (40, 72), count: int = 4, grain: int = 4
    ) -> Path:
        folder = self.run.gallery(variant, seed)
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for place, name in enumerate(("picture", "reconstruction")):
            strip = self.generator.integers(0, 256, (size[0] // grain, size[1] * count // grain, 3), dtype=np.uint8)
            Image.fromarray(strip.repeat(grain, axis=0).repeat(grain, axis=1)).save(folder / f"0-{place}.png")
            rows.append({"label": name, "file": f"0-{place}.png", "count": count})
        listed = {"format": 1, "galleries": [{"title": f"Normals and what {variant} makes of them", "rows": rows}]}
        (folder / "gallery.json").write_text(json.dumps(listed))
        return folder

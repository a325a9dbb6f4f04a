"""Runs of classification as the orchestrator writes them, made without training."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from builders.provenance import PROVENANCE, provenance_of
from orchestrator.artifacts.records import TrialRecord, append_record
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.scoring.metrics import confusion, grade, per_class
from trainables.interface import Prediction

CLASSES = (
    "collective_anomaly", "contextual_anomaly", "deterministic_trend", "mean_shift", "point_anomaly",
    "stochastic_trend", "trend_shift", "variance_shift", "volatility",
)  # fmt: skip
SKILLS = {"pca_logistic": 0.25, "resnet18": 0.9, "resnet18-frozen": 0.55, "efficientnet_b0": 0.85}


class RunBuilder:
    """Writes one run; the same arguments give the same run."""

    def __init__(self, root: Path, variants: dict[str, float], classes: Sequence[str], pictures: int) -> None:
        self.run, self.variants, self.classes = RunFolder(root), variants, tuple(classes)
        self.provenance = PROVENANCE
        root.mkdir(parents=True)
        self.labels = np.arange(pictures) % len(classes)
        self.paths = tuple(f"{classes[label]}/{row}.csv" for row, label in enumerate(self.labels))
        self.generator = np.random.default_rng(5)

    def experiment(self, seeds: Sequence[int], **more: Any) -> None:
        families = [{"name": name, "family": self.family(name)} for name in self.variants]
        values = {
            "data": {"path": "series", "layout": "series"},
            "families": families,
            "baseline": next(iter(self.variants)),
            "objective": {"metric": "macro_f1", "mode": "max"},
            "budget": {"trials": 20, "epochs": 12},
            "seeds": list(seeds),
        }
        self.provenance = provenance_of(values | more)
        self.run.experiment.write_text(yaml.safe_dump(values | more, sort_keys=False), encoding="utf-8")
        pictures = [[f"{name}/{part}{row}.csv", part] for name in self.classes for part, row in self.others()]
        pictures += [[path, "test"] for path in self.paths]
        split = {
            "format": 1, "data": PROVENANCE.data, "fingerprint": PROVENANCE.split, "duplicates": 3,
            "remarks": ["3 exact duplicates stand on one side."], "pictures": pictures,
        }  # fmt: skip
        self.run.split.write_text(json.dumps(split), encoding="utf-8")

    def run_provenance(self) -> dict[str, Any]:
        return self.provenance.model_dump()

    def others(self) -> list[tuple[str, int]]:
        return [("train", row) for row in range(70)] + [("validation", row) for row in range(15)]

    def family(self, variant: str) -> str:
        return "pca_logistic" if variant.startswith("pca") else "plot_classifier"

    def prediction(self, skill: float) -> Prediction:
        logits = self.generator.normal(0, 1, (len(self.labels), len(self.classes)))
        logits[np.arange(len(self.labels)), self.labels] += 3 * skill
        # Neighbouring classes look alike.
        logits[np.arange(len(self.labels)), (self.labels + 1) % len(self.classes)] += 1.2
        scores = np.exp(logits)
        return Prediction(scores / scores.sum(axis=1, keepdims=True))

    def history(self, skill: float, epochs: int) -> list[dict[str, float]]:
        rows = []
        for epoch in range(1, epochs + 1):
            rise = 1 - np.exp(-3 * epoch / 12)
            noise = self.generator.normal(0, 0.015, 3)
            rows.append(
                {
                    "epoch": float(epoch),
                    "train_loss": float(2.2 - 1.7 * rise * skill + noise[0]),
                    "validation_loss": float(2.25 - 1.3 * rise * skill + 0.012 * epoch + noise[1]),
                    "macro_f1": float(np.clip(0.11 + 0.8 * rise * skill + noise[2], 0, 1)),
                }
            )
        return rows

    def trial(self, variant: str, number: int, status: str = "completed", epochs: int = 12) -> None:
        learning_rate = float(10 ** self.generator.uniform(-5, -2))
        dropout = float(self.generator.uniform(0, 0.6))
        optimizer = str(self.generator.choice(["adam", "adamw"]))
        skill = (
            self.variants[variant] * float(np.exp(-((np.log10(learning_rate) + 3.3) ** 2) / 2)) * (1 - 0.2 * dropout)
        )
        neural = self.family(variant) != "pca_logistic"
        config: dict[str, Any] = {"components": int(self.generator.integers(4, 64)), "C": learning_rate * 100}
        if neural:
            config = {
                "backbone": variant, "learning_rate": learning_rate, "dropout": dropout, "optimizer": optimizer,
                "weight_decay": float(10 ** self.generator.uniform(-6, -2)), "batch_size": 32, "weights": "auto",
            }  # fmt: skip
        failed = status in ("failed", "out-of-memory", "timed-out")
        history = [] if failed else self.history(skill, (4 if status == "pruned" else epochs) if neural else 1)
        append_record(
            self.run.records,
            TrialRecord(
                stage="search", family=self.family(variant), variant=variant, trial=number, seed=1_000,
                split="validation", config=config, metrics={} if failed else {"macro_f1": history[-1]["macro_f1"]},
                epoch=None if failed else len(history), history=history, status=status,  # type: ignore[arg-type]
                reason="FloatingPointError: the loss is not finite at epoch 2, step 7" if failed else "",
                seconds=float(self.generator.uniform(8, 30) if neural else self.generator.uniform(1, 3)),
                parameters=11_400_000 if neural else 4_321, peak_memory=900 * 2**20,
                facts={"weights": "random initialisation"} if neural else {}, provenance=self.provenance,
            ),
        )  # fmt: skip

    def cell(self, variant: str, seed: int, status: str = "completed", scores: bool = True, **more: Any) -> None:
        skill, neural = self.variants[variant], self.family(variant) != "pca_logistic"
        skill += float(self.generator.normal(0, 0.03))
        values: dict[str, Any] = {"status": status, "reason": "" if status == "completed" else "Worker died <killed>"}
        if status == "completed":
            prediction = self.prediction(skill)
            history = self.history(skill, 12 if neural else 1)
            values |= {
                "metrics": grade(prediction, self.labels, self.classes),
                "per_class": per_class(prediction, self.labels, self.classes),
                "confusion": confusion(prediction, self.labels, self.classes),
                "history": history, "epoch": max(1, len(history) - 3), "parameters": 11_400_000 if neural else 4_321,
                "peak_memory": 950 * 2**20, "facts": {"weights": "random initialisation"} if neural else {},
            }  # fmt: skip
            if scores:
                path = self.run.predictions(variant, seed)
                path.parent.mkdir(parents=True, exist_ok=True)
                names = [os.fsencode(name) for name in self.classes]
                encoded = [os.fsencode(one) for one in self.paths]
                np.savez_compressed(
                    path, scores=prediction.scores, labels=self.labels, paths=np.array(encoded), classes=np.array(names)
                )
        append_record(
            self.run.records,
            TrialRecord(
                stage=more.pop("stage", "evaluation"), family=self.family(variant), variant=variant,
                trial=more.pop("trial", 3), seed=seed,
                split="test", config={"learning_rate": 0.0005, "dropout": 0.31, "backbone": variant},
                seconds=float(self.generator.uniform(25, 40) if neural else 2.0), gpus=0.0,
                **{"provenance": self.provenance, **values, **more},
            ),
        )  # fmt: skip


def write_run(
    root: Path,
    variants: dict[str, float],
    classes: Sequence[str],
    pictures: int,
    search: int,
    seeds: Sequence[int],
    scores: bool,
    then: Callable[[RunBuilder], None] | None,
    **experiment: Any,
) -> RunFolder:
    builder = RunBuilder(root, variants, classes, pictures)
    builder.experiment(seeds or (0, 1, 2), **experiment)
    for variant in variants:
        for number in range(search):
            neural = builder.family(variant) != "pca_logistic"
            builder.trial(variant, number, "pruned" if neural and number % 3 == 2 else "completed")
    for variant in variants:
        for seed in seeds:
            builder.cell(variant, seed, scores=scores)
    if then is not None:
        then(builder)
    return builder.run

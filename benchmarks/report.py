"""How long a report of a large run takes, how much memory, and how large its page is.

    python benchmarks/report.py              1,000 trials over 6 families, 5 seeds, both tasks, with figures and without
    python benchmarks/report.py --each       1,000 trials of each of the 6 families
    python benchmarks/report.py --trials 200 --task detection

The runs are made of drawn numbers, but they are files as a sweep writes them: records with 50 epochs each, a split,
scores of 2,000 test pictures with histograms of their anomaly maps (detection) or of 1,000 in 9 classes. Each report is
written by a process of its own, so that its time and its peak of memory count imports too.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from orchestrator.artifacts.records import Provenance, ThresholdChoice, TrialRecord, append_record
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.metrics import confusion, grade, per_class
from orchestrator.scoring.pixels import histograms
from trainables.interface import Prediction

FAMILIES = {
    "detection": ("pca", "vae", "conv_autoencoder", "feature_autoencoder", "patch_knn", "vae"),
    "classification": ("pca_logistic", *["plot_classifier"] * 4, "vae_transfer"),
}
ORIGIN = Provenance(
    experiment="0" * 16,
    data="1" * 16,
    split="2" * 16,
    code="0",
    packages={"python": "3"},
    device="none",
    host="none",
    finished="2026-01-02T03:04:05+00:00",
)
PICTURES = {"detection": 2_000, "classification": 1_000}
SEEDS = 5
CLASSES = tuple(f"class {number}" for number in range(9))
KINDS = ("good", "crack", "hole")


def history(epochs: int, metric: str, draws: np.random.Generator) -> list[dict[str, float]]:
    noise = draws.normal(0, 0.02, (epochs, 3))
    rise = 1 - np.exp(-np.arange(1, epochs + 1) / 12)
    return [
        {
            "epoch": row + 1.0,
            "train_loss": 2 - rise[row] + noise[row, 0],
            "validation_loss": 2.1 - rise[row] + noise[row, 1],
            metric: min(1.0, 0.3 + 0.5 * rise[row] + noise[row, 2]),
        }
        for row in range(epochs)
    ]


def trial(variant: str, family: str, number: int, epochs: int, metric: str, draws: np.random.Generator) -> TrialRecord:
    pruned = number % 4 == 3
    rows = history(epochs // 5 if pruned else epochs, metric, draws)
    config: dict[str, Any] = {
        "learning_rate": float(10 ** draws.uniform(-5, -2)),
        "dropout": float(draws.uniform(0, 0.6)),
        "latent": int(draws.integers(8, 256)),
        "optimizer": str(draws.choice(["adam", "adamw", "sgd"])),
        "weight_decay": float(10 ** draws.uniform(-6, -2)),
        "batch_size": int(draws.choice([16, 32, 64])),
    }
    return TrialRecord(
        stage="search", family=family, variant=variant, trial=number, seed=0, split="validation", config=config,
        metrics={metric: rows[-1][metric]}, epoch=len(rows), history=rows, status="pruned" if pruned else "completed",
        seconds=float(draws.uniform(20, 60)), parameters=1_000_000, peak_memory=2**30, provenance=ORIGIN,
    )  # fmt: skip


def cell(
    run: RunFolder, variant: str, family: str, seed: int, labels: NDArray[np.int64], epochs: int, skill: float
) -> TrialRecord:
    """One evaluated model with the files it leaves."""
    draws = np.random.default_rng(seed)
    path = run.predictions(variant, seed)
    path.parent.mkdir(parents=True)
    names = {"paths": np.array([f"test/{row:06}.png".encode() for row in range(len(labels))])}
    if labels.max() > 1:
        scores = draws.dirichlet(np.ones(len(CLASSES)), len(labels))
        scores[np.arange(len(labels)), labels] += skill
        prediction = Prediction(scores / scores.sum(axis=1, keepdims=True))
        found: dict[str, Any] = {
            "metrics": grade(prediction, labels, CLASSES),
            "per_class": per_class(prediction, labels, CLASSES),
            "confusion": confusion(prediction, labels, CLASSES),
        }
        np.savez_compressed(path, scores=prediction.scores, labels=labels, classes=np.array(CLASSES, "S"), **names)
        metric = "macro_f1"
    else:
        scores = draws.gamma(2.0, 1.0, len(labels)) + 2 * skill * labels
        validation = draws.gamma(2.0, 1.0, len(labels) // 2) + 2 * skill * labels[::2]
        masks = np.zeros((len(labels), 32, 32), dtype=np.uint8)
        masks[labels == 1, 8:16, 10:20] = 255
        maps = draws.normal(0, 1, masks.shape).astype(np.float32) + np.float32(skill) * (masks > 0)
        known = np.ones(len(labels), dtype=bool)
        histograms(maps, masks, known).save(run.pixels(variant, seed))
        threshold = float(np.quantile(validation[labels[::2] == 0], 0.95))
        kinds = [KINDS[label * (1 + row % 2)] for row, label in enumerate(labels.tolist())]
        found = {
            "metrics": grade_detection(scores, labels, threshold, maps, masks, known),
            "per_kind": per_kind(scores, labels, kinds, threshold, maps, masks, known),
            "threshold": ThresholdChoice(strategy="percentile(95)", value=threshold),
        }
        np.savez_compressed(
            path, scores=scores, labels=labels, classes=np.array(["normal", "anomaly"], "S"), **names,
            validation_scores=validation, validation_labels=labels[::2],
        )  # fmt: skip
        metric = "roc_auc"
    with (run.root / "test_reads.jsonl").open("a") as log:
        log.write(json.dumps({"variant": variant, "seed": seed, "weights": f"{variant}{seed}", "read": "then"}) + "\n")
    return TrialRecord(
        stage="evaluation", family=family, variant=variant, trial=3, seed=seed, split="test", config={"latent": 16},
        history=history(epochs, metric, draws), epoch=epochs, status="completed", seconds=60.0, parameters=1_000_000,
        peak_memory=2**30, provenance=ORIGIN, **found,
    )  # fmt: skip


def build(root: Path, task: str, trials: int, epochs: int) -> RunFolder:
    """A whole run: `trials` in all over the families."""
    run, draws = RunFolder(root), np.random.default_rng(1)
    root.mkdir(parents=True)
    variants = {f"{family}-{place}": family for place, family in enumerate(FAMILIES[task])}
    metric = "roc_auc" if task == "detection" else "macro_f1"
    experiment = {
        "data": {"path": "data", "layout": "series" if task == "classification" else "mvtec"},
        "families": [{"name": name, "family": family} for name, family in variants.items()],
        "baseline": next(iter(variants)),
        "objective": {"metric": metric, "mode": "max"},
        "budget": {"trials": -(-trials // len(variants)), "epochs": epochs},
        "seeds": list(range(SEEDS)),
    }
    run.experiment.write_text(yaml.safe_dump(experiment))
    labels = np.arange(PICTURES[task]) % (2 if task == "detection" else len(CLASSES))
    pictures = [[f"{part}/{row}.png", part] for part in ("train", "validation", "test") for row in range(len(labels))]
    split = {"format": 1, "data": ORIGIN.data, "fingerprint": ORIGIN.split, "across": 0, "pictures": pictures}
    run.split.write_text(json.dumps(split))
    names = list(variants)
    for number in range(trials):
        name = names[number % len(names)]
        append_record(run.records, trial(name, variants[name], number // len(names), epochs, metric, draws))
    for place, (name, family) in enumerate(variants.items()):
        for seed in range(SEEDS):
            append_record(run.records, cell(run, name, family, seed, labels, epochs, 0.3 + 0.1 * place))
    return run


def report(root: Path, figures: bool) -> None:
    """What the process of its own does."""
    began = time.perf_counter()
    from orchestrator.report.page import write_report

    page = write_report(RunFolder(root), figures=figures)
    seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seconds:6.1f} s, of processor {time.process_time():6.1f} s, peak {peak / 2**10:6.0f} MiB, "
          f"page {page.stat().st_size / 1e6:.2f} MB")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000, help="in all")
    parser.add_argument("--each", action="store_true", help="that many for each family")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--task", choices=("detection", "classification"), help="unset: both")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs; unset: they are removed")
    parser.add_argument("--report", type=Path, help="only write the report of this run")
    parser.add_argument("--no-figures", action="store_true", help="with --report: without figures/")
    options = parser.parse_args()
    if options.report is not None:
        report(options.report, not options.no_figures)
        return
    with TemporaryDirectory() as folder:
        for task in [options.task] if options.task else PICTURES:
            trials = options.trials * (len(FAMILIES[task]) if options.each else 1)
            root = (options.keep or Path(folder)) / task
            build(root, task, trials, options.epochs)
            for more in ([], ["--no-figures"]):
                said = f"{task}, {trials:,} trials × {options.epochs} epochs, {'without' if more else 'with'} figures/"
                print(f"{said:70}", end="", flush=True)
                subprocess.run([sys.executable, __file__, "--report", str(root), *more], check=True)


if __name__ == "__main__":
    main()

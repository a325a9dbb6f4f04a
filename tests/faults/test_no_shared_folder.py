"""Runs whose workers see none of their folders: the same records and models, and nothing of it opened by a worker."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import builders.no_sight
import numpy as np
import psutil
import pytest
import yaml
from builders.series import write_series
from builders.tiles import write_tiles

from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import read_readings
from orchestrator.data.split.split import Split
from trainables.files import file_sha256

from .test_kills import what_counts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("ORCHESTRATOR_TEST_KILLS", "50")) // 4
NETWORK = {"family": "plot_classifier", "fixed": {"backbone": "shufflenet_v2_x0_5", "weights": "none", "batch_size": 4}}
WORKERS = {
    "worker": ("ray::ImplicitFunc", "evaluate_cell", "evaluate_together", "DrawBatch"),
    "home": ("ray::Home",),
}
"""How processes that are killed are called."""


def begin(folder: Path, storage: str, told: Path, unseen: Path, *arguments: str | Path) -> "subprocess.Popen[str]":
    program = [sys.executable, builders.no_sight.__file__, *map(str, arguments), "--quiet"]
    environment = builders.no_sight.environment(folder / "hook", storage, told, unseen)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(program, **quiet, text=True, env=environment, start_new_session=True)


def done(*arguments: Any) -> None:
    process = begin(*arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said


def write(folder: Path, name: str, **values: Any) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"precision": {"dtype": "float32"}, **values}), encoding="utf-8")
    return file


def records_of(out: Path) -> list[TrialRecord]:
    return list(read_records(RunFolder(out).records))


def in_order(out: Path) -> list[dict[str, Any]]:
    """What counts of the records. The files of networks' scores are compared by what they hold."""
    found = [what_counts(one) | {"files": sorted(one.files)} for one in records_of(out)]
    return sorted(found, key=str)


def assert_same_models(one: Path, other: Path) -> None:
    """Weights and scores are the same to the last bit, and there are the same files."""
    names = sorted(path.relative_to(one) for path in one.glob("models/**/*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.glob("models/**/*") if path.is_file())
    assert names
    for name in names:
        if name.suffix == ".npz":
            with np.load(one / name) as here, np.load(other / name) as there:
                assert here.files == there.files
                assert all(np.array_equal(here[key], there[key]) for key in here.files), name
        elif name.suffix in (".pt", ".png"):
            assert file_sha256(one / name) == file_sha256(other / name), name


def readings_of(out: Path) -> list[tuple[str, int]]:
    """Of the test part, by a log that is as it should be, and named by the records."""
    folder = RunFolder(out)
    found = read_readings(folder.test_reads, Split.load(folder.split).fingerprint)
    faults = (found.missing, found.unreadable, found.broken, found.beside, found.unfinished)
    assert not any(faults), faults
    assert {one.reading for one in records_of(out) if one.reading} <= {one.hash for one in found.found}
    return sorted((one.variant, one.seed) for one in found.found)


def test_classifiers_and_an_ablation(tmp_path: Path) -> None:
    values = {
        "data": {"path": str(write_series(tmp_path / "unseen/series", 14)), "size": 32, "style": "plain"},
        "families": ["pca_logistic", NETWORK],
        "budget": {"trials": 2, "epochs": 3},
        "seeds": [0, 1],
        "ablation": {"baseline": "pca_logistic", "factors": {"size": [16, 32]}},
    }
    file = write(tmp_path, "e", **values)
    for storage in ("shipped", "shared"):
        told, out = tmp_path / f"{storage}.txt", tmp_path / "unseen" / storage
        for command in ("sweep", "ablate"):
            done(tmp_path, storage, told, tmp_path / "unseen", command, file, "--out", out)
    assert not (tmp_path / "shipped.txt").exists(), (tmp_path / "shipped.txt").read_text()
    assert (tmp_path / "shared.txt").stat().st_size > 0, "what watches the workers must see what they open"
    shipped, shared = tmp_path / "unseen/shipped", tmp_path / "unseen/shared"
    assert in_order(shipped) == in_order(shared)
    assert_same_models(shipped, shared)
    assert readings_of(shipped) == readings_of(shared)
    assert not (shipped / "states").exists()


def test_detectors_with_masks_heat_maps_and_weights_that_are_taken_over(tmp_path: Path) -> None:
    tree = tmp_path / "unseen/tile"
    write_tiles(tree)
    values = {
        "data": {"path": str(tree), "layout": "mvtec", "size": 32, "split": {"anomalies_to_validation": 0.3}},
        "families": ["pca", {"family": "vae", "fixed": {"batch_size": 8, "latent_dim": 4}}],
        "budget": {"trials": 2, "epochs": 2},
        "objective": {"metric": "roc_auc"},
        "seeds": [0, 1],
        "heat_maps": True,
        "ablation": {
            "baseline": "vae",
            "config": {"batch_size": 8, "latent_dim": 4},
            "factors": {"score": ["reconstruction", "reconstruction_kl"]},
        },
    }
    file = write(tmp_path, "e", **values)
    for storage in ("shipped", "shared"):
        told, out = tmp_path / f"{storage}.txt", tmp_path / "unseen" / storage
        for command in ("sweep", "ablate"):
            done(tmp_path, storage, told, tmp_path / "unseen", command, file, "--out", out)
    assert not (tmp_path / "shipped.txt").exists(), (tmp_path / "shipped.txt").read_text()
    shipped, shared = tmp_path / "unseen/shipped", tmp_path / "unseen/shared"
    assert in_order(shipped) == in_order(shared)
    assert_same_models(shipped, shared)
    assert list(shipped.glob("models/pca/0/heat_maps/*_heat.png"))
    assert readings_of(shipped) == readings_of(shared)


def kill(driver: "subprocess.Popen[str]", what: str) -> bool:
    """Kill the driver, Home, or a process that works for the run; False where there is none."""
    if what == "driver":
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        return True
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(driver.pid).children(recursive=True):
            with suppress(psutil.Error):
                if any(name in " ".join(child.cmdline()) for name in WORKERS[what]):
                    found.append(child)
    if found:
        random.Random(time.time_ns()).choice(found).kill()
    return bool(found)


def test_what_is_killed_leaves_nothing_half_at_home(tmp_path: Path) -> None:
    values = {
        "data": {
            "path": str(write_tiles(tmp_path / "unseen/tile")),
            "layout": "mvtec",
            "size": 32,
            "split": {"anomalies_to_validation": 0.3},
        },
        "families": ["pca", {"family": "conv_autoencoder", "fixed": {"architecture": "B", "batch_size": 4}}],
        "budget": {"trials": KILLS + 3, "epochs": 9, "concurrent": 1, "patience": None},
        "objective": {"metric": "roc_auc"},
        "seeds": [0, 1],
    }
    file, told, out = write(tmp_path, "e", **values), tmp_path / "told.txt", tmp_path / "unseen/killed"
    done(tmp_path, "shared", tmp_path / "shared.txt", tmp_path / "unseen", "sweep", file, "--out", tmp_path / "whole")
    moments, killed = random.Random(1), Counter[str]()
    arguments = (tmp_path, "shipped", told, tmp_path / "unseen", "sweep", file, "--out", out, "--resume")
    process = begin(*arguments)
    while process.poll() is None or process.returncode == -signal.SIGKILL:
        if process.poll() is not None:
            process = begin(*arguments)
        if killed.total() < KILLS and (out / "records.jsonl").exists():
            before = len(records_of(out))
            time.sleep(moments.uniform(0, 4))
            what = moments.choice(["worker", "worker", "home", "driver"])
            killed[what] += kill(process, what)
            # Three deaths of one trial would give it up.
            deadline = time.monotonic() + 120
            while process.poll() is None and len(records_of(out)) == before and time.monotonic() < deadline:
                time.sleep(0.1)
        time.sleep(0.1)
    assert process.returncode == 0, process.stderr and process.stderr.read()
    assert killed.total() == KILLS, "the sweep was over before all kills had been"
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in records_of(out))
    assert max(keys.values()) == 1, "nothing repeated"
    assert in_order(tmp_path / "whole") == in_order(out)
    assert_same_models(tmp_path / "whole", out)
    assert not told.exists(), told.read_text()
    assert not [path for path in out.rglob("*") if "arriving" in path.parts or path.name.endswith(".part")]
    print(f"{dict(killed)} killed, {sum(keys.values())} records: 0 lost, 0 repeated, all equal")

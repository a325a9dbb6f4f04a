"""Trainings run where they are placed: a sweep on a Ray that was told of two GPUs, which need not be there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import read_records

FAMILY = """
# Principal components under another name, that say where they were trained.
import os
from dataclasses import replace

import ray

from trainables import pca


class Told(pca.Pca):
    def facts(self):
        return {"gpus": ",".join(map(str, ray.get_gpu_ids())), "device": self.problem.device}


def build(config, problem, seed):
    assigned = ray.get_runtime_context().get_assigned_resources()
    shared = any(0 < share < 1 for name, share in assigned.items() if name.startswith("GPU"))
    first = not MARK.exists()
    if FULL and shared and (first or seed == 1):
        MARK.touch()
        raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
    return Told(config, problem, seed)


def suggest(trial):
    return {"blur": trial.suggest_float("blur", 0.1, 1.0)}  # each trial another one, which is trained


FAMILY = replace(pca.FAMILY, name="told", build=build, gpu=True, seeded=True, suggest=suggest)
"""
SWEEP = """
import sys
from orchestrator import Experiment, run
from orchestrator.machine.engine import Engine
from orchestrator.machine.progress import Reporter

Engine(cpus=4, gpus=int(sys.argv[3])).start()
run(Experiment.load(sys.argv[1]), sys.argv[2], resume=True, until=sys.argv[4], reporter=Reporter())
"""


def sweep(
    folder: Path, gpus: int, until: str = "evaluate", *, full: bool = False, **changes: Any
) -> subprocess.CompletedProcess[str]:
    values = {
        "data": {"path": str(folder / "data"), "size": 16, "style": "plain", "normal": "wave"},
        "families": [{"family": f"{folder / 'told.py'}:FAMILY", "fixed": {"components": 2}}, "pca"],
        "budget": {"trials": 6, "epochs": 1},
        "scheduler": "none",
        "seeds": [0, 1],
        **changes,
    }
    head = f"\nfrom pathlib import Path\nMARK, FULL = Path({str(folder / 'mark')!r}), {full}\n"
    (folder / "told.py").write_text(head + FAMILY, encoding="utf-8")
    (folder / "e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-c", SWEEP, str(folder / "e.yaml"), str(folder / "run"), str(gpus), until]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture
def folder(fresh_tree: Path) -> Path:
    return fresh_tree.parent


def test_each_family_runs_where_it_gains_and_a_resume_goes_on_there(folder: Path) -> None:
    ended = sweep(folder, gpus=2)
    assert ended.returncode == 0, ended.stderr
    assert "told on a GPU, 2 at a time with 1 CPU each; pca on CPUs (they gain nothing by a GPU)" in ended.stderr
    assert "told: 2 trainings share a GPU, each with up to" in ended.stderr
    records = list(read_records(folder / "run" / "records.jsonl"))
    trials = [one for one in records if (one.variant, one.stage) == ("told", "search")]
    assert [(one.trial, one.device, one.cpus, one.gpus) for one in sorted(trials, key=lambda one: one.trial)] == [
        (0, "cuda", 1.0, 1.0),  # one a GPU is measured
        (1, "cuda", 1.0, 1.0),
        (2, "cuda", 1.0, 0.5),
        (3, "cuda", 1.0, 0.5),
        (4, "cuda", 1.0, 0.5),
        (5, "cuda", 1.0, 0.5),
    ]
    assert {(one.device, one.cpus, one.gpus) for one in records if one.variant == "pca"} == {("cpu", 1.0, 0.0)}
    assert len(records) == 16
    gpu = [one.facts for one in records if one.variant == "told"]
    assert {facts["device"] for facts in gpu} == {"cuda"}
    assert {facts["gpus"] for facts in gpu} == {"0", "1"}
    assert {one.provenance.device for one in records if one.variant == "told"} == {"a GPU"}

    more = sweep(folder, gpus=0, seeds=[0, 1, 2])
    assert more.returncode != 0
    assert "has trained" in more.stderr
    assert "on a GPU, and there is none here" in more.stderr


@pytest.mark.slow
def test_what_finds_no_memory_beside_others_is_trained_once_more_alone(folder: Path) -> None:
    ended = sweep(folder, gpus=2, full=True, seeds=[0, 1, 2, 3])
    assert ended.returncode == 0, ended.stderr
    records = [one for one in read_records(folder / "run" / "records.jsonl") if one.variant == "told"]
    assert {one.status for one in records} == {"completed"}
    again = [one for one in records if one.stage == "search" and "memory" in one.facts]
    assert [(one.gpus, one.trial > 1) for one in again] == [(1.0, True)]
    cells = {one.seed: one.gpus for one in records if one.stage == "evaluation"}
    assert cells == {0: 0.5, 1: 1.0, 2: 0.5, 3: 0.5}


@pytest.mark.slow
def test_what_began_on_cpus_stays_there(folder: Path) -> None:
    ended = sweep(folder, gpus=0, until="search", budget={"trials": 1, "epochs": 1})
    assert ended.returncode == 0, ended.stderr
    assert "All on CPUs (there is no GPU)" in ended.stderr
    ended = sweep(folder, gpus=2, budget={"trials": 1, "epochs": 1})
    assert ended.returncode == 0, ended.stderr
    assert "on CPUs (as the run began)" in ended.stderr
    lines = (folder / "run" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert {(line["device"], line["gpus"]) for line in map(json.loads, lines)} == {("cpu", 0.0)}

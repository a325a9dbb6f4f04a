"""Trainings run where they are placed: a sweep on a Ray that was told of two GPUs, which need not be there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator import read_records

FAMILY = '''
"""Principal components under another name, that say where they were trained."""

import os
from dataclasses import replace

import ray

from trainables import pca


class Told(pca.Pca):
    def facts(self):
        return {"gpus": ",".join(map(str, ray.get_gpu_ids())), "device": self.problem.device}


FAMILY = replace(pca.FAMILY, name="told", build=Told, gpu=True, suggest=lambda trial: {})
'''
SWEEP = """
import sys
from orchestrator import Experiment, run
from orchestrator.machine.engine import QUIET
from orchestrator.machine.progress import Reporter
import os
os.environ.update(QUIET)
import ray

ray.init(num_cpus=3, num_gpus=int(sys.argv[3]), include_dashboard=False, log_to_driver=False, address="local")
run(Experiment.load(sys.argv[1]), sys.argv[2], resume=True, until=sys.argv[4], reporter=Reporter())
"""


def sweep(folder: Path, gpus: int, until: str = "evaluate", **changes: Any) -> subprocess.CompletedProcess[str]:
    values = {
        "data": {"path": str(folder / "data"), "size": 16, "style": "plain", "normal": "wave"},
        "families": [{"family": f"{folder / 'told.py'}:FAMILY", "fixed": {"components": 2}}, "pca"],
        "budget": {"trials": 4, "epochs": 1},
        "scheduler": "none",
        "seeds": [0, 1],
        **changes,
    }
    (folder / "told.py").write_text(FAMILY, encoding="utf-8")
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
    records = list(read_records(folder / "run" / "records.jsonl"))
    assert {(one.variant, one.device, one.cpus, one.gpus) for one in records} == {
        ("told", "cuda", 1.0, 1.0),
        ("pca", "cpu", 1.0, 0.0),
    }
    assert len(records) == 12
    gpu = [one.facts for one in records if one.variant == "told"]
    assert {facts["device"] for facts in gpu} == {"cuda"}
    assert {facts["gpus"] for facts in gpu} == {"0", "1"}
    assert {one.provenance.device for one in records if one.variant == "told"} == {"a GPU"}

    more = sweep(folder, gpus=0, seeds=[0, 1, 2])
    assert more.returncode != 0
    assert "has trained" in more.stderr
    assert "on a GPU, and there is none here" in more.stderr


def test_what_began_on_cpus_stays_there(folder: Path) -> None:
    ended = sweep(folder, gpus=0, until="search", budget={"trials": 1, "epochs": 1})
    assert ended.returncode == 0, ended.stderr
    assert "All on CPUs (there is no GPU)" in ended.stderr
    ended = sweep(folder, gpus=2, budget={"trials": 1, "epochs": 1})
    assert ended.returncode == 0, ended.stderr
    assert "on CPUs (as the run began)" in ended.stderr
    lines = (folder / "run" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert {(line["device"], line["gpus"]) for line in map(json.loads, lines)} == {("cpu", 0.0)}

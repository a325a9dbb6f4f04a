"""Jobs of a real Slurm: stopped, out of time, requeued, failing, two at once; nothing is lost or repeated."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import builders.counted_family
import pytest
import yaml
from faults.test_cluster import what_counts

from orchestrator.artifacts.records import read_records
from orchestrator.launching.launched import launched_at
from orchestrator.launching.targets import launch_log, launch_status, launch_stop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PATIENCE = 1500
CLI = [sys.executable, "-P", "-m", "orchestrator.cli"]


def said(*command: str | Path) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    """A Slurm that takes jobs here."""
    if shutil.which("sbatch") is None:
        pytest.skip("there is no Slurm")
    asked = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False, timeout=60)
    if "UP" not in asked.stdout:
        pytest.skip("Slurm's controller does not run")


@pytest.fixture(scope="module")
def experiment(tile_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trials and cells of four epochs; `pause` beside the file says how long each takes."""
    folder = tmp_path_factory.mktemp("a run's files")
    shutil.copyfile(str(builders.counted_family.__file__), folder / "counted.py")
    values: dict[str, Any] = {
        "data": {"path": str(tile_tree), "layout": "mvtec", "size": 32, "split": {"anomalies_to_validation": 0.3}},
        "families": [{"name": "long", "family": "counted.py:LONG"}],
        "threshold": {"strategies": ["max_normal"]},
        "budget": {"trials": 4, "epochs": 4, "patience": None, "concurrent": 1},
        "objective": {"metric": "validation_loss"},
        "precision": {"dtype": "float32"},
        "resources": {"cpus": 1},
        "seeds": [0, 1, 2, 3],
    }
    (folder / "e.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder / "e.yaml"


@pytest.fixture(scope="module")
def undisturbed(experiment: Path) -> list[dict[str, Any]]:
    """What counts of the records of the same experiment on this machine alone."""
    said(*CLI, "sweep", experiment, "--out", experiment.parent / "whole", "--quiet")
    return counted(experiment.parent / "whole")


@pytest.fixture
def launched(experiment: Path, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Launch the experiment into a run's folder of this test: further options -> the folder of the launch."""
    folders: list[Path] = []

    def launch(*options: str, name: str = "run", pause: float = 3) -> Path:
        (experiment.parent / "pause").write_text(str(pause))
        folder = tmp_path / f"{name}'s $files"
        out = tmp_path / name
        told = said(*CLI, "launch", "slurm", experiment, "--out", out, "--files", folder, "--detach", *options)
        assert "Submitted to Slurm as job" in told
        folders.append(folder)
        return folder

    yield launch
    for folder in folders:
        subprocess.run(["scancel", launched_at(folder).job], check=False)


def counted(run: Path) -> list[dict[str, Any]]:
    """What counts of a run's records, none of which is there twice."""
    records = list(read_records(run / "records.jsonl"))
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in records)
    assert max(keys.values()) == 1, "nothing repeated"
    return sorted((what_counts(one) for one in records), key=str)


def wait_until(what: Callable[[], object], why: str) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.5)


def shown(folder: Path, key: str) -> str:
    told = said("scontrol", "show", "job", "--oneliner", launched_at(folder).job)
    return dict(re.findall(r"(\w+)=(\S*)", told))[key]


def text(folder: Path) -> str:
    with suppress(FileNotFoundError):
        return (folder / f"slurm-{launched_at(folder).job}.out").read_text(encoding="utf-8")
    return ""


def wait_for_records(folder: Path, count: int) -> None:
    records = Path(launched_at(folder).out) / "records.jsonl"
    ready = lambda: records.exists() and len(records.read_bytes().splitlines()) >= count  # noqa: E731
    wait_until(lambda: ready() or "ended with" in text(folder), text(folder))
    assert ready(), text(folder)


def start_again(folder: Path) -> None:
    """Have a job that was requeued start now: Slurm leaves it be for two minutes."""
    wait_until(lambda: shown(folder, "JobState") == "PENDING", "it was not requeued: " + text(folder))
    said("scontrol", "update", f"JobId={launched_at(folder).job}", "StartTime=now")


def test_a_job_that_is_told_to_stop_goes_on_exactly(
    launched: Callable[..., Path], undisturbed: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = launched("--cpus-per-node", "1", "--memory", "3G")
    job = launched_at(folder).job
    wait_for_records(folder, 2)
    (job_folder,) = Path("/tmp").glob(f"ao-{job}-*")
    assert job_folder.stat().st_mode & 0o777 == 0o700
    token = (job_folder / "token").read_text()
    assert len(token) == 64
    assert token not in said("ps", "-eo", "args", "-ww")
    said("scancel", "--signal=TERM", "--batch", job)
    start_again(folder)
    assert launch_status(folder).state in ("waiting", "running")
    assert launch_log(folder, follow=True) == 0
    assert "requeued: the run goes on" in text(folder)
    assert "attempt 2 on" in text(folder)
    assert text(folder).strip().endswith("ended with exit code 0")
    followed = iter(capfd.readouterr().out.splitlines())
    assert all(line in followed for line in text(folder).splitlines()), "what was followed is all of it, in order"
    assert counted(Path(launched_at(folder).out)) == undisturbed
    assert not list(Path("/tmp").glob(f"ao-{job}-*")), "the token is gone with its folder"
    for path in (*folder.rglob("*"), *Path(launched_at(folder).out).rglob("*")):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path
    assert launch_status(folder).state == "succeeded"


def test_time_that_is_up_is_no_end(launched: Callable[..., Path], undisturbed: list[dict[str, Any]]) -> None:
    folder = launched("--time", "4", pause=8)
    wait_until(lambda: "asked to stop" in text(folder), text(folder))
    start_again(folder)
    # 32 epochs take 256 s; each attempt has 60 s less than its time, or up to two minutes less.
    while launch_status(folder).state in ("waiting", "running"):
        with suppress(subprocess.CalledProcessError):
            if shown(folder, "JobState") == "PENDING":
                said("scontrol", "update", f"JobId={launched_at(folder).job}", "StartTime=now")
        time.sleep(2)
    assert launch_status(folder).state == "succeeded", text(folder)
    assert text(folder).count("requeued: the run goes on") >= 1
    assert counted(Path(launched_at(folder).out)) == undisturbed


def test_a_preempted_job_goes_on_exactly(launched: Callable[..., Path], undisturbed: list[dict[str, Any]]) -> None:
    folder = launched()
    wait_for_records(folder, 3)
    said("scontrol", "requeue", launched_at(folder).job)
    start_again(folder)
    assert launch_log(folder, follow=True) == 0
    assert counted(Path(launched_at(folder).out)) == undisturbed


def test_a_run_that_fails_is_not_requeued(launched: Callable[..., Path], experiment: Path) -> None:
    folder = launched("--sbatch=--hold")
    lost = experiment.parent / "counted.py"
    lost.rename(experiment.parent / "gone.py")
    try:
        assert launch_status(folder).state == "waiting"
        said("scontrol", "release", launched_at(folder).job)
        assert launch_log(folder, follow=True) == 2
    finally:
        (experiment.parent / "gone.py").rename(lost)
    assert "ended with exit code 2" in text(folder)
    assert shown(folder, "Restarts") == "0"
    assert launch_status(folder).state == "failed"


def test_one_that_is_stopped_for_good_goes_on_when_it_is_launched_again(
    launched: Callable[..., Path], undisturbed: list[dict[str, Any]], experiment: Path
) -> None:
    folder = launched()
    wait_for_records(folder, 2)
    ended = subprocess.run(
        [*CLI, "launch", "slurm", "e.yaml", "--out", launched_at(folder).out, "--files", folder],
        capture_output=True, text=True, check=False, cwd=experiment.parent,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "works on" in ended.stderr
    assert "asked to stop" in launch_stop(folder)
    assert launch_log(folder, follow=True) == 143
    assert text(folder).strip().endswith("stopped for good")
    assert launch_status(folder).state == "stopped"
    assert "not at work" in launch_stop(folder)
    assert launched(pause=0.1) == folder
    assert launch_log(folder, follow=True) == 0
    assert counted(Path(launched_at(folder).out)) == undisturbed


def test_two_jobs_on_one_node_leave_each_other_alone(
    launched: Callable[..., Path], undisturbed: list[dict[str, Any]]
) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("there is one CPU")
    first, second = launched(name="one", pause=4), launched(name="other", pause=4)
    wait_for_records(first, 1)
    wait_for_records(second, 1)
    assert {shown(one, "JobState") for one in (first, second)} == {"RUNNING"}, "both at once"
    assert "asked to stop" in launch_stop(first)
    assert launch_log(first, follow=True) == 143
    assert launch_log(second, follow=True) == 0
    assert counted(Path(launched_at(second).out)) == undisturbed

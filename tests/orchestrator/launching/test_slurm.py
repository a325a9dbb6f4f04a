"""What is written for Slurm, what is refused, and what is understood of Slurm's answers; jobs: `test_slurm_jobs.py`."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.launching.launched import launched_at
from orchestrator.launching.slurm import directive, launch_slurm, seconds_of
from orchestrator.launching.targets import launch_log, launch_status, launch_stop
from trainables.errors import InputError

ODD = ["a b", "it's", 'say "x"', "do$HOME", "back\\slash", "-rf", "100%j", "x#y", "`id`", "a;b|c&", "ü ö"]


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump({"data": {"path": str(tmp_path)}, "families": ["pca_logistic"]}), encoding="utf-8")
    return path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a program in place of one of Slurm's: name and body -> the file of the words that it was called with."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, body: str) -> Path:
        called = folder / f"{name}.called"
        text = f"#!/bin/bash\nprintf '%s\\n' \"$*\" >>{shlex.quote(str(called))}\n{body}\n"
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
        return called

    return put


def read(script: Path, *names: str) -> list[str]:
    """Variables of a job's script, as bash has them."""
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if line.partition("=")[0] in names]
    code = "\n".join([*lines, "printf '%s\\0' " + " ".join(f'"${name}"' for name in names)])
    return subprocess.run(["bash", "-c", code], check=True, capture_output=True, text=True).stdout.split("\0")[:-1]


def test_the_script_is_written_whole_and_nothing_is_started(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orchestrate: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    setup = tmp_path / "setup.sh"
    setup.write_text("module load cuda\nset -x\n", encoding="utf-8")
    ended = orchestrate(
        "launch", "slurm", experiment, "--out", "runs/first", "--nodes", 3, "--cpus-per-node", 8, "--gpus-per-node", 2,
        "--time", "1-0", "--partition", "gpu", "--account", "us", "--memory", "64G", "--sbatch=--qos=long",
        "--setup", setup, "--set", "budget.trials=3", "--dry-run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    folder = tmp_path / "first.slurm"
    assert f"sbatch {folder / 'job.sh'}" in ended.out
    assert {path.name for path in folder.iterdir()} == {"job.sh", "experiment.yaml", "launch.json"}
    assert yaml.safe_load((folder / "experiment.yaml").read_text())["budget"]["trials"] == 3
    text = (folder / "job.sh").read_text(encoding="utf-8")
    asked = re.findall(r"^#SBATCH (.*)$", text, re.M)
    assert set(asked) >= {
        "--nodes=3", "--ntasks-per-node=1", "--cpus-per-task=8", "--gpus-per-node=2", "--time=1-0", "--partition=gpu",
        "--account=us", "--mem=64G", "--qos=long", "--requeue", "--open-mode=append", "--signal=B:TERM@120",
        "--job-name=first", f"--chdir={tmp_path}", f"--output={folder}/slurm-%j.out",
    }  # fmt: skip
    assert "--min-nodes 3 " in text
    assert "--num-cpus=8 --num-gpus=2 " in text
    assert text.index("module load cuda") < text.index("{ set +x; }") < text.index("ORCHESTRATOR_TOKEN=")
    assert launched_at(folder).job == ""
    assert orchestrate("launch", "status", folder).code == 2


@pytest.mark.parametrize("name", ODD)
def test_odd_names_stay_what_they_are(experiment: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    folder = tmp_path / "f" / name
    launch_slurm(experiment, out, files=folder, overrides=(f"mirror=file:///{name}",), dry_run=True)
    script = folder / "job.sh"
    subprocess.run(["bash", "-n", script], check=True)
    assert read(script, "run") == [str(out)]
    line = next(line for line in script.read_text(encoding="utf-8").splitlines() if " sweep " in line)
    assert shlex.split(line)[4:] == ["sweep", str(folder / "experiment.yaml"), "--out", str(out), "--resume"]
    assert yaml.safe_load((folder / "experiment.yaml").read_text(encoding="utf-8"))["mirror"] == f"file:///{name}"
    if name == ODD[1] and shutil.which("shellcheck"):
        checked = ["shellcheck", "--severity=warning", script]
        assert subprocess.run(checked, capture_output=True, text=True, check=False).stdout == ""


def test_an_ablation_goes_on_by_itself(experiment: Path, tmp_path: Path) -> None:
    launch_slurm(experiment, tmp_path / "run", ablate=True, files=tmp_path / "f", dry_run=True)
    assert f" ablate {tmp_path}/f/experiment.yaml --out {tmp_path}/run\n" in (tmp_path / "f/job.sh").read_text()


def test_a_line_for_sbatch_is_quoted_as_it_reads_it() -> None:
    assert directive("--qos=long") == "--qos=long"
    assert directive('--comment=a "b" \\c $d') == '"--comment=a \\"b\\" \\\\c $d"'


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400), ("2:30", 150), ("1:00:00", 3600), ("2-3", 183_600), ("1-0:30", 88_200), ("1-1:1:1", 90_061),
        (None, None), ("UNLIMITED", None),
    ],
)  # fmt: skip
def test_times_are_read_as_slurm_reads_them(time: str | None, seconds: int | None) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nodes": 0}, r"--nodes is 0; it must be 1 or more"),
        ({"cpus_per_node": 0}, r"--cpus-per-node is 0"),
        ({"gpus_per_node": -1}, r"--gpus-per-node is -1"),
        ({"time": "soon"}, r"--time is 'soon'; it must be MINUTES"),
        ({"time": "1"}, r"2 minutes or more"),
        ({"sbatch": ("qos=long",)}, r"one of sbatch's options"),
        ({"sbatch": ("--signal=B:USR1",)}, r"--signal is what the script depends on"),
        ({"sbatch": ("-o/dev/null",)}, r"-o is what the script depends on"),
        ({"partition": "a\n#SBATCH --nodes=9"}, r"no line of a batch script"),
        ({"setup": "nowhere.sh"}, r"--setup is 'nowhere.sh', which can't be read: No such file"),
        ({"files": "a\nb"}, r"no line of a batch script"),
        ({"overrides": ("budget.trials=none",)}, r"budget\.trials"),
    ],
)
def test_what_can_t_be_asked_for_is_told_before_anything_is_written(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=words):
        launch_slurm(experiment, "run", dry_run=True, **options)
    assert set(tmp_path.rglob("*")) == before


def test_where_there_is_no_slurm_that_is_said(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"There is no program sbatch here\. .*--dry-run"):
        launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f")
    assert launched_at(tmp_path / "f").job == ""


def test_a_refusal_is_told_in_slurm_s_words(
    experiment: Path, tmp_path: Path, program: Callable[[str, str], Path]
) -> None:
    called = program("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(InputError, match=r"refuses: sbatch: error: invalid partition specified: gpu"):
        launch_slurm(experiment, tmp_path / "run", partition="gpu", files=tmp_path / "f")
    assert called.read_text().splitlines() == [f"--test-only {tmp_path}/f/job.sh"], "checked, and not submitted"


def test_another_launch_s_folder_is_refused(experiment: Path, tmp_path: Path) -> None:
    launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f", dry_run=True)
    launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f", dry_run=True)
    with pytest.raises(InputError, match="Give another folder with --files"):
        launch_slurm(experiment, tmp_path / "other", files=tmp_path / "f", dry_run=True)


def test_slurm_s_states_are_understood(experiment: Path, tmp_path: Path, program: Callable[[str, str], Path]) -> None:
    program("sbatch", 'case "$1" in --parsable) echo "77;green";; esac')
    program("sacct", "exit 1")
    folder = launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f").folder
    assert launched_at(folder).job == "77"
    (folder / "slurm-77.out").write_text("2026-11-28 01:00:00 job 77: ended with exit code 2\n", encoding="utf-8")
    for shown, state, code in (
        ("JobState=PENDING Reason=Resources Restarts=0 ExitCode=0:0", "waiting", 0),
        ("JobState=RUNNING Reason=None Restarts=2 ExitCode=0:0", "running", 0),
        ("JobState=COMPLETED Reason=None Restarts=0 ExitCode=0:0", "succeeded", 0),
        ("JobState=FAILED Reason=NonZeroExitCode Restarts=0 ExitCode=143:0", "stopped", 143),
        ("JobState=FAILED Reason=NonZeroExitCode Restarts=0 ExitCode=2:0", "failed", 2),
        ("JobState=CANCELLED Reason=None Restarts=0 ExitCode=0:15", "stopped", 143),
        ("JobState=TIMEOUT Reason=TimeLimit Restarts=0 ExitCode=0:0", "failed", 2),
        ("JobState=NODE_FAIL Reason=None Restarts=0 ExitCode=1:0", "failed", 2),
    ):
        called = program("scontrol", f"echo JobId=77 {shown}")
        assert launch_status(folder).state == state
        assert launch_log(folder) == code
    assert "--clusters green show job --oneliner 77" in called.read_text()


def test_a_job_that_slurm_has_forgotten_is_told_by_its_log(
    experiment: Path, tmp_path: Path, program: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    program("sbatch", 'case "$1" in --parsable) echo 78;; esac')
    program("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    accounts = program("sacct", "exit 1")
    folder = launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f").folder
    assert launch_status(folder).state == "unknown"
    (folder / "slurm-78.out").write_text("...\n2026-11-28 01:00:00 job 78: ended with exit code 0\n", encoding="utf-8")
    assert launch_status(folder).state == "succeeded"
    assert launch_log(folder, follow=True) == 0
    assert "ended with exit code 0" in capsys.readouterr().out
    accounts = program("sacct", "echo 'CANCELLED by 1000|0:15'")
    assert launch_status(folder).state == "stopped"
    assert "-j 78 -X" in accounts.read_text()


def test_a_stop_is_for_good(experiment: Path, tmp_path: Path, program: Callable[[str, str], Path]) -> None:
    program("sbatch", 'case "$1" in --parsable) echo 79;; esac')
    asked = program("scontrol", "echo JobState=RUNNING Restarts=0 ExitCode=0:0")
    told = program("scancel", "")
    folder = launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f").folder
    assert "is not requeued" in launch_stop(folder)
    assert asked.read_text().splitlines()[-1] == "update JobId=79 Requeue=0"
    assert told.read_text() == "--signal=TERM --batch 79\n"
    program("scontrol", "echo JobState=PENDING Reason=Priority Restarts=0 ExitCode=0:0")
    assert "taken out of the queue" in launch_stop(folder)
    assert told.read_text().splitlines()[-1] == "79"
    with pytest.raises(InputError, match=r"Job 79 works on .* already: PENDING \(Priority\)"):
        launch_slurm(experiment, tmp_path / "run", files=tmp_path / "f")

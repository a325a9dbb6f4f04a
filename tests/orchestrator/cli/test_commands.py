"""The commands: their forms, exit codes, and what they print."""

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.experiment.experiment import Experiment

Orchestrate = Callable[..., Any]


def test_help_names_every_command(orchestrate: Orchestrate) -> None:
    ended = orchestrate("--help")
    assert ended.code == 0
    for command in (
        "init",
        "schema",
        "doctor",
        "render",
        "sweep",
        "evaluate",
        "report",
        "compare",
        "leaderboard",
        "demo",
    ):
        assert command in ended.out
        assert orchestrate(command, "--help").code == 0


def test_version_says_what_is_installed_and_imports_none_of_it() -> None:
    asked = "import sys; from orchestrator.cli.main import main; sys.argv[1:] = ['--version']; main()"
    loaded = "finally: print(sorted({'ray', 'torch'} & set(sys.modules)))"
    code = "import sys\ntry:\n    " + asked + "\n" + loaded
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    said, modules = ended.stdout.splitlines()
    assert modules == "[]"
    assert said.startswith(f"anomaly-orchestrator {version('anomaly-orchestrator')}")
    assert said.endswith(f", Python {platform.python_version()}, torch {version('torch')}, Ray {version('ray')}")


@pytest.mark.parametrize("arguments", [["nonsense"], ["sweep"], ["render", "x"], ["sweep", "a", "--out", "b", "--x"]])
def test_a_wrong_call_ends_with_2(orchestrate: Orchestrate, arguments: list[str]) -> None:
    ended = orchestrate(*arguments)
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_init_writes_a_file_that_is_valid_and_never_overwrites(orchestrate: Orchestrate, tmp_path: Path) -> None:
    file = tmp_path / "my experiment.yaml"
    assert orchestrate("init", file).code == 0
    Experiment.load(file, ("data.path=x",))
    file.write_text("mine", encoding="utf-8")
    ended = orchestrate("init", file)
    assert ended.code == 2
    assert "nothing is overwritten" in ended.err
    assert file.read_text(encoding="utf-8") == "mine"
    assert orchestrate("init", tmp_path / "nowhere" / "e.yaml").code == 2


def test_schema_is_json_schema_of_the_file(orchestrate: Orchestrate) -> None:
    schema = json.loads(orchestrate("schema").out)
    assert {"data", "families", "budget", "seeds", "mirror", "scheduler"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


@pytest.mark.usefixtures("ray_session")
def test_render_draws_once_and_reports_a_bad_csv_which_is_fatal_with_strict(
    orchestrate: Orchestrate, fresh_tree: Path, tmp_path: Path
) -> None:
    (fresh_tree / "step" / "bad one.csv").write_text("value\nnothing\n", encoding="utf-8")
    (tmp_path / "png").mkdir()
    call = ["render", fresh_tree, "--out", tmp_path / "store", "--style", "plain", "--size", "24x40"]
    first = orchestrate(*call, "--json", "--png", tmp_path / "png")
    assert first.code == 0, first.err
    made = json.loads(first.out)
    assert (made["pictures"], made["rendered"], made["reused"]) == (42, 42, 0)
    assert made["shape"] == [24, 40, 3]
    assert [one["path"] for one in made["skipped"]] == ["step/bad one.csv"]
    assert (tmp_path / "png" / "wave" / "003.png").is_file()
    again = json.loads(orchestrate(*call, "--json").out)
    assert (again["rendered"], again["reused"]) == (0, 42)
    text = orchestrate(*call)
    assert text.code == 0
    assert "42 pictures of 24x40 in 3 folders: 0 rendered" in text.out
    assert "bad one.csv" in text.out
    strict = orchestrate(*call, "--strict")
    assert strict.code == 2
    assert "bad one.csv" in strict.err


@pytest.mark.parametrize("size", ["0", "x", "3x", "-5", "99999", "40x72x3", "big"])
def test_a_size_that_is_none_is_refused(orchestrate: Orchestrate, series_tree: Path, tmp_path: Path, size: str) -> None:
    ended = orchestrate("render", series_tree, "--out", tmp_path / "s", f"--size={size}")
    assert ended.code == 2
    assert "size" in ended.err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"bugdet": 1}, "Did you mean 'budget'?"),
        ({"families": [{"family": "plot_classifier", "fixed": {"weights": "/no/such.pth"}}]}, "no file of weights at"),
        ({"families": [{"family": "plot_classifier", "space": {"weights": ["none", "best"]}}]}, "Unknown weights"),
        ({"families": ["pca_logistic", {"family": "plot_classifier", "fixed": {"weights": "gone/x"}}]}, "gone/x"),
    ],
)
def test_a_bad_key_or_file_ends_before_torch_is_imported(
    series_tree: Path, tmp_path: Path, keys: dict[str, Any], said: str
) -> None:
    import subprocess
    import sys

    file = tmp_path / "e.yaml"
    values = {"data": {"path": str(series_tree)}, "families": ["pca_logistic"], **keys}
    file.write_text(yaml.safe_dump(values), "utf-8")
    code = (
        "import sys\nfrom orchestrator.cli.main import main\n"
        f"sys.argv = ['orchestrate', 'sweep', {str(file)!r}, '--out', {str(tmp_path / 'r')!r}]\n"
        "try:\n    main()\nfinally:\n    print(sorted({'torch', 'ray', 'sklearn'} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stdout.strip() == "[]"


@pytest.mark.usefixtures("ray_session")
def test_doctor_says_what_there_is(orchestrate: Orchestrate) -> None:
    ended = orchestrate("doctor", "--json")
    findings = json.loads(ended.out)
    assert ended.code == 0
    assert findings["works"]
    assert findings["cpus"] >= 1
    assert findings["ray"].startswith("starts in")
    text = orchestrate("doctor").out
    for word in ("processor:", "memory:", "GPUs:", "disk:", "Ray:", "weights:"):
        assert word in text

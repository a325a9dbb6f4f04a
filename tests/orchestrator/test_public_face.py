"""What `import orchestrator` offers: one function for each command, with the command's words."""

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import orchestrator
from orchestrator.cli.cache import cache
from orchestrator.cli.launch import launch
from orchestrator.cli.main import app
from orchestrator.cli.runs import Stage
from orchestrator.running.run import STAGES

FUNCTIONS = {
    "ablate": orchestrator.ablate,
    "cache clean": orchestrator.clean_cache,
    "cache ls": orchestrator.cached,
    "compare": orchestrator.compare_runs,
    "dashboard": orchestrator.dashboard,
    "demo": orchestrator.demo,
    "doctor": orchestrator.doctor,
    "evaluate": orchestrator.evaluate,
    "export": orchestrator.export_model,
    "families": orchestrator.list_families,
    "init": orchestrator.write_starter,
    "inspect": orchestrator.inspect,
    "launch kubernetes": orchestrator.launch_kubernetes,
    "launch log": orchestrator.launch_log,
    "launch ray": orchestrator.launch_ray,
    "launch slurm": orchestrator.launch_slurm,
    "launch ssh": orchestrator.launch_ssh,
    "launch status": orchestrator.launch_status,
    "launch stop": orchestrator.launch_stop,
    "leaderboard": orchestrator.leaderboard,
    "metrics": orchestrator.list_metrics,
    "plan": orchestrator.plan,
    "predict": orchestrator.predict,
    "refit": orchestrator.refit,
    "render": orchestrator.render,
    "report": orchestrator.write_report,
    "schema": orchestrator.schema,
    "status": orchestrator.status,
    "stream": orchestrator.stream,
    "sweep": orchestrator.run,
    "track": orchestrator.track,
    "watch": orchestrator.watch,
}
SPOKEN = {
    "as_json": "what is returned", "quiet": "reporter", "overrides": "Experiment.load", "detach": "launch_log"
}  # fmt: skip
"""Options of the terminal alone, and what gives the same from Python."""
LISTENERS = {"reporter", "on_event", "on_row", "on_line", "stop"}
"""What a program hears a function by, and stops it by: parameters of Python alone."""
COMMANDS = {
    f"{group} {name}".strip(): command
    for group, commands in [
        ("", get_command(app).commands),  # type: ignore[attr-defined]
        ("cache", get_command(cache).commands),  # type: ignore[attr-defined]
        ("launch", get_command(launch).commands),  # type: ignore[attr-defined]
    ]
    for name, command in commands.items()
    if name not in ("cache", "launch")
}


def test_every_command_is_here() -> None:
    assert set(FUNCTIONS) == set(COMMANDS)
    assert {function.__name__ for function in FUNCTIONS.values()} < set(orchestrator.__all__)


@pytest.mark.parametrize("command", sorted(FUNCTIONS))
def test_a_command_and_its_function_have_the_same_words_and_defaults(command: str) -> None:
    taken = inspect.signature(FUNCTIONS[command]).parameters
    options = {option.name: option for option in COMMANDS[command].params if option.name not in SPOKEN}
    assert set(taken) - LISTENERS - set(SPOKEN) == set(options)
    assert "reporter" in taken or all(option.name != "quiet" for option in COMMANDS[command].params)
    for name, option in options.items():
        if option.required:
            assert taken[name].default is inspect.Parameter.empty
        else:
            assert plain(taken[name].default) == plain(option.default)


def plain(default: Any) -> str | None:
    """A default as both sides can have it."""
    return None if default in (None, ()) else str(default)


@pytest.mark.parametrize("name", orchestrator.__all__)
def test_all_that_is_offered_is_there_and_described(name: str) -> None:
    found = getattr(orchestrator, name)
    assert found.__doc__
    assert "InputError" in found.__doc__ or name in CANNOT_FAIL


CANNOT_FAIL = {
    "Compared",
    "CostPlan",
    "EpochEnded",
    "Experiment",
    "Exported",
    "InputError",
    "Inspection",
    "JobStatus",
    "Launched",
    "LoadedModel",
    "Predicted",
    "RecordWritten",
    "Refitted",
    "Rendered",
    "Reporter",
    "RunBegan",
    "RunEnded",
    "RunFolder",
    "StageBegan",
    "StageEnded",
    "Store",
    "Streamed",
    "TrialRecord",
    "Watched",
    "doctor",
    "list_families",
    "list_metrics",
    "schema",
}


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    heavy = "import sys, orchestrator; print(*{'ray', 'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == ""


def test_what_is_not_offered_is_said_with_what_is() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'sweep'; it has: .*run.*"):
        orchestrator.sweep  # noqa: B018


def test_the_starter_is_loaded_and_its_schema_is_known(tmp_path: Path, orchestrate: Callable[..., Any]) -> None:
    orchestrator.write_starter(str(tmp_path / "e.yaml"))
    assert orchestrate("init", tmp_path / "f.yaml").code == 0
    assert (tmp_path / "e.yaml").read_text() == (tmp_path / "f.yaml").read_text()
    assert set(orchestrator.schema()["properties"]) == set(orchestrator.Experiment.model_fields)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda face, nowhere: face.results(nowhere), "holds no run"),
        (lambda face, nowhere: face.status(nowhere), "holds no run"),
        (lambda face, nowhere: face.open_run(nowhere), "holds no run"),
        (lambda face, nowhere: face.open_run(str(nowhere)), "holds no run"),
        (lambda face, nowhere: face.run("experiment.yaml", str(nowhere)), r"Experiment\.load"),
        (lambda face, nowhere: face.plan("experiment.yaml"), r"Experiment\.load"),
        (lambda face, nowhere: face.ablate({"data": {}}, str(nowhere)), r"Experiment\.from_mapping"),
        (lambda face, nowhere: face.compare_runs(str(nowhere)), "a list is taken"),
        (lambda face, nowhere: face.leaderboard(str(nowhere)), "a list is taken"),
        (lambda face, nowhere: face.render(nowhere, nowhere, size=3), "8 to 2048 pixels"),
        (lambda face, nowhere: face.render(nowhere, nowhere, size="224"), "Give N"),
        (lambda face, nowhere: face.Experiment.load(str(nowhere / "e.yaml")), "no experiment file"),
        (
            lambda face, nowhere: face.run(
                face.Experiment.from_mapping({"data": {"path": "x"}, "families": ["pca"]}), nowhere, until="foo"
            ),
            "Stages: render, search, evaluate, report",
        ),
    ],
)
def test_what_can_t_be_used_is_said_before_any_work(
    tmp_path: Path, call: Callable[[Any, Path], object], words: str
) -> None:
    with pytest.raises(orchestrator.InputError, match=words):
        call(orchestrator, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_records_are_read_from_a_path_as_text(tmp_path: Path) -> None:
    assert list(orchestrator.read_records(str(tmp_path / "records.jsonl"))) == []


def test_a_sweep_can_end_after_the_stages_that_there_are() -> None:
    assert [stage.value for stage in Stage] == list(STAGES)


def test_a_run_is_opened_in_one_call_and_stands_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    experiment = orchestrator.Experiment.from_mapping({"data": {"path": "x"}, "families": ["pca"]})
    (tmp_path / "run" / "experiment.yaml").write_text(experiment.to_yaml())
    opened = orchestrator.open_run(str(tmp_path / "run"))
    assert opened == orchestrator.RunFolder(str(tmp_path / "run")) == orchestrator.RunFolder(tmp_path / "run")
    assert pickle.loads(pickle.dumps(opened)) == opened
    assert Path(opened) == tmp_path / "run"
    assert orchestrator.RunFolder("run").model("pca", 0) == Path("run/models/pca/0")
    assert orchestrator.results(opened)["leaderboard"] == []
    assert orchestrator.status(opened)["state"]
    assert orchestrator.Experiment.load(opened.experiment).families == experiment.families
    assert list(orchestrator.read_records(opened.records)) == []

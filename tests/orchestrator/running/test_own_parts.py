"""A family, a metric and a plot style of one's own, by the example that comes with the package."""

import importlib
import json
import os
import pickle
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator import Experiment, InputError, RunFolder, compare_runs, load_model, read_records, run, status
from orchestrator.data.plotting.plot_style import style_row
from orchestrator.data.store.store import open_store
from orchestrator.evaluation.cells import Cell
from orchestrator.experiment.settings import Setting
from orchestrator.families import FAMILIES, family_row
from orchestrator.machine.progress import Reporter
from orchestrator.scoring.judge import Judge
from orchestrator.scoring.metric_table import METRICS, metric_row
from orchestrator.scoring.metrics import grade
from trainables.interface import Family, Prediction, Problem, Samples
from trainables.own_code import attribute_of, installed, read_anew
from trainables.small_files import FolderFiles
from trainables.testing import FamilyContract
from trainables.training.trial import Job

EXAMPLES = Path(__file__).parents[3] / "examples"
QUIET = Reporter(quiet=True)
CHANGES = (
    "data.normal=wave",
    "budget.trials=1",
    "seeds=[0, 1]",
    "data.size=24",
    "scheduler=none",
    "budget.concurrent=1",
)


class TestTheExamplesFamily(FamilyContract):
    family = attribute_of(f"{EXAMPLES / 'own_parts.py'}:FAMILY")
    config = {"grid": 4, "power": 1.5}  # noqa: RUF012 - the suite only reads it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's two files beside noisy series, of which `wave` is normal."""
    root = tmp_path_factory.mktemp("own")
    for name in ("own_parts.py", "own_parts.yaml"):
        shutil.copyfile(EXAMPLES / name, root / name)
    random, time = np.random.default_rng(3), np.linspace(0, 1, 60)
    for name, count in (("wave", 40), ("step", 16)):
        (root / "series" / name).mkdir(parents=True)
        for number in range(count):
            values = np.sin(12 * time) + (name == "step") * 0.9 * (time > random.uniform(0.3, 0.7))
            lines = ["value", *(f"{value:.6f}" for value in values + random.normal(0, 0.5, len(time)))]
            (root / "series" / name / f"{number:02d}.csv").write_text("\n".join(lines) + "\n")
    return root


def example(folder: Path, *changes: str) -> Experiment:
    return Experiment.load(folder / "own_parts.yaml", (*CHANGES, *changes))


@pytest.fixture(scope="module")
def finished(ray_session: None, folder: Path) -> RunFolder:
    """The example, run; tests only read it."""
    return run(example(folder), folder / "run", reporter=QUIET)


def test_its_files_are_found_beside_the_experiment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    found = example(folder)
    assert found.families[1].family == f"{folder / 'own_parts.py'}:FAMILY"
    assert found.data.style == f"{folder / 'own_parts.py'}:STYLE"
    assert found.objective.test_metric == f"{folder / 'own_parts.py'}:METRIC"
    assert found.baseline_name == "pca"
    assert Experiment.from_mapping({"data": {"path": "x"}, "families": [found.families[1].family]}).families[
        0
    ].name == ("own_parts")


def test_every_model_is_judged_by_the_metric_and_the_tables_rank_by_it(finished: RunFolder) -> None:
    records = list(read_records(finished.records))
    assert {(record.stage, record.status) for record in records} == {
        ("search", "completed"),
        ("evaluation", "completed"),
    }
    assert all("fpr95" in record.metrics for record in records)
    assert {record.variant for record in records} == {"pca", "mahalanobis"}
    (code,) = {record.provenance.code for record in records}
    assert all(f"own_parts.py:{name} (sha256 " in code for name in ("FAMILY", "METRIC", "STYLE"))
    table = pd.read_csv(finished.report / "tables" / "leaderboard.csv")
    assert list(table["fpr95"]) == sorted(table["fpr95"]), "the metric is better when smaller"
    assert set(table["family"]) == {"pca", "own_parts.py:FAMILY"}


def test_its_interval_covers_the_choice_of_pictures_as_any_other_s(finished: RunFolder) -> None:
    table = pd.read_csv(finished.report / "tables" / "leaderboard.csv").set_index("variant")
    row = table.loc["pca"]  # PCA gives every seed the same, so the spread is that over pictures
    assert row["fpr95_low"] < row["fpr95"] < row["fpr95_high"] or row["fpr95"] == 0
    with np.load(finished.draws("pca", 0)) as drawn:
        values = drawn["fpr95"]
    with np.load(finished.predictions("pca", 0)) as kept:
        scores, labels = kept["scores"], kept["labels"]
    assert len(values) == 1_000
    cut = np.quantile(scores[labels == 1], 0.05, method="lower")
    assert abs(values.mean() - (scores[labels == 0] >= cut).mean()) < 3 * values.std() + 0.05


def test_the_page_calls_the_metric_by_its_label(finished: RunFolder) -> None:
    page = (finished.report / "index.html").read_text(encoding="utf-8")
    assert "FPR at 95 % TPR" in page
    assert "fpr95" not in page.partition("<h2")[2].partition("Provenance")[0]


def test_pictures_are_drawn_in_the_style(finished: RunFolder) -> None:
    (place,) = (path for path in finished.stores.iterdir() if path.name.startswith("bare-"))
    picture = open_store(place).pictures[np.array([0])][0]
    assert (picture.max(axis=2) == picture.min(axis=2)).all(), "the line is grey"
    assert (picture.min(axis=(0, 2)) < 250).all(), "it runs over the whole width: no axes, no margins"


def test_its_models_are_loaded_and_score_files(finished: RunFolder, folder: Path) -> None:
    own = [f"{folder / 'own_parts.py'}:{name}" for name in ("FAMILY", "STYLE")]
    model = load_model(finished.model("mahalanobis", 0), trust=own)
    with np.load(finished.predictions("mahalanobis", 0)) as kept:
        paths = [folder / "series" / path.decode() for path in kept["paths"]]
        np.testing.assert_allclose(model.predict(paths).scores, kept["scores"], rtol=1e-9)


def test_how_a_run_stands_is_said_where_its_code_is_not(finished: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(finished.root, tmp_path / "run")
    file = tmp_path / "run" / "experiment.yaml"
    there, gone = (folder / "own_parts.py" for folder in (finished.root.parent, tmp_path / "nowhere"))
    file.write_text(file.read_text().replace(str(there), str(gone)))
    assert status(tmp_path / "run")["state"] == "finished"
    with pytest.raises(InputError, match=r"There is no file .*nowhere/own_parts\.py"):
        run(Experiment.load(file), tmp_path / "run", resume=True, reporter=QUIET)


def test_a_model_whose_code_has_changed_says_so(finished: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(finished.model("mahalanobis", 0), tmp_path / "model")
    note, source = tmp_path / "model" / "model.json", finished.root.parent / "own_parts.py"
    changed = tmp_path / "own_parts.py"
    changed.write_text(source.read_text() + "\n")
    note.write_text(note.read_text().replace(f"{source}:FAMILY", f"{changed}:FAMILY"))
    with pytest.warns(UserWarning, match=r"family is own_parts.py:FAMILY \(sha256 \w+\) now") as said:
        load_model(tmp_path / "model", trust=(f"{changed}:FAMILY", f"{source}:STYLE"))
    assert len(said) == 1


def test_report_status_and_compare_run_none_of_its_code(
    finished: RunFolder, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    for name in ("a", "b"):
        shutil.copytree(finished.root, tmp_path / name)
    records = tmp_path / "b" / "records.jsonl"
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:-1]))
    changed = tmp_path / "own_parts.py"
    changed.write_text("raise SystemExit('this must not be run')\n")
    for name in ("a", "b"):
        for file in ("experiment.yaml", "as_run.yaml", "metrics.json", "models/mahalanobis/0/model.json"):
            path = tmp_path / name / file
            path.write_text(path.read_text().replace(str(finished.root.parent / changed.name), str(changed)))
    before = (tmp_path / "a" / "report" / "tables" / "leaderboard.csv").read_text()
    ended = orchestrate("report", tmp_path / "a", "--no-figures")
    assert ended.code == 0, ended.err
    assert "FPR at 95 % TPR (test)" in ended.out
    assert (tmp_path / "a" / "report" / "tables" / "leaderboard.csv").read_text() == before
    assert status(tmp_path / "a")["state"] == "finished"
    # In a narrow column it is broken before its last word.
    moved = compare_runs([tmp_path / "a", tmp_path / "b"]).text
    assert re.search(r"FPR at 95 % +[^\n]*\n +TPR\b", moved)
    own = [f"{changed}:{name}" for name in ("FAMILY", "STYLE")]
    with pytest.warns(UserWarning, match="now"), pytest.raises(InputError, match="can't be run: SystemExit"):
        load_model(tmp_path / "a" / "models" / "mahalanobis" / "0", trust=own)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_other_code_trains_its_own_cells_and_is_named_beside_the_old(finished: RunFolder, folder: Path) -> None:
    work = folder / "again"
    shutil.copytree(finished.root, work)
    source = folder / "own_parts.py"
    text = source.read_text()
    source.write_text(text.replace("dark**self.config.power", "(dark + 0.01) ** self.config.power"))
    try:
        run(example(folder, "seeds=[0, 1, 2]"), work, resume=True, until="evaluate", reporter=QUIET)
    finally:
        source.write_text(text)
    cells = [one for one in read_records(work / "records.jsonl") if one.stage == "evaluation"]
    for name in ("pca", "mahalanobis"):  # the file holds what draws and judges both of them, too
        assert sorted(one.seed for one in cells if one.variant == name) == [0, 0, 1, 1, 2]
    assert len({one.provenance.code for one in cells}) == 2


@pytest.fixture
def blind_cluster(folder: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What joins a cluster: a head without CPUs, and a node of two that does not see the example's files."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    start = f"{sys.executable} -m ray.scripts.scripts start --block --node-ip-address=127.0.0.1 --disable-usage-stats"
    hide = " && ".join(f"mount --bind /dev/null {folder / name}" for name in ("own_parts.py", "own_parts.yaml"))
    commands = [
        f"exec {start} --head --port={address.split(':')[1]} --num-cpus=0 --include-dashboard=false",
        f"exec unshare --mount sh -c '{hide} && exec {start} --address={address} --num-cpus=2'",
    ]
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with ExitStack() as started, (tmp_path / "log").open("w") as log:
        for number, command in enumerate(commands, start=1):
            process = subprocess.Popen(
                ["sh", "-c", command], stdout=log, stderr=log, start_new_session=True, env=os.environ | token
            )
            started.callback(process.wait)
            started.callback(os.killpg, process.pid, signal.SIGTERM)
            deadline = time.monotonic() + 120
            while (said := (tmp_path / "log").read_text()).count("Ray runtime started") < number:
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
        yield {"RAY_ADDRESS": address, **token}


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a file from a process")
def test_workers_that_do_not_see_the_files_are_given_them(
    folder: Path, tmp_path: Path, blind_cluster: dict[str, str]
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "orchestrator.cli", "sweep", folder / "own_parts.yaml", "--out", out, "--quiet"]
    changes = [f"--set={one}" for one in CHANGES]
    environment = os.environ | blind_cluster
    ended = subprocess.run([*command, *changes], env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    records = list(read_records(out / "records.jsonl"))
    assert {record.status for record in records} == {"completed"}
    assert all("fpr95" in record.metrics for record in records)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("families.mahalanobis.family=own_parts.py:METRIC", "is no Family but Metric"),
        ("families.mahalanobis.family=own_parts.py:NOTHING", "Of Family there: FAMILY."),
        ("objective.test_metric=own_parts.py:NOTHING", "Of Metric there: METRIC."),
        ("data.style=own_parts.py:NOTHING", "Of PlotStyle there: STYLE."),
        ("families.mahalanobis.family=nowhere.py:FAMILY", "no file nowhere.py"),
        ("families.mahalanobis.fixed.grid=30", "at most the pictures' shorter side"),
        ("families.mahalanobis.fixed.gird=4", "Did you mean 'grid'"),
        ("objective.test_metric=own_parts.py:STYLE", "is no Metric but PlotStyle"),
        ("objective.metric=fpr96", "Unknown metric 'fpr96'"),
        ("data.style=own_parts.py:FAMILY", "is no PlotStyle but Family"),
        ("data.style=bear", "Unknown plot style 'bear'"),
    ],
)
def test_what_is_no_such_part_is_said_before_any_work(
    folder: Path, tmp_path: Path, orchestrate: Callable[..., Any], change: str, words: str
) -> None:
    file = folder / "own_parts.yaml"
    ended = orchestrate(
        "sweep", file, "--out", tmp_path / "run", "--set", "data.normal=wave", "--set", "data.size=24", "--set", change
    )
    assert ended.code == 2
    assert words in ended.err
    assert not (tmp_path / "run").exists()


def test_a_backbone_is_looked_for_beside_the_experiment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text("")
    file = tmp_path / "e.yaml"
    variant = {"family": "plot_classifier", "fixed": {"backbone": "net.py:build"}}
    space = {"family": "plot_classifier", "name": "b", "space": {"backbone": ["net.py:build", "absent.py:build"]}}
    file.write_text(json.dumps({"data": {"path": "x"}, "families": [variant, space]}))
    monkeypatch.chdir("/")
    first, second = Experiment.load(file).families
    assert first.fixed["backbone"] == f"{tmp_path / 'net.py'}:build"
    assert second.space["backbone"] == [f"{tmp_path / 'net.py'}:build", "absent.py:build"]


def test_what_draws_and_judges_decides_what_a_cell_is(folder: Path) -> None:
    read_anew()  # a test before it may have run other code of this file
    (folder / "style.py").write_text((folder / "own_parts.py").read_text())
    experiment = example(folder, "data.style=style.py:STYLE")
    first = experiment.own_drawing_and_judging
    (folder / "style.py").write_text((folder / "own_parts.py").read_text() + "\n")
    assert experiment.own_drawing_and_judging == first, "a run under way goes by what it began with"
    read_anew()
    again = experiment.own_drawing_and_judging
    assert (len(first), len(set(first) & set(again))) == (2, 1)
    setting = Setting(family="pca", config={}, size=(8, 8), epochs=1, strategy=None, trial=0)
    own = Setting(family=f"{folder / 'style.py'}:FAMILY", config={}, size=(8, 8), epochs=1, strategy=None, trial=0)
    trained = [Cell(setting=own, variant="own", seed=0, patience=None, data="d", split="s").training]
    (folder / "style.py").write_text((folder / "own_parts.py").read_text() + "\n\n")
    read_anew()
    trained += [Cell(setting=own, variant="own", seed=0, patience=None, data="d", split="s").training]
    assert trained[0] != trained[1], "a family's other code trains its own cells"
    cells = [
        Cell(setting=setting, variant="pca", seed=0, patience=None, data="d", split="s", code=code)
        for code in (first, again, ())
    ]
    assert len({cell.training for cell in cells}) == 3


def test_two_families_of_one_name_do_not_go_on_from_each_other(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text((folder / "own_parts.py").read_text() + "\n")
    families = [Family.load(f"{file}:FAMILY") for file in (folder / "own_parts.py", tmp_path / "other.py")]
    nothing = Samples(np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int64), ("normal", "anomaly"), ())
    states = []
    for family in families:
        job = Job(
            family, Problem(nothing.classes, (8, 8, 3), 1), nothing, nothing, Judge("detection"), "roc_auc", "max",
            None, 1, states=FolderFiles(tmp_path),
        )  # fmt: skip
        state = job.state_of({}, 0, strategy=None, stage="search")
        assert state is not None
        states.append(state.key)
    assert states[0] != states[1]


def test_a_metric_that_is_no_number_is_not_defined(folder: Path) -> None:
    nan = replace(metric_row(f"{folder / 'own_parts.py'}:METRIC"), value=lambda one: float("nan"))
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    found = grade(Prediction(scores), labels, ("normal", "anomaly"), "detection", own=(nan,))
    assert "roc_auc" in found
    assert nan.name not in found


def test_a_metric_may_not_be_called_as_one_of_the_package(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from orchestrator.scoring.metric_table import METRICS\nMETRIC = METRICS['roc_auc']\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match="must be called otherwise"):
        metric_row(f"{file}:METRIC")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that offers the example's rows by entry points."""
    shutil.copyfile(EXAMPLES / "own_parts.py", tmp_path / "offering_rows.py")
    about = tmp_path / "offering_rows-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: offering-rows\nVersion: 1.0\n")
    lines = [
        line
        for group, name, row in (
            ("families", "distance", "FAMILY"), ("metrics", "false_alarms", "METRIC"), ("styles", "bare", "STYLE"),
        )
        for line in (f"[anomaly_orchestrator.{group}]", f"{name} = offering_rows:{row}")
    ]  # fmt: skip
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    installed.cache_clear()
    yield
    installed.cache_clear()
    sys.modules.pop("offering_rows", None)


@pytest.mark.usefixtures("package")
def test_an_installed_package_offers_rows_by_entry_points(orchestrate: Callable[..., Any]) -> None:
    experiment = Experiment.from_mapping(
        {
            "data": {"path": "x", "style": "bare", "normal": "n"},
            "families": ["pca", "distance"],
            "objective": {"metric": "false_alarms"},
        }
    )
    assert experiment.families[1].name == "distance"
    assert family_row("distance").family.name == "mahalanobis"
    assert family_row("distance").task == "detection"
    assert metric_row("false_alarms").name == "fpr95"
    assert style_row("bare").line
    for row in (family_row("distance").family, metric_row("false_alarms"), style_row("bare")):
        there = pickle.loads(pickle.dumps(row))  # as a worker gets it
        assert (there, there.own, there.asked) == (row, row.own, row.asked)
    assert experiment.own_code == tuple(sorted(experiment.own_code))
    assert [code.partition(" (sha256 ")[0] for code in experiment.own_code] == [
        f"offering_rows:{row}" for row in ("FAMILY", "METRIC", "STYLE")
    ]
    for command, name in (("families", "distance"), ("metrics", "false_alarms")):
        listed = json.loads(orchestrate(command, "--json").out)
        (row,) = (one for one in listed if one["name"] == name)
        assert row["kind"] == "installed"
        assert "offering-rows" in row["text"]
    with pytest.raises(InputError, match=r"Known families: .*distance"):
        family_row("distanze")


def test_the_package_s_own_rows_are_as_they_were() -> None:
    assert len(FAMILIES) == 8
    assert all(metric.own is None for metric in METRICS.values())

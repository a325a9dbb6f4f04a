"""Code that someone put into a run's folder, or names there: none of it runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orchestrator import Experiment, InputError, load_model
from orchestrator.artifacts.models import KeptModel, keep_model
from orchestrator.artifacts.records import Provenance, TrialRecord, append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.evaluation.cells import key_of, setting_of, standing
from orchestrator.experiment.own_parts import refuse_other_code
from orchestrator.experiment.preflight import settle
from orchestrator.families import family_row
from trainables.interface import Problem, Samples
from trainables.own_code import code_named_in

SIDE = 32
ROOT = Path(__file__).parents[2]
SCRIPT = "import sys; from orchestrator.cli.main import main; sys.argv[0] = 'orchestrate'; main()"
"""What the installed `orchestrate` does: unlike `python -m`, it does not look for modules in the current folder."""


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that planted code would write."""
    return tmp_path / "marker"


@pytest.fixture
def planted(tmp_path: Path, marker: Path) -> Path:
    """A file of code that writes the marker as it is imported; it offers all that could be asked of it."""
    file = tmp_path / "stranger's" / "planted.py"
    file.parent.mkdir()
    file.write_text(
        f"open({str(marker)!r}, 'a').write(__name__)\n"
        "import torch\n"
        "def build():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 7))\n"
        "def weights():\n"
        "    return __file__\n"
        "from trainables.pca import FAMILY\n"
        "from orchestrator.data.plotting.plot_style import STYLES\n"
        "STYLE = STYLES['plain']\n"
    )
    return file


def searched(folder: Path, series: Path, variant: dict[str, Any] | str, **record: Any) -> RunFolder:
    """A run that has been searched, as its folder says, its one record with other words in it and its CRC right."""
    values = {"data": {"path": str(series), "size": SIDE}, "families": [variant], "budget": {"trials": 1}, "seeds": [0]}
    settled = settle(Experiment.from_mapping(values)).experiment
    run = RunFolder(folder)
    folder.mkdir()
    run.experiment.write_text(settled.to_yaml(), encoding="utf-8")
    origin = Provenance(
        experiment=settled.fingerprint, data="d", split="s", code="0.1.0", packages={}, device="cpu", host="h",
        finished="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    one = settled.families[0]
    told = {"family": one.family, "config": {"backbone": "resnet18"}} | record
    append_record(
        run.records,
        TrialRecord(
            stage="search", variant=one.name, trial=0, seed=0, split="validation", metrics={"macro_f1": 0.9}, epoch=1,
            history=[{"epoch": 1.0, "macro_f1": 0.9}], status="completed", seconds=1.0, provenance=origin, **told,
        ),
    )  # fmt: skip
    return run


@pytest.mark.parametrize(
    "told",
    [
        {"config": {"backbone": "{planted}:build"}},
        {"config": {"backbone": "resnet18", "weights": "{planted}:weights"}},
        {"config": {"backbone": "planted:build"}},
        {"config": {"backbone": "resnet18", "head": {"deep": ["{planted}:build"]}}},
        {"family": "{planted}:FAMILY", "config": {}},
        {"family": "planted:FAMILY", "config": {}},
        {"family": "pca_logistic", "config": {}},
    ],
)
def test_a_record_that_names_code_runs_none(
    tmp_path: Path, series_tree: Path, planted: Path, marker: Path, orchestrate: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any],
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(planted.parent))
    told = json.loads(json.dumps(told).replace("{planted}", str(planted)))
    run = searched(tmp_path / "run", series_tree, "plot_classifier", **told)
    ended = orchestrate("evaluate", run.root)
    assert ended.code == 2, ended.err
    assert "names for the variant 'plot_classifier' what the experiment does not: " in ended.err
    assert "Ray starts" not in ended.err, "it is said before any work"
    for command in ("report", "status"):
        orchestrate(command, run.root)
    assert not marker.exists()


def test_what_the_experiment_names_is_its_own(tmp_path: Path, series_tree: Path, planted: Path) -> None:
    backbone = f"{planted}:build"
    for number, variant in enumerate(
        ({"fixed": {"backbone": backbone}}, {"space": {"backbone": [backbone, "resnet18"]}})
    ):
        told = {"family": "plot_classifier", **variant}
        run = searched(tmp_path / f"{number}", series_tree, told, config={"backbone": backbone})
        experiment = Experiment.load(run.experiment)
        (record,) = read_records(run.records)
        assert setting_of(experiment, experiment.families[0], record).config == {"backbone": backbone}


def test_a_file_is_known_by_any_way_of_writing_it(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planted.parent)
    for written in ("planted.py:build", f"../{planted.parent.name}/planted.py:build"):
        refuse_other_code("here", "v", ("vae", {"backbone": written}, {}), ("vae", {"backbone": f"{planted}:build"}))
    (planted.parent / "w:a.pt").write_bytes(b"")
    theirs = {"weights": str(planted.parent / "w:a")}
    with pytest.raises(InputError, match="w:a"):
        refuse_other_code("here", "v", ("vae", {"weights": "planted.py:weights"}, {}), ("vae", theirs))
    (planted.parent / "w:a").write_bytes(b"")
    refuse_other_code("here", "v", ("vae", {"weights": "w:a"}, {}), ("vae", theirs))


def test_what_one_s_own_family_draws_is_not_taken_for_a_stranger_s(tmp_path: Path, planted: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\nfrom trainables import pca\n"
        "FAMILY = replace(pca.FAMILY, suggest=lambda trial: {'kernel': trial.suggest_categorical('kernel', "
        "['rbf:fast', 'linear'])})\n"
    )
    ours: tuple[str, dict[str, Any], dict[str, Any]] = (f"{file}:FAMILY", {}, {})
    refuse_other_code("here", "v", ours, (f"{file}:FAMILY", {"kernel": "rbf:fast"}))
    with pytest.raises(InputError, match=r"here names for the variant 'v' .*: 'planted\.py:build'"):
        refuse_other_code("here", "v", ours, (f"{file}:FAMILY", {"kernel": f"{planted}:build"}))


def test_an_older_evaluation_that_names_code_is_no_cell(
    tmp_path: Path, series_tree: Path, planted: Path, marker: Path
) -> None:
    run = searched(tmp_path / "run", series_tree, "plot_classifier")
    experiment = Experiment.load(run.experiment)
    (record,) = read_records(run.records)
    record = record.model_copy(update={"stage": "evaluation", "config": {"backbone": f"{planted}:build"}})
    assert key_of(experiment, record) == ""
    assert standing(experiment, [record]) == {("plot_classifier", 0): ("", record)}
    assert not marker.exists()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of a kept model of the family pca."""
    pictures = np.random.default_rng(0).integers(0, 255, (12, SIDE, SIDE, 3), dtype=np.uint8)
    samples = Samples(pictures, np.zeros(12, np.int64), ("normal", "anomaly"), tuple(map(str, range(12))))
    family = family_row("pca").family
    model = family.build(family.config(), Problem(samples.classes, (SIDE, SIDE, 3), 1), 0)
    for _ in model.fit(samples, samples):
        pass
    note = KeptModel(
        family="pca", variant="pca", seed=0, config={}, classes=samples.classes, shape=(SIDE, SIDE, 3),
        preprocessing={"layout": "series", "column": None, "style": "seed", "size": [SIDE, SIDE]}, code="1",
    )  # fmt: skip
    keep_model(tmp_path / "model", model.weights(), note, 1)
    return tmp_path / "model"


def note(folder: Path, **changes: Any) -> None:
    """Change what a kept model's folder says of it."""
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "{planted}:FAMILY"},
        {"family": "planted:FAMILY"},
        {"family": "plot_classifier", "config": {"backbone": "{planted}:build"}},
        {"family": "plot_classifier", "config": {"weights": "{planted}:weights"}},
        {"preprocessing": {"layout": "series", "column": None, "style": "{planted}:STYLE", "size": [SIDE, SIDE]}},
    ],
)
def test_a_model_s_note_that_names_code_runs_none(
    kept: Path, planted: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.syspath_prepend(str(planted.parent))
    note(kept, **json.loads(json.dumps(changes).replace("{planted}", str(planted))))
    with pytest.raises(InputError, match=r"names code of one's own.*load_model\(\.\.\., trust=\("):
        load_model(kept)
    with pytest.raises(InputError, match="names code of one's own"):
        load_model(kept, trust=(f"{ROOT / 'examples' / 'own_parts.py'}:FAMILY",))
    assert not marker.exists()


def test_what_is_run_of_a_model_is_the_file_that_its_caller_trusts(
    kept: Path, planted: Path, marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(kept, family=f"{planted}:FAMILY", code="(sha256 ")
    mine = tmp_path / "mine" / "planted.py"
    mine.parent.mkdir()
    mine.write_text("from trainables.pca import FAMILY\n")
    monkeypatch.chdir(mine.parent)
    for trust in ("planted.py:FAMILY", ("planted.py:FAMILY",), [f"{mine}:FAMILY"]):
        with pytest.warns(UserWarning, match=r"planted\.py:FAMILY"):
            loaded = load_model(kept, trust=trust)
        assert loaded.kept.family == f"{mine}:FAMILY"
    assert not marker.exists(), "a file of the same name elsewhere is another file"
    with pytest.raises(InputError, match=r"no file nowhere\.py"):
        load_model(kept, trust="nowhere.py:FAMILY")
    with pytest.warns(UserWarning, match="now"):
        load_model(kept, trust=f"{planted}:FAMILY")
    assert marker.exists(), "the check can fail"


def plant(folder: Path, marker: Path) -> None:
    """Modules of the names of those that everything here imports, each of which would write the marker."""
    for name in ("matplotlib", "numpy", "PIL", "psutil", "torch", "fontTools", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write('{name} ')\nraise SystemExit(3)\n")
    for name in ("orchestrator", "trainables"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"open({str(marker)!r}, 'a').write('{name} ')\n")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command, started in a folder."""
    return subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, *words], cwd=folder, capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.slow
def test_a_report_from_within_a_run_runs_no_module_that_lies_there(whole_run_copy: Path, marker: Path) -> None:
    plant(whole_run_copy, marker)
    ended = command(whole_run_copy, "report", ".")
    assert ended.returncode == 0, ended.stderr
    assert len(list((whole_run_copy / "report" / "figures").iterdir())) >= 3 * 24, "enough for a second process"
    assert not marker.exists()


@pytest.fixture
def whole_run_copy(tmp_path: Path) -> Path:
    """A run of many figures."""
    from builders.classification_runs import CLASSES, SKILLS, write_run

    return write_run(tmp_path / "run", dict(SKILLS), CLASSES, 135, 6, (0, 1, 2), True, None).root


@pytest.mark.slow
def test_a_sweep_from_within_a_run_runs_no_module_that_lies_there(
    tmp_path: Path, series_tree: Path, marker: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = {
        "data": {"path": str(series_tree), "size": SIDE, "style": "plain", "store": str(tmp_path / "store")},
        "families": ["pca_logistic"], "budget": {"trials": 1, "epochs": 1}, "seeds": [0],
    }  # fmt: skip
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(values))
    plant(folder, marker)
    ended = command(folder, "sweep", "../e.yaml", "--out", "../out", "--until", "evaluate", "--quiet")
    assert ended.returncode == 0, ended.stderr
    assert not marker.exists(), marker.read_text()


def test_what_has_the_form_of_a_name_of_code() -> None:
    values = {"a": ["x.py:f", {"b": ("m.n:g.h", "12:30", "C:/w.pt", ":f", "m:", "plain")}], "c": 3, "d": None}
    assert code_named_in(values) == {"x.py:f", "m.n:g.h"}

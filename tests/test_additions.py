"""What CONTRIBUTING says must be touched to add a thing: each is added to a copy of the packages, and then used."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "trainables", "search_spaces")


class Edit(NamedTuple):
    """What is put into a file before a line that stands there; into a new file, if that line is empty."""

    file: str
    before: str
    text: str


MAHALANOBIS = (ROOT / "examples/own_parts.py").read_text(encoding="utf-8")
ADDITIONS = {
    "a family": (
        Edit("trainables/mahalanobis.py", "", MAHALANOBIS.partition("def false_alarms")[0]),
        Edit(
            "search_spaces/mahalanobis.py",
            "",
            'def suggest(trial):\n    return {"grid": trial.suggest_int("grid", 3, 5)}\n',
        ),
        Edit(
            "orchestrator/families.py",
            '        Row(\n            "pca_logistic",',
            '        Row("mahalanobis", "detection", cheap=True, summary="the distance from the mean"),\n',
        ),
    ),
    "a layout": (
        Edit(
            "orchestrator/data/layouts/named_files.py",
            "",
            "from orchestrator.data.layouts.listing import ListedFile, Listing\n\n\n"
            "def find_named(root, layout, tree):\n"
            '    files = tuple(ListedFile(name, name.split("_")[0], None) for name in sorted(tree.found[""]))\n'
            "    return Listing(root, layout, files, tuple(tree.skipped))\n\n\n"
            "def named_clue(root, tree):\n"
            '    together = set(tree.found) == {""} and all("_" in name for name in tree.found[""])\n'
            '    return "the files lie together, each with its class before the first _" if together else ""\n',
        ),
        Edit(
            "orchestrator/data/layouts/table.py",
            "LAYOUTS = {",
            "from orchestrator.data.layouts.named_files import find_named, named_clue\n\n",
        ),
        Edit(
            "orchestrator/data/layouts/table.py",
            '        Layout(\n            "mvtec",',
            '        Layout("named", summary="<class>_<name>.csv", shape="<class>_<name>.csv", find=find_named,\n'
            '               clue=named_clue, suffixes=(".csv",), plots=True),\n',
        ),
    ),
    "a metric": (
        Edit(
            "orchestrator/scoring/metric_table.py",
            '        _rate("f1",',
            '        Metric("informedness", "Youden\'s J", "detection", "max", "TPR + TNR - 1 at the threshold",\n'
            '               lambda one: one.rates["tpr"] + one.rates["tnr"] - 1 if one.both else None,\n'
            '               needs="threshold", bounds=(-1.0, 1.0)),\n',
        ),
    ),
    "a threshold strategy": (
        Edit(
            "orchestrator/scoring/strategy_rules.py",
            '    "max_normal": Rule(',
            '    "scaled_median": Rule(lambda normal, anomalous, k: float(np.median(normal)) * k,\n'
            '                          "k times the median normal score", argument="k", low=0),\n',
        ),
    ),
    "a plot style": (
        Edit(
            "orchestrator/data/plotting/plot_style.py",
            '    "plain": PlotStyle(',
            '    "small": PlotStyle(name="small", summary="a quarter of plain", figsize=(4.0, 3.0)),\n',
        ),
    ),
    "a scheduler": (
        Edit(
            "orchestrator/search/halving.py",
            "",
            "from ray.tune.schedulers import ASHAScheduler\n\n\n"
            "def halving(epochs, metric, mode, earlier, spared=()):\n"
            '    return ASHAScheduler(time_attr="epoch", max_t=epochs, reduction_factor=2)\n',
        ),
        Edit(
            "orchestrator/experiment/search_methods.py",
            '        SearchMethod("none",',
            '        SearchMethod("halving", "every other trial goes on", "orchestrator.search.halving:halving"),\n',
        ),
    ),
    "a sampler": (
        Edit(
            "orchestrator/search/sampler.py",
            "class Seeded(",
            "def eager(seed):\n    return TPESampler(seed=seed, n_startup_trials=1)\n\n\n",
        ),
        Edit(
            "orchestrator/experiment/search_methods.py",
            '        SearchMethod("random",',
            '        SearchMethod("eager", "learns from the first trial on", "orchestrator.search.sampler:eager"),\n',
        ),
    ),
    "a key of the experiment file": (
        Edit(
            "orchestrator/experiment/experiment.py",
            "    heat_maps: StrictBool = Field(",
            '    remark: str = Field(default="", description="What the experiment is for.")\n',
        ),
        Edit(
            "orchestrator/experiment/experiment.py",
            "class Experiment(Section):",
            'LATER_KEYS["remark"] = ""\n\n\n',
        ),
    ),
    "a section of the report": (
        Edit(
            "orchestrator/report/sections/remark_section.py",
            "",
            "from orchestrator.report.document.document import Code, Section\n\n\n"
            "def remark_section(data):\n"
            '    return Section("remark", "What it is for", blocks=[Code(data.experiment["remark"])])\n',
        ),
        Edit(
            "orchestrator/report/sections/sections.py",
            "def build_report(",
            "from orchestrator.report.sections.remark_section import remark_section\n\n\n",
        ),
        Edit(
            "orchestrator/report/sections/sections.py",
            "        _provenance(data, numbers),",
            "        remark_section(data),\n",
        ),
    ),
    "a target of `launch`": (
        Edit(
            "orchestrator/launching/pigeons.py",
            "",
            "from orchestrator.launching.launched import JobStatus\n\n\n"
            "def status(launched):\n"
            '    return JobStatus("running", f"{launched.job} is on its way")\n',
        ),
        Edit(
            "orchestrator/launching/targets.py",
            '    "ssh": "orchestrator',
            '    "pigeons": "orchestrator.launching.pigeons",\n',
        ),
    ),
    "a command": (
        Edit(
            "orchestrator/cli/words.py",
            "",
            'import typer\n\n\ndef words() -> None:\n    """Say a word."""\n    typer.echo("a word")\n',
        ),
        Edit("orchestrator/cli/main.py", "from trainables.errors", "from orchestrator.cli.words import words\n"),
        Edit("orchestrator/cli/main.py", "    *(init, inspect,", "    words,\n"),
    ),
}


ASKED = """
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.data.plotting.plot_style import style_row
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import settle
from orchestrator.experiment.search_methods import SAMPLERS, SCHEDULERS
from orchestrator.families import family_row
from orchestrator.launching.launched import Launched
from orchestrator.launching.targets import launch_status
from orchestrator.report.sections.remark_section import remark_section
from orchestrator.scoring.metric_table import metric_row
from orchestrator.scoring.thresholds import parse_strategy

print(CliRunner().invoke(app, ["words"]).stdout, end="")
print("layout named (the files" in CliRunner().invoke(app, ["inspect", "data"]).stdout)
experiment = settle(Experiment.load(Path("e.yaml"))).experiment
scheduler = SCHEDULERS[experiment.scheduler].make(2, "informedness", "max", [])
print(family_row(experiment.families[0].family).family.name)
print(type(scheduler).__name__, scheduler._max_t)
print(type(SAMPLERS[experiment.sampler].make(0)).__name__)
print(metric_row(experiment.objective.metric).value(SimpleNamespace(rates={"tpr": 1.0, "tnr": 0.5}, both=True)))
print(parse_strategy(experiment.threshold.strategies[0]).fit(np.array([1.0, 2.0, 9.0]), np.zeros(3, int)))
print(style_row(experiment.data.style).figsize[0])
print(remark_section(SimpleNamespace(experiment=experiment.model_dump())).blocks[0].text)
Path("loft").mkdir()
Launched(Path("loft"), "pigeons", "/run", "the first").keep()
print(launch_status("loft").said)
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with all of them added."""
    copy = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package)  # the compiled kernels come along
    for edit in (edit for edits in ADDITIONS.values() for edit in edits):
        path = copy / edit.file
        old = path.read_text(encoding="utf-8") if edit.before else ""
        assert old.count(edit.before) == 1 or not edit.before, f"{edit.before!r} stands not once in {edit.file}"
        path.write_text(old.replace(edit.before, edit.text + edit.before) if old else edit.text, encoding="utf-8")
    return copy


def test_contributing_names_the_files_of_each() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = {
        row[1]: re.findall(r"`([\w/<>]+\.py)`", row[2])
        for row in re.finditer(r"^\| (an? [^|]+?) \| ([^|]+) \|", text, re.MULTILINE)
    }
    touched = {
        name: list(dict.fromkeys(edit.file if edit.before else f"{Path(edit.file).parent}/<name>.py" for edit in edits))
        for name, edits in ADDITIONS.items()
    }
    assert told == touched


@pytest.fixture
def work(series_tree: Path, tmp_path: Path) -> Path:
    """A folder with an experiment that asks for all that was added."""
    (tmp_path / "data").mkdir()
    for file in series_tree.rglob("*.csv"):
        shutil.copyfile(file, tmp_path / "data" / f"{file.parent.name}_{file.name}")
    (tmp_path / "e.yaml").write_text(
        "data: {path: data, layout: named, normal: wave, style: small, size: 32}\n"
        "families: [mahalanobis]\n"
        "objective: {metric: informedness}\n"
        "threshold: {strategies: [scaled_median(2)]}\n"
        "budget: {trials: 2, epochs: 2}\n"
        "scheduler: halving\n"
        "sampler: eager\n"
        "seeds: [0]\n"
        "remark: to see that it works\n"
    )
    return tmp_path


@pytest.fixture
def python(added: Path, work: Path) -> Callable[..., str]:
    """Python with the copy: arguments -> what it prints."""

    def call(*arguments: str) -> str:
        command = [sys.executable, "-P", *arguments]
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=work, timeout=300, env={"PYTHONPATH": str(added)}
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return call


def test_each_is_known_where_it_is_asked_for(python: Callable[..., str]) -> None:
    assert python("-c", ASKED).splitlines() == [
        "a word", "True", "mahalanobis", "AsyncHyperBandScheduler 2", "TPESampler", "0.5", "4.0", "4.0",
        "to see that it works", "the first is on its way",
    ]  # fmt: skip


@pytest.mark.slow
def test_all_of_them_work_together(work: Path, python: Callable[..., str]) -> None:
    swept = python("-m", "orchestrator.cli", "sweep", "e.yaml", "--out", "run")
    assert "Youden's J (test)" in swept
    page = (work / "run/report/index.html").read_text(encoding="utf-8")
    assert "to see that it works" in page.partition("What it is for</h2>")[2]
    assert "scaled_median(2)" in page

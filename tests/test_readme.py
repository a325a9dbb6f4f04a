"""README's tables say what the tables in the code say."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

import orchestrator
from orchestrator.cli.main import app
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.plotting.plot_style import GROUP as STYLE_GROUP
from orchestrator.experiment.search_methods import SAMPLERS
from orchestrator.families import FAMILIES
from orchestrator.families import GROUP as FAMILY_GROUP
from orchestrator.scoring.metric_table import GROUP as METRIC_GROUP

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(head: str) -> list[list[str]]:
    """The cells of the table whose head begins so, without head and rule."""
    lines = README[README.index(f"\n{head}") + 1 :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_families() -> None:
    told = {name.strip("`"): (task, text) for name, task, text in table("| family |")}
    assert told == {row.name: (row.task, row.summary) for row in FAMILIES.values()}


def test_the_layouts() -> None:
    told = {name for cell, _ in table("| `data.layout` |") for name in re.findall("`(.+?)`", cell)}
    assert told == set(LAYOUTS)


def test_the_commands() -> None:
    told = {name for cell, _ in table("| command |") for name in re.findall("`orchestrate (\\w+)", cell)}
    assert told == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_what_python_offers() -> None:
    functions = README[README.index("Each command is one function") :].split("```", 1)[0]
    told = set(re.findall(r"`(\w+)`", functions)) - {"orchestrator"}
    assert told <= set(orchestrator.__all__)
    # Beside the commands four, and `cache` is two functions.
    assert len(told) == len(get_command(app).commands) + 5  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", re.findall(r"`((?:tests|examples|benchmarks)/[\w./]+)`", README))
def test_files_that_it_names(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", re.findall(r"`(\w+\.(?:yaml|py))`", README))
def test_examples_that_it_names(name: str) -> None:
    assert (ROOT / "examples" / name).exists()


def test_the_doors() -> None:
    shared = "anomaly_orchestrator."
    assert {FAMILY_GROUP, METRIC_GROUP, STYLE_GROUP} == {shared + name for name in ("families", "metrics", "styles")}
    assert f"`{FAMILY_GROUP}`, `.metrics` and `.styles`" in README
    assert all(f"`{name}`" in README or f"sampler: {name}`" in README for name in SAMPLERS)

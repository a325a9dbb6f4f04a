"""What README and the guides say of the code is what the code says; links lead somewhere, and commands are known."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from builders.documents import GUIDES, PAGES, README, ROOT, anchors, calls, commands, links, named_calls, prose, text_of
from typer.main import get_command

import orchestrator
from orchestrator.cli.main import app
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.plotting.plot_style import GROUP as STYLE_GROUP
from orchestrator.experiment.search_methods import SAMPLERS
from orchestrator.families import FAMILIES
from orchestrator.families import GROUP as FAMILY_GROUP
from orchestrator.scoring.metric_table import GROUP as METRIC_GROUP

DOCS = ROOT / "docs"
COMMAND: Any = get_command(app)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the table of a guide whose head begins so, without head and rule."""
    text = text_of(DOCS / page)
    lines = text[text.index(f"\n{head}") + 1 :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_families() -> None:
    told = {name.strip("`"): (task, text) for name, task, text in table("families.md", "| family |")}
    assert told == {row.name: (row.task, row.summary) for row in FAMILIES.values()}


def test_the_layouts() -> None:
    told = {name for cell, _ in table("detection.md", "| `data.layout` |") for name in re.findall("`(.+?)`", cell)}
    assert told == set(LAYOUTS)


def test_the_commands() -> None:
    cells = [cell for cell, _ in table("commands.md", "| command |")]
    told = [name for cell in cells for name in re.findall("`orchestrate (\\w+)", cell)]
    assert list(dict.fromkeys(told)) == list(COMMAND.commands), "and in the order of --help"


def test_what_python_offers() -> None:
    text = text_of(DOCS / "commands.md")
    functions = text[text.index("Each command is one function") :].split("```", 1)[0]
    told = set(re.findall(r"`(\w+)`", functions)) - {"orchestrator"}
    assert told <= set(orchestrator.__all__)
    # Beside the commands four, and what a group of commands has, as `cache` does, is a function each.
    groups = [len(command.commands) for command in COMMAND.commands.values() if hasattr(command, "commands")]
    assert len(told) == len(COMMAND.commands) - len(groups) + sum(groups) + 4


def test_the_sections_of_a_report() -> None:
    code = "".join(text_of(path) for path in (ROOT / "orchestrator/report/sections").glob("*.py"))
    titles = set(re.findall(r'Section\(\s*"\w+", "([^"]+)"', code))
    told = {
        name.strip() for cell, *_ in table("reading-the-report.md", "| section |") for name in re.split("[,;]", cell)
    }
    assert len(titles) > 15
    assert titles | {"Verdict", "Summary"} == told


def test_the_front_page_is_short_and_leads_to_every_guide() -> None:
    assert len(text_of(README).splitlines()) <= 100
    assert len(text_of(README).split()) <= 900
    assert {ROOT / target for target in links(README) if target.startswith("docs/") and target.endswith(".md")} == set(
        GUIDES
    )


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@each_page
def test_files_that_it_names(page: Path) -> None:
    text = text_of(page)
    named = re.findall(r"\b((?:tests|examples|benchmarks)/[\w./]*\w)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def parse(words: list[str]) -> None:
    """Have the command's own parser read arguments; nothing is run. It raises at what it doesn't know."""
    command, context = COMMAND, None
    with suppress(typer.Exit):  # as --version ends
        while True:
            context = command.make_context(command.name or "orchestrate", list(words), parent=context)
            if not hasattr(command, "commands"):
                return
            _, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


@each_page
def test_commands_are_known_with_their_options(page: Path) -> None:
    for words in [*(words for line in commands(page) for words in calls(line)), *named_calls(page)]:
        try:
            parse(words)
        except Exception as error:
            pytest.fail(f"orchestrate {' '.join(words)}: {error}")


def test_what_is_no_command_is_found() -> None:
    for words in (["swep", "e.yaml"], ["sweep", "e.yaml", "--out", "r", "--resum"], ["cache", "rm"], ["predict"]):
        with pytest.raises(Exception, match=r"(?i)no such|missing"):
            parse(words)


def test_the_doors() -> None:
    shared = "anomaly_orchestrator."
    assert {FAMILY_GROUP, METRIC_GROUP, STYLE_GROUP} == {shared + name for name in ("families", "metrics", "styles")}
    assert f"`{FAMILY_GROUP}`, `.metrics` and `.styles`" in prose(DOCS / "own-parts.md").replace("\n", " ")
    told = prose(DOCS / "experiments.md")
    assert all(f"`{name}`" in told or f"sampler: {name}`" in told for name in SAMPLERS)

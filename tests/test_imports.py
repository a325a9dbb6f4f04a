"""How modules hang together beyond what import-linter checks: no circle, and rooms that stay light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from orchestrator.families import FAMILIES

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "trainables", "search_spaces")


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """What a module imports of ours, wherever it stands: within a function, or only for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in known}


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules()
    graph = {name: imported(path, known) - {name} for name, path in known.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(known)


@pytest.mark.parametrize(
    ("rooms", "heavy"),
    [
        ("orchestrator.scoring orchestrator.report orchestrator.comparing", {"torch", "ray"}),
        ("orchestrator.experiment", {"torch", "ray", "sklearn"}),
        ("orchestrator.cli", {"torch", "ray", "sklearn", "matplotlib", "pandas"}),
        ("search_spaces", {"torch", "ray", "optuna"}),
    ],
)
def test_a_room_is_imported_without_what_it_does_not_need(rooms: str, heavy: set[str]) -> None:
    within = tuple(f"{room}." for room in rooms.split())
    names = [name for name in modules() if f"{name}.".startswith(within) and not name.endswith("__main__")]
    assert len(names) > len(within)
    code = f"import importlib, sys\n[importlib.import_module(one) for one in {names!r}]\nprint(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not heavy & set(ended.stdout.split())


def test_what_families_are_made_of_knows_no_family() -> None:
    known = modules()
    families = {f"trainables.{name}" for name in FAMILIES}
    assert families <= known.keys()
    for name, path in known.items():
        if name.startswith(("trainables.parts.", "trainables.training.")):
            assert not imported(path, known) & families, name

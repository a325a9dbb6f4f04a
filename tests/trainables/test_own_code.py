import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.errors import InputError
from trainables.interface import Family
from trainables.own_code import OwnFiles, absolute_callable, call, described, digest_of, is_own, read_anew

CODE = """
from __future__ import annotations
from dataclasses import dataclass

runs = []
number = 7

@dataclass
class Kept:
    value: int = 3

    @staticmethod
    def twice():
        return 6

def count():
    runs.append(1)
    return len(runs)

def broken():
    raise RuntimeError("no luck")

def leaves():
    raise SystemExit(3)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine è.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def test_a_file_is_run_once_and_found_from_any_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    name = absolute_callable("mine è.py:count")
    assert name == f"{file}:count"
    assert absolute_callable(name) == name
    monkeypatch.chdir("/")
    before = set(sys.modules)
    assert [call(name), call(name)] == [1, 2]
    assert len(set(sys.modules) - before) <= 1
    assert "mine è" not in sys.modules
    assert call(f"{file}:Kept").value == 3
    assert call(f"{file}:Kept.twice") == 6


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(f"def build():\n    return {folder!r}\n", encoding="utf-8")
    assert [call(f"{tmp_path / folder}/net.py:build") for folder in ("a", "b")] == ["a", "b"]


def test_a_module_is_imported_by_its_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.rename(file.parent / "own_module_for_test.py")
    monkeypatch.syspath_prepend(str(file.parent))
    assert call("own_module_for_test:Kept.twice") == 6
    monkeypatch.delitem(sys.modules, "own_module_for_test")


@pytest.mark.parametrize("name", [":build", "module:", "module:a b", "module:build()", "a:b:"])
def test_a_form_that_names_nothing(name: str) -> None:
    with pytest.raises(InputError, match=r"names nothing of one.s own\. Allowed: module:NAME"):
        absolute_callable(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_package_here:build", r"'no_such_package_here' can't be imported: .*Install the package.*\.py file"),
        ("there/none.py:build", r"no file there/none\.py \(looked from "),
        ("{file}:build", r"no 'build' in .*To be called there: dataclass, Kept, count, broken, leaves\."),
        ("{file}:number", r"is no function but int"),
        ("{file}:broken", r"failed when it was called without arguments: RuntimeError: no luck\."),
        ("{file}:leaves", r"failed when it was called without arguments: SystemExit: 3\."),
    ],
)
def test_what_goes_wrong_is_said(file: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        call(name.replace("{file}", str(file)))


def test_a_file_that_can_not_be_run_leaves_no_module(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import missing_sibling_module\n", encoding="utf-8")
    before = set(sys.modules)
    with pytest.raises(InputError, match=r"broken\.py can't be run: ModuleNotFoundError: .*missing_sibling_module"):
        call(f"{path}:build")
    assert set(sys.modules) == before


def test_a_record_names_the_content_of_a_module_s_file_which_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_package_for_test").mkdir()
    (tmp_path / "own_package_for_test" / "__init__.py").write_text("raise SystemExit('this must not be run')")
    digests = {}
    for name, text in (("net", "x = 1\n"), ("other", "x = 2\n"), ("like", "x = 1\n")):
        (tmp_path / "own_package_for_test" / f"{name}.py").write_text(text)
        digests[name] = digest_of(f"own_package_for_test.{name}:build")
        assert described(f"own_package_for_test.{name}:build") == (
            f"own_package_for_test.{name}:build (sha256 {digests[name][:16]})"
        )
    assert digests["net"] == digests["like"] != digests["other"]
    assert described("no_such_package_here:build") == "no_such_package_here:build"


def test_a_record_names_the_content_of_a_file(file: Path) -> None:
    first = described(f"{file}:count")
    assert first.startswith("mine è.py:count (sha256 ")
    file.write_text("count = list\n", encoding="utf-8")
    read_anew()
    assert described(f"{file}:count") != first
    assert described("package.module:count") == "package.module:count"
    assert is_own("package.module:count")
    assert not is_own("resnet18")


def test_another_process_gets_the_files_that_it_does_not_see(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from trainables.interface import Family, FamilyConfig\n"
        "FAMILY = Family('own', 'detection', FamilyConfig, build=lambda *_: 3)\n"
        "def count():\n    return 5\n",
        encoding="utf-8",
    )
    row = Family.load(f"{file}:FAMILY")
    told, name = described(f"{file}:FAMILY"), f"{file}:count"
    sent = pickle.dumps((OwnFiles(), row))
    file.unlink()
    script = (
        "import pickle, sys; files, row = pickle.load(sys.stdin.buffer)\n"
        "from trainables.own_code import call, described\n"
        "print(call(sys.argv[1]), row.name, row.build(0, 0, 0), row.own, described(row.own), sep='|')\n"
    )
    command = [sys.executable, "-c", script, name]
    ended = subprocess.run(command, input=sent, capture_output=True, timeout=60, check=True, cwd="/")
    assert ended.stdout.decode().strip() == f"5|own|3|{file}:FAMILY|{told}"


def test_what_is_edited_while_a_run_works_does_not_get_into_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = (
        "from trainables.interface import Family, FamilyConfig\n"
        "FAMILY = Family({!r}, 'detection', FamilyConfig, build=f)\n"
    )
    file.write_text("f = None\n" + text.format("first"))
    row, told = Family.load(f"{file}:FAMILY"), described(f"{file}:FAMILY")
    file.write_text("f = None\n" + text.format("second"))
    assert Family.load(f"{file}:FAMILY").name == "first"
    script = (
        "import pickle, sys; from trainables.own_code import described; row = pickle.load(sys.stdin.buffer)\n"
        "print(row.name, described(row.own), sep='|')\n"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, input=pickle.dumps(row), capture_output=True, timeout=60, check=True, cwd="/")
    assert ended.stdout.decode().strip() == f"first|{told}", "a worker that starts later has what the driver has"
    read_anew()
    assert Family.load(f"{file}:FAMILY").name == "second"
    assert described(f"{file}:FAMILY") != told


def test_what_comes_from_elsewhere_does_not_replace_what_was_read_here(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def count():\n    return 1\n", encoding="utf-8")
    name = f"{file}:count"
    assert call(name) == 1
    sent = pickle.dumps(
        OwnFiles({file: "def count():\n    return 2\n", tmp_path / "new.py": "def count():\n    return 3\n"})
    )
    pickle.loads(sent)
    assert call(name) == 1
    assert call(f"{tmp_path / 'new.py'}:count") == 3

"""The mirror: copies what is new, and fails without harm."""

from pathlib import Path

import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.machine.mirror import Mirror
from orchestrator.machine.progress import Reporter
from trainables.errors import InputError


def a_run(root: Path) -> RunFolder:
    folder = RunFolder(root)
    folder.model("v", 0).mkdir(parents=True)
    (folder.model("v", 0) / "weights.pt").write_bytes(b"weights")
    (folder.model("v", 0) / ".weights.pt.part").write_bytes(b"half")
    folder.records.write_text("{}\n", encoding="ascii")
    return folder


def test_it_copies_what_is_finished_and_then_what_is_new(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    mirror = Mirror((tmp_path / "copy with space").as_uri(), folder, Reporter(quiet=True))
    mirror.copy()
    copied = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("copy*/**/*") if p.is_file())
    assert len(copied) == 2
    assert copied[0].endswith("models/v/0/weights.pt")
    folder.records.write_text("{}\n{}\n", encoding="ascii")
    mirror.copy()
    folder.choice("v").parent.mkdir()
    folder.choice("v").write_text("{}", encoding="ascii")
    folder.journal("v").write_text("large, and made anew from the records", encoding="ascii")
    mirror.copy()
    assert [path.name for path in tmp_path.glob("copy*/studies/*")] == ["v.choice.json"]
    (records,) = tmp_path.glob("copy*/records.jsonl")
    assert records.read_text(encoding="ascii") == "{}\n{}\n"


def test_a_mirror_that_can_not_be_written_is_said_and_does_no_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_run(tmp_path / "run")
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    Mirror((tmp_path / "file" / "x").as_uri(), folder, Reporter()).copy()
    assert "could not be written" in capsys.readouterr().err
    assert folder.records.read_text(encoding="ascii") == "{}\n"


def test_a_uri_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mirror"):
        Mirror("nowhere://x", RunFolder(tmp_path), Reporter(quiet=True))


def test_without_a_uri_it_does_nothing(tmp_path: Path) -> None:
    Mirror(None, a_run(tmp_path / "run"), Reporter(quiet=True)).copy()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

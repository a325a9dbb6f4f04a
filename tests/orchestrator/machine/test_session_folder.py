"""Ray's folder: closed to others, short, one a process, and gone afterwards, also where its process was killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.machine import session_folder
from orchestrator.machine.session_folder import LONGEST, PREFIX, SessionFolder, last_words
from trainables.errors import InputError


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """RAY_TMPDIR, in a short path."""
    found = Path(os.path.realpath("/tmp")) / f"t{os.getpid()}"
    found.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(found))
    yield found
    for path in found.iterdir():
        assert not path.is_dir(), f"{path} was left over"
    found.rmdir()


def test_it_is_closed_to_others_and_gone_afterwards(place: Path) -> None:
    first = SessionFolder()
    try:
        assert first.path.parent == place
        assert first.path.stat().st_mode & 0o777 == 0o700
        assert os.environ["RAY_TMPDIR"] == str(first.path)
        socket = first.path / "ray" / "session_2026-01-01_00-00-00_000000_4194304" / "sockets" / "plasma_store"
        assert len(os.fsencode(socket)) <= LONGEST
        (first.path / "ray").mkdir()
        (first.path / "ray" / "log").write_text("x", encoding="ascii")
    finally:
        first.remove()
    assert os.environ["RAY_TMPDIR"] == str(place)


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_folder, "NEW", -1.0)
    program = "from orchestrator.machine.session_folder import SessionFolder as F; f = F(); print(f.path, flush=True)"
    program += "; input()"
    living, killed = (
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    paths = []
    for process in (living, killed):
        assert process.stdout is not None
        paths.append(Path(process.stdout.readline().strip()))
    killed.kill()
    killed.wait()
    stranger = place / f"{PREFIX}notmine0"
    stranger.symlink_to("/usr")
    SessionFolder().remove()
    assert paths[0].is_dir(), "its process lives"
    assert not paths[1].exists()
    assert stranger.is_symlink()
    stranger.unlink()
    living.kill()
    living.wait()
    SessionFolder().remove()
    assert not paths[0].exists()


@pytest.mark.parametrize("folder", ["/proc/none", "/tmp/" + 120 * "x"])
def test_a_folder_that_the_user_names_and_that_will_not_do_is_told(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", folder)
    with pytest.raises(InputError, match="Set RAY_TMPDIR to one where you may write, of a short path"):
        SessionFolder()
    assert os.environ["RAY_TMPDIR"] == folder


@pytest.mark.parametrize("folder", ["/proc/none", "/tmp/" + 120 * "x", ""])
def test_another_place_is_taken_where_that_for_temporary_files_will_not_do(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", folder)
    made = SessionFolder()
    assert made.path.parent == Path("/tmp")
    made.remove()
    assert "RAY_TMPDIR" not in os.environ


def test_what_servers_said_last_is_read_without_frames_of_a_stack(tmp_path: Path) -> None:
    logs = tmp_path / "session_2026-01-01" / "logs"
    logs.mkdir(parents=True)
    said = "[2026-01-01 I 1 1] all is well\n[2026-01-01 C 1 1] Check failed: no room\n"
    said += "*** StackTrace ***\n/x/_raylet.so(+0x1)\n"
    (logs / "raylet.err").write_text(20_000 * "x" + "\n" + said, encoding="utf-8")
    assert last_words(tmp_path).endswith("raylet: [2026-01-01 C 1 1] Check failed: no room")
    assert "StackTrace" not in last_words(tmp_path)
    assert last_words(tmp_path / "none") == ""

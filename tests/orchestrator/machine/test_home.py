"""Home: what workers ask of the driver's machine, and what they are told where it can't be done."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator.machine import home as home_module
from orchestrator.machine.home import HomeFiles, Kind, start_home
from trainables.errors import ToldError, storage_error
from trainables.small_files import FolderFiles, NamedFile
from trainables.training.trial_state import TrialState
from trainables.training.watching import Hung, watched

pytestmark = pytest.mark.usefixtures("ray_session")

Made = Callable[[Path], HomeFiles]


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[Made]:
    """Files of a folder, by a Home that may use this test's."""
    home = start_home({"files": Kind(FolderFiles, (str(tmp_path),))})
    yield lambda folder: HomeFiles(home, "files", (folder, True))
    ray.kill(home)


def process_of(files: HomeFiles) -> int:
    """The actor's process."""
    return int(ray.get(files.home.__ray_call__.remote(lambda actor: os.getpid())))


def test_files_at_home_are_those_of_the_folder(at_home: Made, tmp_path: Path) -> None:
    files = at_home(tmp_path / "states")
    large = bytes(range(256)) * 1000
    looks = files.write("a.state", [b"head", memoryview(large)], wait=True)
    assert (tmp_path / "states/a.state").read_bytes() == b"head" + large == files.read("a.state")
    assert looks == (len(large) + 4, (tmp_path / "states/a.state").stat().st_mtime_ns)
    files.rename("a.state", "b.state")
    assert files.exists("b.state")
    files.remove("b.state")
    assert not files.exists("b.state")
    with pytest.raises(FileNotFoundError) as told:
        files.read("b.state")
    assert told.value.filename == str(tmp_path / "states/b.state")


@pytest.mark.parametrize("folder", ["{root}-other", "{root}/../x", "/etc", "relative"])
def test_home_uses_no_folder_but_its_own(folder: str, at_home: Made, tmp_path: Path) -> None:
    files = at_home(Path(folder.format(root=tmp_path)))
    with pytest.raises(PermissionError):
        files.write("a", [b"x"], wait=False)
    with pytest.raises(PermissionError):
        at_home(tmp_path).read("../a")
    with pytest.raises(PermissionError):
        at_home(tmp_path).call("_path", "a")


def test_a_full_disk_at_home_is_told_as_one_here(tmp_path: Path, small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("1m")
    files = HomeFiles(start_home({"files": Kind(FolderFiles, (str(disk),))}), "files", (disk, True))

    def fill() -> ToldError | None:
        try:
            files.write("a", [bytes(2**21)], wait=True)
        except OSError as error:
            return ToldError.of(error)
        return None

    told = ray.get(ray.remote(fill).remote())
    assert told is not None
    assert told.disk is not None
    assert (told.disk.errno, told.disk.strerror) == (errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(disk.iterdir())
    ray.kill(files.home)


def test_a_home_that_is_killed_comes_back_and_does_what_was_asked(at_home: Made, tmp_path: Path) -> None:
    files = at_home(tmp_path)
    files.write("a", [b"1"], wait=False)
    os.kill(process_of(files), signal.SIGKILL)
    files.write("a", [b"2"], wait=False)
    assert files.read("a") == b"2"


def test_a_home_that_does_not_answer_is_not_waited_for_without_end(
    at_home: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = at_home(tmp_path)
    process = process_of(files)
    monkeypatch.setattr(home_module, "PATIENCE", 0.5)
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(OSError, match=r"did not answer within 0.5 s") as told:
            files.read("a")
    finally:
        os.kill(process, signal.SIGCONT)
    assert storage_error(told.value) is told.value


def test_the_mark_of_a_stop_is_asked_for_once_a_second(
    at_home: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(HomeFiles, "call", lambda self, *given: asked.append(given) or (tmp_path / "stop").exists())
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    mark = NamedFile(at_home(tmp_path), "stop")
    for _ in range(100):
        assert not mark.exists()
        clock[0] += 0.001
    (tmp_path / "stop").touch()
    clock[0] += 1.0
    assert mark.exists()
    assert len(asked) == 2


def test_states_and_marks_work_at_home_as_here(at_home: Made, tmp_path: Path) -> None:
    state = TrialState(at_home(tmp_path / "states"), "key")
    here = TrialState(FolderFiles(tmp_path / "here"), "key")
    for one in (state, here):
        one.save({"weights": [1.0, 2.0]})
        assert one.load() == {"weights": [1.0, 2.0]}
    assert (tmp_path / "states/key.state").read_bytes() == (tmp_path / "here/key.state").read_bytes()
    (tmp_path / "states/key.state").write_bytes((tmp_path / "here/key.state").read_bytes()[:-1])
    assert state.load() is None
    state.remove()
    assert not list((tmp_path / "states").iterdir())
    (tmp_path / "states/key.hung").touch()
    with pytest.raises(Hung), watched(state.beside(".hung"), 100.0):
        pass
    assert not list((tmp_path / "states").iterdir())
    with watched(state.beside(".hung"), 100.0) as alive:  # the next try in the same process
        alive.set()

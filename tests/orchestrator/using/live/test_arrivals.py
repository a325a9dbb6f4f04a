"""Files of a folder are handed out once they are complete: by what the kernel tells, and by looking."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.using.live import arrivals as module
from orchestrator.using.live.arrivals import Arrivals, Stamp

SETTLE = 0.3


class Folder:
    """A folder that is watched, and what has a result."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []
        self.results: dict[str, Stamp] = {}
        self.sizes: list[tuple[str, int]] = []
        self._arrivals: list[Arrivals] = []

    def watch(self, layout: str = "series", **options: float | bool) -> Arrivals:
        known = lambda path, stamp: self.results.get(path) == stamp  # noqa: E731
        settle = options.pop("settle", SETTLE)
        one = Arrivals(self.root, LAYOUTS[layout], known, self.said.append, settle=settle, **options)  # type: ignore[arg-type]
        self._arrivals.append(one)
        return one

    def write(self, name: str, text: str = "1\n2\n", age: float = 0.0) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if age:
            os.utime(path, (time.time() - age, time.time() - age))
        return path

    def take(self, arrivals: Arrivals, count: int, most: int = 100) -> list[str]:
        """The next so many files, which then have results."""
        ends, taken = time.monotonic() + 60, list[str]()
        while len(taken) < count and time.monotonic() < ends:
            for one in arrivals.take(most, 0.1):
                self.results[one.path] = one.stamp
                self.sizes.append((one.path, one.stamp.size))
                taken.append(one.path)
                arrivals.done(one.path)
        return taken

    def nothing(self, arrivals: Arrivals, seconds: float) -> bool:
        """Whether nothing is complete for so long."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if arrivals.take(1, left):
                return False
        return True

    def stop(self) -> None:
        for one in self._arrivals:
            one.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    root = tmp_path / "in"
    root.mkdir()
    made = Folder(root)
    yield made
    made.stop()


@pytest.fixture(params=["told", "looked for"])
def watched(request: pytest.FixtureRequest, folder: Folder) -> Callable[..., Arrivals]:
    """Watch by what the kernel tells, and by looks at the folder."""
    return lambda **options: folder.watch(**options, poll=None if request.param == "told" else 0.1)


def test_what_lies_there_comes_first_and_the_oldest_of_it(
    folder: Folder, watched: Callable[..., Arrivals], tmp_path: Path
) -> None:
    for number, age in enumerate((50.0, 500.0, 5.0)):
        folder.write(f"{number}.csv", age=age)
    arrivals = watched()
    folder.write("deep/er/new.csv")
    assert folder.take(arrivals, 4) == ["1.csv", "0.csv", "2.csv", "deep/er/new.csv"]
    folder.write("2.csv", "1\n2\n3\n")
    assert folder.take(arrivals, 1) == ["2.csv"], "changed since"
    assert arrivals.idle
    assert folder.nothing(arrivals, 2 * SETTLE)


def test_a_file_that_grows_is_taken_once_and_whole(folder: Folder) -> None:
    arrivals = folder.watch(settle=2.0, poll=0.1)
    with (folder.root / "slow.csv").open("w", encoding="utf-8") as file:
        for number in range(4):
            file.write(f"{number}\n" * 10)
            file.flush()
            assert folder.nothing(arrivals, 0.2)
    assert folder.take(arrivals, 1) == ["slow.csv"]
    assert folder.sizes == [("slow.csv", 80)]
    assert folder.nothing(arrivals, 0.5)


def test_a_file_that_is_held_open_is_not_complete_however_long_it_rests(folder: Folder) -> None:
    arrivals = folder.watch()
    with (folder.root / "held.csv").open("w", encoding="utf-8") as file:
        file.write("1\n")
        file.flush()
        assert folder.nothing(arrivals, 5 * SETTLE)
        file.write("2\n")
    assert folder.take(arrivals, 1) == ["held.csv"]
    assert folder.sizes == [("held.csv", 4)]


def test_what_is_moved_into_place_is_complete_at_once(folder: Folder, tmp_path: Path) -> None:
    arrivals = folder.watch(settle=1_000.0)
    (tmp_path / "a.csv").write_text("1\n2\n", encoding="utf-8")
    os.utime(tmp_path / "a.csv")
    (tmp_path / "a.csv").rename(folder.root / "a.csv")
    folder.write("b.csv.part").rename(folder.root / "b.csv")
    assert sorted(folder.take(arrivals, 2)) == ["a.csv", "b.csv"]
    folder.write("c.csv")
    assert folder.nothing(arrivals, 0.5)


def test_a_folder_that_is_moved_into_place_brings_its_files(folder: Folder, tmp_path: Path) -> None:
    arrivals = folder.watch()
    (tmp_path / "out/deep").mkdir(parents=True)
    for name in ("x.csv", "deep/y.csv"):
        (tmp_path / "out" / name).write_text("1\n2\n", encoding="utf-8")
    (tmp_path / "out").rename(folder.root / "moved")
    assert sorted(folder.take(arrivals, 2)) == ["moved/deep/y.csv", "moved/x.csv"]
    shutil.copytree(folder.root / "moved", folder.root / "copied")  # with times of its own after it is closed
    assert sorted(folder.take(arrivals, 2)) == ["copied/deep/y.csv", "copied/x.csv"]


def test_what_is_hidden_partial_or_of_another_kind_is_left_alone(
    folder: Folder, watched: Callable[..., Arrivals]
) -> None:
    arrivals = watched()
    others = (".hidden.csv", ".git/a.csv", "@eaDir/a.csv", "a.csv.part", "a.csv~", "~$a.csv", "a.tmp.csv", "a.txt")
    for name in (*others, "good.csv"):
        folder.write(name)
    assert folder.take(arrivals, 1) == ["good.csv"]
    assert folder.nothing(arrivals, 3 * SETTLE)
    assert len(folder.said) == 1
    assert "its name says that it is not complete" in folder.said[0]


def test_depth_is_no_picture_of_its_own(folder: Folder) -> None:
    arrivals = folder.watch("rgbd")
    for name in ("rgb/a.png", "depth/a.png", "mask/a.png", "b_depth.png"):
        folder.write(name)
    assert folder.take(arrivals, 1) == ["rgb/a.png"]
    assert folder.nothing(arrivals, 2 * SETTLE)


def test_once_is_what_lies_there(folder: Folder) -> None:
    folder.write("a.csv")
    arrivals = folder.watch(once=True)
    assert folder.take(arrivals, 1) == ["a.csv"]
    folder.write("b.csv")
    assert arrivals.take(1, 0.0) == []
    assert arrivals.idle


def test_a_file_is_handed_out_again_where_that_is_asked_for(folder: Folder) -> None:
    arrivals = folder.watch()
    folder.write("a.csv")
    (one,) = arrivals.take(1, 30)
    arrivals.again(one.path, 0.5)
    asked = time.monotonic()
    (again,) = arrivals.take(1, 30)
    assert again == one
    assert time.monotonic() - asked >= 0.5
    (folder.root / "a.csv").unlink()
    arrivals.done("a.csv")
    assert arrivals.idle


def test_a_folder_that_goes_away_is_waited_for(
    folder: Folder, watched: Callable[..., Arrivals], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRESENT", 0.1)
    arrivals = watched()
    folder.write("a.csv")
    assert folder.take(arrivals, 1) == ["a.csv"]
    folder.root.rename(tmp_path / "away")
    assert folder.nothing(arrivals, 0.5)
    assert not arrivals.idle
    (tmp_path / "away").rename(folder.root)
    folder.write("b.csv")
    assert folder.take(arrivals, 1) == ["b.csv"]
    folder.write("c.csv")
    assert folder.take(arrivals, 1) == ["c.csv"], "it is listened to again"
    gone, back = folder.said
    assert "is gone. Waiting" in gone
    assert "is back: going on" in back


def test_another_folder_in_its_place_is_looked_over(folder: Folder, tmp_path: Path) -> None:
    arrivals = folder.watch()
    assert folder.nothing(arrivals, 0.1)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a.csv").write_text("1\n2\n", encoding="utf-8")
    folder.root.rename(tmp_path / "old")
    (tmp_path / "new").rename(folder.root)
    assert folder.take(arrivals, 1) == ["a.csv"]
    assert "another folder now" in folder.said[-1]


def test_network_folders_are_looked_over_and_their_clocks_not_trusted(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "network_type", lambda path: "nfs4")
    monkeypatch.setattr(module, "POLL", 0.2)
    folder.write("old.csv", age=500)
    arrivals = folder.watch(settle=1.0)
    assert "looked over every 0.2 s" in folder.said[0]
    assert "nfs4" in folder.said[0]
    assert folder.nothing(arrivals, 0.3), "it may be written by a machine whose clock is behind"
    assert folder.take(arrivals, 1) == ["old.csv"]
    folder.write("new.csv")
    assert folder.take(arrivals, 1) == ["new.csv"]


LIMITED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.using.live.arrivals import Arrivals
root = Path(sys.argv[1])
Path("/proc/sys/user/max_inotify_watches").write_text("2")
arrivals = Arrivals(root, LAYOUTS["series"], lambda *_: False, print, settle=0.1)
(root / "a/b/c/x.csv").write_text("1")
print([one.path for one in arrivals.take(9, 30)])
(root / "a/b/c/y.csv").write_text("1")
print([one.path for one in arrivals.take(9, 30)])
"""


def test_where_the_system_has_no_room_for_listeners_the_folder_is_looked_over(folder: Folder) -> None:
    (folder.root / "a/b/c").mkdir(parents=True)
    code = [sys.executable, "-c", LIMITED, str(folder.root), str(Path.cwd())]
    ended = subprocess.run(["unshare", "--user", "--map-root-user", *code], capture_output=True, text=True, check=False)
    if ended.returncode and ("unshare" in ended.stderr or "max_inotify_watches" in ended.stderr):
        pytest.skip("no limits of one's own can be set here")
    assert "limit of folders listened to is reached" in ended.stdout, ended.stderr
    assert ended.stdout.startswith("['a/b/c/x.csv']")
    assert ended.stdout.endswith("['a/b/c/y.csv']\n")

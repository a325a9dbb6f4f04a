"""`ray symmetric-run` on nodes that others use too: it ends its own Ray alone, and passes SIGTERM on to the run.

Ray's own refuses a node where any Ray runs, ends with `ray stop` every Ray that this user has there, dies of a SIGTERM
without a word to the run, calls a Ray that could not be started a success, and leaves its Ray behind when it is killed.
"""

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from orchestrator.machine.engine import QUIET
from trainables.files import write_whole

FOLDER = "RAY_TMPDIR"
"""The variable that names the folder of this job's Ray, by which its processes are known."""
PID, CODE = "pid", "code"
"""In that folder, on the head: the process that takes SIGTERM for the run; later the run's exit code."""
PATIENCE = 10.0
"""Seconds for Ray's processes to end by themselves."""
STARTING = 300.0
"""Seconds for Ray's head to start, on a node however busy."""
STARTED = b"Ray runtime started"
"""What `ray start` says then."""
CLIENT = 6000
"""How far above the head's port that of Ray's clients is."""
STOPPED = 128 + signal.SIGTERM


class Processes:
    """What symmetric-run uses of the module `subprocess`."""

    CalledProcessError = subprocess.CalledProcessError

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = False
        self._run: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self.listen()

    def listen(self) -> None:
        """Take SIGTERM; once more after Ray, which takes it for itself, was joined."""
        signal.signal(signal.SIGTERM, self._stop_run)

    def run(self, command: list[str], check: bool = False, capture_output: bool = False) -> Any:
        """Do what symmetric-run wants done: start Ray, run what it is for, or end this Ray."""
        if command[:2] == ["ray", "stop"]:
            end_processes(lambda one: one == str(self._folder))
            if self._code is not None:  # told last: whoever reads it ends what is left
                write_whole(self._folder / CODE, str(self._code), wait=False)
            return None
        if command[0] == "ray":
            return self._start_ray(command[1:])
        self.listen()
        if self._asked:
            raise SystemExit(STOPPED)
        self._run = subprocess.Popen(command)
        if self._asked:  # between the two lines above
            self._run.terminate()
        code = self._run.wait()
        self._code = 128 - code if code < 0 else code
        return subprocess.CompletedProcess(command, self._code)

    def _start_ray(self, words: list[str]) -> Any:
        """Start Ray's node, and stay its parent: what Slurm kills then takes all of it along."""
        head, told = "--head" in words, self._folder / "ray_start.log"
        program = [sys.executable, "-P", "-m", "ray.scripts.scripts", *words, *_more(words)]
        with told.open("wb") as file:
            started = subprocess.Popen(
                [*program, *(["--block"] if head else [])], stdout=file, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + STARTING
        while STARTED not in told.read_bytes():
            if started.poll() is not None or time.monotonic() > end:
                print(f"Ray could not start:\n{told.read_text(errors='replace')}", file=sys.stderr, flush=True)
                raise SystemExit(1)
            time.sleep(0.2)
        if not head:  # symmetric-run itself waits here for the cluster's end
            started.wait()
        return subprocess.CompletedProcess(program, 0)

    def _stop_run(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._run is not None:
            self._run.terminate()


def _more(words: list[str]) -> list[str]:
    """What `ray start` needs on this node beside the words that symmetric-run gives it on all."""
    if "--head" not in words:
        return [f"--node-ip-address={_own_address(words[words.index('--address') + 1])}"]
    from ray._private.utils import get_ray_client_dependency_error

    more = ["--include-dashboard=false"]
    if get_ray_client_dependency_error() is None:  # else it would open the same port on every head of a node
        port = next(int(word.removeprefix("--port=")) for word in words if word.startswith("--port="))
        more.append(f"--ray-client-server-port={port + CLIENT}")
    return more


def _own_address(head: str) -> str:
    """By which the head reaches this node: that of the way to it. Ray itself asks for the way to the internet."""
    host, _, port = head.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:  # nothing is sent
        way.connect((host, int(port)))
        return str(way.getsockname()[0])


def end_processes(of: Callable[[str], bool]) -> None:
    """End the processes on this node of the Rays in whose folders this says so, and nobody else's."""
    spared = {os.getpid(), *(one.pid for one in psutil.Process().parents())}
    found = [one for one in psutil.process_iter() if one.pid not in spared and of(_folder_of(one))]
    for one in found:
        with suppress(psutil.Error):
            one.terminate()
    for one in psutil.wait_procs(found, PATIENCE)[1]:
        with suppress(psutil.Error):
            one.kill()


def _folder_of(process: psutil.Process) -> str:
    """The folder of the Ray that a process belongs to; empty for one of none, or another user's."""
    with suppress(psutil.Error, OSError):
        return process.environ().get(FOLDER, "")
    return ""


def _end_earlier(folder: Path) -> None:
    """End and remove what an earlier attempt of the same job left on this node: it would hold the head's port."""
    attempts = f"{folder.parent}/{folder.name.rpartition('-')[0]}-"
    end_processes(lambda one: one.startswith(attempts) and one != str(folder))
    for earlier in folder.parent.glob(f"{folder.name.rpartition('-')[0]}-*"):
        if earlier != folder and earlier.owner() == folder.owner():
            shutil.rmtree(earlier, ignore_errors=True)


def main() -> None:
    """Ray's command, with its own words: --address HOST:PORT --min-nodes N … -- COMMAND …"""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    folder = Path(os.environ[FOLDER])
    _end_earlier(folder)
    processes = Processes(folder)
    write_whole(folder / PID, str(os.getpid()), wait=False)
    rays: Any = importlib.import_module("ray.scripts.symmetric_run")
    wait_for_nodes = rays.check_cluster_ready

    def ready(*arguments: Any) -> bool:
        """Ray, joined to count the nodes, ends this process by a SIGTERM: that is a stop like any other."""
        try:
            return bool(wait_for_nodes(*arguments))
        except SystemExit:
            raise SystemExit(STOPPED) from None
        finally:
            rays.ray.shutdown()
            processes.listen()

    rays.check_ray_already_started = lambda: False  # another's Ray on this node is no concern of this job
    rays.check_cluster_ready = ready
    rays.subprocess = processes
    rays.symmetric_run()


if __name__ == "__main__":
    main()

"""Hosts played on this machine, joined by a network whose cables can be taken out: which nobody hears of, as a killed
process's end is heard of. Needs root and iproute2."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

START = "import ray.scripts.scripts as s; s.main()"


def playable() -> bool:
    """Whether this user may make hosts here."""
    if os.geteuid() != 0 or any(shutil.which(one) is None for one in ("ip", "nsenter", "unshare")):
        return False
    name = f"try{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


class Hosts:
    """So many of them, with one disk and a folder for Ray of their own; those numbered 1 and up are at 10.78.0.x."""

    def __init__(self, count: int, home: Path, port: int = 6379) -> None:
        """`home`: gets Ray's token, and stands for the user's own."""
        self._mark, self.address = f"p{os.getpid()}", f"10.78.0.1:{port}"
        self._holders: dict[int, subprocess.Popen[bytes]] = {}
        token = home / ".ray" / "auth_token"
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch(mode=0o600)
        token.write_text("0123456789abcdef" * 4, encoding="ascii")
        self.environment = os.environ | {
            "HOME": str(home),
            "RAY_AUTH_MODE": "token",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self._ip("netns", "add", self._hub)
        self._ip("-n", self._hub, "link", "add", "name", "br0", "type", "bridge")
        self._ip("-n", self._hub, "link", "set", "br0", "up")
        for number in range(1, count + 1):
            self._add(number)

    @property
    def _hub(self) -> str:
        return f"{self._mark}hub"

    def _name(self, number: int) -> str:
        return f"{self._mark}h{number}"

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def _add(self, number: int) -> None:
        name = self._name(number)
        self._ip("netns", "add", name)
        peer = ("peer", "name", f"p{number}", "netns", self._hub)
        self._ip("link", "add", "eth0", "netns", name, "type", "veth", *peer)
        self._ip("-n", self._hub, "link", "set", f"p{number}", "master", "br0", "up")
        self._ip("-n", name, "addr", "add", f"10.78.0.{number}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            self._ip("-n", name, "link", "set", device, "up")
        own = "mkdir -p /tmp/ray; mount -t tmpfs none /tmp/ray; mount -t tmpfs -o size=1g none /dev/shm"
        held = f"hostname {name}; {own}; echo; exec sleep infinity"
        apart = ["unshare", "--mount", "--uts", "--propagation", "slave", "sh", "-c", held]
        holder = subprocess.Popen(["ip", "netns", "exec", name, *apart], stdout=subprocess.PIPE)
        assert holder.stdout is not None
        assert holder.stdout.readline(), "the host was not made"
        self._holders[number] = holder

    def on(self, number: int, *command: str, **given: str) -> "subprocess.Popen[str]":
        """A command begun on a host, with what is `given` in its environment."""
        inside = ["nsenter", "-t", str(self._holders[number].pid), "--net", "--mount", "--uts"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        return subprocess.Popen([*inside, *command], text=True, env=self.environment | given, **pipes)  # type: ignore[call-overload,no-any-return]

    def head(self, cpus: int = 0) -> None:
        """Start the cluster's head on the first host, which knows of none before it."""
        self.on(1, "sh", "-c", "rm -rf /tmp/ray/*").wait(60)
        self._ray(1, "--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false", cpus=cpus)

    def node(self, number: int, cpus: int = 1, *options: str) -> None:
        """Have a host join the cluster."""
        self._ray(number, f"--address={self.address}", *options, cpus=cpus)

    def _ray(self, number: int, *options: str, cpus: int) -> None:
        where = (f"--node-ip-address=10.78.0.{number}", f"--num-cpus={cpus}", "--object-store-memory=100000000")
        started = self.on(number, sys.executable, "-c", START, "start", *options, *where)
        # What it starts holds its output open: its own end is what is waited for.
        deadline = time.monotonic() + 120
        while started.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert started.returncode == 0, f"host {number} did not start its Ray"

    def cut(self, number: int) -> None:
        """Take a host's cable out."""
        self._ip("-n", self._hub, "link", "set", f"p{number}", "down")

    def join(self, number: int) -> None:
        """Put it back."""
        self._ip("-n", self._hub, "link", "set", f"p{number}", "up")

    def kill(self, number: int) -> None:
        """End all that runs on a host at once, but what keeps it in being."""
        self._kill(number, "")

    def kill_ray(self, number: int) -> None:
        """End the servers of Ray on a host, and leave what was begun by `on`."""
        self._kill(number, "gcs_server")
        self._kill(number, "raylet")

    def _kill(self, number: int, name: str) -> None:
        for process in self.processes(number):
            with suppress(psutil.Error):
                if process.pid != self._holders[number].pid and name in process.name():
                    process.kill()

    def processes(self, number: int) -> list[psutil.Process]:
        """What runs on a host."""
        told = subprocess.run(["ip", "netns", "pids", self._name(number)], capture_output=True, text=True)
        found = []
        for pid in told.stdout.split():
            with suppress(psutil.Error):
                found.append(psutil.Process(int(pid)))
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for number, holder in self._holders.items():
            self.kill(number)
            holder.kill()
            holder.wait()
            self._ip("netns", "del", self._name(number))
        self._ip("netns", "del", self._hub)

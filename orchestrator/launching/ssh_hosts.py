"""The hosts of a launch over ssh: read, reached, asked what is there, and held by one connection each."""

import json
import queue
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.launching import ssh_node
from trainables.errors import InputError

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
"""Asks no question, and notices within half a minute that the network is gone."""
PROGRAM = "import json,sys;s=json.loads(sys.stdin.buffer.readline());exec(s.pop('program'));main(s)"
"""What Python is told on a host's command line: the rest comes by standard input."""
CHECKING = 30.0
"""Seconds for all hosts together to say what is there."""
LEAVING = 25.0
"""Seconds for a host to stop its node once its connection is closed."""
LOOPBACK = ("127.0.0.1", "::1")
_NAME = re.compile(r"(?:[\w.+-]+@)?[\w\[\]:][\w.:\[\]%-]*")
_COUNT = re.compile(r"(cpus|gpus)=(\d{1,4})")


@dataclass(frozen=True)
class Host:
    """A machine that ssh reaches, and what a run may use of it."""

    name: str
    """[USER@]HOST, as ssh takes it."""
    cpus: int | None = None
    gpus: int | None = None

    @property
    def line(self) -> str:
        """As a file of hosts has it."""
        counts = (("cpus", self.cpus), ("gpus", self.gpus))
        return " ".join([self.name, *(f"{key}={value}" for key, value in counts if value is not None)])


def read_hosts(file: Path | None, more: Sequence[str]) -> list[Host]:
    """The hosts of a file and of single lines; InputError for what is none, and where there are none."""
    lines = list(more)
    if file is not None:
        try:
            lines = [*file.read_text(encoding="utf-8").splitlines(), *lines]
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InputError(f"The file of hosts {file} can't be read: {why}.") from None
    hosts = [_host(words) for line in lines if (words := line.partition("#")[0].split())]
    if not hosts:
        raise InputError("No host is named. Give --hosts FILE, a host a line, or --host HOST for each.")
    names = [host.name for host in hosts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"The hosts name {', '.join(twice)} twice. One node of Ray takes all of a host's trials.")
    return hosts


def _host(words: list[str]) -> Host:
    name, *counts = words
    found = [_COUNT.fullmatch(word) for word in counts]
    if not _NAME.fullmatch(name) or not all(found):
        raise InputError(
            f"{' '.join(words)!r} is no line of a host. It must be [USER@]HOST [cpus=N] [gpus=N], such as: "
            "me@gpu3 cpus=16 gpus=2."
        )
    told = {one[1]: int(one[2]) for one in found if one is not None}
    return Host(name, told.get("cpus"), told.get("gpus"))


def own_address(hosts: Sequence[Host], ssh: str) -> str:
    """The address by which hosts reach this machine: that from which this one would reach them. InputError where it
    can't be guessed, or differs."""
    guessed: dict[str, list[str]] = {}
    for host in hosts:
        name = _real_name(host.name, ssh)
        try:
            family, _, _, _, place = socket.getaddrinfo(name, 22, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, socket.SOCK_DGRAM) as way:  # nothing is sent
                way.connect(place)
                guessed.setdefault(way.getsockname()[0], []).append(host.name)
        except (OSError, UnicodeError) as error:
            raise InputError(
                f"By which address {host.name} reaches this machine can't be guessed ({error}). Give it: --address."
            ) from None
    if len(guessed) > 1:  # what is this machine itself reaches it by any address
        guessed = {own: names for own, names in guessed.items() if own not in LOOPBACK} or guessed
    if len(guessed) > 1:
        told = "; ".join(f"{address} for {', '.join(names)}" for address, names in guessed.items())
        raise InputError(f"The hosts reach this machine by different addresses: {told}. Give one for all: --address.")
    [address] = guessed
    if address in LOOPBACK:  # Ray announces itself by the outer one even so
        from ray._private.services import get_node_ip_address

        return str(get_node_ip_address())  # type: ignore[no-untyped-call]
    return address


def _real_name(name: str, ssh: str) -> str:
    """The name behind one that ssh's own configuration may have; the same where ssh does not tell."""
    plain = name.rpartition("@")[2].strip("[]")
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(
            [*shlex.split(ssh), "-G", name], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
        )
        found = re.search(r"^hostname (\S+)$", told.stdout, flags=re.MULTILINE)
        return found[1] if told.returncode == 0 and found else plain
    return plain


class Node:
    """One connection to a host, or to this machine itself: its program tells what is there, then keeps a node."""

    def __init__(self, name: str, command: Sequence[str], address: str, port: int) -> None:
        """`command`: of a Python there; `address` and `port`: by which it shall reach this machine."""
        self.name = name
        self.address = ""
        """By which this node is known to the others."""
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._words: deque[str] = deque(maxlen=5)
        # Of a session of its own: Ctrl-C is for the run, whose end ends this.
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise InputError(f"{command[0]!r} can't be run: {error.strerror}. Give a command: --ssh.") from None
        for reader in (self._read_lines, self._read_words):
            threading.Thread(target=reader, daemon=True).start()
        program = Path(ssh_node.__file__).read_text(encoding="utf-8")
        self._tell(json.dumps({"program": program, "address": address, "port": port}))

    @classmethod
    def on(cls, host: Host, ssh: str, python: str, address: str, port: int) -> "Node":
        """Of a host: no secret is in its command line, neither here nor there."""
        there = shlex.join([python, "-P", "-c", PROGRAM])
        return cls(host.name, [*shlex.split(ssh), host.name, f"exec {there}"], address, port)

    @classmethod
    def here(cls, address: str, port: int) -> "Node":
        """Of this machine."""
        return cls("this machine", [sys.executable, "-P", "-c", PROGRAM], address, port)

    def check(self, until: float) -> str:
        """What is wrong with the host; empty where nothing is."""
        told = self.hear(until)
        if told is None:
            words = "; ".join(self._words) or "it said nothing"
            gone = self._process.poll() is not None
            return f"{words} (exit code {self._process.returncode})" if gone else f"no answer in time ({words})"
        faults = [
            f"{package} {told['found'].get(package, 'is missing')}, and here it is {version}"
            for package, version in ssh_node.versions().items()
            if _mattering(package, told["found"].get(package, "")) != _mattering(package, version)
        ]
        if "unreached" in told:
            faults.append(
                f"it can't reach this machine back ({told['unreached']}): see that no firewall is between, or give an "
                "address that it reaches (--address)"
            )
        self.address = told.get("address", "")
        return "; ".join(faults)

    def start(self, arguments: Sequence[str], token: str, variables: dict[str, str]) -> None:
        """Have it run `ray start`."""
        self._tell(json.dumps({"arguments": list(arguments), "token": token, "variables": variables}))

    def hear(self, until: float) -> dict[str, Any] | None:
        """The next thing that its program says; None where it ended, or said nothing in time."""
        with suppress(queue.Empty):
            return self._heard.get(timeout=max(0.0, until - time.monotonic()))
        return None

    def beat(self) -> None:
        """Let it know that this machine is still there."""
        self._tell("")

    def gone(self) -> str | None:
        """Why the node is no more; None where it is."""
        with suppress(queue.Empty):
            told = self._heard.get_nowait()
            said = (told or {}).get("said") or list(self._words)
            return " ".join(said) or "the connection ended"
        return None

    def close(self) -> None:
        """Let go of it: its program then stops what it started."""
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def wait(self, until: float) -> None:
        """Until its program has ended, or is given up."""
        try:
            self._process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # gone, or closed: that is noticed by what it says
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode(errors="replace")
            if line.startswith(ssh_node.MARK):
                with suppress(ValueError):
                    self._heard.put(json.loads(line.removeprefix(ssh_node.MARK)))
        self._process.wait()
        self._heard.put(None)

    def _read_words(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            if raw.strip():
                self._words.append(raw.decode(errors="replace").strip()[:300])


def _mattering(package: str, version: str) -> str:
    """What must be the same of a version: of Python not the last number, of others not how they were built."""
    return ".".join(version.split(".")[:2]) if package == "python" else version.partition("+")[0]


def check_all(nodes: Sequence[Node]) -> None:
    """InputError with all that is wrong with any of the hosts, which have been asked beside each other."""
    until = time.monotonic() + CHECKING
    faults = [f"  {node.name}: {fault}" for node in nodes if (fault := node.check(until))]
    if faults:
        raise InputError(
            "Not every host can be used:\n" + "\n".join(faults) + "\nMend them or leave them out. The Python there "
            "(--python) must have the packages of this one, in the same versions (constraints.txt)."
        )


def close_all(nodes: Sequence[Node]) -> None:
    """Let go of nodes, and wait until what they started is stopped."""
    for node in nodes:
        node.close()
    until = time.monotonic() + LEAVING
    for node in nodes:
        node.wait(until)

"""Runs on hosts that ssh reaches: lines of hosts, what is checked there, and a sweep over a real sshd on loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from orchestrator.artifacts.records import read_records
from orchestrator.launching.ssh import launch_ssh
from orchestrator.launching.ssh_hosts import PROGRAM, Host, Node, check_all, close_all, own_address, read_hosts
from trainables.errors import InputError

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def test_lines_of_hosts(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("# ours\n\na\nme@b.c cpus=4 gpus=1  # with a GPU\n", encoding="utf-8")
    hosts = read_hosts(tmp_path / "hosts", ["10.0.0.3 gpus=0"])
    assert hosts == [Host("a"), Host("me@b.c", 4, 1), Host("10.0.0.3", None, 0)]
    assert [host.line for host in hosts] == ["a", "me@b.c cpus=4 gpus=1", "10.0.0.3 gpus=0"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "No host is named"),
        (["a", "b", "a cpus=2"], "name a twice"),
        (["-oProxyCommand=touch"], "no line of a host"),
        (["a;b"], "no line of a host"),
        (["a cpus=x"], "no line of a host"),
        (["a ram=3"], "no line of a host"),
        (["$(id)"], "no line of a host"),
    ],
)
def test_what_is_no_line_of_a_host_is_told(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_hosts(None, lines)


def test_this_machine_is_known_by_an_address_of_its_own() -> None:
    own = own_address([Host("127.0.0.1"), Host("localhost")], "false")
    socket.create_server((own, 0)).close()
    with pytest.raises(InputError, match=r"can't be guessed .*--address"):
        own_address([Host("no.such.host.invalid")], "false")


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump({"data": {"path": "/there/csvs"}, "families": ["pca_logistic"]}), encoding="utf-8")
    return path


def test_dry_run_writes_how_to_start_by_hand(experiment: Path, tmp_path: Path, orchestrate: Callable[..., Any]) -> None:
    words = ("--host", "me@a cpus=2", "--host", "b", "--address", "10.0.0.9", "--python", "/opt/py")
    ended = orchestrate("launch", "ssh", experiment, "--out", "/runs/x", *words, "--files", tmp_path / "f", "--dry-run")
    assert ended.code == 0, ended.err
    assert {path.name for path in (tmp_path / "f").iterdir()} == {"hosts.txt", "by-hand.sh", "launch.json"}
    assert (tmp_path / "f/hosts.txt").read_text(encoding="utf-8") == "me@a cpus=2\nb\n"
    script = (tmp_path / "f/by-hand.sh").read_text(encoding="utf-8")
    subprocess.run(["sh", "-n", tmp_path / "f/by-hand.sh"], check=True)
    assert "/opt/py -P -m ray.scripts.scripts start --address=10.0.0.9:6379 --num-cpus=2 --block" in script
    assert f"RAY_ADDRESS=10.0.0.9:6379 orchestrate sweep {experiment} --out /runs/x --resume\n" in script
    assert "RAY_health_check_timeout_ms=5000" in script


@pytest.fixture
def door() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def local_node(door: socket.socket, *options: str) -> Node:
    """The program that a host is sent, run here, after the lines that a shell may print as it starts."""
    command = ["sh", "-c", 'echo "Welcome!"; exec "$@"', "sh", sys.executable, *options, "-P", "-c", PROGRAM]
    return Node("here", command, *door.getsockname()[:2])


def test_a_host_that_has_what_this_one_has_can_be_used(door: socket.socket) -> None:
    node = local_node(door)
    check_all([node])
    assert node.address == "127.0.0.1"
    close_all([node])


def test_all_that_is_wrong_with_hosts_is_told_at_once(door: socket.socket) -> None:
    away = ["sh", "-c", "echo 'No route to host' >&2; exit 255"]
    nodes = [
        local_node(door, "-S"),
        Node("away", away, "127.0.0.1", 1),
        Node("deaf", [sys.executable, "-c", PROGRAM], "127.0.0.1", 1),
    ]
    with pytest.raises(InputError) as told:
        check_all(nodes)
    close_all(nodes)
    lines = str(told.value).splitlines()
    assert "ray is missing" in lines[1]
    assert "torch is missing" in lines[1]
    assert lines[2] == "  away: No route to host (exit code 255)"
    assert "deaf: it can't reach this machine back (Connection refused)" in lines[3]


def test_a_command_that_is_none_is_told(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'no-such-ssh' can't be run"):
        launch_ssh(
            experiment, str(tmp_path / "run"), host=["127.0.0.1"], ssh="no-such-ssh", address="127.0.0.1",
            files=tmp_path / "f",
        )  # fmt: skip


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[str]:
    """A real sshd on loopback, that knows hosts `one` and `two`, both this machine -> the command that reaches it."""
    if not Path(SSHD).exists() or os.getuid() != 0:
        pytest.skip("sshd is not installed, or this is not root")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": tmp_path / "host", "StrictModes": "no", "UsePAM": "no",
        "AuthorizedKeysFile": tmp_path / "user.pub", "PermitRootLogin": "yes", "PidFile": "none",
    }  # fmt: skip
    client = {
        "HostName": "127.0.0.1", "Port": port, "IdentityFile": tmp_path / "user", "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR", "User": "root",
    }  # fmt: skip
    for name, head, values in (("sshd_config", "", server), ("ssh_config", "Host one two\n", client)):
        lines = [f"{key} {value}\n" for key, value in values.items()]
        (tmp_path / name).write_text(head + "".join(lines), encoding="utf-8")
    Path("/run/sshd").mkdir(exist_ok=True)
    running = subprocess.Popen([SSHD, "-D", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL)
    yield f"ssh -F {tmp_path / 'ssh_config'} -o BatchMode=yes"
    running.terminate()
    running.wait()


class Launch:
    """A launch over ssh in a process of its own."""

    def __init__(self, file: Path, out: Path, ssh: str) -> None:
        self.out = out
        self.folder = out.parent / "files"
        hosts = ["--host", "one cpus=1", "--host", "two cpus=1"]
        words = ["ssh", file, "--out", out, "--files", self.folder, "--ssh", ssh, *hosts]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", "launch", *words], env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    @property
    def records(self) -> int:
        path = self.out / "records.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def wait_for_records(self, number: int) -> None:
        until = time.monotonic() + 500
        while self.records < number:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.2)

    def driver(self) -> psutil.Process:
        return next(one for one in psutil.Process(self.process.pid).children() if "sweep" in one.cmdline())

    def folders(self) -> list[Path]:
        """Where its nodes keep the token and Ray's files."""
        port = self.driver().environ()["RAY_ADDRESS"].rpartition(":")[2]
        found = set()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()
                if "start" in words and any(word.endswith(f":{port}") or word == f"--port={port}" for word in words):
                    found |= {Path(word.partition("=")[2]).parent for word in words if word.startswith("--temp-dir=")}
        return sorted(found)

    def wait_until_gone(self, folders: list[Path]) -> None:
        """Until no process and no file of its nodes is left, which its end must bring about."""
        until = time.monotonic() + 120
        while any(folder.exists() for folder in folders) or self.left(folders):
            assert time.monotonic() < until, self.left(folders)
            time.sleep(0.5)

    def left(self, folders: list[Path]) -> list[str]:
        lines = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                lines.append(" ".join(process.cmdline()))
        return [line for line in lines if any(str(folder) in line for folder in folders)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_sweep_over_ssh_is_stopped_and_killed_and_leaves_nothing(
    cheap_experiment: Callable[..., Path], tmp_path: Path, ssh: str
) -> None:
    out = tmp_path / "run"
    file = cheap_experiment(trials=5000)
    first = Launch(file, out, ssh)
    first.wait_for_records(3)
    folders = first.folders()
    assert len(folders) == 3, "a head and two nodes"
    variables = first.driver().environ()
    token = Path(variables["RAY_AUTH_TOKEN_PATH"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in folders)
    secret = token.read_text(encoding="ascii")
    assert len(secret) == 64
    assert secret not in variables.values(), "it lies in the file that they name"
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            assert not any(secret in word for word in process.cmdline())
    os.kill(first.process.pid, signal.SIGINT)
    told, err = first.process.communicate(timeout=300)
    assert first.process.returncode == 130, told + err
    assert "Stopped. What is finished is kept" in told
    assert first.left(folders) == []
    assert not any(folder.exists() for folder in folders)
    done = first.records

    second = Launch(file, out, ssh)
    second.wait_for_records(done + 2)
    folders, driver = second.folders(), second.driver()
    second.process.kill()
    second.process.communicate()
    second.wait_until_gone(folders)
    driver.wait(120)
    done = second.records

    third = Launch(cheap_experiment(trials=done + 4), out, ssh)
    third.wait_for_records(done + 1)
    folders = third.folders()
    told, err = third.process.communicate(timeout=600)
    assert third.process.returncode == 0, told + err
    assert third.left(folders) == []
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in read_records(out / "records.jsonl"))
    assert max(keys.values()) == 1
    assert sum(stage == "search" for stage, *_ in keys) == done + 4
    kept = [path for folder in (third.folder, out) for path in folder.rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in kept)
    assert json.loads((third.folder / "launch.json").read_text(encoding="utf-8"))["where"]["code"] == 0

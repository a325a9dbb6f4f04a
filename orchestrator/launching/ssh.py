"""The target `ssh`: a run on hosts that ssh reaches, driven here, in a Ray of its own that ends with it."""

import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil

from orchestrator.launching.launched import JobStatus, Launched, claimed_folder, launched_at, new_folder
from orchestrator.launching.ssh_hosts import SSH, Host, Node, check_all, close_all, own_address, read_hosts
from orchestrator.launching.work import Work
from orchestrator.machine.progress import Reporter
from trainables.errors import InputError
from trainables.files import write_whole
from trainables.printing import printable_lines

HOSTS, BY_HAND, LOG = "hosts.txt", "by-hand.sh", "run.log"
STARTING = 180.0
"""Seconds for all nodes to start Ray, whose import alone takes long where disks are slow."""
BEAT = 10.0
"""Seconds between two signs of life to the hosts."""
HEALTH = {"RAY_health_check_timeout_ms": "5000", "RAY_health_check_period_ms": "2000",
          "RAY_health_check_failure_threshold": "4"}  # fmt: skip
"""Variables of the head, that gives up a node which does not answer so often in turn: after 28 s instead of Ray's 65,
for what ran there is run elsewhere only then. A cut of 20 s is still outlasted."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HERE_ALONE = ("--num-cpus=0", "--num-gpus=0", "--include-dashboard=false")
"""The machine that drives trains nothing, and shows no page."""
DRIVER = (
    "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"  # PR_SET_PDEATHSIG: ends with the launch
    "from orchestrator.cli.main import main; main()"
)


def launch_ssh(
    experiment: str | Path,
    out: str,
    *,
    hosts: str | Path | None = None,
    host: Sequence[str] = (),
    overrides: tuple[str, ...] = (),
    ablate: bool = False,
    python: str | None = None,
    ssh: str | None = None,
    address: str | None = None,
    files: str | Path | None = None,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Launched:
    """Run a sweep, or an ablation, on hosts that ssh reaches, until it has ended; `where` then has its exit code.

    `hosts`: a file with a host a line, `host`: single lines. `python`: theirs; `ssh`: how they are reached; `address`:
    by which they reach this machine. Whatever was started is stopped. InputError where it can't be launched.
    """
    reporter = reporter or Reporter()
    work = Work(Path(experiment).absolute(), str(Path(out).expanduser().absolute()), tuple(overrides), ablate)
    work.load()
    there, words, interpreter = read_hosts(Path(hosts) if hosts else None, host), ssh or SSH, python or sys.executable
    folder = new_folder(files, work.out, "ssh")
    earlier = claimed_folder(folder, "ssh", work.out)
    if earlier is not None and _process(earlier) is not None:
        raise InputError(
            f"{earlier.out} is at work already, by process {earlier.where['pid']} here. Follow it: orchestrate launch "
            f"log --follow {folder}; stop it: orchestrate launch stop {folder}."
        )
    own = address or own_address(there, words)
    _write(work, folder, there, own, words, interpreter)
    launched = Launched(folder, "ssh", work.out)
    launched.keep()
    if dry_run:
        reporter.say(f"Nothing was started. Read {folder / BY_HAND}: it says how to start it by hand.")
        return launched
    reporter.say(f"The hosts reach this machine by {own}{'' if address else ' (guessed; --address gives another)'}.")
    return _run(work, launched, there, own, words, interpreter, reporter)


def status(launched: Launched) -> JobStatus:
    """Whether the launch's own process lives, on this machine."""
    process = _process(launched)
    if process is not None:
        return JobStatus("running", f"driven by process {process.pid} here")
    code = launched.where.get("code")
    if code is None:
        return JobStatus("failed", "its process is gone without a word; the same launch goes on with it")
    return JobStatus("succeeded" if code == 0 else "stopped" if code in (130, 143) else "failed", f"exit code {code}")


def log(launched: Launched, follow: bool) -> int:
    """Print the log so far, or until the launch's process has ended; the exit code of the run, 0 where it goes on."""
    with (launched.folder / LOG).open(encoding="utf-8", errors="replace") as file:
        _pass_on(file)
        while follow and _process(launched) is not None:
            time.sleep(0.5)
            _pass_on(file)
        _pass_on(file)
    if _process(launched) is not None:
        return 0
    return int(launched_at(launched.folder).where.get("code", 1))


def stop(launched: Launched) -> str:
    """Send SIGTERM to the launch's process, which passes it on to the run and stops the hosts afterwards."""
    process = _process(launched)
    if process is None:
        return f"{launched.out} is not at work."
    process.terminate()
    return (
        f"{launched.out} was asked to stop: it ends once the running epochs are saved. The same launch goes on with it."
    )


def _run(
    work: Work, launched: Launched, hosts: list[Host], own: str, ssh: str, python: str, reporter: Reporter
) -> Launched:
    """Start the head and the hosts' nodes, run, and stop all of them."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    nodes: list[Node] = []
    try:
        with _listening(own) as door:
            port = door.getsockname()[1]
            nodes += [Node.on(host, ssh, python, own, port) for host in hosts]
            head = Node.here(own, port)
            nodes.append(head)
            reporter.say(f"Asking {len(hosts)} host{'s' * (len(hosts) > 1)} what is there …")
            check_all(nodes)
        token = secrets.token_hex(32)
        head.start(["--head", f"--port={port}", f"--node-ip-address={own}", *HERE_ALONE], token, HEALTH)
        path = _started(head)
        place = f"[{own}]:{port}" if ":" in own else f"{own}:{port}"
        for host, node in zip(hosts, nodes, strict=False):
            node.start(_node_arguments(host, place, node.address), token, {})
        for node in nodes[:-1]:
            _started(node)
        reporter.say(f"{len(hosts)} node{'s' * (len(hosts) > 1)} joined; the log is {launched.folder / LOG}.")
        code = _drive(work, launched, nodes, {"RAY_ADDRESS": place, "RAY_AUTH_TOKEN_PATH": path}, reporter)
    except KeyboardInterrupt:
        code = 130
    finally:
        # Once more would leave hosts with nodes: what was started is stopped first, which takes seconds.
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        close_all(nodes)
        for number, handler in before.items():
            signal.signal(number, handler)
    ended = replace(launched, job=str(os.getpid()), where={**_self(), "code": code})
    ended.keep()
    return ended


def _drive(work: Work, launched: Launched, nodes: list[Node], variables: dict[str, str], reporter: Reporter) -> int:
    """Run the experiment here, pass its log and signals on, and tell of hosts that go; its exit code."""
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", **variables}
    environment.pop("RAY_AUTH_TOKEN", None)  # it would go before the path
    command = shlex.split(work.command(str(work.experiment)))[1:]
    with (
        (launched.folder / LOG).open("wb") as sink,
        (launched.folder / LOG).open(encoding="utf-8", errors="replace") as told,
    ):
        driver = subprocess.Popen(
            [sys.executable, "-P", "-c", DRIVER, *command], env=environment, stdin=subprocess.DEVNULL, stdout=sink,
            stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip
        replace(launched, job=str(os.getpid()), where=_self()).keep()

        def pass_on(number: int, frame: FrameType | None) -> None:
            driver.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

        for number in SIGNALS:
            signal.signal(number, pass_on)
        hosts, beaten = list(nodes[:-1]), 0.0
        try:
            while driver.poll() is None:
                if time.monotonic() - beaten > BEAT:
                    beaten = time.monotonic()
                    for node in nodes:
                        node.beat()
                if hosts and not _still_there(hosts, reporter):
                    driver.terminate()
                _pass_on(told)
                with suppress(subprocess.TimeoutExpired):
                    driver.wait(0.5)
            _pass_on(told)
        finally:  # nobody may read what is passed on
            if driver.poll() is None:
                driver.terminate()
                driver.wait()
    return driver.returncode if driver.returncode >= 0 else 128 - driver.returncode


def _still_there(hosts: list[Node], reporter: Reporter) -> bool:
    """Say which hosts are gone, and take them out; whether any is left."""
    for node in list(hosts):
        if (why := node.gone()) is not None:
            hosts.remove(node)
            reporter.say(f"{node.name} is gone ({why}). The run goes on without it.")
    if not hosts:
        reporter.say("No host is left: the run is stopped. The same launch goes on with it.")
    return bool(hosts)


def _listening(own: str) -> socket.socket:
    """A port of this machine at which hosts may knock, and the head listens afterwards; InputError without one."""
    try:
        family = socket.AF_INET6 if ":" in own else socket.AF_INET
        return socket.create_server((own, 0), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--address is {own!r}, at which this machine can't listen ({error}). Give one of its own."
        ) from None


def _started(node: Node) -> str:
    """Wait until a node's Ray has started; where its token lies. InputError where it does not start."""
    told = node.hear(time.monotonic() + STARTING)
    if told is None or "started" not in told:
        words = "\n".join((told or {}).get("said") or [node.gone() or f"nothing in {STARTING:.0f} s"])
        raise InputError(f"Ray did not start on {node.name}. It said last:\n{words}")
    return str(told["token"])


def _node_arguments(host: Host, head: str, address: str) -> list[str]:
    counts = (("--num-cpus", host.cpus), ("--num-gpus", host.gpus))
    given = [f"{name}={value}" for name, value in counts if value is not None]
    return [f"--address={head}", *([f"--node-ip-address={address}"] if address else []), *given]


def _write(work: Work, folder: Path, hosts: list[Host], own: str, ssh: str, python: str) -> None:
    """Write the hosts, and how to do all of it by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / HOSTS, "".join(f"{host.line}\n" for host in hosts), wait=False)
    start = f"{shlex.quote(python)} -P -m ray.scripts.scripts start"
    lines = [
        "# What `orchestrate launch ssh` does, for a person to do. The token is one of your own, the same in",
        "# ~/.ray/auth_token (mode 0600) on every machine; the launch makes one for itself instead.",
        "export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0",
        "# Here:",
        shlex.join(["env", *(f"{name}={value}" for name, value in HEALTH.items()), sys.executable, "-P", "-m",
                    "ray.scripts.scripts", "start", "--head", "--port=6379", f"--node-ip-address={own}", *HERE_ALONE]),
        "# On each host; the end of the connection ends the node:",
        *(
            f"{ssh} -tt {shlex.quote(host.name)} "
            + shlex.quote(f"RAY_AUTH_MODE=token {start} {' '.join(_node_arguments(host, f'{own}:6379', ''))} --block")
            + " &"
            for host in hosts
        ),
        "# Here, once all have joined:",
        f"RAY_ADDRESS={own}:6379 {work.command(str(work.experiment))}",
    ]  # fmt: skip
    write_whole(folder / BY_HAND, "\n".join(lines) + "\n", wait=False)


def _self() -> dict[str, Any]:
    """By which this process is known again."""
    return {"pid": os.getpid(), "since": psutil.Process().create_time(), "host": socket.gethostname()}


def _process(launched: Launched) -> psutil.Process | None:
    """The launch's own process, where it still works; InputError where it would be on another machine."""
    where = launched.where
    if not launched.job or "code" in where:
        return None
    if where["host"] != socket.gethostname():
        raise InputError(f"{launched.out} is driven on {where['host']}, and this is {socket.gethostname()}. Ask there.")
    with suppress(psutil.Error):
        process = psutil.Process(where["pid"])
        return process if abs(process.create_time() - where["since"]) < 1 else None
    return None


def _pass_on(file: IO[str]) -> None:
    """Print what was added to a log."""
    sys.stdout.write(printable_lines(file.read().expandtabs()))
    sys.stdout.flush()

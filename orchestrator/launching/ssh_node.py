"""A program of its own, which is sent to a host as text: tells what is there, then keeps a node of Ray as long as the
machine that drives the run holds the connection. It needs Python alone, and writes nothing but one folder of its own.
"""

import fcntl
import json
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

MARK = "@orchestrate "
"""With which each line for the driving machine begins: a shell may print others as it starts."""
SILENCE = 60.0
"""Seconds without a beat, after which the driving machine is taken for gone: a network may end without a word."""
ENDING = 15.0
"""Seconds for Ray to end by itself."""
START = (
    "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"  # PR_SET_PDEATHSIG: ends with this program
    "from ray.scripts.scripts import main; main()"
)
STARTED = "Ray runtime started"


def main(settings: dict[str, Any]) -> None:
    """Say what is here, and whether the driving machine's address and port can be reached; then do as one is told."""
    say(found=versions(), **reached(settings["address"], settings["port"]))
    line = sys.stdin.buffer.readline()
    if line:
        keep_node(json.loads(line))


def say(**values: Any) -> None:
    """A line for the driving machine, which may be gone."""
    with suppress(OSError):
        print(MARK + json.dumps(values), flush=True)


def versions() -> dict[str, str]:
    """The versions that must be the same on all machines; a package that is missing has none."""
    found = {"python": platform.python_version()}
    for name in ("ray", "torch"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def reached(address: str, port: int) -> dict[str, str]:
    """By which address this host reaches the driving machine, or why it does not."""
    try:
        with socket.create_connection((address, port), 8) as connection:
            return {"address": connection.getsockname()[0]}
    except OSError as error:
        return {"unreached": "no answer came" if isinstance(error, TimeoutError) else error.strerror or str(error)}


def keep_node(order: dict[str, Any]) -> None:
    """Run `ray start` until it ends, or until the driving machine does: its end closes standard input.

    The token comes in the order, and lies in a file of this user's alone for as long.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    os.umask(0o077)
    folder = Path(tempfile.mkdtemp(prefix="ao-", dir=os.environ.get("RAY_TMPDIR") or "/tmp"))
    last: deque[str] = deque(maxlen=12)
    node = None
    lock = (folder / "lock").open("w")  # as machine/session_folder.py: one that nobody holds is removed some time
    with suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        token = folder / "token"
        token.write_text(order["token"], encoding="ascii")
        left_out = ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_TMPDIR")
        variables = {name: value for name, value in os.environ.items() if name not in left_out} | order["variables"]
        variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        # Any port for Ray's agent: its usual one may be that of another Ray on this host.
        own = ["--dashboard-agent-listen-port=0", f"--temp-dir={folder / 'ray'}", "--block"]
        words = [sys.executable, "-P", "-c", START, "start", *order["arguments"], *own]
        node = subprocess.Popen(
            words, env=variables, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=_listen, args=(node, last, str(token)), daemon=True).start()
        _wait(node)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # what was started is stopped, whatever comes
        code = None if node is None else _end(node)
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()
        say(ended=code, said=[line for line in last if line.strip()][-4:])


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _listen(node: "subprocess.Popen[str]", last: "deque[str]", token: str) -> None:
    """Keep Ray's last words, and say when it has started."""
    assert node.stdout is not None
    for line in node.stdout:
        last.append(line.rstrip()[:300])
        if STARTED in line:
            say(started=True, token=token)


def _wait(node: "subprocess.Popen[str]") -> None:
    """Until the node ends, standard input is closed, or nothing is heard any more."""
    heard = time.monotonic()
    while node.poll() is None and time.monotonic() - heard < SILENCE:
        if select.select([0], [], [], 1)[0]:
            if not os.read(0, 4096):
                return
            heard = time.monotonic()


def _end(node: "subprocess.Popen[str]") -> int:
    """Have Ray end all of its processes; those that stay are killed."""
    node.terminate()
    with suppress(subprocess.TimeoutExpired):
        node.wait(ENDING)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(node.pid, signal.SIGKILL)
    return node.wait()

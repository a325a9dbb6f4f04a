"""The engine in a process of its own: it listens to this machine alone, and leaves nothing running."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from orchestrator.machine.engine import Engine
from trainables.errors import InputError

PROGRAM = """
import ipaddress, psutil
from orchestrator.machine.engine import Engine, available
with Engine(cpus=2) as engine:
    engine.start()  # a second start is none
    assert available().cpus == 2
    mine = psutil.Process().children(recursive=True)
    heard = [c.laddr.ip for p in [psutil.Process(), *mine] for c in p.net_connections() if c.status == "LISTEN"]
    assert heard, "nothing was seen to listen"
    print([one for one in heard if not ipaddress.ip_address(one.removeprefix("::ffff:")).is_loopback])
gone, alive = psutil.wait_procs(mine, timeout=20)
print([process.name() for process in alive])
"""


def test_it_listens_to_this_machine_alone_and_ends_what_it_started() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["[]", "[]"]
    assert not ended.stderr


@pytest.mark.slow
def test_without_a_home_it_starts_all_the_same() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"HOME": "/proc/none"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["/proc/none", 120 * "x"])
def test_a_folder_that_ray_cannot_work_in_is_an_error_that_says_so(tmp_path: Path, folder: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", JOIN],
        env=os.environ | {"RAY_TMPDIR": str(tmp_path / folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Set RAY_TMPDIR to one where you may write" in ended.stdout


JOIN = """
import os
from orchestrator.machine.engine import Engine
from trainables.errors import InputError
try:
    with Engine() as engine:
        print("joined")
except InputError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "allowed", "refused"), [("disabled", "", True), ("disabled", "1", False), ("token", "", False)]
)
def test_a_cluster_that_asks_for_no_token_is_refused(tmp_path: Path, mode: str, allowed: str, refused: bool) -> None:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4, encoding="ascii")
    environment = os.environ | {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(token)}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    # A socket's path may not be long.
    command += ["--num-cpus=1", "--include-dashboard=false", f"--temp-dir={tempfile.mkdtemp(prefix='r')}"]
    head = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 120
        joined = None
        while joined is None or ("no Ray answers" in joined.stdout and time.monotonic() < deadline):
            assert head.poll() is None, head.communicate()[0]
            joined = subprocess.run(
                [sys.executable, "-c", JOIN],
                env=environment | {"RAY_ADDRESS": f"127.0.0.1:{port}", "ORCHESTRATOR_OPEN_CLUSTER": allowed},
                capture_output=True,
                text=True,
                check=False,
                timeout=200,
            )
        assert joined.returncode == 0, joined.stderr
        if refused:
            assert "asks for no token" in joined.stdout
            assert "RAY_AUTH_MODE=token" in joined.stdout
        else:
            assert joined.stdout.strip() == "joined"
    finally:
        head.send_signal(signal.SIGTERM)
        head.communicate(timeout=60)


def test_a_machine_too_busy_for_ray_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for fault, told in (("The current node timed out during startup.", InputError), ("another", RuntimeError)):
        # As Ray raises it after 30 s, a time that it lets no one shorten.
        monkeypatch.setattr(ray, "init", lambda fault=fault, **_: (_ for _ in ()).throw(RuntimeError(fault)))
        with pytest.raises(told) as caught:
            Engine(cpus=1).start()
        assert ("try again with less running" in str(caught.value)) == (told is InputError)

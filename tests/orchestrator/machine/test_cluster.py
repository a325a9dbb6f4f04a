"""The address of a cluster: what can't be joined is told soon and plainly, whatever answers there, or nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from orchestrator.machine import cluster
from orchestrator.machine.cluster import check_cluster, cluster_address
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("given", "address"),
    [("", None), ("local", None), ("  ", None), (" 10.0.0.1:6379\n", "10.0.0.1:6379"), ("auto", "auto")],
)
def test_an_address_that_names_no_cluster_is_none(
    monkeypatch: pytest.MonkeyPatch, given: str, address: str | None
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", given)
    assert cluster_address() == address


@pytest.mark.parametrize(
    "address",
    [
        "ray://127.0.0.1:10001", "http://127.0.0.1:8265", "nonsense", "127.0.0.1", "127.0.0.1:", ":6379", "a b:6379",
        "127.0.0.1:port", "127.0.0.1:0", "127.0.0.1:99999", "::1:6379", "[::1]", "user@host:6379", "a:1,b:2",
        "127.0.0.1:٣٣", "127.0.0.1:" + 5000 * "1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_what_one_is(address: str) -> None:
    with pytest.raises(InputError, match=r"RAY_ADDRESS is .*HOST:PORT"):
        check_cluster(address)


def test_an_address_that_ray_finds_and_where_nobody_answers_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    from ray._private import services

    # Of heads that other programs have on this machine Ray would find one.
    monkeypatch.setattr(services, "find_gcs_addresses", lambda: set())
    with pytest.raises(InputError, match="no Ray is found on this machine"):
        check_cluster("auto")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1", encoding="ascii")
    with pytest.raises(InputError, match=r"'127\.0\.0\.1:1', and no Ray answers there"):
        check_cluster("auto")


def test_a_name_that_does_not_resolve_is_told() -> None:
    with pytest.raises(InputError, match=r"'no\.such\.host\.invalid' can't be resolved"):
        check_cluster("no.such.host.invalid:6379")
    with pytest.raises(InputError, match="can't be resolved"):
        check_cluster(f"{'x' * 70}.{'y' * 300}:6379")


def test_a_look_up_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # A name server that drops packets can't be played here: the system's look-up itself is made to wait.
    over = threading.Event()
    monkeypatch.setattr(cluster, "CONNECTING", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    with pytest.raises(InputError, match="can't be resolved"):
        check_cluster("a.name:6379")
    over.set()


@pytest.mark.parametrize("answer", [None, b"", b"220 mail ready\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"x"])
def test_what_answers_and_is_no_ray_is_told(monkeypatch: pytest.MonkeyPatch, answer: bytes | None) -> None:
    """None: it takes the connection and never speaks."""
    monkeypatch.setattr(cluster, "CONNECTING", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve() -> None:
            connection = server.accept()[0]
            kept.append(connection)
            if answer is not None:
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(InputError, match="no Ray"):
            check_cluster(f"127.0.0.1:{server.getsockname()[1]}")
        for connection in kept:
            connection.close()


def test_a_web_server_is_no_ray() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(InputError, match="what answers there is no Ray"):
            check_cluster(f"127.0.0.1:{server.server_port}")


def test_nobody_there_and_a_host_that_drops_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECTING", 2.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no Ray answers there \(Connection refused\)"):
            check_cluster(place)
        # A full queue of connections drops those that knock.
        taken.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(taken.getsockname())
        with pytest.raises(InputError, match="no answer came"):
            check_cluster(place)
        for one in waiting:
            one.close()


def test_a_server_that_greets_and_says_no_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                kept.append(connection)
                connection.sendall(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(InputError, match="gave no answer in 3 s"):
            check_cluster(f"127.0.0.1:{server.getsockname()[1]}")
        for connection in kept:
            connection.close()


@contextmanager
def head(tmp_path: Path) -> Iterator[str]:
    """A head that asks for the token in `tmp_path`/token; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "token").write_text("0123456789abcdef" * 4, encoding="ascii")
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    # A socket's path may not be long.
    command += ["--num-cpus=1", "--include-dashboard=false", f"--temp-dir={tempfile.mkdtemp(prefix='r')}"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, process.communicate()[0]
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.5)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.slow
def test_a_token_and_versions_that_do_not_fit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.write_text("f123456789abcdef" * 4, encoding="ascii")
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}

    def told(address: str, **variables: str) -> str:
        with monkeypatch.context() as patch:
            for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            try:
                check_cluster(address)
            except InputError as error:
                return str(error)
            return ""

    with head(tmp_path) as address:
        assert not told(address, **token)
        assert not told(address.replace("127.0.0.1", "localhost"), **token)
        assert "refuses the token" in told(address, **token | {"RAY_AUTH_TOKEN_PATH": str(other)})
        assert "Set RAY_AUTH_MODE=token" in told(address, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
        assert "Set RAY_AUTH_MODE=token" in told(address, RAY_AUTH_MODE="disabled")
        assert "there is no token to show" in told(address, RAY_AUTH_MODE="token", HOME=str(tmp_path))
        assert "there is no token to show" in told(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH="/proc/none")
        # What a head of other versions says of itself.
        for versions in ({"ray_version": "2.9.3"}, {"python_version": "3.12.1"}):
            says = {"ray_version": "2.60.0", "python_version": "3.11.7"} | versions
            subprocess.run(
                [
                    sys.executable, "-c",
                    "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
                    ".internal_kv_put(b'CLUSTER_METADATA', sys.argv[2].encode(), True, b'cluster')",
                    address, json.dumps(says),
                ],
                env=os.environ | token, check=True, timeout=60,
            )  # fmt: skip
            said = told(address, **token)
            assert "they must be the same" in said
            assert next(iter(versions.values())) in said

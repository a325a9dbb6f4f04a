"""Runs as jobs of a cluster: the files that are written, what is refused, and a job that is really submitted."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from orchestrator.artifacts.records import read_records
from orchestrator.launching.job_server import check_server, http_address
from orchestrator.launching.launched import launched_at
from orchestrator.launching.ray_job import launch_ray
from orchestrator.launching.targets import launch_log, launch_status
from orchestrator.machine.shipped_modules import JOB, package_folders, shipped_modules
from trainables.errors import InputError

TOKEN = "f00d" * 16
HEAD = "http://head.invalid:8265"


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump({"data": {"path": "/there/csvs"}, "families": ["pca_logistic"]}), encoding="utf-8")
    return path


def texts_in(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in found}


def test_dry_run_writes_what_would_be_sent_and_starts_nothing(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orchestrate: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    words = ("launch", "ray", experiment, "--out", "/there/my run", "--address", HEAD, "--dry-run")
    ended = orchestrate(*words, "--set", "budget.trials=3")
    assert ended.code == 0, ended.err
    texts = texts_in(tmp_path / "my run.ray")
    assert set(texts) == {
        "launch.json", "runtime_env.yaml", "submit.sh", "sent/run.sh", "sent/files/experiment.yaml",
    }  # fmt: skip
    assert not any(TOKEN in text for text in (*texts.values(), ended.out, ended.err))
    assert "submit.sh" in ended.err
    assert ended.out == ""
    assert yaml.safe_load(texts["sent/files/experiment.yaml"])["budget"] == {"trials": 3}
    assert (
        "exec python3 -P -m orchestrator.cli sweep '/there/my run.ray/files/experiment.yaml' "
        "--out '/there/my run' --resume\n"
    ) in texts["sent/run.sh"]
    shipped = yaml.safe_load(texts["runtime_env.yaml"])
    assert shipped["py_modules"] == package_folders()
    assert [Path(folder).name for folder in package_folders()] == ["orchestrator", "trainables", "search_spaces"]
    for script in ("submit.sh", "sent/run.sh"):
        subprocess.run(["sh", "-n", tmp_path / "my run.ray" / script], check=True)
    assert orchestrate(*words).code == 0, "the same launch may write there again"
    ended = orchestrate("launch", "status", tmp_path / "my run.ray")
    assert ended.code == 2
    assert "nothing was started" in ended.err


def test_an_ablation_goes_on_by_itself(experiment: Path, tmp_path: Path) -> None:
    launch_ray(
        experiment, "/there/run", address=HEAD, ablate=True, python="/opt/py", files=tmp_path / "f", dry_run=True
    )
    text = (tmp_path / "f/sent/run.sh").read_text(encoding="utf-8")
    assert "exec /opt/py -P -m orchestrator.cli ablate /there/run.ray/files/experiment.yaml --out /there/run\n" in text


def test_a_folder_of_something_else_is_not_written_to(experiment: Path, tmp_path: Path) -> None:
    launch_ray(experiment, "/there/run", address=HEAD, files=tmp_path / "f", dry_run=True)
    with pytest.raises(InputError, match=r"launch of /there/run .*this is /there/other"):
        launch_ray(experiment, "/there/other", address=HEAD, files=tmp_path / "f", dry_run=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="no launch wrote it"):
        launch_ray(experiment, "/there/run", address=HEAD, files=tmp_path / "mine", dry_run=True)
    assert set(texts_in(tmp_path / "mine")) == {"thesis.tex"}
    with pytest.raises(InputError, match=r"holds no launch\.json"):
        launch_status(tmp_path / "mine")


@pytest.mark.parametrize(
    "address",
    ["head:6379", "http://head", "ray://head:10001", "http://me:pw@head:8265", "http://head:8265/x", "http://h:x", ""],
)
def test_what_is_no_address_of_a_job_server_is_told(address: str) -> None:
    with pytest.raises(InputError, match=r"--address is .*http://head:8265"):
        http_address(address)


def test_the_packages_that_a_job_needs_are_named(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)  # as where it is not installed
    with pytest.raises(InputError, match=r"aiohttp is missing: pip install 'anomaly-orchestrator\[cluster\]'"):
        launch_ray(experiment, "/there/run", address=HEAD, files=tmp_path / "f")
    assert not (tmp_path / "f").exists()


@contextmanager
def served(token: str | None, version: str = ray.__version__, path: str = "/api/jobs/") -> Iterator[int]:
    """A server that answers as a head's job server does -> its port; `token`: the one that it takes."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = self.headers.get("Authorization")
            code = 404 if self.path not in (path, "/api/version") else 200
            if token is not None and code == 200:
                code = 401 if shown is None else 200 if shown == f"Bearer {token}" else 403
            body = json.dumps({"ray_version": version}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *ignored: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_nobody_and_what_is_no_job_server_are_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match=r"No job server answers .*Connection refused"):
            check_server(f"http://127.0.0.1:{taken.getsockname()[1]}")
    with served(None, path="/") as port, pytest.raises(InputError, match=r"no job server of Ray \(HTTP 404\)"):
        check_server(f"http://127.0.0.1:{port}")


def test_another_version_is_told() -> None:
    with served(None, "2.9.0") as port, pytest.raises(InputError, match=r"runs Ray 2\.9\.0, and this is Ray"):
        check_server(f"http://127.0.0.1:{port}")


def test_a_head_without_a_token_is_used_where_only_this_machine_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(None) as port:
        check_server(f"http://127.0.0.1:{port}")
        elsewhere = f"http://0.0.0.0:{port}"  # the same machine, by an address that is not loopback
        with pytest.raises(InputError, match="asks for no token"):
            check_server(elsewhere)
        monkeypatch.setenv("ORCHESTRATOR_OPEN_CLUSTER", "1")
        check_server(elsewhere)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "Set RAY_AUTH_MODE=token here"),
        ({"RAY_AUTH_MODE": "token"}, "token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "wrong"}, "refuses the token that it is shown"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}, None),
    ],
)
def test_tokens(tmp_path: Path, variables: dict[str, str], words: str | None) -> None:
    """In a process each: Ray reads its token once."""
    program = "import sys; from orchestrator.launching.job_server import check_server; check_server(sys.argv[1])"
    ours = {"HOME": str(tmp_path), **variables}
    outer = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    with served(TOKEN) as port:
        asked = subprocess.run(
            [sys.executable, "-c", program, f"http://127.0.0.1:{port}"], env=outer | ours,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert (asked.returncode == 0) == (words is None), asked.stderr
    assert words is None or words in asked.stderr.splitlines()[-1]
    assert "InputError" in asked.stderr or words is None
    assert TOKEN not in asked.stderr


def test_what_came_with_a_job_is_not_shipped_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_OVERRIDE_JOB_RUNTIME_ENV", "0")
    assert shipped_modules() == {"py_modules": package_folders()}
    theirs = "gcs://_ray_pkg_1234.zip"
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {"py_modules": [theirs]}}))
    assert shipped_modules() == {"py_modules": [*package_folders(), theirs]}
    arrived = [f"gcs://{Path(folder).parent.name}.zip" for folder in package_folders()]
    monkeypatch.setenv(JOB, json.dumps({"runtime_env": {"py_modules": arrived}}))
    assert shipped_modules() == {}


class Proxy:
    """Passes connections on to a port, and can cut all of them."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._to = port
        self._open: list[socket.socket] = []
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, far = self._server.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def cut(self) -> int:
        """Cut all connections; how many there were."""
        cut, self._open = self._open, []
        for one in cut:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        return len(cut)


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A head with a token and a job server on this machine alone -> its address, and the environment to use it."""
    if find_spec("aiohttp") is None:
        pytest.skip("ray[default] is not installed (the extra `cluster`)")
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True, mode=0o700)
    (home / ".ray" / "auth_token").touch(mode=0o600)
    (home / ".ray" / "auth_token").write_text(TOKEN, encoding="ascii")
    here = str(Path(sys.executable).parent)
    environment = os.environ | {
        "HOME": str(home), "RAY_AUTH_MODE": "token", "PATH": f"{here}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, page = one.getsockname()[1], other.getsockname()[1]
    folder = Path(f"/tmp/aoj{os.getpid()}")
    words = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={port}", "--num-cpus=2",
        "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={page}", f"--temp-dir={folder}",
        "--dashboard-agent-listen-port=0", "--block",
    ]  # fmt: skip
    with (tmp_path / "head.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while "Ray runtime started" not in (tmp_path / "head.log").read_text(encoding="utf-8"):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.5)
        yield f"http://127.0.0.1:{page}", environment
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def records_of(out: Path) -> int:
    path = out / "records.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def wait_for_records(out: Path, number: int, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 400
    while records_of(out) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_job_is_followed_over_cuts_stopped_and_gone_on_with(
    cheap_experiment: Callable[..., Path], tmp_path: Path, head: tuple[str, dict[str, str]]
) -> None:
    address, environment = head
    proxy = Proxy(int(address.rpartition(":")[2]))
    out, files = tmp_path / "run", tmp_path / "files"

    def start(trials: int) -> "subprocess.Popen[str]":
        words = ["launch", "ray", cheap_experiment(trials=trials), "--out", out, "--files", files]
        through = f"http://127.0.0.1:{proxy.port}"
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *words, "--address", through], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", "launch", *words], env=environment, capture_output=True,
            text=True, timeout=600,
        )  # fmt: skip

    first = start(trials=5000)
    wait_for_records(out, 4, first)
    assert proxy.cut() > 0
    first.kill()  # the follower; the run goes on
    first.communicate()
    assert json.loads(ask("status", str(files), "--json").stdout)["state"] == "running"
    again = start(trials=5000)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 2
    assert "is at work" in err
    before = records_of(out)
    asked = ask("stop", str(files))
    assert asked.returncode == 0, asked.stderr
    followed = ask("log", str(files), "--follow")
    assert followed.returncode == 143, followed.stdout
    assert "Stopped. What is finished is kept" in followed.stdout
    assert json.loads(ask("status", str(files), "--json").stdout)["state"] == "stopped"
    done = records_of(out)
    assert before <= done < 5000

    second = start(trials=done + 4)
    wait_for_records(out, done + 1, second)
    assert proxy.cut() > 0
    told, err = second.communicate(timeout=600)
    assert second.returncode == 0, told + err
    whole = ask("log", str(files)).stdout
    assert told == whole, "every line once, though the connection was cut"
    keys = Counter((one.stage, one.variant, one.trial, one.seed) for one in read_records(out / "records.jsonl"))
    assert max(keys.values()) == 1
    assert sum(stage == "search" for stage, *_ in keys) == done + 4
    assert (out / "report" / "index.html").is_file()
    assert launched_at(files).out == str(out)
    kept = [path for folder in (files, out, tmp_path / "run.ray") for path in folder.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in path.read_bytes() for path in kept)
    assert TOKEN not in told + err


def test_a_head_that_is_gone_is_told(experiment: Path, tmp_path: Path) -> None:
    if find_spec("aiohttp") is None:
        pytest.skip("ray[default] is not installed (the extra `cluster`)")
    launched = launch_ray(experiment, "/there/run", address="http://127.0.0.1:1", files=tmp_path / "f", dry_run=True)
    values = json.loads((launched.folder / "launch.json").read_text(encoding="utf-8")) | {"job": "run-1"}
    (launched.folder / "launch.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InputError, match="No job server answers"):
        launch_log(launched.folder, follow=True)

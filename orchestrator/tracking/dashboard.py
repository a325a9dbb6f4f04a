"""optuna-dashboard over all studies of a run, on this machine alone, while it works or afterwards."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.of_a_run import check_run
from orchestrator.machine.progress import Reporter
from trainables.errors import InputError

HERE = "127.0.0.1"
EVERY = 5.0
"""Seconds between two looks into the journals."""
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def dashboard(run_folder: str | Path, *, port: int = 8080, reporter: Reporter | None = None) -> None:
    """Show the searches of the run in `run_folder` in optuna-dashboard, on loopback, until Ctrl-C; 0: any free port.

    All studies of all splits stand there, and what a run that works adds to them. They are copies in memory: nothing
    that is done there changes the run. InputError where the folder holds no run or no study, or the port is taken.
    """
    reporter = reporter or Reporter()
    with suppress(KeyboardInterrupt), serving(RunFolder(Path(run_folder).expanduser().absolute()), port) as address:
        reporter.say(f"optuna-dashboard: {address} (only from this machine; Ctrl-C ends it)")
        threading.Event().wait()


@contextmanager
def serving(folder: RunFolder, port: int) -> Iterator[str]:
    """Serve within; gives the address."""
    check_run(folder)
    if find_spec("optuna_dashboard") is None:
        raise InputError(
            "The package optuna-dashboard is not installed. Install it: pip install 'anomaly-orchestrator[dashboard]'."
        )
    from orchestrator.tracking.studies import RunStudies

    studies = RunStudies(folder)
    studies.update()
    if not studies.storage.get_all_studies():
        broken = f" ({len(studies.unreadable)} journals can't be read)" if studies.unreadable else ""
        raise InputError(f"{folder.root} holds no study yet{broken}: it is made when a search begins.")
    from optuna_dashboard import wsgi

    try:
        server = make_server(HERE, port, _of_this_machine(wsgi(studies.storage)), _Threads, _Silent)
    except OSError as error:
        raise InputError(f"Port {port} can't be had: {error.strerror}. Give another one: --port 0 takes any.") from None
    over = threading.Event()

    def renew() -> None:
        while not over.wait(EVERY):
            studies.update()

    threads = [threading.Thread(target=work, daemon=True) for work in (server.serve_forever, renew)]
    for thread in threads:
        thread.start()
    try:
        yield f"http://{HERE}:{server.server_port}/dashboard"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(10)


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line a request would hide the address."""


def _of_this_machine(app: App) -> App:
    """The same for those who ask for this machine by its own name: a page from elsewhere whose name is made to lead
    here is sent away."""

    def checked(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "").rpartition(":")[0] not in (HERE, "localhost"):
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Only from this machine."]
        return app(environ, start)

    return checked

"""Says so when Ray itself dies: it then ends this process from within, without a word."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Self

import psutil

from orchestrator.machine.session_folder import SessionFolder

EVERY = 2.0
"""Seconds between two looks."""
PATIENCE = 45.0
"""Seconds for which a cluster's head may not answer."""
SERVERS = {"gcs_server", "raylet"}
"""Without these nothing of Ray works."""
GO_ON = "What was written is safe: give the same command again, a run's with --resume."


class EngineWatch:
    """Looks after the servers of a Ray that this process started, or after the head of the cluster that it joined."""

    def __init__(self, cluster: str | None, folder: SessionFolder | None = None) -> None:
        """`cluster`: the address that was joined; None where Ray was started here, with its files in `folder`."""
        self._cluster = cluster
        self._folder = folder
        self._over = threading.Event()
        self._processes: set[psutil.Process] = set()
        self._silent_since: float | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> Self:
        """Begin to look."""
        if self._cluster is None:
            self._processes = _processes()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look no more: from here on, Ray may end."""
        self._over.set()
        self._thread.join()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Leave the cluster that was joined: with an end, for Ray waits minutes for a head whose cable is out."""
        over = threading.Timer(PATIENCE, self._give_up)
        over.daemon = True
        if self._cluster is not None:
            over.start()
        try:
            yield
        finally:
            over.cancel()

    def _give_up(self) -> None:
        _say(
            f"The cluster at {self._cluster} can't be left, since its head does not answer; this ends at once. {GO_ON}"
        )
        os._exit(1)

    def _work(self) -> None:
        while not self._over.wait(EVERY):
            if self._cluster is None:
                dead = _dead_servers()
                if dead:
                    # Ray would end this process too, up to a minute later; with what had died there is no way on.
                    words = "" if self._folder is None else self._folder.last_words()
                    said = f" What it said last:\n{words}\n" if words else " "
                    _say(f"Ray's {dead[0]} died, which ends this run.{said}{GO_ON}")
                    for process in self._processes | _processes():
                        with suppress(psutil.Error):
                            process.kill()
                    if self._folder is not None:
                        self._folder.remove()
                    os._exit(1)
            else:
                self._look_at_head()

    def _look_at_head(self) -> None:
        """Say that the head does not answer, and end the run where it does not for long: Ray would, later or never."""
        if _head_answers():
            if self._silent_since is not None:
                _say(f"The head of the cluster at {self._cluster} answers again.")
            self._silent_since = None
            return
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            _say(
                f"The head of the cluster at {self._cluster} does not answer. Unless it comes back within a minute, "
                f"this run ends. {GO_ON}"
            )
        elif now - self._silent_since >= PATIENCE:
            _say(f"The head of the cluster at {self._cluster} did not come back, which ends this run. {GO_ON}")
            os._exit(1)


def _dead_servers() -> list[str]:
    from ray._private import worker

    node = worker._global_node
    return [] if node is None else [kind for kind, _ in node.dead_processes() if kind in SERVERS]


def _processes() -> set[psutil.Process]:
    """Those of the Ray that was started here, and theirs: once their parent has died they can't be found any more."""
    from ray._private import worker

    node, found = worker._global_node, set[psutil.Process]()
    servers: dict[str, list[Any]] = {} if node is None else node.all_processes
    for one in chain.from_iterable(servers.values()):
        with suppress(psutil.Error):
            process = psutil.Process(one.process.pid)
            found |= {process, *process.children(recursive=True)}
    return found


def _head_answers() -> bool:
    from ray._private import worker
    from ray.exceptions import RpcError

    try:
        worker.global_worker.gcs_client.internal_kv_exists(b"any", b"any", timeout=5)  # type: ignore[attr-defined]
    except RpcError:
        return False
    return True


def _say(text: str) -> None:
    with suppress(OSError):  # nobody may read it any more
        print(f"\n{text}", file=sys.stderr, flush=True)

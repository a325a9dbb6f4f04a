"""What tests of watching and streaming share: a watch in a thread, a process, and waiting."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from orchestrator.machine.progress import Reporter
from orchestrator.using.live.watch import watch


class Heard(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []
        self.raised: list[BaseException] = []
        """What ended the watch."""

    def say(self, text: str) -> None:
        self.said.append(text)


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until something is true; an error where it never is."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)


@contextmanager
def watching(model: Path, folder: Path, out: Path, **options: Any) -> Iterator[tuple[list[dict[str, Any]], Heard]]:
    """Watch in a thread: the lines, and what is said. What ends the watch is raised here."""
    stop, lines, heard = Event(), list[dict[str, Any]](), Heard()

    def work() -> None:
        try:
            watch(model, folder, out, on_row=lines.append, stop=stop, reporter=heard, **options)
        except BaseException as error:
            heard.raised.append(error)

    thread = Thread(target=work)
    thread.start()
    try:
        until(lambda: bool(heard.raised) or any("Watching" in one for one in heard.said))
        yield lines, heard
    finally:
        stop.set()
        thread.join()
    if heard.raised:
        raise heard.raised[0]


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start the command as a process of its own, which the test's end kills."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "orchestrator.cli", *map(str, arguments)]
        one = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(one)
        return one

    yield start
    for one in processes:
        one.kill()
        one.communicate()

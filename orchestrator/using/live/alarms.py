"""The user's command for each anomaly: run after its line is on the disk, at least once, and never in the way."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

from orchestrator.using.live.arrivals import Stamp
from trainables.errors import InputError
from trainables.files import append_line
from trainables.printing import printable

RUN = ".commands.jsonl"
"""What stands beside the results: a line a command that has ended, and how."""
GRACE = 5.0
"""Seconds that a command has to end after it was asked to."""


def command_of(text: str) -> list[str]:
    """The words of a command. InputError where there is none, or no such program."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"--exec {text!r} can't be split into words: {error}. Check its quotes.") from None
    if not words:
        raise InputError("--exec is empty. Give a command, or leave it out.")
    if shutil.which(words[0]) is None:
        raise InputError(f"--exec: there is no program {words[0]!r}. Give its whole path, or check the name.")
    return words


class Alarms:
    """Runs a command for one line after the other, in a thread of its own."""

    def __init__(self, words: list[str], seconds: float, results: Path, say: Callable[[str], object]) -> None:
        """`seconds`: that a command may take. `results`: the file whose lines the commands are for."""
        self._words, self._seconds, self._say = words, seconds, say
        self._results, self._path = results, results.with_name(results.name + RUN)
        self._lines = SimpleQueue[tuple[str, dict[str, Any]] | None]()
        self._stop = Event()
        self._error: OSError | None = None
        self._thread = Thread(target=self._work, daemon=True, name="commands")
        self._thread.start()

    def run_before(self) -> set[tuple[str, Stamp]]:
        """For which lines, by path and stamp of the file, the command ended, in earlier starts too."""
        run: set[tuple[str, Stamp]] = set()
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            for text in file:
                with suppress(ValueError, KeyError, TypeError):  # an unfinished last line
                    told = json.loads(text)
                    run.add((told["path"], Stamp(told["size"], told["mtime_ns"])))
        return run

    def put(self, path: str, line: dict[str, Any]) -> None:
        """Have the command run for a file and its line of the results. InputError where an earlier end could not be
        noted."""
        if self._error is not None:
            raise InputError(
                f"{self._path} can't be written: {self._error.strerror}. Make room, then go on with the same command."
            )
        self._lines.put((path, line))

    def finish(self, wait: bool) -> None:
        """Wait for the command that runs; `wait`: for all."""
        if not wait:
            self._stop.set()
        self._lines.put(None)
        while self._thread.is_alive():
            self._thread.join(0.2)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                given = self._lines.get(timeout=1.0)
            except Empty:
                continue
            if given is None or self._stop.is_set():
                return
            path, line = given
            began = time.monotonic()
            ended = self._run(path, line)
            kept = {key: line[key] for key in ("path", "size", "mtime_ns", "verdict")}
            try:
                append_line(self._path, json.dumps({**kept, "ended": ended, "seconds": time.monotonic() - began}))
            except OSError as error:
                self._error = error
                return
            if ended != "0":
                self._say(f"The command for {printable(line['path'])} ended with {ended}.")

    def _run(self, path: str, line: dict[str, Any]) -> str:
        """How it ended: its exit code, or in words why it has none."""
        words = [word.replace("{}", path) for word in self._words]
        if words == self._words:
            words.append(path)
        told = {
            "path": path,
            "verdict": line["verdict"],
            "score": line.get("score"),
            "threshold": line.get("threshold"),
        }
        told["probability"] = line.get(f"probability_{line['verdict']}")
        own = {f"ORCHESTRATOR_{key.upper()}": f"{value}" for key, value in told.items() if value is not None}
        own["ORCHESTRATOR_RESULTS"] = str(self._results)
        try:
            # A group of its own: Ctrl-C is for this process, and what runs too long ends with all it has started.
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=2, env={**os.environ, **own}, start_new_session=True
            )
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        try:
            return str(process.wait(self._seconds))
        except subprocess.TimeoutExpired:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
                    break
            return f"no end within {self._seconds:g} s"

"""The progress line: what it says, and when it says nothing."""

import subprocess
import sys

import pytest

from orchestrator.machine import progress
from orchestrator.machine.progress import Reporter, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (42.4, "42 s"), (89, "89 s"), (120, "2 min"), (7500, "2 h 05 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_gets_a_line_a_while_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Reporter().line("search [x]", 10, "trials") as line:
        for done in range(11):
            line.update(done, "best 0.5")
            now[0] += 10.0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "search [x]: 3/10 trials  best 0.5  left 70 s"
    assert said[-1] == "search [x]: 10/10 trials in 110 s  best 0.5"
    assert len(said) == 4


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(quiet=True)
    reporter.say("hello")
    with reporter.line("x", 2, "y") as line:
        line.update(2)
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_goes_away_ends_nothing() -> None:
    program = """
from orchestrator.machine.progress import Reporter
reporter = Reporter()
reporter.say("first")
input()
with reporter.line("search", 2, "trials") as line:
    line.update(2)
reporter.say("last")
print("done")
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "first\n"
        process.stderr.close()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "done\n"
    assert process.returncode == 0

"""The progress line: what it says, and when it says nothing."""

import heapq
import subprocess
import sys
from random import Random

import pytest

from orchestrator.artifacts.at_work import AtWork
from orchestrator.machine import progress
from orchestrator.machine.progress import Line, Reporter, at_work_text, duration


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


def test_what_is_waited_for_is_said_at_once_and_then_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Reporter().line("search", 10, "trials") as line:
        for _ in range(70):
            line.waits("waits for a node")
            line.running(())
            now[0] += 1.0
        line.waits("")
        line.update(10, "best 0.5")
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["search: 0/10 trials  waits for a node"] * 2
    assert said[-1] == "search: 10/10 trials in 70 s  best 0.5"
    assert len(said) == 3


class Clock:
    """A monotonic clock that tests set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def seconds_left(line: Line) -> float:
    text = line.time_left
    number, unit = text.removeprefix("left ").split() if text else ("0", "s")
    return float(number) * (60 if unit == "min" else 1)


def test_what_is_left_runs_down_between_two_updates_and_is_never_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    line = Line("search", 3, "trials", None, None)
    line.update(0)
    assert line.time_left == ""
    clock.now += 600
    line.update(1)
    assert line.time_left == "left 20 min"
    clock.now += 1197
    assert line.time_left == "left 3 s"
    clock.now += 600
    assert line.time_left == ""


def test_one_long_trial_shows_its_epochs_and_what_is_left_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with Reporter().line("search vae", 2, "trials") as line:
        line.update(0)
        for second in range(0, 100, 2):
            clock.now += 2
            epoch = second // 20
            each = None if not epoch else 20.0
            best = None if not epoch else 0.5 + epoch / 10
            line.running([AtWork("vae", "trial", 0, 30, second, epoch, each, best)])
        line.update(1, "best roc_auc 0.9", seconds_left=600)
        clock.now += 40
        line.running([AtWork("vae", "trial", 1, 30, 40.0, 2, 20.0, 0.7)])
    assert capsys.readouterr().err.splitlines() == [
        "search vae: 0/2 trials  trial 0: epoch 1/30, 20.0 s each, best 0.6000  left at most 20 min",
        "search vae: 0/2 trials  trial 0: epoch 2/30, 20.0 s each, best 0.7000  left at most 19 min",
        "search vae: 0/2 trials  trial 0: epoch 4/30, 20.0 s each, best 0.9000  left at most 19 min",
        # What has ended tells it better than epochs do.
        "search vae: 1/2 trials  best roc_auc 0.9  trial 1: epoch 2/30, 20.0 s each, best 0.7000  left 9 min",
        "search vae: 1/2 trials in 140 s  best roc_auc 0.9",
    ]


def test_of_many_trainings_the_first_are_named() -> None:
    many = [AtWork("vae", "seed", number, 30, 95.0, number, 90.0 if number else None) for number in range(5)]
    assert at_work_text(many) == "seed 0: first epoch, 2 min so far; seed 1: epoch 1/30, 2 min each; 3 more"


@pytest.mark.parametrize("at_once", [1, 2, 8, 16])
@pytest.mark.parametrize("earlier", [0, 7])
def test_trials_beside_each_other_are_not_reckoned_one_by_one(
    monkeypatch: pytest.MonkeyPatch, at_once: int, earlier: int
) -> None:
    """Trials of 60 to 120 s, a scheduler's cut ones of 20 s among the later: the estimate is of the truth's size."""
    random = Random(at_once)
    lengths = [random.uniform(60, 120) if number < 16 else 20.0 for number in range(48)]
    free, ends = [0.0] * at_once, []
    for length in lengths:
        start = heapq.heappop(free)
        heapq.heappush(free, start + length)
        ends.append(start + length)
    clock = Clock(monkeypatch)
    line = Line("search", earlier + len(ends), "trials", None, None, at_once=at_once)
    line.update(earlier)
    for count, end in enumerate(sorted(ends), 1):
        clock.now = 100.0 + end
        line.update(earlier + count)
        left = max(ends) - end
        # Nobody knows beforehand that later trials are cut short; once some were, or near the end, it shows.
        assert seconds_left(line) <= 4.5 * left + 90
        if count > 40:
            assert seconds_left(line) <= 2 * left + 60
        if count < 16:
            assert seconds_left(line) >= left / 3


def test_the_time_that_a_stage_may_take_is_the_most_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    line = Line("search", 1000, "trials", None, None, seconds=80)
    line.update(0)
    clock.now += 60
    line.update(1)
    assert line.time_left == "left 20 s"


def test_what_the_caller_knows_is_shown_and_seen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    line = Line("evaluate", 4, "models", None, None)
    line.update(0)
    clock.now += 10
    line.update(2, seconds_left=600)
    assert line.time_left == "left 10 min"
    clock.now += 5
    line.expect(900, at_least=True)
    assert line.time_left == "left more than 15 min"
    line.update(3, seconds_left=60)
    assert line.time_left == "left 60 s"


def test_no_more_is_done_than_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Clock(monkeypatch)
    with Reporter().line("search", 2, "trials") as line:
        line.update(3)
        assert line.time_left == ""
    assert "3/3 trials" in capsys.readouterr().err


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

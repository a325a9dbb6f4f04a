"""Signals: once waits for the epoch's end within a gentle stage, twice ends at once."""

import os
import signal
from pathlib import Path

import pytest

from orchestrator.machine.progress import Reporter
from orchestrator.machine.stopping import Stop, Stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_marks_and_is_raised_at_the_end_of_the_stage(tmp_path: Path, number: signal.Signals) -> None:
    done = []

    def stage(stop: Stop) -> None:
        with stop.gently():
            os.kill(os.getpid(), number)
            assert stop.mark.exists()
            done.append("the rest of the stage")

    with Stop(tmp_path / "stop", Reporter(quiet=True)) as stop, pytest.raises(Stopped) as stopped:
        stage(stop)
    assert done
    assert stopped.value.number == number


def test_twice_ends_at_once(tmp_path: Path) -> None:
    done = []

    def stage(stop: Stop) -> None:
        with stop.gently():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the rest of the stage")

    with Stop(tmp_path / "stop", Reporter(quiet=True)) as stop, pytest.raises(Stopped):
        stage(stop)
    assert not done


def test_outside_a_gentle_stage_once_ends_at_once(tmp_path: Path) -> None:
    with Stop(tmp_path / "stop", Reporter(quiet=True)) as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert not stop.mark.exists()


def test_a_mark_of_an_earlier_run_is_removed_and_the_handlers_are_put_back(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    before = signal.getsignal(signal.SIGTERM)
    with Stop(tmp_path / "stop", Reporter(quiet=True)) as stop, stop.gently():
        assert not stop.mark.exists()
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before

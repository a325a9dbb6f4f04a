"""A worker that dies between two trials: the next one, which Tune gives up, is run all the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.artifacts.records import TrialRecord, read_records
from orchestrator.stages.ended_trials import EndedTrials

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


def kill_workers() -> None:
    """Those of Tune's trials; the one that has just reported waits for the next trial."""
    killed = []
    for child in psutil.Process().children(recursive=True):
        if " ".join(child.cmdline()).startswith("ray::ImplicitFunc"):
            child.kill()
            killed.append(child)
    assert killed
    psutil.wait_procs(killed, timeout=20)


@pytest.mark.parametrize("deaths", [[1], [0, 1, 2]])
def test_no_trial_is_lost_with_it(
    cheap_experiment: Callable[..., Path],
    tmp_path: Path,
    orchestrate: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    deaths: list[int],
) -> None:
    file = cheap_experiment(trials=5, concurrent=1)
    write, found = EndedTrials.write, []

    def then_kill(self: EndedTrials, record: TrialRecord, *scores: Any) -> TrialRecord:
        written = write(self, record, *scores)
        if record.trial in deaths:
            kill_workers()
        return written

    for name in ("whole", "killed"):
        ended = orchestrate("sweep", file, "--out", tmp_path / name, "--until", "search", "--quiet")
        assert ended.code == 0, ended.err
        records = read_records(tmp_path / name / "records.jsonl")
        found.append([(one.trial, one.status, one.config, one.metrics) for one in records])
        monkeypatch.setattr(EndedTrials, "write", then_kill)
    assert [number for number, *_ in found[0]] == list(range(5))
    assert found[0] == found[1]

"""A search of more trials than one Tuner runs: the same trials as if one had run them all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts.records import read_records
from orchestrator.search import run_study

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]


def test_many_tuners_run_what_one_does(
    cheap_experiment: Callable[..., Path],
    tmp_path: Path,
    orchestrate: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = cheap_experiment(trials=5, concurrent=1)
    tuners: list[int] = []
    run_once = run_study._run

    def counted(*arguments: Any) -> bool:
        tuners.append(1)
        return run_once(*arguments)

    monkeypatch.setattr(run_study, "_run", counted)
    found = []
    for name, at_once in (("one", 1000), ("many", 2)):
        monkeypatch.setattr(run_study, "AT_ONCE", at_once)
        ended = orchestrate("sweep", file, "--out", tmp_path / name, "--until", "search", "--quiet")
        assert ended.code == 0, ended.err
        records = read_records(tmp_path / name / "records.jsonl")
        found.append([(one.trial, one.status, one.config, one.metrics) for one in records])
    assert len(tuners) == 1 + 3
    assert found[0] == found[1]
    assert [number for number, *_ in found[0]] == list(range(5))

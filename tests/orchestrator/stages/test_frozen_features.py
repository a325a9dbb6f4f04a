from pathlib import Path
from typing import Any

import pytest

from orchestrator import Experiment, read_records, run
from orchestrator.stages import frozen_features
from tests.builders.told import Told
from trainables.cache import Cache


def experiment(data: Path, family: str = "plot_classifier", **fixed: Any) -> Experiment:
    return Experiment.from_mapping(
        {
            "data": {"path": str(data), "size": 32, "style": "plain"},
            "families": [{"family": family, "fixed": {"backbone": "resnet18", "weights": "none", **fixed}}],
            "budget": {"trials": 2, "epochs": 2},
            "seeds": [0],
        }
    )


class Titled(Told):
    """Remembers the stages' lines, too."""

    def line(self, title: str, *given: Any, **keys: Any) -> Any:
        self.lines.append(title)
        return super().line(title, *given, **keys)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("ORCHESTRATOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(frozen_features, "WORTH", 1)
    return Cache(tmp_path / "cache")


def kept(cache: Cache) -> list[set[bytes]]:
    """The identities of the pictures in each entry."""
    found = []
    for one in cache.listed():
        entry = cache.entry("features", one.about)
        parts = [entry.read(part) for part in entry.parts()]
        found.append({bytes(each) for part in parts if part is not None for each in part["ids"]})
    return found


@pytest.mark.usefixtures("ray_session")
def test_features_are_computed_before_the_search_and_found_by_all(
    series_tree: Path, tmp_path: Path, cache: Cache
) -> None:
    told = Titled()
    head = experiment(series_tree, train_layers="head")
    run(head, tmp_path / "run", until="search", reporter=told)
    assert any("features plot_classifier" in line for line in told.lines)
    (before,) = kept(cache)
    assert len(before) == 42 - 6, "no picture of the test part"
    again = Titled()
    run(head, tmp_path / "run", resume=True, until="evaluate", reporter=again)
    assert not any("features" in line for line in again.lines)
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    assert [one.status for one in records] == ["completed"] * 3


@pytest.mark.usefixtures("ray_session")
def test_without_room_the_search_goes_on_and_says_so(
    series_tree: Path, tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_CACHE_GB", "0")
    told = Titled()
    run(experiment(series_tree, train_layers="head"), tmp_path / "run", until="search", reporter=told)
    assert any("the cache's limit is reached" in line and "orchestrate cache ls" in line for line in told.lines)
    records = list(read_records(tmp_path / "run" / "records.jsonl"))
    assert [one.status for one in records] == ["completed"] * 2
    assert "the cache's limit is reached" in records[0].facts.get("features", ""), records[0].facts
    assert kept(cache) in ([], [set()])


@pytest.mark.usefixtures("ray_session")
def test_what_is_trained_whole_has_no_such_stage(series_tree: Path, tmp_path: Path, cache: Cache) -> None:
    told = Titled()
    run(experiment(series_tree), tmp_path / "run", until="search", reporter=told)
    assert not any("features" in line for line in told.lines)
    assert cache.listed() == []

from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator import Experiment, read_records, run
from orchestrator.families import family_row
from orchestrator.scoring.judge import Judge
from orchestrator.stages import frozen_features
from orchestrator.stages.frozen_features import FillFeatures
from tests.builders.told import Told
from trainables.cache import Cache
from trainables.interface import Problem
from trainables.testing import make_samples
from trainables.training.trial import Job


def experiment(data: Path, family: str = "plot_classifier", **fixed: Any) -> Experiment:
    return Experiment.from_mapping(
        {
            "data": {"path": str(data), "size": 32, "style": "plain"},
            "families": [{"family": family, "fixed": {"backbone": "resnet18", "weights": "none", **fixed}}],
            "budget": {"trials": 1, "epochs": 2},
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
    (found,) = kept(cache)  # the trial has added no other
    assert len(found) == 42 - 6, "no picture of the test part"
    assert [one.status for one in read_records(tmp_path / "run" / "records.jsonl")] == ["completed"]


@pytest.mark.usefixtures("ray_session")
def test_without_room_it_is_told_why_and_what_is_trained_whole_has_none(tmp_path: Path) -> None:
    samples = make_samples(12, 1)
    problem = Problem(samples.classes, (32, 32, 3), 1, cache=Cache(tmp_path, most_bytes=0))
    family = family_row("plot_classifier").family
    job = Job(family, problem, samples, samples, Judge("classification"), "accuracy", "max", None, 1)
    config = {"backbone": "resnet18", "weights": "none", "train_layers": "head"}
    worker = FillFeatures(ray.put(job), config, 0)
    done, trouble = worker.fill(("train", [0, 1, 2]))
    assert (done, "the cache's limit is reached" in trouble) == (0, True)
    assert family.frozen is not None
    assert family.frozen(job.build({**config, "train_layers": "all"}, 0), samples) is None

"""A run's winner, a variant of it, or a model's own folder: which kept model is meant."""

from pathlib import Path

import pytest
from builders.kept_models import run_with

from orchestrator import InputError
from orchestrator.artifacts.models import NOTE
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.using.chosen_model import choose_model
from trainables.speed import Speed

FIGURES = {
    "a": {0: (0.9, 0.5), 1: (0.8, 0.9)},
    "b": {0: (0.6, 0.8), 1: (0.7, 0.75), 2: (0.7, 0.7)},
}
"""On validation and on test: b wins by its mean on test; of its seeds 1 is the first of the best on validation."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = run_with(tmp_path / "run", FIGURES, "macro_f1", "pca_logistic")
    for variant, seeds in FIGURES.items():
        for seed in seeds:
            note = RunFolder(root).model(variant, seed) / NOTE
            note.parent.mkdir(parents=True)
            note.write_text("{}", encoding="utf-8")
    return root


def test_a_run_means_its_winner_and_of_that_the_seed_that_validation_prefers(run: Path) -> None:
    chosen = choose_model(run)
    assert chosen.folder == RunFolder(run).model("b", 1)
    assert "winner by macro_f1" in chosen.why
    assert "seed 1, the best on validation" in chosen.why
    assert [one.name for one in chosen.members] == ["0", "1", "2"]


def test_a_variant_and_a_seed_can_be_named(run: Path) -> None:
    assert choose_model(f"{run}:a").folder == RunFolder(run).model("a", 0)
    assert choose_model(f"{run}:a", seed=1).folder == RunFolder(run).model("a", 1)
    assert choose_model(run, seed=2).folder == RunFolder(run).model("b", 2)


def test_a_model_s_own_folder_is_itself_beside_its_other_seeds(run: Path) -> None:
    folder = RunFolder(run).model("b", 2)
    chosen = choose_model(folder)
    assert chosen.folder == folder
    assert len(chosen.members) == 3
    with pytest.raises(InputError, match="one model, of one seed"):
        choose_model(folder, seed=1)


def test_what_is_no_model_is_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no model\. Give a run's folder"):
        choose_model(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no evaluated variant 'c'\. It has: a, b"):
        choose_model(f"{run}:c")
    with pytest.raises(InputError, match=r"has no b of seed 7\. Its seeds: 0, 1, 2"):
        choose_model(f"{run}:b", seed=7)
    with pytest.raises(InputError, match="holds no run and no kept model"):
        choose_model(tmp_path)


def test_the_winner_keeps_to_the_experiment_s_limits(tmp_path: Path) -> None:
    slow = Speed(latency_ms=50.0, memory=10, device="a", threads=1)
    quick = slow.model_copy(update={"latency_ms": 5.0})
    objective = {"constraints": {"latency_ms": 20}}
    figures = {"slow": {0: (0.9, 0.9)}, "quick": {0: (0.5, 0.5)}}
    speeds = {"slow": slow, "quick": quick}
    run = run_with(tmp_path / "a", figures, "macro_f1", "pca_logistic", objective=objective, speeds=speeds)
    assert choose_model(run).folder == RunFolder(run).model("quick", 0)
    both = run_with(
        tmp_path / "b", figures, "macro_f1", "pca_logistic", objective=objective, speeds=dict.fromkeys(figures, slow)
    )
    with pytest.raises(InputError, match="keeps to its limits"):
        choose_model(both)
    assert choose_model(f"{both}:slow").folder == RunFolder(both).model("slow", 0)

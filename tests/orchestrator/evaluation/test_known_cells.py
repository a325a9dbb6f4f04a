"""Which cells spare which others their training."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.artifacts.records import TrialRecord
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.known_cells import KnownCells
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import Goal
from orchestrator.experiment.settings import Setting

EXPERIMENT = Experiment.from_mapping(
    {"data": {"path": "x", "layout": "mvtec"}, "families": ["pca", "patch_knn", "vae"], "budget": {"epochs": 5}}
)


def goal(metric: str) -> Goal:
    mode: Any = "min" if metric == "validation_loss" else "max"
    return Goal("detection", "good", metric, mode, "roc_auc", ("youden", "max_normal"), anomalies=True)


def cell(family: str, seed: int = 0, strategy: str = "youden", variant: str = "", **config: Any) -> Cell:
    setting = Setting(family=family, config=config, size=(32, 32), epochs=5, strategy=strategy)
    return Cell(setting=setting, variant=variant or family, seed=seed, patience=None, data="d", split="s")


def done(one: Cell, code: str = "now", **changes: Any) -> TrialRecord:
    origin = dict.fromkeys(("experiment", "device", "host", "finished", "data", "split"), "")
    values: dict[str, Any] = {
        "stage": "evaluation", "family": one.setting.family, "variant": one.variant, "trial": 0, "seed": one.seed,
        "split": "test", "config": one.setting.config, "cell": one.key, "status": "completed", "seconds": 9.0,
        "threshold": {"strategy": one.setting.strategy, "value": 1.0},
        "provenance": {**origin, "packages": {}, "code": code},
    }  # fmt: skip
    return TrialRecord.model_validate({**values, **changes})


def known(*records: TrialRecord, metric: str = "roc_auc") -> KnownCells:
    return KnownCells(EXPERIMENT, goal(metric), records, "now")


def test_without_randomness_one_model_serves_every_seed() -> None:
    found = known(done(cell("pca")), done(cell("vae")))
    assert found.model_of(cell("pca")) == found.model_of(cell("pca", 1))
    assert found.model_for(cell("pca", 1)) == done(cell("pca"))
    assert found.model_of(cell("vae")) != found.model_of(cell("vae", 1))
    assert found.model_for(cell("vae", 1)) is None
    assert known(done(cell("pca"), code="before")).model_for(cell("pca", 1)) is None, "it may have been random then"
    assert known(done(cell("pca"), code="before")).model_for(cell("pca")) is not None


def test_of_seeds_the_one_that_was_trained_serves() -> None:
    copy, trained = done(cell("pca", 1), trained=False), done(cell("pca", 2))
    assert known(copy, trained).model_for(cell("pca", 3)) == trained
    assert known(copy, trained).model_for(cell("pca", 1)) == copy


def test_what_is_judged_alike_comes_before_another_strategy() -> None:
    same, other = done(cell("pca", 1)), done(cell("pca", 0, "max_normal"))
    assert known(other, same).model_for(cell("pca")) == same
    assert known(other).model_for(cell("pca")) == other
    judged = done(cell("pca", 0, "max_normal", variant="a"), trained=False)
    trained = done(cell("pca", 0, "percentile(95)", variant="b"))
    assert known(judged, trained).model_for(cell("pca")) == trained


def test_a_strategy_that_chooses_the_epoch_needs_a_model_of_its_own_where_there_are_several_epochs() -> None:
    of_vae, of_pca = done(cell("vae")), done(cell("pca"))
    for metric, shared in (("balanced_accuracy", False), ("roc_auc", True)):
        found = known(of_vae, of_pca, metric=metric)
        assert (found.model_for(cell("vae", strategy="max_normal")) == of_vae) is shared
        assert (found.model_of(cell("vae", strategy="max_normal")) == found.model_of(cell("vae"))) is shared
        assert found.model_for(cell("pca", strategy="max_normal")) == of_pca


def test_weights_serve_what_predicts_otherwise_from_them_where_the_epoch_is_the_same() -> None:
    of_knn = done(cell("patch_knn", smoothing=1.0, strategy="max_normal"))
    of_vae = done(cell("vae"))
    for metric, shared in (("roc_auc", False), ("balanced_accuracy", False), ("validation_loss", True)):
        found = known(of_knn, of_vae, metric=metric)
        ours = cell("vae", score="reconstruction_kl")
        assert (found.weights_for(ours) == of_vae) is shared
        assert (found.weights_of(ours) == found.weights_of(cell("vae"))) is shared
        assert found.weights_for(cell("patch_knn", reweighting=True)) == of_knn
        assert found.weights_for(cell("patch_knn", 1, reweighting=True)) is None
        assert found.weights_for(cell("patch_knn", coreset_share=0.5)) is None
        assert found.model_for(cell("patch_knn", reweighting=True)) is None


@pytest.mark.parametrize("changes", [{"split": "t"}, {"patience": 3}])
def test_other_data_and_other_patience_are_other_weights(changes: dict[str, Any]) -> None:
    found = known(done(cell("patch_knn")), done(cell("pca")))
    assert found.weights_for(replace(cell("patch_knn", reweighting=True), **changes)) is None
    assert found.model_for(replace(cell("pca", 1), **changes)) is None


def test_what_ends_is_known_from_then_on() -> None:
    found = known()
    assert found.model_for(cell("pca", 1)) is None
    found.add(done(cell("pca"), status="failed"))
    assert found.model_for(cell("pca", 1)) is None
    found.add(done(cell("pca")))
    assert found.model_for(cell("pca", 1)) is not None


def test_of_a_folder_that_another_cell_takes_the_old_one_is_known_no_more() -> None:
    before, after = cell("vae", latent_dim=8), cell("vae", latent_dim=16)
    found = known(done(before))
    assert found.model_for(before) is not None
    found.add(done(after))
    assert found.model_for(before) is None
    assert found.model_for(after) is not None

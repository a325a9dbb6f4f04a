"""What every family of the table promises, whatever it is inside."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.families import FAMILIES, Row
from search_spaces.overrides import example_configs, parameter_names
from trainables.interface import Problem
from trainables.testing import FamilyContract, assert_same, make_samples

SMALL: dict[str, dict[str, Any]] = {
    "conv_autoencoder": {"architecture": "B", "batch_size": 8, "plateau_patience": 0},
    "feature_autoencoder": {
        "backbone": "shufflenet_v2_x0_5",
        "weights": "none",
        "layers": [1, 2],
        "grid": 8,
        "latent_dim": 4,
        "batch_size": 8,
        "plateau_patience": 0,
    },
    "pca": {"components": 4, "crop": 0.8, "blur": 0.5},
    "patch_knn": {
        "backbone": "shufflenet_v2_x0_5",
        "weights": "none",
        "layers": "1+2",
        "most_patches": 40,
        "reweighting": True,
    },
    "pca_logistic": {"thumbnail": 16, "components": 8},
    "plot_classifier": {
        "backbone": "shufflenet_v2_x0_5",
        "weights": "none",
        "batch_size": 8,
        "augmentation": 0.5,
        "flip_left_right": True,
        "plateau_patience": 0,
    },
    "vae": {"latent_dim": 8, "score": "reconstruction_kl", "batch_size": 8, "plateau_patience": 0},
    "vae_transfer": {
        "vae_architecture": "small_conv",
        "vae_latent_dim": 8,
        "vae_epochs": 2,
        "vae_batch_size": 8,
        "batch_size": 8,
        "plateau_patience": 0,
    },
}
"""What keeps a family quick here, while every random part of it is switched on."""


def contract(row: Row) -> type[FamilyContract]:
    """The suite for one family of the table."""
    held = {"family": row.family, "config": SMALL[row.name]}
    return type(f"Test_{row.name}", (FamilyContract,), held)


for one in FAMILIES.values():
    globals()[f"Test_{one.name}"] = contract(one)


OTHERWISE: dict[str, dict[str, Any]] = {
    "patch_knn": {"reweighting": False, "smoothing": 0.0},
    "vae": {"score": "reconstruction"},
}
"""Other values of the keys that change no weights than SMALL has."""


@pytest.fixture(params=sorted(FAMILIES))
def row(request: pytest.FixtureRequest) -> Row:
    return FAMILIES[request.param]


def test_config_keys_fit_the_search_space(row: Row) -> None:
    config = row.family.config
    assert set(parameter_names(row.suggest)) <= config.model_fields.keys()
    for example in example_configs(row.suggest, {}, {}):
        assert config(**example).model_dump().items() >= example.items()


def test_its_keys_are_those_that_are_known_without_torch(row: Row) -> None:
    assert row.config is row.family.config
    assert row.config.__module__ == f"trainables.configurations.{row.name}"


def test_names_and_files_agree(row: Row) -> None:
    assert (row.family.name, row.family.task) == (row.name, row.task)
    assert row.summary
    tests = Path(__file__).parents[1]
    for room in ("trainables", "search_spaces"):
        assert (tests / room / f"test_{row.name}.py").is_file()
        assert (tests.parent / room / f"{row.name}.py").is_file()


def test_scoring_keys_change_what_is_predicted_and_no_weights(row: Row) -> None:
    family, other = row.family, OTHERWISE.get(row.name, {})
    assert set(family.scoring_keys) == other.keys()
    if not other:
        return
    train, validation = (make_samples(25, 1, detection=True, normal_only=True), make_samples(12, 2, detection=True))
    problem = Problem(train.classes, (32, 32, 3), 2)
    ours, theirs = (
        family.build(family.config(**config), problem, 0) for config in (SMALL[row.name], SMALL[row.name] | other)
    )
    epochs, same = list(ours.fit(train, validation)), list(theirs.fit(train, validation))
    assert_same(ours.weights(), theirs.weights())
    assert not np.array_equal(ours.predict(validation).scores, theirs.predict(validation).scores)
    if not family.single_epoch:  # the loss may choose the epoch
        assert [one.losses for one in epochs] == [one.losses for one in same]

"""How a cell is found again."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.artifacts.records import TrialRecord
from orchestrator.evaluation.cells import Cell, key_of, standing
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.settings import Setting

SETTING = Setting(
    family="pca", config={"components": 8, "crop": 0.9}, size=(32, 32), epochs=2, strategy="youden", trial=3
)
CELL = Cell(setting=SETTING, variant="v", seed=0, patience=10, data="d", split="s")
EXPERIMENT = Experiment.from_mapping(
    {
        "data": {"path": "x", "layout": "mvtec", "size": 32},
        "families": [{"name": "v", "family": "pca"}],
        "budget": {"epochs": 2},
    }
)


def record(**changes: Any) -> TrialRecord:
    origin = dict.fromkeys(("experiment", "code", "device", "host", "finished"), "")
    values: dict[str, Any] = {
        "stage": "evaluation",
        "family": "pca",
        "variant": "v",
        "trial": 3,
        "seed": 0,
        "split": "test",
        "config": SETTING.config,
        "threshold": {"strategy": "youden", "value": 1.0},
        "status": "completed",
        "seconds": 1.0,
        "provenance": {**origin, "packages": {}, "data": "d", "split": "s"},
    }
    return TrialRecord.model_validate({**values, **changes})


def changed(**changes: Any) -> Cell:
    of_setting = {name: changes.pop(name) for name in list(changes) if hasattr(SETTING, name)}
    return replace(CELL, setting=replace(SETTING, **of_setting), **changes)


def test_the_key_is_sixteen_hex_digits_that_never_change() -> None:
    assert CELL.key == "9d1c3dca7c8e9b6e"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"variant": "w"},
        {"trial": 0},
        {"stage": "ablation"},
        {"config": {"crop": 0.9, "components": 8}},
        {"config": {"components": 8, "crop": 0.9, "blur": 0.0, "thumbnail": None, "grey": False}},
        {"config": {"components": 8.0, "crop": 0.9, "blur": 0}},
    ],
)
def test_what_does_not_decide_the_result_leaves_the_key(changes: dict[str, Any]) -> None:
    assert changed(**changes).key == CELL.key


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"components": 9, "crop": 0.9}},
        {"size": (32, 24)},
        {"epochs": 3},
        {"patience": None},
        {"workers": 2},
        {"data": "e"},
        {"split": "t"},
        {"strategy": "max_normal"},
        {"family": "conv_autoencoder", "config": {}},
    ],
)
def test_what_decides_the_result_changes_the_key(changes: dict[str, Any]) -> None:
    assert changed(**changes).key != CELL.key


def test_cells_that_differ_in_the_strategy_alone_share_their_training() -> None:
    other = changed(strategy="max_normal")
    assert other.training == CELL.training
    assert other.key_with("youden") == CELL.key


def test_layers_are_one_configuration_in_either_writing() -> None:
    ours, theirs = (
        changed(family="feature_autoencoder", config={"layers": layers, "input": "rgbd"}) for layers in ([2, 3], "3+2")
    )
    assert ours.key == theirs.key


def test_a_record_from_before_cells_were_named_has_the_key_of_its_cell() -> None:
    assert key_of(EXPERIMENT, record()) == CELL.key
    assert key_of(EXPERIMENT, record(cell="named")) == "named"
    assert key_of(EXPERIMENT, record(variant="stranger")) == ""
    assert key_of(EXPERIMENT, record(config={"of another version": 1})) == ""


def test_of_each_folder_the_last_completed_cell_stands() -> None:
    found = standing(
        EXPERIMENT,
        [
            record(cell="old"),
            record(cell="new"),
            record(cell="bad", status="failed", metrics={}),
            record(cell="other", stage="ablation", variant="v~1"),
            record(cell="", stage="search", split="validation", variant="w"),
        ],
    )
    assert {place: key for place, (key, _) in found.items()} == {("v", 0): "new", ("v~1", 0): "other"}

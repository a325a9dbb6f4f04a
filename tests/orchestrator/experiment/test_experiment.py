"""The experiment file: what it takes, what it refuses, and with which words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.starter import starter_text
from trainables.errors import InputError

SMALL: dict[str, Any] = {"data": {"path": "data"}, "families": ["pca_logistic", "plot_classifier"]}


def changed(**sections: Any) -> dict[str, Any]:
    return {**SMALL, **sections}


def write(path: Path, values: Any) -> Path:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_short_form_and_defaults() -> None:
    experiment = Experiment.from_mapping(SMALL)
    assert [variant.name for variant in experiment.families] == ["pca_logistic", "plot_classifier"]
    assert experiment.baseline_name == "pca_logistic"
    assert experiment.seeds == (0, 1, 2, 3, 4)
    assert experiment.size_of(experiment.families[0]) == (224, 224)


def test_baseline_is_the_first_cheap_variant_else_the_first() -> None:
    families = ["plot_classifier", {"family": "pca_logistic", "name": "cheap"}]
    assert Experiment.from_mapping(changed(families=families)).baseline_name == "cheap"
    assert Experiment.from_mapping(changed(families=["plot_classifier"])).baseline_name == "plot_classifier"


def test_a_variant_may_have_its_own_size() -> None:
    families = [{"family": "pca_logistic", "size": [40, 72]}, "plot_classifier"]
    experiment = Experiment.from_mapping(changed(families=families, data={"path": "data", "size": 64}))
    assert [experiment.size_of(variant) for variant in experiment.families] == [(40, 72), (64, 64)]


def test_one_family_may_stand_several_times() -> None:
    families = [
        {"name": "small", "family": "plot_classifier", "fixed": {"backbone": "resnet18"}},
        {"name": "large", "family": "plot_classifier", "fixed": {"backbone": "resnet50"}},
    ]
    assert [variant.name for variant in Experiment.from_mapping(changed(families=families)).families] == [
        "small",
        "large",
    ]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (changed(budgets={}), ["Unknown key 'budgets'", "Did you mean 'budget'?"]),
        (changed(budget={"trails": 3}), ["Unknown key 'trails' in budget", "Did you mean 'trials'?", "epochs"]),
        (changed(data={"path": "x", "styl": "seed"}), ["Unknown key 'styl' in data", "Did you mean 'style'?"]),
        (changed(data={"path": "x", "split": {"tests": 0.2}}), ["Unknown key 'tests' in data.split", "'test'"]),
        (changed(families=[{"family": "pca_logistic", "fixd": {}}]), ["Unknown key 'fixd' in families.0", "'fixed'"]),
        (
            changed(families=["resnt"]),
            ["Unknown family 'resnt'", "Known families: conv_autoencoder, feature_autoencoder, patch_knn"],
        ),
        (changed(families=[]), ["families", "at least 1"]),
        (changed(families=["pca_logistic", "pca_logistic"]), ["pca_logistic stands twice", "`name`"]),
        (changed(families=[{"family": "pca_logistic", "name": "../x"}]), ["families.0.name", "../x"]),
        (changed(baseline="nobody"), ["baseline is 'nobody'", "pca_logistic, plot_classifier"]),
        (changed(budget={"trials": 0}), ["budget.trials", "greater than or equal to 1", "got 0"]),
        (changed(budget={"epochs": "many"}), ["budget.epochs", "got 'many'"]),
        (changed(seeds=[1, 1]), ["seeds are [1, 1]", "different"]),
        (changed(scheduler="hyperband"), ["scheduler", "'asha' or 'none'", "hyperband"]),
        (changed(data={"path": "x", "size": 4}), ["data.size", "8 to 2048"]),
        (changed(data={"path": "x", "layout": "video"}), ["data.layout", "'series', 'images', 'spill'"]),
        (changed(data={}), ["data.path is missing"]),
        (changed(resources={"gpus": -1}), ["resources.gpus", "greater than or equal to 0"]),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Experiment.from_mapping(values)
    for word in words:
        assert word in str(caught.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Experiment.from_mapping(changed(budget={"trials": 0}, scheduler="x", nonsense=1))
    assert str(caught.value).count("\n  - ") == 3


def test_set_overrides_keys_entries_and_short_forms(tmp_path: Path) -> None:
    path = write(tmp_path / "e.yaml", SMALL)
    experiment = Experiment.load(
        path,
        (
            "budget.trials=3",
            "data.size=[40, 72]",
            "families.plot_classifier.fixed.backbone=resnet50",
            "families.0.name=cheap",
            "seeds=[4, 5]",
            "mirror=file:///backup/a=b",
        ),
    )
    assert experiment.budget.trials == 3
    assert experiment.data.size == (40, 72)
    assert experiment.families[1].fixed == {"backbone": "resnet50"}
    assert experiment.families[0].name == "cheap"
    assert experiment.seeds == (4, 5)
    assert experiment.mirror == "file:///backup/a=b"


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("budget.trials", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("families.nobody.size=3", "no entry 'nobody'"),
        ("families.7.size=3", "no entry '7'"),
        ("budget.trails=3", "Did you mean 'trials'?"),
        ("budget.trials=[", "no YAML"),
    ],
)
def test_a_bad_override_is_explained(tmp_path: Path, override: str, word: str) -> None:
    with pytest.raises(InputError, match=word.replace("?", r"\?")):
        Experiment.load(write(tmp_path / "e.yaml", SMALL), (override,))


def test_a_relative_path_is_looked_for_beside_the_file_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "here" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    path = write(tmp_path / "beside" / "e.yaml", SMALL)
    assert Experiment.load(path).data.path == tmp_path / "here" / "data"
    (tmp_path / "beside" / "data").mkdir()
    assert Experiment.load(path).data.path == tmp_path / "beside" / "data"


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [", "\x00\x01"])
def test_a_file_that_holds_no_keys_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "e.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="experiment file"):
        Experiment.load(tmp_path / "e.yaml")


def test_an_absent_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="orchestrate init"):
        Experiment.load(tmp_path / "none.yaml")


def test_yaml_out_and_in_is_the_same_experiment() -> None:
    experiment = Experiment.from_mapping(SMALL)
    again = Experiment.from_mapping(yaml.safe_load(experiment.to_yaml()))
    assert again == experiment
    assert again.fingerprint == experiment.fingerprint


def test_the_starter_file_is_valid_and_names_every_section() -> None:
    experiment = Experiment.from_mapping(yaml.safe_load(starter_text()))
    assert experiment.families[1].fixed["weights"] == "auto"
    for section in Experiment.model_fields:
        assert f"{section}:" in starter_text()


@pytest.mark.parametrize(
    "mirror",
    [
        "s3://KEY:HIDDEN@bucket/x", "s3://bucket/x?secret_key=HIDDEN", "KEY:HIDDEN@bucket/x", "s3://KEY:HID/DEN@bucket",
        "abfss://box:HIDDEN@account.dfs.core.windows.net/x", "https://x.example/run?sig=HIDDEN",
    ],
)  # fmt: skip
def test_a_mirror_that_holds_credentials_is_refused_and_not_repeated(tmp_path: Path, mirror: str) -> None:
    path = write(tmp_path / "e.yaml", SMALL)
    for load in (
        lambda: Experiment.from_mapping(changed(mirror=mirror)),
        lambda: Experiment.load(path, (f"mirror={mirror}",)),
    ):
        with pytest.raises(InputError, match="let the environment hold it") as caught:
            load()
        assert "HID" not in str(caught.value)
        assert "KEY:" not in str(caught.value)


@pytest.mark.parametrize(
    "override", ["mirror s3://KEY:HIDDEN@b", "mirror=[s3://KEY:HIDDEN@b]", "mirror=[s3://K:HIDDEN@b"]
)
def test_other_errors_do_not_repeat_credentials_either(tmp_path: Path, override: str) -> None:
    path = write(tmp_path / "e.yaml", SMALL)
    with pytest.raises(InputError) as caught:
        Experiment.load(path, (override,))
    assert "HIDDEN" not in str(caught.value)

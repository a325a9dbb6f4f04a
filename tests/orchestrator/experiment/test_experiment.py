"""The experiment file: what it takes, what it refuses, and with which words."""

import re
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
        (changed(budget={"trials": 0}), ["budget.trials", "must be at least 1 (got 0)"]),
        (changed(budget={"epochs": "many"}), ["budget.epochs", "got 'many'"]),
        (changed(seeds=[1, 1]), ["seeds are [1, 1]", "different"]),
        (changed(scheduler="hyperband"), ["scheduler", "'asha' or 'none'", "hyperband"]),
        (changed(data={"path": "x", "size": 4}), ["data.size", "8 to 2048"]),
        (changed(data={"path": "x", "layout": "images", "bits": 17}), ["data.bits", "16"]),
        (changed(data={"path": "x", "bits": 12}), ["bits is for pictures"]),
        (changed(data={"path": "x", "layout": "video"}), ["data.layout", "'series', 'images', 'spill'"]),
        (changed(data={}), ["data.path is missing"]),
        (changed(resources={"gpus": -1}), ["resources.gpus", "must be at least 0 (got -1)"]),
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


LATER: list[tuple[str, str, Any]] = [
    ("families=pca", "families", ["pca"]),
    ("families=pca,vae", "families", ["pca", "vae"]),
    ("families=[pca, vae]", "families", ["pca", "vae"]),
    ("families={family: vae, epochs: 3}", "families", ["vae"]),
    ("families=[{family: vae, name: mine}, pca]", "families", ["mine", "pca"]),
    ("families=pca, vae", "families", ["pca", "vae"]),
]


@pytest.mark.parametrize(("override", "key", "names"), LATER)
def test_where_a_list_of_families_is_meant_one_or_commas_do(
    tmp_path: Path, override: str, key: str, names: list[str]
) -> None:
    experiment = Experiment.load(write(tmp_path / "e.yaml", SMALL), (override,))
    assert [variant.name for variant in experiment.families] == names


@pytest.mark.parametrize("families", ["pca", "pca, vae", {"family": "pca"}])
def test_a_file_may_name_families_so_too(tmp_path: Path, families: Any) -> None:
    experiment = Experiment.load(write(tmp_path / "e.yaml", changed(families=families)), ("families.pca.epochs=3",))
    assert experiment.families[0].epochs == 3


def test_other_lists_take_commas_and_texts_are_as_written(tmp_path: Path) -> None:
    experiment = Experiment.load(
        write(tmp_path / "e.yaml", SMALL),
        (
            "seeds=0,010,2",
            "data.size=40,72",
            "threshold.strategies=percentile(95),youden",
            "data.normal=010",
            "data.column=#temp: [C]",
            "ablation={baseline: true, factors: {dropout: [1e-3, 0.3]}}",
            "families.0.name=true",
            "baseline=true",
            "data.path=1.0",
        ),
    )
    assert experiment.seeds == (0, 10, 2)
    assert experiment.data.size == (40, 72)
    assert experiment.threshold.strategies == ("percentile(95)", "youden")
    assert (experiment.data.normal, experiment.data.column) == ("010", "#temp: [C]")
    assert experiment.ablation is not None
    assert experiment.ablation.factors == {"dropout": [0.001, 0.3]}
    assert experiment.baseline == "true"
    assert experiment.data.path.name == "1.0"
    assert Experiment.load(write(tmp_path / "e.yaml", SMALL), ("data.normal=", "baseline=")).data.normal is None


@pytest.mark.parametrize("text", ["010", "1.0", "true", "no", "2024-01-01", "1e-3", "1:30", "0x1F", "1_000", "yes"])
def test_names_are_what_stands_in_the_file_and_survive_a_run_s_folder(tmp_path: Path, text: str) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(
        f"data: {{path: {text}, normal: {text}, column: {text}}}\n"
        f"families: [{{family: pca, name: n{text.replace(':', '')}}}]\nmirror: {text}\n"
        f"ablation: {{baseline_label: {text}, design: named, variants: [{{name: x{text}, set: {{components: 1}}}}]}}\n",
        encoding="utf-8",
    )
    experiment = Experiment.load(file)
    assert (experiment.data.normal, experiment.data.column, experiment.data.path.name) == (text, text, text)
    assert experiment.mirror == text
    assert experiment.ablation is not None
    assert experiment.ablation.baseline_label == text
    file.write_text(experiment.to_yaml(), encoding="utf-8")
    assert Experiment.load(file) == experiment
    file.write_text(yaml.safe_dump(experiment.model_dump(mode="json")), encoding="utf-8")  # as earlier versions did
    assert Experiment.load(file) == experiment


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("budget: {epochs: yes}", ["budget.epochs: must be a whole number, and this is text (got 'yes')"]),
        ("budget: {epochs: true}", ["budget.epochs: must be a whole number (got True)"]),
        ("budget: {minutes: true}", ["budget.minutes: must be a number (got True)"]),
        ("budget: {minutes: 1:30}", ["budget.minutes: must be a number, and this is text"]),
        ("budget: {minutes: .inf}", ["budget.minutes: must be a finite number"]),
        ("budget: {minutes: .nan}", ["budget.minutes: must be a finite number"]),
        ("budget: {epochs: 1_000}", ["and this is text"]),
        ("budget: {epochs: '5'}", ["and this is text"]),
        ("budget: {trials: 1e300}", ["budget.trials: must be a whole number"]),
        ("budget: {trials: 10000000}", ["must be at most 1000000"]),
        ("heat_maps: yes", ["heat_maps: must be true or false (got 'yes')"]),
        ("heat_maps: 1", ["heat_maps: must be true or false"]),
        ("seeds: 3", ["seeds: must be a list: [3] is the one seed 3"]),
        ("seeds: [true]", ["seeds.0: must be a whole number (got True)"]),
        ("seeds: [4294967296]", ["0 to 4,294,967,295"]),
        ("seeds: [-1]", ["0 to 4,294,967,295"]),
        ("seeds: [1.5]", ["seeds.0: must be a whole number"]),
        ("data: {path: x, split: {seed: 4294967296}}", ["data.split.seed", "4294967295"]),
        ("data: {path: x, split: {train: true}}", ["data.split.train: must be a number"]),
        ("data: {path: x, size: true}", ["data.size: must be a whole number or a list (got True)"]),
        ("data: {path: x, size: [true, 64]}", ["data.size.0: must be a whole number"]),
        ("data: {path: x, size: [1, 2, 3]}", ["data.size: Tuple should have at most 2 items"]),
        ("data: {path: 'a\tb'}", ["data.path: a path holds no line breaks", "U+0009"]),
        ("data: {path: x, normal: [a]}", ["data.normal: must be a text"]),
        ("resources: {cpus: 0.00001}", ["resources.cpus", "0.01"]),
        ("resources: {cpus: 1e300}", ["resources.cpus", "100000"]),
        ("resources: {gpus: 1e-9}", ["resources.gpus: must be 0, a share of one GPU from 0.01 on"]),
        ("resources: {gpus: 1.5}", ["resources.gpus", "whole number"]),
        ("families: [resnt]", ["families.0.family: Unknown family 'resnt'"]),
        ("families: [3]", ["families.0: must be a family's name"]),
        ("families: 3", ["families: must be a list"]),
        ("families: [{family: pca, epochs: true, size: x}]", ["families.0.epochs", "families.0.size"]),
        ("families: [pca, vea]", ["Did you mean 'vae'"]),
        ("budget: [1]", ["budget: must hold keys with values"]),
    ],
)
def test_values_are_taken_as_written_and_each_fault_is_named_once(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "e.yaml"
    key = text.partition(":")[0]
    rest = {"data": "data: {path: x}", "families": "families: [pca]"}
    file.write_text("\n".join([text, *(line for other, line in rest.items() if other != key)]), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Experiment.load(file)
    said = str(caught.value)
    for word in words:
        assert word in said
    assert said.count("\n  - ") == (2 if len(words) == 2 and "epochs" in words[0] and "size" in words[1] else 1)


def test_a_key_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text("data: {path: x}\nbudget: {trials: 3}\nfamilies: [pca]\nbudget: {epochs: 5}\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 4: 'budget' stands in line 2 already"):
        Experiment.load(file)
    with pytest.raises(InputError, match=r"'budget.trials' stands in line 1 already"):
        Experiment.load(write(file, SMALL), ("budget={trials: 3, trials: 4}",))


def test_a_thousand_faults_are_a_short_message(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Experiment.load(write(tmp_path / "e.yaml", changed(budget={f"k{i}": i for i in range(900)})))
    assert len(str(caught.value).splitlines()) < 30


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


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"latency": 20}, "Unknown key 'latency' in objective.constraints. Did you mean 'latency_ms'? Known keys: "
         "latency_ms, memory_mb."),
        ({"latency_ms": 0}, "objective.constraints.latency_ms: must be above 0 (got 0)"),
        ({"memory_mb": -1.5}, "objective.constraints.memory_mb: must be above 0 (got -1.5)"),
        ({"latency_ms": True}, "objective.constraints.latency_ms: must be a number (got True)"),
        ({"latency_ms": "20 ms"}, "objective.constraints.latency_ms: must be a number, and this is text"),
    ],
)  # fmt: skip
def test_limits_that_are_none_are_explained(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        Experiment.from_mapping(changed(objective={"constraints": given}))


def test_limits_change_what_an_experiment_means_and_their_absence_does_not() -> None:
    plain, same, other = (
        Experiment.from_mapping(changed(objective=objective))
        for objective in ({}, {"constraints": {}}, {"constraints": {"latency_ms": 20}})
    )
    assert plain.fingerprint == same.fingerprint != other.fingerprint
    assert Experiment.from_mapping(yaml.safe_load(other.to_yaml())).objective.limits.latency_ms == 20

"""`orchestrate plan`: bad input, a real probe of a tiny experiment, and what earlier records tell."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.provenance import PROVENANCE
from PIL import Image

from orchestrator import Experiment, InputError, Reporter, plan
from orchestrator.artifacts.cost_plan import CostPlan
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.planning.costs import Asked, Before, by_records, scaled
from orchestrator.planning.plan_text import plan_json, plan_text
from orchestrator.planning.sizes import Sizes

PICTURES = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiles")
    generator = np.random.default_rng(0)
    for part, kind, count in (("train", "good", PICTURES), ("test", "good", 6), ("test", "dent", 6)):
        folder = root / part / kind
        folder.mkdir(parents=True)
        for number in range(count):
            picture = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / f"{number:02d}.png")
    return root


def experiment(data: Path, **changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "data": {"path": str(data), "layout": "mvtec", "size": 16},
        "families": [
            {"family": "pca", "fixed": {"components": 4, "crop": 1.0, "blur": 0.0}},
            {"family": "conv_autoencoder", "fixed": {"bottleneck": 0.25, "batch_size": 4}},
        ],
        "objective": {"metric": "validation_loss"},
        "budget": {"trials": 3, "epochs": 6, "patience": 2},
        "seeds": [0, 1],
    }
    return Experiment.from_mapping(values | changes)


def test_a_tiny_experiment_is_probed_and_nothing_but_the_plan_is_written(data: Path, tmp_path: Path) -> None:
    made = plan(experiment(data), tmp_path / "run", seconds=120, reporter=Reporter(quiet=True))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["plan.json"]
    assert CostPlan.load(tmp_path / "run" / "plan.json") == made
    assert made.unknown == []
    parts = {(part.stage, part.variant): part for part in made.parts}
    assert list(parts) == [
        ("start", ""), ("render", ""), ("search", "pca"), ("search", "conv_autoencoder"), ("evaluation", "pca"),
        ("evaluation", "conv_autoencoder"), ("report", ""),
    ]  # fmt: skip
    assert parts["render", ""].units == 32
    assert parts["render", ""].disk.likely >= 32 * 16 * 16 * 3
    network = parts["search", "conv_autoencoder"]
    assert network.source == "probes"
    assert network.note.startswith("defaults")
    assert network.seconds is not None
    assert 0 < network.seconds.low < network.seconds.likely < network.seconds.high
    assert network.memory is not None
    assert network.memory.likely > 50 * 2**20
    kept = parts["evaluation", "conv_autoencoder"].disk.likely
    assert kept > 2 * 4 * 10_000, "the weights of two models"
    assert made.trials == 6
    assert plan_json(made)["in_all"]["trials"] == 6
    text = plan_text(made)
    assert "search conv_autoencoder" in text
    assert "in all" in text


def test_bad_input_is_told_before_anything_slow_is_imported(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(experiment(data).to_yaml().replace("components: 4", "components: none"), encoding="utf-8")
    code = (
        "import sys\nfrom orchestrator import Experiment, InputError, plan\n"
        "try:\n    plan(Experiment.load(sys.argv[1]))\n"
        "except InputError as error:\n    print(error)\n"
        "print({'torch', 'ray', 'sklearn', 'pandas'} & sys.modules.keys() or 'nothing slow')"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert "families.pca.fixed.components" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "nothing slow"


def test_a_folder_with_something_else_and_a_time_too_short_are_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        plan(experiment(data), tmp_path)
    with pytest.raises(InputError, match="seconds is 1"):
        plan(experiment(data), seconds=1)


def ended(trial: int, seconds: float, epochs: int, **changes: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "stage": "search", "family": "vae", "variant": "vae", "trial": trial, "seed": 0, "split": "validation",
        "config": {}, "status": "completed", "seconds": seconds, "parameters": 1_000, "peak_memory": 500,
        "history": [{"epoch": float(epoch + 1)} for epoch in range(epochs)], "provenance": PROVENANCE,
    }  # fmt: skip
    return TrialRecord.model_validate(values | changes)


def asked(epochs: int = 10, train: int = 100) -> Asked:
    return Asked(20, epochs, 3, "asha", True, Sizes(2 * train, train, train // 2, train // 2))


@pytest.mark.parametrize(
    ("had", "before", "now", "longest", "expected"),
    [
        (5, 10, 20, True, 5),  # it had stopped by itself
        (5, 10, 3, False, 3),
        (10, 10, 20, False, 10),  # cut off by its last epoch: it may stop there, or go on
        (10, 10, 20, True, 20),
        (1, 10, 50, True, 1),  # a family that fits at once
    ],
)
def test_a_record_is_carried_over_to_other_epochs_and_pictures(
    had: int, before: int, now: int, longest: bool, expected: int
) -> None:
    assert scaled(ended(0, 6.0 * had, had), before, now, 1.5, longest).seconds == pytest.approx(9.0 * expected)


def test_records_of_the_same_work_tell_the_mean_and_its_spread() -> None:
    records = [ended(number, 10.0 * (number + 1), 10) for number in range(3)]
    found = by_records(records, Before(10, 100), asked(), "runs/first")
    assert found is not None
    assert vars(found.trial) == pytest.approx({"low": 12.0, "likely": 20.0, "high": 28.0})
    assert found.cell.likely == pytest.approx(20.0), "no cell has ended: one takes as long as a trial"
    assert (found.source, found.note, found.kept.likely) == ("records", "3 of runs/first", 4_000)
    assert by_records([], Before(10, 100), asked(), "") is None
    assert by_records([ended(0, 1.0, 0, status="failed")], Before(10, 100), asked(), "") is None


def test_a_run_is_gone_by_where_it_trained_the_same_family_at_the_same_size(data: Path, tmp_path: Path) -> None:
    from orchestrator.artifacts.records import append_record
    from orchestrator.experiment.preflight import settle
    from orchestrator.machine.offered import Offered
    from orchestrator.planning.earlier import costs_of_run
    from orchestrator.planning.sizes import division

    before = settle(experiment(data))
    run = RunFolder(tmp_path)
    run.experiment.write_text(before.experiment.to_yaml(), encoding="utf-8")
    division(before)[1].save(run.split)
    for number in range(3):
        append_record(run.records, ended(number, 4.0, 6, family="conv_autoencoder", variant="conv_autoencoder"))
    families = [{"family": "conv_autoencoder", "name": name, "fixed": {"bottleneck": 0.25}} for name in ("a", "b")]
    wanted = {name: asked(6, PICTURES) for name in ("a", "b")}
    here = experiment(data, families=[families[0], {**families[1], "size": 32}])
    found = costs_of_run(run, here, wanted, Offered(2))
    assert list(found) == ["a"], "b has another size"
    validated = len(division(before)[1].train)
    assert found["a"].trial.likely == pytest.approx(4.0 * PICTURES / validated)
    on_gpu = here.model_copy(update={"resources": here.resources.model_copy(update={"gpus": 1})})
    assert costs_of_run(run, on_gpu, wanted, Offered(2, 1)) == {}


def test_where_a_run_tells_of_every_variant_pictures_alone_are_probed(data: Path, tmp_path: Path) -> None:
    from orchestrator.artifacts.records import append_record
    from orchestrator.experiment.preflight import settle
    from orchestrator.planning.sizes import division

    wanted = experiment(data, families=[{"family": "conv_autoencoder", "fixed": {"bottleneck": 0.25}}])
    run = RunFolder(tmp_path)
    run.experiment.write_text(wanted.to_yaml(), encoding="utf-8")
    division(settle(wanted))[1].save(run.split)
    append_record(run.records, ended(0, 4.0, 6, family="conv_autoencoder", variant="conv_autoencoder"))
    made = plan(wanted, like=tmp_path, seconds=120, reporter=Reporter(quiet=True))
    parts = {part.stage: part for part in made.parts}
    assert parts["search"].source == "records"
    assert parts["render"].seconds is not None


@pytest.mark.parametrize("tune", [None, 4])
def test_an_ablation_trains_its_baseline_and_its_rows(data: Path, tune: int | None) -> None:
    from orchestrator.experiment.preflight import settle
    from orchestrator.planning.wanted import of_an_ablation

    asked_for: dict[str, Any] = {
        "baseline": "conv_autoencoder",
        "factors": {"augmentation": [0.0, 1.0, 3.0], "size": [32, 48]},
        "tune": tune,
    }
    asked_for |= {} if tune else {"config": {"learning_rate": 0.001, "weight_decay": 0.1}}
    found = of_an_ablation(settle(experiment(data, ablation=asked_for), ablation=True))
    rows = ["augmentation: 0.0", *(["augmentation: 1.0"] if tune else []), "augmentation: 3.0", "size: 32", "size: 48"]
    assert [line.name for line in found.cells][1:] == rows
    searched = [("search", 3), *[("tuning", 4)] * 5] if tune else []
    assert [(line.stage, line.trials) for line in found.searches] == searched
    assert found.cells[0].stage == ("evaluation" if tune else "ablation")
    families = {one.name: one for one in found.experiment.families}
    assert families["conv_autoencoder"].space == {}
    assert found.experiment.size_of(list(families.values())[-1]) == (48, 48)
    assert families["row-1"].fixed["augmentation"] == 0.0
    assert len(families) == len(found.cells) == (6 if tune else 5)


def test_a_plan_that_is_no_plan_is_told(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"format": 1}), encoding="utf-8")
    with pytest.raises(InputError, match="holds no plan"):
        CostPlan.load(tmp_path / "plan.json")

"""A whole run on small series: what it leaves behind, how it stops and goes on, and what it refuses."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import yaml

from orchestrator import Experiment, InputError, RunFolder, load_model, predict, read_records, run, write_report
from orchestrator.artifacts.at_work import AtWork
from orchestrator.artifacts.heartbeat import Beat, Heartbeat, read_beat
from orchestrator.artifacts.records import TrialRecord
from orchestrator.machine import progress
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.readings import log_faults, read_often
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.claim import check_folder
from orchestrator.search import ledger
from orchestrator.stages import finish_cells
from trainables.interface import Samples

pytestmark = pytest.mark.usefixtures("ray_session")

QUIET = Reporter(quiet=True)
SMALL = {"backbone": "squeezenet1_1", "weights": "none", "batch_size": 8}
# A learning rate beyond all measure: the loss is no number after a few steps.
BROKEN = {"name": "broken", "family": "plot_classifier", "fixed": {**SMALL, "learning_rate": 1e30, "dropout": 0.0}}
CNN = {"name": "cnn", "family": "plot_classifier", "fixed": SMALL}
FAMILIES = [{"family": "pca_logistic", "size": [24, 40]}, CNN, BROKEN]


def experiment(tree: Path, store: Path | None = None, **changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "data": {"path": str(tree), "size": 32, "style": "plain", "store": store},
        "families": FAMILIES,
        "budget": {"trials": 2, "epochs": 2, "concurrent": 1},
        "seeds": [0, 1],
        "scheduler": "none",
    }
    return Experiment.from_mapping({**values, **changes})


@pytest.fixture(scope="module")
def finished(ray_session: None, series_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One finished run of two variants of unlike sizes and one that can't be trained; tests only read it."""
    return run(experiment(series_tree), tmp_path_factory.mktemp("runs") / "first", reporter=QUIET)


def of_stage(folder: RunFolder, stage: str) -> list[TrialRecord]:
    return [record for record in read_records(folder.records) if record.stage == stage]


def test_every_trial_and_every_cell_is_a_record(finished: RunFolder) -> None:
    search, evaluation = of_stage(finished, "search"), of_stage(finished, "evaluation")
    search = [record for record in search if record.variant != "broken"]
    assert sorted((record.variant, record.trial) for record in search) == [
        ("cnn", 0),
        ("cnn", 1),
        ("pca_logistic", 0),
        ("pca_logistic", 1),
    ]
    assert sorted((record.variant, record.seed) for record in evaluation) == [
        ("cnn", 0),
        ("cnn", 1),
        ("pca_logistic", 0),
        ("pca_logistic", 1),
    ]
    assert {record.status for record in search + evaluation} == {"completed"}
    assert {record.seed for record in search} == {1000}
    assert {record.split for record in search} == {"validation"}
    assert {record.split for record in evaluation} == {"test"}
    for record in search + evaluation:
        assert {"macro_f1", "accuracy", "macro_precision", "macro_recall"} <= set(record.metrics)
        assert record.parameters
        assert bool(record.peak_memory) is record.trained
        assert (record.own_memory is not None) is record.trained
        assert (record.own_memory or 0) <= (record.peak_memory or 0)
        assert (record.device, record.gpus) == ("cpu", 0)
        assert record.cpus
        assert record.provenance.data == search[0].provenance.data
    assert all(record.facts["weights"] == "random initialisation" for record in search if record.variant == "cnn")


def test_failed_trials_are_rows_with_a_reason_and_the_others_go_on(finished: RunFolder) -> None:
    failed = [record for record in of_stage(finished, "search") if record.variant == "broken"]
    assert [record.status for record in failed] == ["failed", "failed"]
    assert all("not finite" in record.reason for record in failed)
    assert "not finite" in (finished.report / "index.html").read_text(encoding="utf-8")


def test_records_are_plain_json_lines(finished: RunFolder) -> None:
    lines = [json.loads(line) for line in finished.records.read_text(encoding="ascii").splitlines()]
    keys = {"stage", "family", "variant", "trial", "seed", "split", "config", "metrics", "status", "reason", "seconds"}
    for line in lines:
        assert keys | {"parameters", "peak_memory", "provenance"} <= set(line)
        assert all(isinstance(value, float) for value in line["metrics"].values())


def test_the_winner_is_the_best_on_validation(finished: RunFolder) -> None:
    for name in ("cnn", "pca_logistic"):
        trials = {record.trial: record for record in of_stage(finished, "search") if record.variant == name}
        best = max(trials.values(), key=lambda record: record.metrics["macro_f1"])
        cells = [record for record in of_stage(finished, "evaluation") if record.variant == name]
        assert all(trials[cell.trial].metrics["macro_f1"] == best.metrics["macro_f1"] for cell in cells)
        assert all(cell.config == trials[cell.trial].config for cell in cells)


def test_each_frozen_model_read_the_test_part_once(finished: RunFolder) -> None:
    data = read_run(finished)
    reads = [(one.variant, one.seed) for one in data.readings.found]
    # The baseline has no randomness: its second seed is the first one's model, which read nothing anew.
    assert sorted(reads) == [("cnn", 0), ("cnn", 1), ("pca_logistic", 0)]
    assert log_faults(data) == []
    assert read_often(data) == "This test part was read 3 times, by 1 command."
    assert {one.reading for one in of_stage(finished, "evaluation")} == {one.hash for one in data.readings.found}


def test_the_test_part_was_not_among_what_was_trained_on(finished: RunFolder) -> None:
    split = json.loads(finished.split.read_text(encoding="utf-8"))
    parts: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for path, part in split["pictures"]:
        parts[part].add(path)
    assert not parts["train"] & parts["test"]
    assert not parts["validation"] & parts["test"]
    scored = np.load(finished.predictions("cnn", 0))["paths"]
    assert {path.decode() for path in scored} == parts["test"]


def test_kept_models_give_the_recorded_scores_without_training(finished: RunFolder, series_tree: Path) -> None:
    from orchestrator.data.store.store import open_store

    assert {place.name for place in finished.stores.iterdir()} == {"plain-24x40", "plain-32x32"}
    for name, size in (("cnn", (32, 32)), ("pca_logistic", (24, 40))):
        store = open_store(finished.stores / f"plain-{size[0]}x{size[1]}")
        kept = np.load(finished.predictions(name, 1))
        rows = np.array([store.paths.index(path.decode()) for path in kept["paths"]])
        samples = Samples(store.pictures.select(rows), store.labels[rows], store.classes, tuple(kept["paths"]))
        loaded = load_model(finished.model(name, 1))
        # But for rounding: a cell may have had another number of threads.
        np.testing.assert_allclose(loaded.predict(samples).scores, kept["scores"], rtol=1e-5)
        assert loaded.kept.classes == ("step", "trend", "wave")
        assert loaded.kept.shape == (*size, 3)


def test_predict_gives_the_recorded_test_scores_from_the_files_themselves(
    finished: RunFolder, series_tree: Path, tmp_path: Path
) -> None:
    for name in ("cnn", "pca_logistic"):
        kept = np.load(finished.predictions(name, 1))
        paths = [series_tree / path.decode() for path in kept["paths"]]
        found = predict(f"{finished.root}:{name}", paths, tmp_path / f"{name}.csv", seed=1, reporter=QUIET)
        rows = pd.read_csv(tmp_path / f"{name}.csv")
        np.testing.assert_allclose(rows.filter(like="probability_").to_numpy(), kept["scores"], rtol=1e-5)
        assert found.model == finished.model(name, 1)
    note = json.loads((finished.model("cnn", 1) / "model.json").read_text(encoding="utf-8"))
    assert {"identity", "resize", "channels", "normalisation"} <= note["preprocessing"].keys()
    assert note["reference"]["of"] == "all"
    assert note["speed"]["latency_ms"] > 0


def test_the_report_and_its_tables_lie_where_they_are_promised(finished: RunFolder) -> None:
    assert (finished.report / "index.html").stat().st_size > 10_000
    assert (finished.report / "report.md").read_text(encoding="utf-8").strip()
    table = pd.read_csv(finished.report / "tables" / "leaderboard.csv")
    assert list(table.columns[:6]) == ["family", "variant", "n_seeds", "macro_f1", "macro_f1_low", "macro_f1_high"]
    assert table.set_index("variant")["n_seeds"].to_dict() == {"cnn": 2, "pca_logistic": 2, "broken": 0}
    cells = [record.metrics["macro_f1"] for record in of_stage(finished, "evaluation") if record.variant == "cnn"]
    shown = table.set_index("variant").loc["cnn"]
    assert shown["macro_f1"] == pytest.approx(np.mean(cells))
    assert shown["macro_f1_low"] <= shown["macro_f1"] <= shown["macro_f1_high"]


def test_easy_classes_are_told_apart(finished: RunFolder) -> None:
    cells = [record for record in of_stage(finished, "evaluation") if record.variant == "pca_logistic"]
    assert min(cell.metrics["macro_f1"] for cell in cells) > 0.8


def test_a_run_stops_after_any_stage_goes_on_grows_and_is_mirrored(
    finished: RunFolder, series_tree: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"families": ["pca_logistic"], "mirror": (tmp_path / "mirror").as_uri()}
    budget = {"trials": 1, "epochs": 2, "concurrent": 1}
    plan = experiment(series_tree, finished.stores, **changes, seeds=[0], budget=budget)
    folder = run(plan, tmp_path / "run", until="render", reporter=QUIET)
    assert not folder.records.exists()
    run(plan, tmp_path / "run", until="search", resume=True, reporter=QUIET)
    assert len(of_stage(folder, "search")) == 1
    assert not of_stage(folder, "evaluation")
    run(plan, tmp_path / "run", resume=True, reporter=QUIET)
    assert len(of_stage(folder, "search")) == 1
    assert len(of_stage(folder, "evaluation")) == 1
    before = folder.records.read_bytes()
    run(plan, tmp_path / "run", until="evaluate", resume=True, reporter=QUIET)
    assert folder.records.read_bytes() == before
    for name in ("records.jsonl", "models/pca_logistic/0/weights.pt", "report/index.html"):
        assert (tmp_path / "mirror" / name).read_bytes() == (folder.root / name).read_bytes()
    more = experiment(series_tree, finished.stores, **changes, seeds=[0, 1], budget={**budget, "trials": 2})
    run(more, tmp_path / "run", resume=True, reporter=QUIET)
    assert folder.records.read_bytes().startswith(before)
    assert sorted(record.trial for record in of_stage(folder, "search")) == [0, 1]
    assert {record.seed for record in of_stage(folder, "evaluation")} == {0, 1}
    assert {record.seed for record in of_stage(folder, "search")} == {1000}
    data = read_run(folder)
    assert (data.marks, log_faults(data)) == ((), [])
    copy = of_stage(folder, "evaluation")[-1]
    # What has no randomness gives a further seed the model of the first, which the first command had read with.
    assert (copy.seed, copy.trained, [one.hash for one in data.readings.found]) == (1, False, [copy.reading])
    assert (tmp_path / "mirror" / "test_reads.jsonl").read_bytes() == folder.test_reads.read_bytes()
    with pytest.raises(InputError, match="seeds: 1000 is the seed that this run's trials trained with"):
        run(more.model_copy(update={"seeds": (0, 1, 1000)}), tmp_path / "run", resume=True, reporter=QUIET)


def test_a_long_training_shows_its_epochs(
    finished: RunFolder,
    series_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for place, name in ((ledger, "EVERY"), (progress, "PLAIN_INTERVAL"), (finish_cells, "LOOK")):
        monkeypatch.setattr(place, name, 0.01)
    budget = {"trials": 1, "epochs": 60, "patience": None}
    plan = experiment(series_tree, finished.stores, families=[CNN], budget=budget, seeds=[7])
    beats: list[Beat] = []
    written = Heartbeat.at_work

    def at_work(self: Heartbeat, running: Sequence[AtWork]) -> None:
        written(self, running)
        self._write()
        beats.append(cast(Beat, read_beat(self._path)))

    monkeypatch.setattr(Heartbeat, "at_work", at_work)
    folder = run(plan, tmp_path / "run", until="evaluate", reporter=Reporter())
    told = capsys.readouterr().err
    assert re.search(
        r"search cnn: 0/1 trials  trial 0: epoch \d+/60, \d+\.\d s each, best [01]\.\d{4}  left at most", told
    )
    assert re.search(r"evaluate: 0/1 models  seed 7: epoch \d+/60, \d+\.\d s each, best [01]\.\d{4}  left ", told)
    kinds = {(one.kind, one.number) for each in beats for one in each.at_work if one.epoch}
    assert kinds == {("trial", 0), ("seed", 7)}
    assert not folder.states.exists()


def test_another_experiment_is_refused_with_what_differs(finished: RunFolder, series_tree: Path) -> None:
    before = finished.records.read_bytes()
    with pytest.raises(InputError, match=r"already holds this experiment[^!]*--resume"):
        run(experiment(series_tree), finished.root, reporter=QUIET)
    for changes, word in (
        ({"scheduler": "asha"}, "scheduler: 'none' there, 'asha' here"),
        ({"families": ["pca_logistic"]}, "families.cnn"),
        ({"seeds": [5]}, "seeds"),
        ({"seeds": [0, 1000]}, "seeds"),
    ):
        with pytest.raises(InputError, match="another experiment") as caught:
            run(experiment(series_tree, **changes), finished.root, resume=True, reporter=QUIET)
        assert word in str(caught.value)
    assert finished.records.read_bytes() == before


def test_a_folder_with_other_things_in_it_is_left_alone(series_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        run(experiment(series_tree), tmp_path, reporter=QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_start_that_was_cut_off_can_be_made_again(series_tree: Path, tmp_path: Path) -> None:
    for name in ("lock", ".experiment.yaml.part", "heartbeat.json", ".heartbeat.json.host.7.140.part"):
        (tmp_path / name).write_text("", encoding="utf-8")
    check_folder(experiment(series_tree), RunFolder(tmp_path), resume=False)


def test_data_that_changed_under_a_run_are_noticed(fresh_tree: Path, tmp_path: Path) -> None:
    plan = experiment(fresh_tree, families=["pca_logistic"])
    run(plan, tmp_path / "run", until="render", reporter=QUIET)
    (fresh_tree / "step" / "000.csv").unlink()
    with pytest.raises(InputError, match="not those that"):
        run(plan, tmp_path / "run", resume=True, reporter=QUIET)


@pytest.mark.slow
def test_a_time_limit_keeps_what_is_finished(series_tree: Path, tmp_path: Path) -> None:
    budget = {"trials": 500, "epochs": 2, "minutes": 0.1}
    plan = experiment(series_tree, families=["pca_logistic"], budget=budget)
    folder = run(plan, tmp_path / "run", reporter=QUIET)
    search = of_stage(folder, "search")
    assert 0 < len(search) < 500
    assert {record.status for record in search} <= {"completed", "timed-out"}
    assert of_stage(folder, "evaluation")


@pytest.mark.slow
def test_minutes_that_end_before_any_trial_are_said_to_be_too_short(
    series_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = {"trials": 2, "epochs": 2, "minutes": 0.001}
    plan = experiment(series_tree, families=["pca_logistic", CNN], budget=budget)
    words = "budget.minutes (0.001) was too short. Its search had 1.0 s"
    try:
        run(plan, tmp_path / "run", reporter=Reporter())
        said = capsys.readouterr().err
        assert said.rstrip().splitlines()[-1].startswith("cnn: budget.minutes")
    except InputError as error:
        said = str(error)
        with pytest.raises(InputError, match=r"budget.minutes is 0.001.*--set budget.minutes="):
            write_report(tmp_path / "run")
    assert words in said
    assert "epoch was over" in said
    longer = plan.model_copy(update={"budget": plan.budget.model_copy(update={"minutes": None})})
    folder = run(longer, tmp_path / "run", resume=True, until="search", reporter=QUIET)
    assert sum(record.status == "completed" for record in read_records(folder.records)) == 4


@pytest.mark.slow
def test_same_seed_same_run(series_tree: Path, tmp_path: Path) -> None:
    budget = {"trials": 3, "epochs": 1, "concurrent": 1}
    plan = experiment(series_tree, budget=budget, seeds=[0])
    first, second = (run(plan, tmp_path / name, reporter=QUIET) for name in ("a", "b"))

    def essence(folder: RunFolder) -> list[Any]:
        return [(one.stage, one.variant, one.trial, one.config, one.metrics) for one in read_records(folder.records)]

    assert essence(first) == essence(second)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": {"metric": "macro_f2"}}, ["Unknown metric 'macro_f2'", "macro_f1"]),
        ({"resources": {"gpus": 64}}, ["resources.gpus is 64", "resources.gpus=0"]),
        ({"resources": {"cpus": 4096}}, ["resources.cpus is 4096"]),
        (
            {"families": [{"family": "plot_classifier", "fixed": {"learning_rate": -1}}]},
            ["families.plot_classifier.fixed.learning_rate", "must be above 0", "-1"],
        ),
        (
            {"families": [{"family": "plot_classifier", "space": {"learning_rate": {"low": -1, "high": 1}}}]},
            ["families.plot_classifier.space.learning_rate", "-1"],
        ),
        (
            {"families": [{"family": "plot_classifier", "fixed": {"lerning_rate": 1}}]},
            ["Unknown key 'lerning_rate'", "Did you mean 'learning_rate'?"],
        ),
        (
            {"families": [{"family": "plot_classifier", "fixed": {"backbone": "resnet19"}}]},
            ["families.plot_classifier.fixed.backbone", "resnet19", "resnet18"],
        ),
        ({"mirror": "nowhere://x"}, ["mirror", "nowhere"]),
    ],
)
def test_bad_experiments_end_before_any_work(
    series_tree: Path, tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        run(experiment(series_tree, **changes), tmp_path / "run", reporter=QUIET)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_what_bad_input_the_command_meets(
    orchestrate: Callable[..., Any], series_tree: Path, fresh_tree: Path, tmp_path: Path
) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(experiment(series_tree).model_dump(mode="json")), encoding="utf-8")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, no folder", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name in ("many/a.csv", "many/b.csv", "many/c.csv", "few/a.csv", "few/b.csv"):
        (tmp_path / "small" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "small" / name).write_text("value\n1\n2\n", encoding="utf-8")
    for arguments, word in (
        (["sweep", file, "--out", blocked], "is a file"),
        (["sweep", file, "--out", blocked / "run"], "can't be written"),
        (["sweep", file, "--out", tmp_path / "r", "--set", f"data.path={tmp_path / 'empty'}"], ".csv"),
        (["sweep", file, "--out", tmp_path / "r", "--set", f"data.path={fresh_tree / 'step'}"], "class"),
        (["sweep", file, "--out", tmp_path / "r", "--set", "data.path=nowhere"], "does not exist"),
        (["sweep", file, "--out", tmp_path / "r", "--set", f"data.path={tmp_path / 'small'}"], "'few' has 2 files"),
        (["sweep", file, "--out", tmp_path / "r", "--set", "data.layout=images"], "layout: series"),
        (["sweep", tmp_path / "none.yaml", "--out", tmp_path / "r"], "orchestrate init"),
        (["evaluate", tmp_path / "empty"], "holds no run"),
        (["report", tmp_path / "empty"], "holds no run"),
    ):
        ended = orchestrate(*arguments)
        assert ended.code == 2, arguments
        assert word in ended.err, (arguments, ended.err)
        assert "Traceback" not in ended.err
        assert not ended.out

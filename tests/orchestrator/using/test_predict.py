"""`orchestrate predict`: a row a file, whole or gone on with, in this process or by all CPUs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.kept_models import keep_tile_model, run_with
from PIL import Image

from orchestrator import InputError, RunFolder, best_model, load_model, predict
from orchestrator.artifacts.models import KeptEnsemble, KeptMember, keep_ensemble
from orchestrator.machine.progress import Reporter
from orchestrator.scoring.ensembles import own_scale
from orchestrator.using import predict as module
from orchestrator.using.loaded_model import LoadedModel
from orchestrator.using.scorer import Scorer
from trainables.interface import Samples

QUIET = Reporter(quiet=True)


@pytest.fixture(autouse=True)
def few_threads(one_thread: None) -> None:
    """Small networks."""


def table(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pd.read_csv(path)
    return frame


def test_a_row_a_file_says_what_the_model_says(
    series_model: Path, of_series: LoadedModel, series: Samples, series_tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results.csv"
    found = predict(series_model, series_tree, out, reporter=QUIET)
    rows = table(out)
    assert list(rows["path"]) == list(series.paths)
    assert list(rows.columns[3:6]) == ["probability_step", "probability_trend", "probability_wave"]
    expected = of_series.predict(series.paths).scores
    np.testing.assert_allclose(rows.iloc[:, 3:6].to_numpy(), expected, rtol=1e-12)
    assert list(rows["verdict"]) == [of_series.kept.classes[one] for one in expected.argmax(axis=1)]
    assert set(rows["status"]) == {"ok"}
    assert (rows["seconds"] > 0).all()
    assert sum(found.counts.values()) == len(series)
    assert found.drift is not None
    assert found.drift.text() == ""
    about = json.loads((tmp_path / "results.csv.about.json").read_text(encoding="utf-8"))
    assert about["weights"] == of_series.kept.weights
    assert about["counts"] == found.counts
    assert not list(tmp_path.glob("*.unfinished"))


def test_every_format_says_the_same(series_model: Path, series_tree: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        predict(series_model, series_tree, tmp_path / name, reporter=QUIET)
    csv, parquet = table(tmp_path / "a.csv"), pd.read_parquet(tmp_path / "a.parquet")
    lines = pd.DataFrame([json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()])
    for other in (parquet, lines):
        assert list(other.columns) == list(csv.columns)
        pd.testing.assert_frame_equal(
            other.drop(columns=["seconds", "reason"]), csv.drop(columns=["seconds", "reason"])
        )
    assert parquet["reason"].isna().all()


def test_a_broken_file_is_a_row_with_its_reason(
    series_model: Path, series_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    good, bad = series_tree / "wave/000.csv", tmp_path / "bad.csv"
    bad.write_text("value\nno number\n", encoding="utf-8")
    ended = orchestrate("predict", series_model, good, bad, tmp_path, "--json")
    assert ended.code == 0, ended.err
    first, second = (json.loads(line) for line in ended.out.splitlines())
    assert first["status"] == "ok"
    assert second["status"] == "failed"
    assert second["path"] == str(bad)
    assert second["reason"]
    assert "1 path given more than once" in ended.err
    assert "2 files in" in ended.err
    ended = orchestrate("predict", series_model, good, bad, "--strict", "--out", tmp_path / "r.csv")
    assert ended.code == 2
    assert "gives no result" in ended.err
    assert not (tmp_path / "r.csv").exists()
    assert orchestrate("predict", series_model, bad, "-q").code == 1, "not one file gave a result"


def test_paths_come_by_standard_input(
    series_model: Path, series_tree: Path, orchestrate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{series_tree / 'step/001.csv'}\n", "\n", "not there.csv\r\n"]
    monkeypatch.setattr("sys.stdin", iter(lines))
    ended = orchestrate("predict", series_model, "-", "--quiet")
    assert ended.code == 0, ended.err
    header, first, second = ended.out.splitlines()
    assert header.startswith("path,status,verdict,probability_step")
    assert ",ok,step," in first
    assert second.startswith("not there.csv,failed,,")
    assert second.endswith(",No such file or directory")


def test_what_was_broken_off_goes_on(
    series_model: Path,
    series_tree: Path,
    tmp_path: Path,
    counted: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, out = tmp_path / "data", tmp_path / "r.csv"
    shutil.copytree(series_tree, data)
    predict(series_model, data, tmp_path / "whole.csv", reporter=QUIET)
    counted().clear()
    add, journal = module.Journal.add, tmp_path / "r.csv.unfinished"

    def cut(self: Any, names: Any, stamps: Any, rows: Any) -> None:
        if journal.stat().st_size > 2_000:
            with journal.open("ab") as file:
                file.write(b'[{"name": "half of a li')
            raise KeyboardInterrupt
        add(self, names, stamps, rows)

    monkeypatch.setattr(module.Journal, "add", cut)
    with pytest.raises(KeyboardInterrupt):
        predict(series_model, data, out, reporter=QUIET)
    monkeypatch.setattr(module.Journal, "add", add)
    done = 16
    assert len(counted()) > done
    assert not out.exists()
    changed = data / "step/003.csv"
    changed.write_text(changed.read_text(encoding="utf-8") + "1.0\n", encoding="utf-8")
    counted().clear()
    found = predict(series_model, data, out, reporter=QUIET)
    again = {Path(path).relative_to(data) for path in counted()}
    assert Path("step/003.csv") in again
    assert len(again) == len(table(out)) - done + 1
    unchanged = ~table(out)["path"].str.endswith("step/003.csv")
    columns = ["path", "verdict", "probability_step", "probability_wave"]
    pd.testing.assert_frame_equal(
        table(out).loc[unchanged, columns], table(tmp_path / "whole.csv").loc[unchanged, columns]
    )
    assert not journal.exists()
    assert sum(found.counts.values()) == len(table(out))


def test_another_model_s_rows_are_not_gone_on_with(
    series_model: Path, tile_model: Path, series_tree: Path, tile_tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.csv"
    module.Journal(tmp_path / "r.csv.unfinished", {"weights": "of another"}, [])
    with pytest.raises(InputError, match="rows of another model"):
        predict(series_model, series_tree, out, reporter=QUIET)
    (tmp_path / "r.csv.unfinished").write_text("spoiled\n", encoding="utf-8")
    with pytest.raises(InputError, match="not as it was written"):
        predict(series_model, series_tree, out, reporter=QUIET)
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        predict(tile_model, tile_tree / "test", out, reporter=QUIET)
    assert out.read_text(encoding="utf-8") == "mine"
    (tmp_path / "r.csv.unfinished").unlink()
    predict(tile_model, tile_tree / "test/hole", out, overwrite=True, reporter=QUIET)
    assert len(table(out)) == 8


def test_all_cpus_give_what_this_process_gives(
    ray_session: None,
    series_model: Path,
    series_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted: Callable[[], list[str]],
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("", encoding="utf-8")
    given = [series_tree, broken]
    predict(series_model, given, tmp_path / "here.csv", reporter=QUIET)
    counted().clear()
    monkeypatch.setattr(module, "LOOK", 0.0)
    monkeypatch.setattr(module, "WORTH_WORKERS", 0.0)
    predict(series_model, given, tmp_path / "there.csv", reporter=QUIET)
    assert len(counted()) == sum(module.BATCHES[:2]), "the rest was scored by workers"
    here, there = (table(tmp_path / name).drop(columns="seconds") for name in ("here.csv", "there.csv"))
    pd.testing.assert_frame_equal(here, there, rtol=1e-9)


def test_a_detector_draws_its_line_where_it_is_told(
    tile_model: Path, tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    kept = load_model(tile_model).kept
    assert kept.threshold is not None

    def anomalies(*options: str) -> tuple[float, int]:
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        ended = orchestrate("predict", tile_model, tile_tree / "test", "--out", out, "--quiet", *options)
        assert ended.code == 0, ended.err
        rows = table(out)
        assert ((rows["score"] > rows["threshold"]) == (rows["verdict"] == "anomaly")).all()
        return rows["threshold"].iloc[0], int((rows["verdict"] == "anomaly").sum())

    line, count = anomalies()
    assert line == kept.threshold
    assert anomalies("--threshold", "-1") == (-1.0, 22)
    lower, more = anomalies("--strategy", "percentile(10)")
    assert lower < line
    assert more > count
    for options, said in (
        (("--threshold", "1", "--strategy", "youden"), "both draw the line"),
        (("--strategy", "youden"), "needs the scores of anomalies"),
        (("--strategy", "best"), "'best' is not known"),
        (("--threshold", "nan"), "no finite number"),
        (("--device", "tpu"), "must be auto, cpu or cuda"),
    ):
        ended = orchestrate("predict", tile_model, tile_tree / "test", *options)
        assert ended.code == 2
        assert said in ended.err


def test_heat_maps_have_the_size_of_the_pictures(tile_model: Path, tile_tree: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, size in enumerate(((70, 50), (32, 32))):
        Image.open(tile_tree / "test/hole/000.png").resize(size).save(pictures / f"{number}.png")
    maps = tmp_path / "maps"
    predict(tile_model, pictures, tmp_path / "r.csv", heat_maps=maps, reporter=QUIET)
    sizes = {path.name.split("_")[-1]: set() for path in maps.iterdir()}
    for path in maps.iterdir():
        sizes[path.name.split("_")[-1]].add(Image.open(path).size)
    assert sizes == {name: {(70, 50), (32, 32)} for name in ("heat.png", "found.png", "overlay.png")}


def test_heat_maps_are_refused_where_there_are_none(
    series_model: Path, series_tree: Path, tile_model: Path, tile_tree: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has no anomaly maps"):
        predict(series_model, series_tree, heat_maps=tmp_path, reporter=QUIET)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        predict(tile_model, tile_tree / "test", heat_maps=tmp_path / "file", reporter=QUIET)


def test_pictures_unlike_validation_s_are_told_of(
    tile_model: Path, tile_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    dark = tmp_path / "dark"
    dark.mkdir()
    for path in sorted((tile_tree / "train/good").glob("*.png")):
        Image.open(path).convert("RGB").point(lambda value: value // 2).save(dark / path.name)
    ended = orchestrate("predict", tile_model, dark, "--out", tmp_path / "r.csv")
    assert ended.code == 0, ended.err
    assert "Beware: the 24 new pictures differ from the 24 normal validation pictures" in ended.out
    assert "brightness (median" in ended.out
    about = json.loads((tmp_path / "r.csv.about.json").read_text(encoding="utf-8"))
    assert {"brightness", "score"} <= set(about["drift"]["differs"])
    ended = orchestrate("predict", tile_model, tile_tree / "train", "--out", tmp_path / "same.csv")
    assert "Beware" not in ended.out


def test_wrong_inputs_are_told(series_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file and no folder"):
        predict(series_model, tmp_path / "nowhere", reporter=QUIET)
    with pytest.raises(InputError, match="nothing to score"):
        predict(series_model, tmp_path, reporter=QUIET)
    with pytest.raises(InputError, match=r"The folder of .* does not exist"):
        predict(series_model, series_model, tmp_path / "no/r.csv", reporter=QUIET)
    with pytest.raises(InputError, match="Parquet is no text"):
        predict(series_model, series_model, parquet=True, reporter=QUIET)


def test_the_winner_of_a_run_is_loaded_by_one_call(
    series_model: Path, series: Samples, of_series: LoadedModel, tmp_path: Path
) -> None:
    figures = {"weak": {0: (0.5, 0.5)}, "strong": {0: (0.9, 0.9)}}
    run = run_with(tmp_path / "run", figures, "macro_f1", "pca_logistic")
    shutil.copytree(series_model, RunFolder(run).model("strong", 0))
    found = best_model(run).predict(series.paths[:3]).scores
    np.testing.assert_array_equal(found, of_series.predict(series.paths[:3]).scores)


def test_without_a_file_the_rows_are_in_what_is_returned(series_model: Path, series_tree: Path) -> None:
    found = predict(series_model, [series_tree / "wave/000.csv", "nowhere.csv"][:1], reporter=QUIET)
    (row,) = found.rows
    assert (row["status"], row["verdict"]) == ("ok", "wave")
    assert row["probability_wave"] == max(row[f"probability_{name}"] for name in ("step", "trend", "wave"))


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory: pytest.TempPathFactory, tile_tree: Path) -> Path:
    """A run with one variant of two seeds, whose models are kept with their validation scores."""
    figures = {"ae": {0: (0.5, 0.5), 1: (0.6, 0.6)}}
    run = run_with(tmp_path_factory.mktemp("seeds") / "run", figures, "roc_auc", "conv_autoencoder")
    for seed in (0, 1):
        keep_tile_model(RunFolder(run).model("ae", seed), tile_tree, "ae", seed)
    return run


def test_all_seeds_answer_together(two_seeds: Path, tile_tree: Path, tmp_path: Path) -> None:
    predict(two_seeds, tile_tree / "test", tmp_path / "r.csv", ensemble=True, reporter=QUIET)
    rows = table(tmp_path / "r.csv")
    folders = [RunFolder(two_seeds).model("ae", seed) for seed in (0, 1)]
    scaled, before = [], []
    for folder in folders:
        with np.load(folder / "test_scores.npz") as kept:
            scores, labels = kept["validation_scores"], kept["validation_labels"]
        center, scale = own_scale(scores, labels)
        scaled.append((load_model(folder).predict(list(rows["path"])).scores - center) / scale)
        before.append((scores - center) / scale)
    np.testing.assert_allclose(rows["score"], np.mean(scaled, axis=0), rtol=1e-6)
    assert rows["threshold"].iloc[0] == pytest.approx(np.mean(before, axis=0).max())  # max_normal
    with pytest.raises(InputError, match="whose scores have no maps"):
        predict(two_seeds, tile_tree / "test", ensemble=True, heat_maps=tmp_path / "maps", reporter=QUIET)


def test_all_seeds_of_an_older_version_draw_the_line_they_are_told(
    two_seeds: Path, tile_tree: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(two_seeds, run.root)
    for note in run.models.glob("ae/*/model.json"):
        note.write_text(json.dumps({**json.loads(note.read_text(encoding="utf-8")), "strategy": None}))
    data = tile_tree / "test/hole"
    with pytest.raises(InputError, match="did not keep the threshold strategy"):
        predict(run.root, data, ensemble=True, reporter=QUIET)
    told = predict(run.root, data, ensemble=True, threshold=0.25, reporter=QUIET)
    assert {row["threshold"] for row in told.rows} == {0.25}
    fitted = predict(run.root, data, ensemble=True, strategy="max_normal", reporter=QUIET)
    as_kept = predict(two_seeds, data, ensemble=True, reporter=QUIET)
    assert {row["threshold"] for row in fitted.rows} == {row["threshold"] for row in as_kept.rows}


def test_a_kept_ensemble_answers_like_its_members_together(two_seeds: Path, tile_tree: Path, tmp_path: Path) -> None:
    run = RunFolder(two_seeds)
    kept = [load_model(run.model("ae", seed)).kept for seed in (0, 1)]
    members = tuple(
        KeptMember(
            variant="ae", seed=one.seed, folder=f"../../ae/{one.seed}", weights=one.weights, weight=weight, center=0.1,
            scale=2.0,
        )
        for one, weight in zip(kept, (0.25, 0.75), strict=True)
    )  # fmt: skip
    folder = tmp_path / "models/both/0"
    shutil.copytree(run.models / "ae", tmp_path / "models/ae")
    ensemble = KeptEnsemble(
        variant="both", seed=0, task="detection", classes=kept[0].classes, members=members, threshold=0.5, code="1"
    )
    keep_ensemble(folder, ensemble)
    found = predict(folder, tile_tree / "test/hole", reporter=QUIET)
    paths = [row["path"] for row in found.rows]
    each = [(load_model(run.model("ae", seed)).predict(paths).scores - 0.1) / 2 for seed in (0, 1)]
    np.testing.assert_allclose([row["score"] for row in found.rows], 0.25 * each[0] + 0.75 * each[1], rtol=1e-6)
    assert {row["threshold"] for row in found.rows} == {0.5}
    with pytest.raises(InputError, match="is an ensemble of several models"):
        best_model(folder)
    keep_ensemble(folder, ensemble.model_copy(update={"members": (members[0].model_copy(update={"weights": "x"}),)}))
    with pytest.raises(InputError, match="another model than the ensemble both was made of"):
        predict(folder, tile_tree / "test/hole", reporter=QUIET)


def test_what_a_series_lost_stands_in_its_row(series_model: Path, series_tree: Path, tmp_path: Path) -> None:
    text = (series_tree / "wave/000.csv").read_text(encoding="utf-8")
    gaps = tmp_path / "gaps.csv"
    gaps.write_text(text.replace("\n", "\n\nno number\n", 3), encoding="utf-8")
    found = predict(series_model, [gaps, series_tree / "wave/001.csv"], tmp_path / "r.csv", reporter=QUIET)
    first, second = table(tmp_path / "r.csv")["reason"]
    assert "cells that can't be read" in first
    assert pd.isna(second)
    assert found.noted == 1
    assert "Of 1 file something was left out" in found.text()


def test_what_is_replaced_while_it_is_scored_is_scored_again(
    series_model: Path, series_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = tmp_path / "a.csv", tmp_path / "r.csv"
    shutil.copy(series_tree / "wave/000.csv", file)
    rows = Scorer.rows

    def replaced(self: Scorer, paths: list[str]) -> Any:
        found = rows(self, paths)
        shutil.copy(series_tree / "step/000.csv", file)
        return found

    monkeypatch.setattr(Scorer, "rows", replaced)
    monkeypatch.setattr(module.Journal, "rows", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        predict(series_model, file, out, reporter=QUIET)
    monkeypatch.undo()
    predict(series_model, file, out, reporter=QUIET)
    assert list(table(out)["verdict"]) == ["step"]

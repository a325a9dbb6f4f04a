"""Numbers of other tools beside runs: joined by path, judged as the runs' own, marked, or refused in words."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.classification_runs import CLASSES, write_run
from builders.detection_runs import DetectionBuilder
from builders.pages import Page

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.comparing.board import read_board
from orchestrator.comparing.comparison import RunComparison, read_comparison
from orchestrator.comparing.comparison_report import comparison_report
from orchestrator.comparing.differences import Move
from orchestrator.comparing.foreign_paths import join_paths
from orchestrator.comparing.foreign_table import read_foreign_table
from orchestrator.report.document.plain_text import to_text
from orchestrator.report.numbers.run_data import read_run
from orchestrator.using.result_file import Table
from orchestrator.using.rows import Row, failed
from trainables.errors import InputError

Orchestrate = Callable[..., Any]
SEEDS = (0, 1, 2)
CAVEAT = "how its threshold or hyperparameters were chosen is not known"


@pytest.fixture(scope="module")
def detection(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    builder = DetectionBuilder(tmp_path_factory.mktemp("foreign") / "parts", {"pca": 1.2, "vae": 2.4}, False, True, 120)
    builder.experiment(SEEDS)
    for variant in builder.variants:
        for seed in SEEDS:
            builder.cell(variant, seed)
    return builder.run


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("foreign") / "plots"
    return write_run(root, {"pca_logistic": 0.25, "resnet18": 0.9}, CLASSES, 135, 0, SEEDS, True, None)


def exported(run: RunFolder, variant: str, seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """A run's kept test scores as another tool would write them."""
    lines = {one.seed: one.threshold for one in read_run(run).completed[variant]}
    parts = []
    for seed in seeds:
        with np.load(run.predictions(variant, seed)) as kept:
            frame = pd.DataFrame({"path": [os.fsdecode(path) for path in kept["paths"]], "seed": seed})
            names = [os.fsdecode(name) for name in kept["classes"]]
            frame["label"] = [names[label] for label in kept["labels"]]
            if kept["scores"].ndim == 2:
                frame[names] = kept["scores"]
                frame["prediction"] = [names[place] for place in kept["scores"].argmax(axis=1)]
            else:
                line = lines[seed]
                assert line is not None
                frame["score"], frame["threshold"] = kept["scores"], line.value
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def written(path: Path, frame: pd.DataFrame, **how: Any) -> Path:
    frame.to_csv(path, index=False, **how)
    return path


def moves(found: RunComparison, variant: str, model: str) -> dict[str, Move]:
    return {one.metric: one for one in found.others[0].moves if (one.variant, one.other) == (variant, model)}


def refusal(run: RunFolder, path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read_comparison([run.root, path])
    return str(refused.value)


@pytest.mark.parametrize("task", ["detection", "plots"])
def test_a_run_s_own_scores_get_the_same_figures_to_the_digit(
    request: pytest.FixtureRequest, tmp_path: Path, task: str
) -> None:
    run: RunFolder = request.getfixturevalue(task)
    variant = "vae" if task == "detection" else "resnet18"
    shuffled = exported(run, variant).sample(frac=1, random_state=1)
    found = read_comparison([run.root, written(tmp_path / "theirs.csv", shuffled)])
    same = moves(found, variant, "theirs (foreign)")
    assert set(same) == set(read_run(run).metrics)
    for move in same.values():
        assert move.first == move.second
        assert move.comparison is not None
        assert (move.comparison.difference.mean, move.comparison.p, move.outcome) == (0.0, None, "unchanged")
    own = {cell.seed: cell.metrics for cell in read_run(run).completed[variant]}
    theirs = found.others[0].run.data.completed["theirs (foreign)"]
    assert {cell.seed: cell.metrics for cell in theirs} == own


def test_what_predict_writes_is_taken_as_it_is(plots: RunFolder, tmp_path: Path) -> None:
    with np.load(plots.predictions("resnet18", 0)) as kept:
        table = Table([os.fsdecode(name) for name in kept["classes"]], False, None)
        rows = [
            Row(
                path=os.fsdecode(path), status="ok", verdict=CLASSES[scores.argmax()], score=None,
                probabilities=scores.tolist(), seconds=0.1, reason="", statistics=[],
            )
            for path, scores in zip(kept["paths"], kept["scores"], strict=True)
        ]  # fmt: skip
    table.write(tmp_path / "again.csv", rows, "csv")
    found = read_comparison([plots.root, tmp_path / "again.csv"])
    own = {cell.seed: cell.metrics for cell in read_run(plots).completed["resnet18"]}
    theirs = found.others[0].run.data.completed["again (foreign)"]
    assert [cell.metrics for cell in theirs] == [own[0]]


def test_names_that_predict_made_harmless_are_as_they_were(tmp_path: Path) -> None:
    names = ["=a.png", "'=b.png", "'c.png", "-d;@e.png"]
    text = "".join(Table(("normal", "anomaly"), True, 0.5).text([failed(name, "", -1.0) for name in names], "csv"))
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    assert "'=a.png" in text
    assert read_foreign_table(tmp_path / "r.csv", "r").texts("path", range(len(names))) == names


def test_it_stands_against_every_variant_with_the_interval_and_p_of_two_variants(
    detection: RunFolder, tmp_path: Path
) -> None:
    found = read_comparison([detection.root, written(tmp_path / "theirs.csv", exported(detection, "vae"))])
    against = moves(found, "pca", "theirs (foreign)")
    own = read_comparison([detection.root, written(tmp_path / "pca.csv", exported(detection, "pca"))])
    mirrored = moves(own, "vae", "pca (foreign)")
    for metric, move in against.items():
        assert move.comparison is not None
        other = mirrored[metric].comparison
        assert other is not None
        assert move.comparison.difference.mean == pytest.approx(-other.difference.mean)
        assert move.comparison.p == pytest.approx(other.p)
    assert found.tests == sum(one.comparison.p is not None for one in found.others[0].moves if one.comparison)
    only = read_comparison([detection.root, tmp_path / "theirs.csv"], matches=["vae=theirs"])
    assert {one.variant for one in only.others[0].moves if one.second is not None} == {"vae"}


def test_worse_scores_are_significantly_worse_and_one_repeat_stands_against_every_seed(
    detection: RunFolder, tmp_path: Path, orchestrate: Orchestrate
) -> None:
    frame = exported(detection, "vae", (0,)).drop(columns=["seed", "threshold"])
    frame["score"] = np.random.default_rng(0).permutation(frame["score"])
    path = written(tmp_path / "noise.csv", frame)
    found = read_comparison([detection.root, path])
    worse = moves(found, "vae", "noise (foreign)")
    assert set(worse) == {"roc_auc", "average_precision"}
    move = worse["roc_auc"]
    assert move.comparison is not None
    assert move.second is not None
    assert (move.outcome, move.explanation, move.second.seeds) == ("moved significantly", "worse", 1)
    assert move.comparison.difference.seeds == len(SEEDS)
    assert move.comparison.difference.with_pictures
    text = " ".join(to_text(comparison_report(found)).split())
    assert "B holds one repeat, which stands against every seed of A" in text
    assert "it holds neither threshold nor verdict, so its models have no balanced accuracy, F1, TPR and TNR" in text
    assert CAVEAT in text
    ended = orchestrate("compare", detection.root, path, "--json", "--out", tmp_path / "out")
    (one,) = json.loads(ended.out)["others"]
    assert (one["foreign"], one["comparable"], one["split"]["test_pictures"]["common"]) == (True, True, 120)
    assert {row["variant_second"] for row in one["moves"]} == {"noise (foreign)"}
    page = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert "noise (foreign) against vae" in page.text
    assert "differs significantly: worse" in page.text
    assert CAVEAT in page.text


def test_repeats_pair_by_seed_or_else_in_their_order(detection: RunFolder, tmp_path: Path) -> None:
    frame = exported(detection, "vae")
    other = written(tmp_path / "other.csv", frame.assign(seed=frame["seed"] + 10))
    found = read_comparison([detection.root, other])
    for move in moves(found, "vae", "other (foreign)").values():
        assert move.outcome == "unchanged"
    assert "Repeats of other (foreign) have other seeds, and pair in their order" in " ".join(
        to_text(comparison_report(found)).split()
    )
    two = written(tmp_path / "two.csv", frame[frame["seed"] != 1])
    (same,) = {one.comparison.difference.seeds for one in read_comparison([detection.root, two]).others[0].moves
               if one.comparison}  # fmt: skip
    assert same == 2


def test_verdicts_count_without_scores_and_a_line_of_one_s_own(detection: RunFolder, tmp_path: Path) -> None:
    frame = exported(detection, "vae")
    frame["verdict"] = np.where(frame["score"] > frame["threshold"], "Anomaly", "normal")
    alone = written(tmp_path / "alone.csv", frame.drop(columns=["score", "threshold"]))
    found = read_comparison([detection.root, alone])
    assert set(moves(found, "vae", "alone (foreign)")) == {"balanced_accuracy", "f1", "tpr", "tnr"}
    assert {one.outcome for one in moves(found, "vae", "alone (foreign)").values()} == {"unchanged"}
    assert any("it holds no score, so its models have no ROC-AUC" in one for one in found.notices)
    frame.loc[3, "verdict"] = "normal" if frame.loc[3, "verdict"] == "Anomaly" else "Anomaly"
    told = refusal(detection, written(tmp_path / "two_lines.csv", frame))
    assert "`verdict` and `threshold` disagree in 1 row (row 4)" in told


def test_classes_that_were_named_need_no_probabilities(plots: RunFolder, tmp_path: Path) -> None:
    frame = exported(plots, "resnet18")[["path", "seed", "prediction"]]
    found = read_comparison([plots.root, written(tmp_path / "named.csv", frame)])
    same = moves(found, "resnet18", "named (foreign)")
    assert set(same) == {"macro_f1", "accuracy", "macro_precision", "macro_recall"}
    assert {one.outcome for one in same.values()} == {"unchanged"}


def test_several_models_in_one_file_and_pictures_that_do_not_test(detection: RunFolder, tmp_path: Path) -> None:
    frame = pd.concat([exported(detection, name).assign(model=name) for name in ("vae", "pca")])
    extra = pd.DataFrame({"path": ["train/good/0.png", "test/good/v3.png", "elsewhere/x.png"], "model": "vae"})
    extra = extra.assign(seed=0, score=1.0, threshold=2.0, label="", note="of no use")
    path = written(tmp_path / "both.csv", pd.concat([frame, extra, frame.iloc[:2]]))
    found = read_comparison([detection.root, path])
    assert {one.other for one in found.others[0].moves} == {"vae (foreign)", "pca (foreign)"}
    assert {one.outcome for one in moves(found, "pca", "pca (foreign)").values()} == {"unchanged"}
    said = "\n".join(found.notices)
    assert "2 rows of it are of pictures that do not test (they train or validate) and left out" in said
    assert (
        "1 row of it is left out, as no picture of the run, or several, can be meant, such as elsewhere/x.png" in said
    )
    assert "2 rows of it repeat another with the same answer and count once" in said
    assert "columns that say nothing here: note" in said


def test_what_does_not_fit_the_run_is_refused_with_counts_and_examples(detection: RunFolder, tmp_path: Path) -> None:
    frame = exported(detection, "vae", (0,)).drop(columns="seed")
    row = frame["path"][5]

    def told(name: str, changed: pd.DataFrame) -> str:
        return refusal(detection, written(tmp_path / f"{name}.csv", changed))

    lacking = told("lacking", frame.drop(index=[5, 6]))
    assert "of 120 test pictures it lacks 2, such as" in lacking
    assert row in lacking
    assert "it lacks 120" in told("others", frame.assign(path=[f"elsewhere/{number}" for number in range(len(frame))]))
    flipped = frame.assign(label=frame["label"].where(frame["path"] != row, "anomaly"))
    flipped.loc[frame["path"] == row, "label"] = "anomaly" if frame["label"][5] == "normal" else "normal"
    assert f"its labels are not the run's for 1 test picture of 120: {row} is" in told("labels", flipped)
    assert "column `label` holds 'cat' (row 2); it must be normal or anomaly, or 0 or 1" in told(
        "words", frame.assign(label=["cat" if number == 1 else one for number, one in enumerate(frame["label"])])
    )
    again = pd.concat([frame, frame.iloc[[5]].assign(score=77.0)])
    assert f"rows 6 and 121 are of one picture, {row}, and differ in `score`" in told("again", again)
    assert "column `score` is empty or NaN in 2 rows (rows 2 and 6)" in told(
        "gaps", frame.assign(score=frame["score"].where(~frame.index.isin([1, 5])))
    )
    infinite = frame.assign(score=frame["score"].astype(str).where(frame.index != 2, "inf"))
    assert "column `score` holds what is no finite number in 1 row, such as 'inf', row 3" in told("infinite", infinite)
    columns = told("columns", frame.drop(columns=["score", "threshold"]))
    assert "Of detection a file needs, beside `path`, a column `score`" in columns
    assert "It has the columns path and label" in columns
    assert "a table of metrics needs columns named as they are: roc_auc" in told("neither", frame[["label"]])
    assert "column `seed` must hold whole numbers from 0" in told("seeds", frame.assign(seed=0.5))


def test_probabilities_must_be_ones_of_the_run_s_classes(plots: RunFolder, tmp_path: Path) -> None:
    frame = exported(plots, "resnet18", (0,))

    def told(name: str, changed: pd.DataFrame) -> str:
        return refusal(plots, written(tmp_path / f"{name}.csv", changed))

    assert "it holds no probability of volatility" in told("few", frame.drop(columns="volatility"))
    logits = frame.assign(volatility=frame["volatility"] + 4)
    assert "135 rows are negative or do not sum to 1 (rows 1, 2, 3, 4 and 131 more" in told("logits", logits)
    other = "volatility" if frame["prediction"][0] != "volatility" else "mean_shift"
    two = frame.assign(prediction=frame["prediction"].where(frame.index != 0, other))
    assert "`prediction` is not the most probable class in 1 row (row 1)" in told("two", two)


@pytest.mark.parametrize("spoiled", ["semicolons", "gzip", "utf-16", "parquet", "spaces", "windows"])
def test_spreadsheets_and_other_writings_are_read(detection: RunFolder, tmp_path: Path, spoiled: str) -> None:
    frame = exported(detection, "vae")
    path = tmp_path / "theirs.csv"
    if spoiled == "semicolons":
        written(path, frame, sep=";", decimal=",", encoding="utf-8-sig")
    elif spoiled == "gzip":
        path = tmp_path / "theirs.csv.gz"
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    elif spoiled == "parquet":
        path = tmp_path / "theirs.parquet"
        frame.to_parquet(path)
    elif spoiled == "spaces":
        frame.rename(columns={"path": " Path ", "score": "SCORE"}).to_csv(path)  # with the rows' numbers before them
    elif spoiled == "windows":
        written(path, frame.assign(path="D:\\data\\parts\\" + frame["path"].str.replace("/", "\\")))
    else:
        written(path, frame, encoding="utf-16")
    found = read_comparison([detection.root, path])
    assert {one.outcome for one in moves(found, "vae", "theirs (foreign)").values()} == {"unchanged"}
    if spoiled == "windows":
        assert any("`D:/data/parts/` before each of its paths is left out" in one for one in found.notices)


def test_paths_are_joined_only_without_doubt() -> None:
    pictures = ["test/good/1.png", "test/crack/1.png", "test/crack/2.png", "train/good/1.png", "train/good/2.png"]
    tested = range(3)
    absolute = [f"/mnt/copy/{path}" for path in pictures]
    assert join_paths(absolute, pictures, tested).places == (0, 1, 2, 3, 4)
    below = ["good/1.png", "crack/1.png", "crack/2.png", "good/7.png"]
    assert join_paths(below, pictures, tested).places == (0, 1, 2, None)
    assert join_paths(["1.png", "2.png"], pictures, tested).places == (None, None)
    names = ["a/x1.png", "b/x2.png", "b/y/x3.png"]
    assert join_paths(["x3.png", "x1.png", "x2.png"], names, range(3)).places == (2, 0, 1)
    # One validation picture of another division is not taken for the test picture of that number.
    assert join_paths([*pictures[:3], "val/crack/2.png"], pictures, tested).places == (0, 1, 2, None)


def test_a_table_of_metrics_is_shown_and_never_tested(
    detection: RunFolder, tmp_path: Path, orchestrate: Orchestrate
) -> None:
    table = pd.DataFrame({"model": ["a", "a", "b"], "seed": [0, 1, 0], "ROC-AUC": [0.9, 0.92, None], "f1": 0.5})
    path = written(tmp_path / "paper.csv", table)
    found = read_comparison([detection.root, path])
    assert found.tests == 0
    assert {one.outcome for one in found.others[0].moves} == {"not comparable"}
    move = moves(found, "vae", "a (foreign)")["roc_auc"]
    assert move.second is not None
    assert (move.second.mean, move.second.seeds, move.comparison) == (pytest.approx(0.91), 2, None)
    ended = orchestrate("compare", detection.root, path)
    assert ended.code == 0
    text = " ".join(ended.out.split())
    assert "B is a table of metrics: on which pictures is not known, so none is tested" in text
    assert "pictures not known: not comparable" in text
    for wrong, why in {
        "percent": (table.assign(f1=50.0), "column `f1` must lie between 0 and 1 (rows 1, 2 and 3: 50)"),
        "twice": (table.drop(columns="seed"), "rows 1 and 2 hold different figures of one model"),
        "none": (table.assign(f1=None, **{"ROC-AUC": None}), "hold no figure"),
    }.items():
        assert why[1] in refusal(detection, written(tmp_path / f"{wrong}.csv", why[0]))


def test_a_file_stands_beside_a_run_and_is_given_once(detection: RunFolder, tmp_path: Path) -> None:
    path = written(tmp_path / "theirs.csv", exported(detection, "vae"))
    with pytest.raises(InputError, match=r"the first must be a run"):
        read_comparison([path, detection.root])
    with pytest.raises(InputError, match="the same file as"):
        read_comparison([detection.root, path, path])
    with pytest.raises(InputError, match="can't be read: No such file"):
        read_comparison([detection.root, tmp_path / "nowhere.csv"])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "head.csv").write_text("path,score\n")
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n")
    (tmp_path / "ragged.csv").write_text("path,score\na,1\nb,2,3\nc,4\n")
    (tmp_path / "twice.csv").write_text("path,score,Score\na,1,2\nb,2,3\n")
    assert "empty" in refusal(detection, tmp_path / "empty.csv")
    assert "holds no row" in refusal(detection, tmp_path / "head.csv")
    assert "its first line must name the columns" in refusal(detection, tmp_path / "bare.csv")
    assert "1 row (row 2 first) has other cells than the 2 columns" in refusal(detection, tmp_path / "ragged.csv")
    assert "columns must have different names; score and Score are alike" in refusal(detection, tmp_path / "twice.csv")


def test_a_run_without_kept_scores_can_judge_none(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run("bare", {"vae": {0: 0.8, 1: 0.82}}, scores={})
    path = tmp_path / "theirs.csv"
    path.write_text("path,score\ntest/0.png,1\ntest/1.png,2\n")
    with pytest.raises(InputError, match="what is true of its test pictures is kept with the scores of its models"):
        read_comparison([run, path])


def test_of_several_splits_it_stands_beside_the_first(tmp_path: Path, orchestrate: Orchestrate) -> None:
    for root, number, split in ((tmp_path / "run", {"repeats": 2}, ""), (tmp_path / "run/splits/2", {}, "7" * 32)):
        builder = DetectionBuilder(root, {"vae": 2.4}, False, True, 60)
        builder.experiment((0, 1), data={"path": "parts", "split": number})
        if split:
            builder.provenance = builder.provenance.model_copy(update={"split": split})
            told = json.loads(builder.run.split.read_text(encoding="utf-8"))
            builder.run.split.write_text(json.dumps(told | {"fingerprint": split}), encoding="utf-8")
        for seed in (0, 1):
            builder.cell("vae", seed)
    run = RunFolder(tmp_path / "run")
    path = written(tmp_path / "theirs.csv", exported(run, "vae", (0, 1)))
    found = read_comparison([run.root, path])
    assert {one.outcome for one in moves(found, "vae", "theirs (foreign)").values()} == {"unchanged"}
    assert "on the first split alone" in " ".join(to_text(comparison_report(found)).split())
    ended = orchestrate("leaderboard", run.root, path)
    assert ended.code == 2
    assert "figures there are over several splits, and a file's of one" in ended.err


def test_the_leaderboard_ranks_and_marks_them(
    detection: RunFolder, plots: RunFolder, tmp_path: Path, orchestrate: Orchestrate
) -> None:
    best = exported(detection, "vae", (0,)).drop(columns="seed")
    best["score"] = np.where(best["label"] == "anomaly", 9.0, 0.0)
    path = written(tmp_path / "oracle.csv", best)
    paper = written(tmp_path / "paper.csv", pd.DataFrame({"model": ["claimed"], "roc_auc": [0.99]}))
    ended = orchestrate("leaderboard", detection.root, plots.root, path, paper, "--json", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    sets = {one["label"]: one["rows"] for one in json.loads(ended.out)["data_sets"]}
    assert [(row["variant"], row["foreign"]) for row in sets["parts"]] == [
        ("oracle (foreign)", True), ("claimed (foreign)", True), ("vae", False), ("pca", False),
    ]  # fmt: skip
    assert not any(row["foreign"] for row in sets["series"])
    page = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert "Leaderboard of 2 runs and 2 files of other tools" in page.text
    assert CAVEAT in page.text
    assert "Not ranked, because on which pictures is not known: claimed (foreign)" in page.text
    wrong = written(tmp_path / "wrong.csv", best.iloc[1:])
    told = orchestrate("leaderboard", detection.root, wrong)
    assert told.code == 2
    assert "of 120 test pictures it lacks 1" in told.err


def test_ranks_are_joined_by_models_that_stand_on_every_ranked_data_set(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    figures = {name: {0: value, 1: value + 0.02} for name, value in (("pca", 0.7), ("vae", 0.8), ("knn", 0.9))}
    tested = [f"test/{row}.png" for row in range(300)]
    runs, rows = [], []
    for place in range(4):
        data = f"{place}" * 32
        names = figures if place < 3 else {"pca": figures["pca"]}
        runs.append(make_run(f"run{place}", names, data=data, split=data, path=f"/d/set{place}", tested=tested))
        for model in ("steady", "partial"):
            if model == "steady" or place < 2:
                scores = (np.arange(300) % 2) + np.random.default_rng(place).normal(0, 0.2, 300)
                rows.append(pd.DataFrame({"path": tested, "score": scores, "model": model, "data_set": f"set{place}"}))
    path = written(tmp_path / "theirs.csv", pd.concat(rows))
    board = read_board([*runs, path])
    (ranking,) = board.rankings
    assert ranking.test is not None
    assert ranking.data_sets == ("set0", "set1", "set2")
    assert list(ranking.test.ranks) == ["steady (foreign)", "knn", "vae", "pca"]
    assert any("Ranked though this program did not make them" in one and "steady" in one for one in ranking.remarks)
    assert any("not on each of the ranked data sets: partial (foreign)" in one for one in ranking.remarks)
    anywhere = written(tmp_path / "anywhere.csv", rows[0].drop(columns="data_set"))
    with pytest.raises(InputError, match="may be of set0, set1, set2 and set3: their pictures have the same paths"):
        read_board([*runs, anywhere])

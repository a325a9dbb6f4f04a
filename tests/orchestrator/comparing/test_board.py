"""One leaderboard over many runs, and the ranks over data sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.comparing.board import board_json, read_board
from orchestrator.comparing.board_ranks import complete_blocks
from orchestrator.comparing.board_report import board_report
from orchestrator.report.document.plain_text import to_text
from trainables.errors import InputError

MakeRun = Callable[..., Path]
Orchestrate = Callable[..., Any]
ORDER = {"pca": 0.70, "vae": 0.80, "knn": 0.90}


def figures(shift: float = 0.0, names: tuple[str, ...] = tuple(ORDER)) -> dict[str, dict[int, float]]:
    return {name: {0: ORDER[name] + shift, 1: ORDER[name] + shift + 0.02} for name in names}


def many(make_run: MakeRun, count: int, **more: Any) -> list[Path]:
    return [
        make_run(
            f"run{place}",
            figures(place / 100),
            data=f"{place}" * 32,
            split=f"{place + 5}" * 32,
            path=f"/d/set{place}",
            **more,
        )
        for place in range(count)
    ]


def test_rows_stand_by_data_set_best_first(make_run: MakeRun) -> None:
    runs = many(make_run, 2)
    also = make_run("again", figures(0.05), data="0" * 32, split="5" * 32, path="/elsewhere/set0")
    board = read_board([*runs, also])
    assert [one.label for one in board.sets] == ["set0", "set1"]
    first = board.sets[0]
    assert [(row.run, row.variant) for row in first.rows][:3] == [("again", "knn"), ("run0", "knn"), ("again", "vae")]
    best = first.rows[0]
    assert best.estimate is not None
    assert best.estimate.mean == pytest.approx(0.96)
    assert (best.seeds, best.seconds, best.parameters, best.family) == (2, 2.5, 1234, "pca")


def test_ranks_need_three_by_three_and_say_why_not(make_run: MakeRun) -> None:
    runs = many(make_run, 3)
    assert read_board(runs[:2]).rankings[0].test is None
    text = " ".join(to_text(board_report(read_board(runs[:2]))).split())
    assert "the blocks must be data sets; seeds of one data set are not independent" in text
    assert "There are 2 data sets here." in text
    (ranking,) = read_board(runs).rankings
    assert ranking.test is not None
    assert ranking.test.ranks == {"knn": 1.0, "vae": 2.0, "pca": 3.0}
    assert ranking.data_sets == ("set0", "set1", "set2")
    # The same order on all three: p is (1 / 3!)², and the best and the worst lie 2 ranks apart, below CD = 1.91.
    assert ranking.test.p == pytest.approx(1 / 36)
    assert ranking.test.groups == (("knn", "vae"), ("vae", "pca"))
    text = " ".join(to_text(board_report(read_board(runs))).split())
    assert "knn (average rank 1.00) ranks significantly above pca" in text
    assert "Not told apart: knn and vae." in text
    assert "F(2, 4) = ∞" in text


def test_what_breaks_the_complete_table_is_left_out_and_said(make_run: MakeRun) -> None:
    runs = many(make_run, 3)
    lone = make_run("lone", figures(0, ("pca", "vae")), data="a" * 32, split="b" * 32, path="/d/lone")
    extra = make_run("extra", {"new": {0: 0.5}}, data="0" * 32, split="5" * 32, families={"new": "vae"})
    (ranking,) = read_board([*runs, lone, extra]).rankings
    assert ranking.data_sets == ("set0", "set1", "set2")
    assert any("not on each of the ranked data sets: new (vae)" in remark for remark in ranking.remarks)
    assert any("not every ranked variant stands on it: lone" in remark for remark in ranking.remarks)


def test_splits_of_one_data_set_are_one_block(make_run: MakeRun) -> None:
    runs = many(make_run, 2)
    other = make_run("other", figures(), data="0" * 32, split="c" * 32, path="/d/set0")
    board = read_board([*runs, other])
    assert [one.label for one in board.sets] == ["set0 (split 55555555)", "set0 (split cccccccc)", "set1"]
    (ranking,) = board.rankings
    assert ranking.test is None
    assert "set0 (split cccccccc) is not ranked: it is another split" in ranking.remarks[0]


def test_several_runs_of_a_variant_are_ranked_by_their_mean(make_run: MakeRun) -> None:
    runs = many(make_run, 3)
    # Worse by so much that pca's mean on set0 stays last; were the best one taken, nothing would change either.
    again = make_run("again", {"knn": {0: 0.1}}, data="0" * 32, split="5" * 32, path="/d/set0")
    (ranking,) = read_board([*runs, again]).rankings
    assert ranking.figures["knn"][0] == pytest.approx((0.91 + 0.1) / 2)
    assert any("of knn (pca) the mean over runs is ranked" in remark for remark in ranking.remarks)
    assert ranking.test is not None
    assert ranking.test.ranks["knn"] == pytest.approx((3 + 1 + 1) / 3)


def test_a_variant_of_another_family_is_another_one(make_run: MakeRun) -> None:
    runs = many(make_run, 2)
    third = make_run("third", figures(), data="9" * 32, path="/d/set9", families={"knn": "vae"})
    (ranking,) = read_board([*runs, third]).rankings
    assert ranking.test is None
    assert "stands only pca and vae (pca)" in ranking.reason


def test_complete_blocks_are_the_largest_table() -> None:
    a, b, c, d = (("a", "f"), ("b", "f"), ("c", "f"), ("d", "f"))
    tables = {"1": {a, b, c, d}, "2": {a, b, c}, "3": {a, b, c, d}, "4": {a, b}, "5": {b, c, d}}
    assert complete_blocks(tables) == ([a, b, c], ["1", "2", "3"])
    # Four methods on two data sets are more cells than three on two, but too few data sets.
    assert complete_blocks({"1": {a, b, c, d}, "2": {a, b, c, d}}) == ([], [])
    assert complete_blocks({}) == ([], [])
    assert complete_blocks({"1": {a, b, c}, "2": {a, b, c}, "3": {a, b, c, d}, "4": {a, b, c}})[1] == [
        "1",
        "2",
        "3",
        "4",
    ]


def test_other_folders_and_copies_are_left_out_and_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("run", figures())
    make_run("copy", figures())
    make_run("failed", figures(), status="failed")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "records.jsonl").write_text("")
    board = read_board(sorted(tmp_path.iterdir()))
    assert [one.name for one in board.runs] == ["copy"]
    said = " ".join(board.notices)
    for words in ("notes.txt is left out", "empty is left out", "failed is left out", "run is left out: it is copy"):
        assert words in said
    with pytest.raises(InputError, match="None of the folders is a run"):
        read_board([tmp_path / "empty", tmp_path / "notes.txt"])
    assert run.is_dir()


def test_the_metric_can_be_chosen(make_run: MakeRun) -> None:
    both = {"vae": {0: {"roc_auc": 0.9, "f1": 0.4}}, "pca": {0: {"roc_auc": 0.8, "f1": 0.6}}}
    run, other = make_run("run", both), make_run("other", {"knn": {0: 0.7}})
    (one,) = read_board([run, other], "f1").sets
    assert [(row.variant, row.estimate is None) for row in one.rows] == [("pca", False), ("vae", False), ("knn", True)]
    with pytest.raises(InputError, match="no run has it"):
        read_board([run], "nope")


def test_tasks_and_objectives_of_several_kinds_stand_side_by_side(make_run: MakeRun) -> None:
    plots = make_run(
        "plots", {"m": {0: {"accuracy": 0.5}}}, families={"m": "pca_logistic"}, data="c" * 32, path="plots",
        objective={"metric": "accuracy"},
    )  # fmt: skip
    first = make_run("first", {"vae": {0: {"roc_auc": 0.9, "f1": 0.4}}})
    second = make_run("second", {"vae": {0: {"roc_auc": 0.8, "f1": 0.5}}}, objective={"metric": "f1"})
    board = read_board([plots, first, second])
    assert {one.task: one.metric for one in board.sets} == {"classification": "accuracy", "detection": "roc_auc"}
    assert any("have other objectives" in notice for notice in board.notices)
    assert len(board.rankings) == 2


def test_the_command_prints_writes_and_gives_json(make_run: MakeRun, orchestrate: Orchestrate, tmp_path: Path) -> None:
    runs = many(make_run, 3)
    ended = orchestrate("leaderboard", *runs, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert max(map(len, ended.out.splitlines()[:-1])) <= 100
    assert "Ranks over data sets: detection" in ended.out
    written = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"index.html", "report.md", "leaderboard.csv", "ranks.csv", "nemenyi.csv", "leaderboard.tex"} <= written
    assert {f"critical_difference.{suffix}" for suffix in ("pdf", "png", "svg")} <= written
    assert "critical difference" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    told = json.loads(orchestrate("leaderboard", *runs, "--json").out)
    assert set(told) == {"data_sets", "ranks", "notices", "report"}
    assert set(told["data_sets"][0]) == {"label", "data", "split", "task", "metric", "mode", "rows"}
    assert set(told["data_sets"][0]["rows"][0]) == {
        "run", "variant", "family", "mean", "low", "high", "seeds", "seconds", "parameters", "foreign",
    }  # fmt: skip
    test = told["ranks"][0]["test"]
    assert test["friedman"]["f"] is None  # infinite: every data set has the same order
    assert test["nemenyi"]["critical_difference"] == pytest.approx(2.343 * (12 / 18) ** 0.5, abs=1e-3)
    assert len(test["nemenyi"]["pairs"]) == 3
    assert orchestrate("leaderboard", tmp_path / "nowhere").code == 2
    assert board_json(read_board(runs))["ranks"] == told["ranks"]

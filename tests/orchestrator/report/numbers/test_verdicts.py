"""One verdict a comparison, whatever two tests say of it."""

from collections.abc import Callable

import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.leaderboard import standings
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.numbers.verdicts import PicturesTest, corrected, verdict
from orchestrator.report.page import write_report
from orchestrator.scoring.paired_tests import PairedTest
from orchestrator.scoring.statistics import Comparison, Estimate, compare
from trainables.interface import Task

MakeRun = Callable[..., RunFolder]


def compared(outcome: str) -> Comparison:
    difference = Estimate(0.1 if outcome == "better" else -0.1, -0.2, 0.2, 3, 0.01, 0.01)
    return Comparison(difference, 0.001, 0.001, 1, outcome, f"significantly {outcome}")  # type: ignore[arg-type]


def on_pictures(difference: float, p: float | None, reason: str = "") -> PicturesTest:
    return PicturesTest({0: PairedTest(difference, None, p)}, 50, 50, p, p, reason)


@pytest.mark.parametrize(
    ("outcome", "pictures", "metric", "task", "expected"),
    [
        ("better", on_pictures(0.1, 0.001), "macro_f1", "classification", "better"),
        ("worse", on_pictures(-0.1, 0.001), "macro_f1", "classification", "worse"),
        ("worse", on_pictures(-0.1, 0.078), "macro_f1", "classification", "not significant"),
        ("better", on_pictures(0.1, 0.05), "roc_auc", "detection", "not significant"),
        ("better", on_pictures(-0.1, 0.001), "log_loss", "classification", "not significant"),
        ("better", on_pictures(0.1, None, "the scores leave no variance"), "roc_auc", "detection", "better"),
        ("better", PicturesTest(reason="the test scores of seed 0 are missing"), "roc_auc", "detection", "better"),
        ("better", None, "roc_auc", "detection", "better"),
        ("better", on_pictures(0.1, 0.9), "pro_auc", "detection", "better"),
        ("better", on_pictures(0.1, 0.9), "metric_of_my_own", "detection", "not significant"),
        ("no test", on_pictures(0.1, 0.001), "roc_auc", "detection", "no test"),
        ("not significant", on_pictures(0.1, 0.001), "roc_auc", "detection", "not significant"),
    ],
)
def test_the_stricter_rule(outcome: str, pictures: PicturesTest | None, metric: str, task: Task, expected: str) -> None:
    before = compared(outcome)
    after = verdict(before, pictures, metric, task)
    assert after.outcome == expected
    assert (after.difference, after.p, after.p_corrected) == (before.difference, before.p, before.p_corrected)
    assert after.explanation.startswith("significantly") == (
        expected in ("better", "worse", "no test") or after is before
    )


def test_the_correction_is_over_those_that_were_tested() -> None:
    found = corrected({"a": on_pictures(0.1, 0.01), "b": on_pictures(0.1, None), "c": on_pictures(0.1, 0.04)})
    assert [found[name].p_corrected for name in "abc"] == [pytest.approx(0.02), None, pytest.approx(0.04)]


def contradicting(make_run: MakeRun) -> RunFolder:
    """Steady over seeds, and not to be told apart on so few pictures."""
    return make_run(variants={"pca_logistic": 0.62, "resnet18": 0.85}, pictures=45, seeds=(0, 1, 2, 3, 4), search=0)


def test_two_tests_that_contradict_each_other_give_one_verdict(make_run: MakeRun) -> None:
    run = contradicting(make_run)
    data = read_run(run)
    row = standings(data)[0]
    cells = {name: {one.seed: one.metrics["macro_f1"] for one in ours} for name, ours in data.completed.items()}
    over_seeds = compare({"resnet18": (cells["resnet18"], None)}, cells["pca_logistic"], "max")["resnet18"]
    assert over_seeds.outcome == "better"
    assert row.pictures_test is not None
    assert row.pictures_test.p_corrected is not None
    assert row.pictures_test.p_corrected > 0.05
    assert row.comparisons["macro_f1"].outcome == "not significant"
    write_report(run, figures=False)
    markdown = (run.report / "report.md").read_text(encoding="utf-8")
    page = (run.report / "index.html").read_text(encoding="utf-8")
    for text in (markdown, page, (run.report / "tables" / "leaderboard.csv").read_text()):
        assert "significantly better" not in text
        assert "significantly worse" not in text
    assert "resnet18 does not differ significantly from pca" in page.replace("<wbr>", "")

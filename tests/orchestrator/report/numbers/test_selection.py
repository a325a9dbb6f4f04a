"""The selection's account: what a winner promised, what came of it on test, and what each search really had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.pages import Page

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.records import append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.numbers.selection import COLUMNS, selection_frame, selections
from orchestrator.report.page import write_report
from orchestrator.report.sections.selection_section import budgets, selection_section, selection_table

MakeRun = Callable[..., RunFolder]


def texts(run: RunFolder, folds: int | None = None) -> str:
    data = read_run(run)
    section = selection_section(data, selections(data), folds)
    assert section is not None
    return " ".join(section.text)


def test_winner_test_and_drop_are_the_records(make_run: MakeRun) -> None:
    data = read_run(make_run(search=6))
    found = selections(data)
    assert [one.variant for one in found] == ["pca_logistic", "resnet18"]
    for one in found:
        trials = [record for record in data.records if (record.stage, record.variant) == ("search", one.variant)]
        cells = data.completed[one.variant]
        (winner,) = (record for record in trials if record.trial == cells[0].trial)
        assert one.winner == winner
        assert one.validation == winner.metrics["macro_f1"]
        assert one.test == pytest.approx(np.mean([cell.metrics["macro_f1"] for cell in cells]))
        at_epoch = [cell.history[int(cell.epoch or 0) - 1]["macro_f1"] for cell in cells]
        assert one.retrained == pytest.approx(np.mean(at_epoch))
        assert one.drop == pytest.approx(winner.metrics["macro_f1"] - (one.test or 0))
        assert (one.asked, one.trials, one.seeds) == (20, 6, 3)
        assert one.seconds == pytest.approx(sum(record.seconds for record in trials))
    assert [dict(one.ended) for one in found] == [{"completed": 6}, {"completed": 4, "pruned": 2}]


def test_below_is_better_turns_the_drop(make_run: MakeRun) -> None:
    def add(builder: Any) -> None:
        records = list(read_records(builder.run.records))
        builder.run.records.unlink()
        for one in records:
            value = 0.5 if one.stage == "search" else 0.8
            append_record(builder.run.records, one.model_copy(update={"metrics": {**one.metrics, "log_loss": value}}))

    run = make_run(search=4, then=add, objective={"metric": "log_loss", "mode": "min"})
    data = read_run(run)
    frame = selection_frame(data, selections(data))
    assert frame["drop"].tolist() == pytest.approx([0.3, 0.3])
    table = selection_table(data, selections(data))
    assert [row[4].text for row in table.rows] == ["+0.300", "+0.300"]
    assert {row[4].tone for row in table.rows} == {"bad"}


def test_a_loss_has_no_drop_and_that_is_said(make_detection_run: MakeRun) -> None:
    objective = {"metric": "validation_loss", "mode": "min", "test_metric": "roc_auc"}
    data = read_run(make_detection_run(anomalies=False, objective=objective))
    found = selections(data)
    assert [(one.test, one.drop) for one in found] == [(None, None)] * 2
    assert all(one.validation is not None and one.retrained is not None for one in found)
    assert "such as a loss, has no drop" in selection_table(data, found).caption


def test_the_table_is_written_in_every_format(make_run: MakeRun) -> None:
    run = make_run(search=4)
    page = Page(write_report(run, figures=False).read_text())
    assert page.sections.index("selection") + 1 == page.sections.index("search")
    assert "Trials trained with seed 1000, which no final training has." in page.text
    table = pd.read_csv(run.report / "tables" / "selection.csv")
    assert list(table.columns) == COLUMNS
    data = read_run(run)
    assert table["drop"].tolist() == pytest.approx([one.drop for one in selections(data)])
    for suffix in ("md", "html", "tex"):
        assert "What each search chose, in macro F1" in (run.report / "tables" / f"selection.{suffix}").read_text()
    assert "\\input{selection}" in (run.report / "tables" / "document.tex").read_text()


def test_a_winner_that_is_not_evaluated_yet_is_the_best_so_far(make_run: MakeRun) -> None:
    data = read_run(make_run(search=6, seeds=()))
    for one in selections(data):
        assert one.winner == data.best_trial(one.variant)
        assert (one.test, one.retrained, one.drop, one.seeds) == (None, None, None, 0)


def test_a_better_trial_that_came_later_is_named(make_run: MakeRun) -> None:
    run = make_run(search=6)
    data = read_run(run)
    best = data.best_trial("resnet18")
    assert best is not None
    line = f"resnet18: trial 3 was evaluated, and trial {best.trial} is better on validation."
    assert (line in texts(run)) == (best.trial != 3)
    again = make_run("again", search=6, seeds=(), then=lambda builder: builder.cell("resnet18", 0, trial=best.trial))
    assert "was evaluated" not in texts(again)


def test_equal_budgets_are_said_to_be(make_run: MakeRun) -> None:
    def said(name: str, **budget: Any) -> str:
        data = read_run(make_run(name, search=6, budget={"epochs": 12, **budget}))
        return " ".join(budgets(data, selections(data)))

    assert said("a", trials=6) == "Each variant had 6 trials, as asked."
    assert said("b") == "Each variant had 6 trials."
    with_time = said("c", trials=6, minutes=30)
    assert with_time.startswith(
        "The searches shared 30 minutes (budget.minutes), which cut none short: each variant had 6 trials. In time, "
        "they had pca_logistic 6 trials in "
    )
    assert said("d", trials=9).startswith("The searches were unequal: not every one had as many trials as were asked")


def test_what_each_really_had_where_time_ran_out(make_run: MakeRun) -> None:
    def late(builder: Any) -> None:
        builder.trial("resnet18", 6, "timed-out")
        builder.trial("pca_logistic", 6)
        builder.trial("pca_logistic", 6)  # the same once more: its time counts, its number does not

    run = make_run(search=6, then=late, budget={"trials": 20, "epochs": 12, "minutes": 2.5})
    data = read_run(run)
    found = {one.variant: one for one in selections(data)}
    assert (found["pca_logistic"].trials, found["resnet18"].trials) == (7, 7)
    every = [one.seconds for one in data.records if (one.stage, one.variant) == ("search", "pca_logistic")]
    assert len(every) == 8
    assert found["pca_logistic"].seconds == pytest.approx(sum(every))
    (line,) = budgets(data, list(found.values()))
    assert line.startswith("The searches shared 2.5 minutes (budget.minutes): not every one had as many trials")
    assert "pca_logistic 7 trials in " in line
    assert "resnet18 6 trials in " in line
    table = selection_table(data, list(found.values()))
    late_column = list(table.columns).index("Out of time")
    assert [row[late_column].text for row in table.rows] == ["0", "1"]


def test_a_row_of_an_ablation_with_its_own_search_has_its_own_line(make_run: MakeRun) -> None:
    def tuned(builder: Any) -> None:
        first = next(one for one in read_records(builder.run.records) if one.variant == "resnet18")
        for number, value in ((0, 0.4), (1, 0.6)):
            told = {"stage": "tuning", "variant": "resnet18~t", "trial": number, "metrics": {"macro_f1": value}}
            append_record(
                builder.run.records, first.model_copy(update={**told, "config": {"dropout": value}, "seconds": 2.0})
            )
        done = {"stage": "ablation", "variant": "resnet18~c", "cell": "c1", "trial": 1}
        builder.cell("resnet18", 0)
        last = list(read_records(builder.run.records))[-1]
        append_record(
            builder.run.records,
            last.model_copy(update={**done, "config": {"dropout": 0.6}, "metrics": {"macro_f1": 0.5}}),
        )
        row = {"family": "plot_classifier", "strategy": None, "trials": 2}
        AblationPlan(
            baseline="resnet18", design="one_factor", factors={"dropout": [0.6]}, tuned=2, seeds=(0,),
            variants=(
                AblatedVariant(name="resnet18", changes={}, config={}, cell="c0", folder="resnet18", **row),
                AblatedVariant(name="dropout: 0.6", changes={"dropout": 0.6}, config={"dropout": 0.6}, cell="c1",
                               folder="resnet18~c", **row),
            ),
        ).save(builder.run.ablation)  # fmt: skip

    data = read_run(make_run(search=2, seeds=(), then=tuned))
    *_, row = selections(data)
    assert (row.variant, row.validation, row.asked, row.trials, row.seconds) == ("dropout: 0.6", 0.6, 2, 2, 4.0)
    assert row.test == pytest.approx(0.5)
    assert row.drop == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("update", "folds", "words"),
    [
        ({"cross_fitted": 4}, 4, "cross-fitted: each score at a threshold that is fitted without its fold, one of 4"),
        ({}, 0, "since validation holds too few known anomalies to fit to some and judge by others"),
        ({}, 5, "as an earlier version began this run"),
        ({}, None, "as an earlier version began this run"),
    ],
)
def test_how_trials_were_judged_at_a_threshold(
    make_detection_run: MakeRun, update: dict[str, Any], folds: int | None, words: str
) -> None:
    def add(builder: Any) -> None:
        records = list(read_records(builder.run.records))
        builder.run.records.unlink()
        for one in records:
            metrics = {**one.metrics, "balanced_accuracy": 0.5}
            append_record(builder.run.records, one.model_copy(update={"metrics": metrics, **update}))

    objective = {"metric": "balanced_accuracy", "mode": "max"}
    run = make_detection_run(then=add, objective=objective)
    said = texts(run, folds)
    assert "They were judged by balanced accuracy on validation, " in said
    assert words in said
    assert ("cross-fitted" in said) == bool(update)


def test_an_older_run_says_that_its_trials_had_a_final_seed(make_run: MakeRun) -> None:
    def older(builder: Any) -> None:
        records = list(read_records(builder.run.records))
        builder.run.records.unlink()
        for one in records:
            append_record(builder.run.records, one.model_copy(update={"seed": 0} if one.stage == "search" else {}))

    assert "Trials trained with seed 0, which final trainings have too, as an earlier version began" in texts(
        make_run(search=2, then=older)
    )


def test_nothing_searched_has_no_account(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(search=0)
    data = read_run(run)
    assert selection_section(data, selections(data), None) is None
    page = write_report(run, figures=False)
    assert 'id="selection"' not in page.read_text()
    assert list(pd.read_csv(run.report / "tables" / "selection.csv").columns) == COLUMNS


def choice(run: RunFolder, variant: str, **told: Any) -> None:
    """Write down what was chosen of a variant's search."""
    values = {"metric": "macro_f1", "default": 0, "compared": 5, "sources": 40, "lead": 0.021, "error": 0.01, **told}
    path = run.choice(variant)
    path.parent.mkdir(exist_ok=True)
    Choice.model_validate(values).save(path)


def test_the_report_says_which_rule_chose_and_what_came_of_it(make_run: MakeRun) -> None:
    def kept(builder: Any) -> None:
        builder.cell("resnet18", 0, trial=0)
        choice(builder.run, "resnet18", best=4, chosen=0, p=0.21)
        choice(builder.run, "pca_logistic", best=3, chosen=3, p=0.0004)

    run = make_run(search=6, seeds=(), then=kept)
    data = read_run(run)
    found = {one.variant: one for one in selections(data)}
    assert found["resnet18"].winner == data.search["resnet18"][0]
    assert found["pca_logistic"].winner == data.search["pca_logistic"][3], "chosen, though not evaluated yet"
    told = texts(run)
    assert "(objective.winner: beats_default)" in told
    assert (
        "resnet18: trial 4 leads the default configuration, trial 0, by 0.0210 in macro F1 on validation (standard "
        "error 0.0100; p = 0.210 as the largest of 5 leads, 40 source pictures), which chance may explain: the default "
        "was kept."
    ) in told
    assert "p < 0.001 as the largest of 5 leads, 40 source pictures), more than chance explains: the best was" in told
    caption = selection_table(data, list(found.values())).caption
    assert "the best of all, so that it flatters, or the default that was kept (resnet18)." in caption
    frame = selection_frame(data, list(found.values())).set_index("variant")
    assert frame["default_kept"].to_dict() == {"resnet18": True, "pca_logistic": False}
    assert frame["lead_p"].to_dict() == {"resnet18": 0.21, "pca_logistic": 0.0004}
    assert "objective.winner" not in texts(make_run("plain", search=6))


def test_a_default_that_was_kept_is_not_overtaken_by_the_trial_that_it_was_held_against(make_run: MakeRun) -> None:
    run = make_run(search=6, seeds=(), then=lambda builder: builder.cell("resnet18", 0, trial=0))
    best = read_run(run).best_trial("resnet18")
    assert best is not None
    assert best.trial != 0
    assert "Going on with the run evaluates that one" in texts(run)
    choice(run, "resnet18", best=best.trial, chosen=0, p=0.2)
    assert "was evaluated, and trial" not in texts(run)
    choice(run, "resnet18", best=best.trial - 1, chosen=0, p=0.2)
    anew = f"trial 0 was evaluated, and trial {best.trial}, which nothing says was held against it, is better"
    assert anew in texts(run)
    run.choice("resnet18").write_text("{")
    data = read_run(run)
    assert selections(data)[-1].choice is None
    assert any("How a winner was chosen is left out" in remark for remark in data.remarks)
    asked = {"objective": {"winner": "beats_default"}}
    lost = make_run("lost", search=6, seeds=(), then=lambda builder: builder.cell("resnet18", 0, trial=0), **asked)
    assert anew in texts(lost)

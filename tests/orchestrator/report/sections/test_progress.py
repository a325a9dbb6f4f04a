"""A run that is not whole says so, with counts; a whole one says nothing."""

import json
import os
import socket
import time
from collections.abc import Callable

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.progress import missing

MakeRun = Callable[..., RunFolder]
BUDGET = {"trials": 6, "epochs": 12}


def said(run: RunFolder) -> str:
    return missing(read_run(run))


def beats(run: RunFolder, stage: str, age: float = 0.0) -> None:
    now = time.time()
    beat = {"host": socket.gethostname(), "pid": os.getpid(), "stage": stage, "started": now - 90, "seen": now - age}
    run.heartbeat.write_text(json.dumps(beat))


def test_a_whole_run_says_nothing(make_run: MakeRun) -> None:
    run = make_run(search=6, seeds=(0, 1), budget=BUDGET)
    assert said(run) == ""
    beats(run, "report")
    assert said(run) == ""
    beats(run, "search")
    assert said(run) == (
        "Partial: what has ended so far is here. The run is at work (search): a report written later shows more."
    )


def test_missing_trials_and_models_are_counted(make_run: MakeRun) -> None:
    def more(builder) -> None:  # type: ignore[no-untyped-def]
        builder.cell("resnet18", 0)
        builder.cell("resnet18", 1, "failed")
        builder.trial("resnet18", 4, "timed-out")

    run = make_run(search=4, seeds=(), then=more, budget=BUDGET)
    assert said(run) == (
        "Partial: 8 of 12 trials have ended and 1 of 6 models are evaluated (1 failed). No process is at work on it. "
        "orchestrate sweep run/experiment.yaml --out run --resume goes on."
    )
    beats(run, "evaluate")
    assert "The run is at work (evaluate)" in said(run)
    beats(run, "evaluate", age=600)
    assert "No process is at work on it." in said(run)


def test_a_search_that_its_minutes_ended_is_whole(make_run: MakeRun) -> None:
    assert said(make_run("timed", search=3, budget=BUDGET | {"minutes": 5})) == ""
    assert "6 of 12 trials" in said(
        make_run("stopped", search=3, seeds=(0,), budget=BUDGET | {"minutes": 5}, then=drop)
    )


def drop(builder) -> None:  # type: ignore[no-untyped-def]
    text = builder.run.experiment.read_text()
    builder.run.experiment.write_text(text.replace("seeds:\n- 0\n", "seeds:\n- 0\n- 1\n"))


def test_an_ablation_alone_is_counted_by_its_cells(make_run: MakeRun) -> None:
    def ablation(builder) -> None:  # type: ignore[no-untyped-def]
        one = AblatedVariant(
            name="rgb", changes={}, family="plot_classifier", config={}, strategy=None, cell="aa", folder="x", trials=6
        )
        AblationPlan(
            baseline="resnet18", design="one_factor", factors={}, tuned=None, seeds=(0, 1), variants=(one,)
        ).save(builder.run.ablation)
        builder.cell("resnet18~aa", 0, stage="ablation", cell="aa")
        for number in range(6):
            builder.trial("resnet18", number)

    variants = {"resnet18": 0.9, "resnet18~aa": 0.9}
    run = make_run(variants=variants, search=0, seeds=(), then=ablation, budget=BUDGET)
    assert said(run) == (
        "Partial: 1 of 2 cells of the ablation are evaluated. No process is at work on it. "
        "orchestrate ablate run/experiment.yaml --out run goes on."
    )


def test_page_and_markdown_say_it_at_the_top(make_run: MakeRun) -> None:
    run = make_run(search=2, seeds=(0,), budget=BUDGET)
    text = write_report(run, figures=False).read_text(encoding="utf-8")
    assert text.index("Partial: 4 of 12 trials have ended.") < text.index("What came out")
    markdown = (run.report / "report.md").read_text(encoding="utf-8").splitlines()
    assert markdown[4].startswith("**Partial: 4 of 12 trials have ended.")

"""What was planned stands beside what it took."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.artifacts.cost_plan import CostPlan, PlannedPart, Range
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.spent import note_spent, read_spent
from orchestrator.report.numbers.actual_cost import actual_costs, shared_walls
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report

MakeRun = Callable[..., RunFolder]
VARIANTS = {"pca_logistic": 0.25, "resnet18": 0.9}


def plan_for(run: RunFolder, **changes: Any) -> CostPlan:
    seconds, memory = Range(low=10, likely=20, high=30), Range(low=2**29, likely=2**30, high=2**31)
    searches = [
        PlannedPart(stage="search", variant=name, units=6, at_once=2, seconds=seconds, memory=memory, source="probes")
        for name in VARIANTS
    ]
    values: dict[str, Any] = {
        "experiment": next(read_records(run.records)).provenance.experiment,
        "made": "2026-01-02T03:00:00+00:00",
        "host": "host",
        "cpus": 2,
        "gpus": 0,
        "probed_seconds": 50,
        "parts": (PlannedPart(stage="start", seconds=seconds), *searches),
    }
    return CostPlan(**(values | changes))


def test_time_in_which_several_work_is_shared_out() -> None:
    assert shared_walls({"a": [(0, 10), (5, 12)], "b": [(8, 20)]}) == {"a": 10.0, "b": 10.0}
    assert shared_walls({"a": [(0, 1), (5, 6)], "b": []}) == {"a": 2.0, "b": 0.0}


def test_notes_of_a_run_add_up_and_broken_ones_count_for_nothing(tmp_path: Path) -> None:
    run_folder = RunFolder(tmp_path)
    note_spent(run_folder.spent, "render", 2.5)
    note_spent(run_folder.spent, "render", 1.0)
    with run_folder.spent.open("a", encoding="utf-8") as file:
        file.write('{"stage": "report"}\n[1]\n{"stage": "search a", "sec')
    assert read_spent(run_folder.spent) == {"render": 3.5}
    note_spent(run_folder.spent, "report", 4)
    assert read_spent(run_folder.spent) == {"render": 3.5, "report": 4.0}
    assert read_spent(run_folder.root / "none") == {}


def test_the_report_shows_both_and_marks_what_took_longer(make_run: MakeRun) -> None:
    run = make_run(variants=VARIANTS)
    plan_for(run).save(run.plan)
    note_spent(run.spent, "start", 40.0)
    note_spent(run.spent, "search pca_logistic", 25.0)
    data = read_run(run)
    took = actual_costs(data)
    records = [one for one in data.all_records if (one.stage, one.variant) == ("search", "pca_logistic")]
    assert took["search", "pca_logistic"].seconds == 25.0, "all that it waited for counts"
    assert took["search", "pca_logistic"].units == 6
    assert took["search", "pca_logistic"].cpu_hours == pytest.approx(sum(one.seconds for one in records) / 3600)
    neural = sum(one.seconds for one in data.all_records if (one.stage, one.variant) == ("search", "resnet18"))
    assert took["search", "resnet18"].seconds == pytest.approx(neural / 2), "two at a time, at least"
    page = write_report(run, figures=False).read_text(encoding="utf-8")
    assert "What was planned at 2026-01-02T03:00:00+00:00" in page
    assert "evaluation pca_logistic" in page, "what no line of the plan has is told"
    frame = pd.read_csv(run.report / "tables" / "plan.csv")
    assert list(frame["stage"]) == ["start", "search", "search"]
    assert frame.loc[0, "seconds"] == 40.0
    assert frame.loc[0, "planned_seconds_high"] == 30.0


def test_a_plan_of_another_experiment_is_not_shown(make_run: MakeRun) -> None:
    run = make_run(variants=VARIANTS)
    plan_for(run, experiment="0" * 16).save(run.plan)
    data = read_run(run)
    assert data.planned is None
    assert any("plan.json is of another experiment" in remark for remark in data.remarks)
    run.plan.write_text(json.dumps([]), encoding="utf-8")
    assert any("holds no plan" in remark for remark in read_run(run).remarks)

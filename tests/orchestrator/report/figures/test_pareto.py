"""Quality against cost: the front is what no other variant beats in both."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.figures.pareto import pareto_front, trade_off_charts
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run

MakeRun = Callable[..., RunFolder]


@pytest.mark.parametrize(
    ("costs", "values", "mode", "front"),
    [
        ([1, 2, 3], [0.1, 0.3, 0.2], "max", [0, 1]),
        ([3, 2, 1], [0.1, 0.3, 0.2], "max", [2, 1]),
        ([1, 2, 3], [0.1, 0.3, 0.2], "min", [0]),
        ([1, 2, 3], [0.3, 0.2, 0.1], "min", [0, 1, 2]),
        ([1, 1], [0.5, 0.5], "max", [0, 1]),
        ([1, 1], [0.5, 0.6], "max", [1]),
        ([1, 2], [0.5, 0.5], "max", [0]),
    ],
)
def test_the_front(costs: list[float], values: list[float], mode: str, front: list[int]) -> None:
    assert pareto_front(costs, values, mode) == front  # type: ignore[arg-type]


def test_the_charts_name_the_front(make_run: MakeRun) -> None:
    data = read_run(make_run(search=0, seeds=(0,), variants={"pca_logistic": 0.1, "resnet18": 0.9, "slow": 0.4}))
    seconds = {"pca_logistic": 1.0, "resnet18": 30.0, "slow": 90.0}
    rows = [replace(row, seconds=seconds[row.variant], parameters=10) for row in standings(data)]
    with drawing():
        by_seconds, by_parameters = trade_off_charts(data, rows)
    assert "no other variant is both better and cheaper: pca_logistic and resnet18." in by_seconds.caption
    assert "On the Pareto front: pca_logistic and resnet18." in by_seconds.alt
    assert "On the Pareto front: resnet18." in by_parameters.alt
    assert all(f">{name}<" in by_seconds.svg for name in seconds)
    assert (by_seconds.of, by_parameters.of) == (("pareto", "seconds"), ("pareto", "parameters"))


def test_unknown_sizes_are_left_out_and_said(make_run: MakeRun) -> None:
    def cells(builder) -> None:  # type: ignore[no-untyped-def]
        for variant, parameters in (("pca_logistic", None), ("resnet18", 7), ("third", 9)):
            builder.cell(variant, 0, parameters=parameters)

    run = make_run(search=0, seeds=(), variants={"pca_logistic": 0.1, "resnet18": 0.9, "third": 0.5}, then=cells)
    data = read_run(run)
    with drawing():
        _, chart = trade_off_charts(data, standings(data))
        assert "Not drawn, since theirs is not known: pca_logistic." in chart.caption
        # One variant is nothing to compare.
        assert trade_off_charts(data, standings(data)[:1]) == []

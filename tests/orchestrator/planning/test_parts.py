"""The lines of a plan, where what a trial, a cell and a picture take is known."""

from typing import Any

import pytest

from orchestrator.artifacts.cost_plan import NOTHING, Range
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement, place
from orchestrator.machine.offered import Offered
from orchestrator.planning.costs import VariantCost
from orchestrator.planning.parts import Pictures, cell_parts, makespan, render_part, search_parts, within
from orchestrator.planning.wanted import Line

ONE = Range(low=10, likely=20, high=40)
SEARCH, VAE = [Line("search", "pca", "pca", 5)], [Line("search", "vae", "vae", 5)]
PLACES = {"pca": Placement("cpu", 1, 0, 2), "vae": Placement("cuda", 1, 0.5, 2)}


def cost(trial: Range = ONE, cell: Range = ONE) -> VariantCost:
    return VariantCost(trial, cell, "probes", "defaults", memory=ONE, kept=ONE)


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "data": {"path": "x", "layout": "mvtec"},
        "families": ["pca", "vae"],
        "budget": {"trials": 5},
        "seeds": [0, 1, 2],
    }
    return Experiment.from_mapping(values | changes)


def test_pieces_run_in_rounds_and_at_best_without_idle_workers() -> None:
    assert makespan(ONE, 5, 2) == Range(low=25, likely=60, high=120)
    assert makespan(ONE, 1, 4) == ONE


def test_searches_share_what_time_there_is() -> None:
    walls = {name: Range(low=value, likely=value, high=value) for name, value in (("a", 10), ("b", 100), ("c", 100))}
    given = {name: one.likely for name, one in within(walls, 90).items()}
    assert given == {"a": 10, "b": 40, "c": 40}
    assert within(walls, None) == walls


def test_a_search_counts_every_split_but_where_the_first_one_s_winners_are_taken() -> None:
    folds = {"path": "x", "layout": "mvtec", "split": {"repeats": 3}}
    each = search_parts(SEARCH, experiment(data=folds), {"pca": cost()}, PLACES, 5.0)[0]
    inheriting = experiment(data=folds, budget={"trials": 5, "searches": "first"})
    first = search_parts(SEARCH, inheriting, {"pca": cost()}, PLACES, 5.0)[0]
    assert (each.units, each.splits, first.units, first.splits) == (15, 3, 5, 1)
    assert each.seconds is not None
    assert first.seconds is not None
    assert each.seconds.likely == pytest.approx(3 * first.seconds.likely)
    assert first.seconds.likely == 3 * 20 + 5.0
    assert first.cpu_hours.likely == pytest.approx(5 * 20 / 3600)
    line = Line("evaluation", "pca", "pca")
    cells = cell_parts([line], experiment(data=folds), {"pca": cost()}, PLACES, 5.0, tested=10)[0]
    assert cells.units == 9
    # pca has no randomness: of three seeds on each of three splits, one is trained.
    assert cells.cpu_hours.likely == pytest.approx(3 * cost().cell.likely / 3600)


def test_budget_minutes_ends_a_search_before_its_trials() -> None:
    short = search_parts(VAE, experiment(budget={"trials": 5, "minutes": 0.5}), {"vae": cost()}, PLACES, 0.0)[0]
    assert short.seconds == Range(low=25, likely=30, high=30)
    assert short.units == 2
    assert short.gpu_hours.likely == pytest.approx(0.5 * short.cpu_hours.likely)
    assert short.cpu_hours.likely == pytest.approx(5 * 20 / 3600 / 2)
    assert "budget.minutes" in short.note


def test_what_is_not_known_is_a_line_without_figures() -> None:
    part = search_parts(VAE, experiment(), {"vae": "no training ended"}, PLACES, 5.0)[0]
    assert (part.source, part.seconds, part.cpu_hours, part.note) == ("unknown", None, NOTHING, "no training ended")
    drawn = render_part([Pictures((8, 8), 10, 10)], 5.0)
    assert (drawn.source, drawn.seconds) == ("unknown", None)


def test_only_what_no_store_has_is_drawn() -> None:
    one = Pictures((8, 8), files=100, missing=40, hashing=0.01, starting=2.0, drawing=0.5, stored=192.0, workers=2)
    part = render_part([one, one._replace(size=(4, 4), missing=0)], 5.0)
    assert part.units == 40
    assert part.seconds is not None
    assert part.seconds.likely == pytest.approx(1 + 5 + 2 + 10 + 1)
    assert part.disk.likely == 40 * 192
    assert "160 pictures are there already" in part.note


def test_a_variant_is_placed_by_what_the_experiment_reserves() -> None:
    asked = experiment(resources={"cpus": 2, "gpus": 0.5})
    assert place(asked, asked.families[0].family, Offered(8, 1)) == Placement("cuda", 2, 0.5, 2)

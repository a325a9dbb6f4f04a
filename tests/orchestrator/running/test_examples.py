"""The example experiments: each fits its layout, and every configuration that it may draw can be built."""

from pathlib import Path

import pytest

from orchestrator.data.layouts.listing import ListedFile, Listing, Part
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.experiment.ablation_checks import check_ablation
from orchestrator.experiment.ablation_rows import AskedAblation, changed, given_baseline, rows, values
from orchestrator.experiment.checks import Frame, check_variants
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import Goal, check_names, goal_of

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def listing(experiment: Experiment) -> Listing:
    """The barest data that lie as the example's: only spill has known anomalies in validation."""
    layout = LAYOUTS[experiment.data.layout]
    rows: list[tuple[str, Part | None]] = [("normal", None), ("b", None)]
    if layout.normal is not None:
        rows = [(layout.normal, "train"), (layout.normal, "test"), ("crack", "test")]
    if layout.name == "spill":
        rows.append(("spill", "validation"))
    return Listing(Path("x"), layout, tuple(ListedFile(f"{n}.png", *row) for n, row in enumerate(rows)), ())


def frame(experiment: Experiment, goal: Goal) -> Frame:
    return Frame(goal, ("normal", "anomaly"), lambda family: "cpu", LAYOUTS[experiment.data.layout].depth)


def test_all_five_are_there() -> None:
    assert FILES == ["own_parts.yaml", "plots.yaml", "rgbd_ablation.yaml", "spill.yaml", "tile.yaml"]


@pytest.mark.parametrize("name", FILES)
def test_an_example_can_be_run(name: str) -> None:
    experiment = Experiment.load(EXAMPLES / name, ("data.path=anywhere",))
    goal, _ = goal_of(experiment, listing(experiment), *check_names(experiment))
    remarks = check_variants(goal.settle(experiment), experiment.families, frame(experiment, goal))
    assert not any("changes nothing" in remark for remark in remarks)
    assert experiment.baseline == experiment.baseline_name


def test_the_ablation_has_the_three_rows_of_seed_002() -> None:
    experiment = Experiment.load(EXAMPLES / "rgbd_ablation.yaml", ("data.path=anywhere",))
    goal, _ = goal_of(experiment, listing(experiment), *check_names(experiment))
    asked = AskedAblation.of(goal.settle(experiment))
    remarks = check_ablation(asked, frame(experiment, goal))
    assert not any("changes nothing" in remark for remark in remarks)
    base = given_baseline(asked, goal.strategies)
    assert base is not None
    changes = rows(asked.ablation, base.family, values(base))
    found = {change.name: changed(base, change.changes) for change in changes}
    settings = {asked.name: base, **found}
    assert [(name, one.config["input"], one.config["layers"]) for name, one in settings.items()] == [
        ("RGB Baseline", "rgb", "1+2+3+4"),
        ("RGB-D Full", "rgbd", "1+2+3+4"),
        ("RGB-D Reduced", "rgbd", "2+3"),
    ]
    assert {(one.epochs, one.strategy) for one in settings.values()} == {(700, "percentile(95)")}
    alike = [
        {key: value for key, value in one.config.items() if key not in ("input", "layers")} for one in settings.values()
    ]
    assert alike == [{"latent_dim": 128, "learning_rate": 1e-4, "batch_size": 4}] * 3

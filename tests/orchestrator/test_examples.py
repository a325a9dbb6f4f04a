"""The example experiments: each fits its layout, and every configuration that it may draw can be built."""

from pathlib import Path

import pytest

from orchestrator.checks import check_variants
from orchestrator.data.layouts import NORMAL_CLASSES, ListedFile, Listing, Part
from orchestrator.experiment import Experiment
from orchestrator.goal import goal_of

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def listing(experiment: Experiment) -> Listing:
    """The barest data that lie as the example's: only spill has known anomalies in validation."""
    layout = experiment.data.layout
    normal = NORMAL_CLASSES.get(layout, "a")
    rows: list[tuple[str, Part | None]] = [(normal, None if layout == "images" else "train"), ("b", None)]
    if layout != "images":
        rows = [(normal, "train"), (normal, "test"), ("crack", "test")]
    if layout == "spill":
        rows.append(("spill", "validation"))
    return Listing(Path("x"), layout, tuple(ListedFile(f"{n}.png", *row) for n, row in enumerate(rows)), ())


def test_all_four_are_there() -> None:
    assert FILES == ["plots.yaml", "rgbd_ablation.yaml", "spill.yaml", "tile.yaml"]


@pytest.mark.parametrize("name", FILES)
def test_an_example_can_be_run(name: str) -> None:
    experiment = Experiment.load(EXAMPLES / name, ("data.path=anywhere",))
    goal, _ = goal_of(experiment, listing(experiment))
    remarks = check_variants(goal.settle(experiment), goal, ("normal", "anomaly"), "cpu")
    assert not any("changes nothing" in remark for remark in remarks)
    assert experiment.baseline == experiment.baseline_name


def test_the_ablation_has_its_three_named_variants() -> None:
    experiment = Experiment.load(EXAMPLES / "rgbd_ablation.yaml")
    assert {variant.name: (variant.fixed["input"], variant.fixed["layers"]) for variant in experiment.families} == {
        "rgb_baseline": ("rgb", [1, 2, 3, 4]),
        "rgbd_full": ("rgbd", [1, 2, 3, 4]),
        "rgbd_reduced": ("rgbd", [2, 3]),
    }

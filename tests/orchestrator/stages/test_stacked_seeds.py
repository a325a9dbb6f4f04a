"""A run whose seeds train as one network: they are rows of its tables like any other."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Experiment, load_model, read_records
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.readings import log_faults
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.run import run


@pytest.mark.usefixtures("ray_session")
def test_stacked_seeds_are_rows_like_any_other(tile_tree: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "data": {
            "path": str(tile_tree), "layout": "mvtec", "size": 32, "store": f"{tile_tree}-store",
            "split": {"anomalies_to_validation": 0.3},
        },
        "families": [{"family": "vae", "fixed": {"batch_size": 8, "latent_dim": 4}}, "pca"],
        "budget": {"trials": 1, "epochs": 2, "concurrent": 1},
        "precision": {"fused": True},
        "seeds": [0, 1, 2],
    }  # fmt: skip
    folder = run(Experiment.from_mapping(values), tmp_path / "run", reporter=Reporter(quiet=True))
    cells = [one for one in read_records(folder.records) if one.stage == "evaluation"]
    assert {one.status for one in cells} == {"completed"}
    stacked = [one for one in cells if one.variant == "vae"]
    assert sorted(one.seed for one in stacked) == [0, 1, 2]
    for one in stacked:
        assert one.facts["computed"] == "stacked with 2 of other seeds"
        assert one.trained
        assert load_model(folder.model(one.variant, one.seed)).kept.seed == one.seed
    assert len({one.history[-1]["train_loss"] for one in stacked}) == 3
    data = read_run(folder)
    assert (data.marks, log_faults(data)) == ((), [])
    assert not folder.states.exists()
    assert "stacked with 2 of other seeds" in (folder.report / "report.md").read_text()

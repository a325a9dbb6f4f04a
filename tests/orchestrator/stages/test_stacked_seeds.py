"""A run whose seeds train as one network: its records say so, and its figures are those of separate trainings."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator import Experiment, RunFolder, load_model, read_records
from orchestrator.artifacts.records import TrialRecord
from orchestrator.machine.progress import Reporter
from orchestrator.report.numbers.readings import log_faults
from orchestrator.report.numbers.run_data import read_run
from orchestrator.running.run import run

pytestmark = pytest.mark.usefixtures("ray_session")


def sweep(tree: Path, folder: Path, *, fused: bool) -> RunFolder:
    values: dict[str, Any] = {
        "data": {
            "path": str(tree), "layout": "mvtec", "size": 32, "store": f"{tree}-store",
            "split": {"anomalies_to_validation": 0.3},
        },
        "families": [
            {"family": "conv_autoencoder", "fixed": {"batch_size": 8}},
            {"family": "vae", "fixed": {"batch_size": 8, "latent_dim": 4}},
            "pca",
        ],
        "budget": {"trials": 1, "epochs": 2, "concurrent": 1},
        "precision": {"fused": fused},
        "seeds": [0, 1, 2],
    }  # fmt: skip
    return run(Experiment.from_mapping(values), folder, reporter=Reporter(quiet=True))


def cells(folder: RunFolder) -> dict[tuple[str, int], TrialRecord]:
    return {(one.variant, one.seed): one for one in read_records(folder.records) if one.stage == "evaluation"}


def test_stacked_seeds_are_rows_like_any_other(tile_tree: Path, tmp_path: Path) -> None:
    stacked, separate = (sweep(tile_tree, tmp_path / f"fused {fused}", fused=fused) for fused in (True, False))
    found, expected = cells(stacked), cells(separate)
    assert found.keys() == expected.keys()
    for key, one in found.items():
        assert one.status == "completed"
        if key[0] == "pca":
            continue
        assert one.facts["computed"] == "stacked with 2 of other seeds"
        assert "computed" not in expected[key].facts
        losses, others = ([row["validation_loss"] for row in each.history] for each in (one, expected[key]))
        assert losses == pytest.approx(others, rel=1e-3)
        assert one.trained
        assert load_model(stacked.model(*key)).kept.seed == key[1]
    assert len({one.history[-1]["train_loss"] for one in found.values() if one.variant == "vae"}) == 3
    data = read_run(stacked)
    assert (data.marks, log_faults(data)) == ((), [])
    assert not stacked.states.exists()
    assert "stacked with 2 of other seeds" in (stacked.report / "report.md").read_text()

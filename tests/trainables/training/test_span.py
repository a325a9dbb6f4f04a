"""Trainings that several processes share come to what one process comes to with batches so many times as large."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from builders.spanned import LOOPS, OF_FAMILIES, OF_THREE, Case, share_all, train_all
from orchestrator.families import FAMILIES
from trainables.training.span import Share, Span

CLOSE = 1e-7
"""Of weights in float64 after 20 steps, where 1e-5 is promised. The gradient of a bias before batch normalisation is
nothing but rounding, which Adam makes larger: 5e-9 was seen, and 1e-10 of other weights."""
pytestmark = pytest.mark.usefixtures("one_thread")


def compare(cases: dict[str, Case], workers: int, folder: Path) -> None:
    """Train each case both ways, and see that they come to the same."""
    sharing = torch.multiprocessing.spawn(share_all, (cases, workers, folder), nprocs=workers, join=False)
    alone = train_all(cases, workers, None)
    while not sharing.join():
        pass
    shared: dict[str, dict[str, Any]] = torch.load(folder / "found", weights_only=True)
    assert shared.keys() == alone.keys() == cases.keys()
    for name, one in alone.items():
        other = shared[name]
        for key, tensor in one["weights"].items():
            torch.testing.assert_close(other["weights"][key], tensor, rtol=0, atol=CLOSE, msg=lambda told, at=f"{name}, {key}": f"{at}: {told}")
        assert len(other["losses"]) == len(one["losses"]) > 1
        for losses, expected in zip(other["losses"], one["losses"], strict=True):
            assert losses == pytest.approx(expected, rel=1e-8), name
        torch.testing.assert_close(other["scores"], one["scores"], rtol=1e-7, atol=1e-10)
        batch = cases[name].batch
        assert other["facts"]["workers"] == f"{workers}, batch {workers} × {batch}"
        assert "workers" not in one["facts"]


def test_two_processes_come_to_what_one_comes_to(tmp_path: Path) -> None:
    compare(LOOPS, 2, tmp_path)


@pytest.mark.slow
def test_three_processes_come_to_the_same(tmp_path: Path) -> None:
    compare(OF_THREE, 3, tmp_path)


@pytest.mark.slow
def test_each_family_that_may_span_comes_to_the_same(tmp_path: Path) -> None:
    assert {case.what for case in OF_FAMILIES.values()} == {name for name, row in FAMILIES.items() if row.family.spans}
    compare(OF_FAMILIES, 2, tmp_path)

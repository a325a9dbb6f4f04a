"""Trainings that several processes share come to what one process comes to with batches so many times as large."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing
from builders.spanned import LOOPS, OF_FAMILIES, OF_THREE, Case, share_all, train_all

from orchestrator.families import FAMILIES
from trainables.errors import ToldError
from trainables.training.span import WorkerError, cut_off, share_of

CLOSE = 1e-6
"""Of weights in float64 after 20 steps, where 1e-5 is promised. The gradient of a bias before batch normalisation is
nothing but rounding, which Adam makes larger: 2e-7 was seen there, and 1e-10 or less elsewhere."""
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
            assert float((other["weights"][key].double() - tensor.double()).abs().max()) <= CLOSE, (name, key)
        assert len(other["losses"]) == len(one["losses"]) > 1
        for losses, expected in zip(other["losses"], one["losses"], strict=True):
            assert losses == pytest.approx(expected, rel=1e-6), name
        torch.testing.assert_close(other["scores"], one["scores"], rtol=1e-5, atol=1e-6)
        batch = cases[name].batch
        assert other["facts"]["workers"] == f"{workers}, batch {workers} × {batch}"
        assert "workers" not in one["facts"]


@pytest.mark.parametrize(("count", "size"), [(18, 2), (9, 2), (13, 3), (2, 3), (0, 2)])
def test_shares_are_neighbours_and_leave_no_row_out(count: int, size: int) -> None:
    rows, batch = np.arange(count) + 5, torch.arange(count) + 5
    shares = [share_of(rank, size, count) for rank in range(size)]
    assert torch.cat([share.cut(batch[share.start :]) for share in shares]).tolist() == rows.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    for share in shares if count else ():
        read = share.read(rows)
        assert len(read) == max(1, len(share))
        assert share.cut(torch.from_numpy(read)).tolist() == rows[share.start : share.stop].tolist()


def test_errors_reach_another_process_as_they_are() -> None:
    told = ToldError.of(LookupError("a shelf is empty"))
    for lost in (False, True):
        again = pickle.loads(pickle.dumps(WorkerError(1, told, lost=lost)))
        assert (again.rank, again.told, again.lost) == (1, told, lost)
    assert cut_off(RuntimeError("[gloo/transport/tcp/pair.cc:538] Connection closed by peer"))
    assert not cut_off(LookupError("a shelf is empty"))


def test_two_processes_come_to_what_one_comes_to(tmp_path: Path) -> None:
    compare(LOOPS, 2, tmp_path)


@pytest.mark.slow
def test_three_processes_come_to_the_same(tmp_path: Path) -> None:
    compare(OF_THREE, 3, tmp_path)


@pytest.mark.slow
def test_each_family_that_may_span_comes_to_the_same(tmp_path: Path) -> None:
    assert {case.what for case in OF_FAMILIES.values()} == {name for name, row in FAMILIES.items() if row.family.spans}
    compare(OF_FAMILIES, 2, tmp_path)

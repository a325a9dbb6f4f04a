import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from trainables.interface import Precision
from trainables.training import probe as module
from trainables.training.probe import probe, stacked_seconds, step_seconds

SIZE = (16, 16)


def test_a_step_is_timed_in_each_layout_for_real() -> None:
    taken = step_seconds("cpu", SIZE, 4, (Precision(), Precision(channels_last=False)), seconds=0.05)
    assert len(taken) == 2
    assert all(0 < seconds < 60 for seconds in taken)


def test_a_way_that_fails_is_never_the_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            if not pictures.is_contiguous(memory_format=torch.channels_last):
                raise RuntimeError("this layout is not known here")
            return pictures * self.weight

    monkeypatch.setattr(module, "network_like_ours", Refusing)
    taken = step_seconds("cpu", SIZE, 4, (Precision(), Precision(channels_last=False)), seconds=0.01)
    assert math.isfinite(taken[0])
    assert taken[1] == math.inf


def test_on_a_processor_without_bfloat16_all_is_as_ever_and_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_mixed_precision", lambda device: False)
    monkeypatch.setattr(module, "step_seconds", lambda *given: pytest.fail("timed"))
    found = probe("cpu", SIZE, {}, steps=10**6)
    assert found.precision == Precision()
    assert found.reasons["dtype"] == "cpu does not compute in bfloat16 itself"
    assert found.reasons.keys() == {"dtype", "tf32", "channels_last", "cuda_graphs", "compile", "fused"}


@pytest.mark.parametrize(("quicker", "chosen"), [(2.4, "bfloat16"), (1.2, "bfloat16"), (1.1, "float32")])
def test_bfloat16_is_chosen_where_it_pays(monkeypatch: pytest.MonkeyPatch, quicker: float, chosen: str) -> None:
    def clocked(device: str, size: Any, batch: int, ways: Sequence[Precision]) -> list[float]:
        return [12.0 if way.dtype == "float32" else 12.0 / quicker for way in ways]

    monkeypatch.setattr(module, "has_mixed_precision", lambda device: True)
    monkeypatch.setattr(module, "step_seconds", clocked)
    found = probe("cpu", SIZE, {})
    assert found.precision == Precision(dtype=chosen)  # type: ignore[arg-type]
    assert f"{quicker:.2f} times as fast" in found.reasons["dtype"]
    assert found.seconds["without dtype bfloat16"] == 12.0
    assert probe("cpu", SIZE, {"dtype": "float32"}).precision == Precision()


def test_what_is_asked_for_is_done_where_the_device_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_mixed_precision", lambda device: False)
    asked = {"dtype": "bfloat16", "tf32": True, "channels_last": False, "compile": True, "cuda_graphs": True}
    found = probe("cpu", SIZE, asked)
    assert found.precision == Precision(channels_last=False, compile=True)
    assert "left out" in found.reasons["dtype"]
    assert "left out" in found.reasons["tf32"]
    assert "left out" in found.reasons["cuda_graphs"]
    assert found.reasons["compile"] == "asked for"


def test_seeds_are_stacked_where_that_is_asked_for_and_timed_beside_one_network() -> None:
    assert probe("cpu", SIZE, {"fused": True}).precision == Precision(fused=True)
    found = probe("cpu", SIZE, {}, seeds=5)
    assert not found.precision.fused
    assert found.reasons["fused"] == "on a CPU only where asked for"
    one, stacked = stacked_seconds("cpu", SIZE, 4, Precision(), 3, seconds=0.01)
    assert 0 < one < 60
    assert 0 < stacked < 60


@pytest.mark.parametrize(
    ("times", "seeds", "fused", "reason"),
    [
        (1.4, 5, True, "5 take 1.40 times as long as one, and 1.5 is the most"),
        (1.6, 5, False, "5 take 1.60 times as long as one, and 1.5 is the most"),
        (1.0, 1, False, "there is one seed"),
        (None, 5, False, "it could not be tried (RuntimeError: no room)"),
    ],
)
def test_seeds_are_stacked_where_all_take_little_longer_than_one(
    monkeypatch: pytest.MonkeyPatch, times: float | None, seeds: int, fused: bool, reason: str
) -> None:
    def clocked(*given: Any) -> tuple[float, float]:
        if times is None:
            raise RuntimeError("no room")
        return 2.0, 2.0 * times

    monkeypatch.setattr(module, "stacked_seconds", clocked)
    settling = module._Settling("cuda", SIZE, 4, {})
    settling.stacking(seeds)
    assert (settling.chosen.fused, settling.reasons["fused"]) == (fused, reason)


def test_of_two_ways_that_both_fail_none_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "step_seconds", lambda *given: [math.inf, math.inf])
    settling = module._Settling("cuda", SIZE, 4, {})
    settling.take("dtype", "bfloat16", None, 1.2)
    assert settling.chosen == Precision()
    assert settling.reasons["dtype"] == "bfloat16 could not be tried"

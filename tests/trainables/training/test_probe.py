import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from trainables.interface import Precision
from trainables.training import probe as module
from trainables.training.probe import probe, step_seconds

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
    assert found.reasons.keys() == {"dtype", "tf32", "channels_last", "cuda_graphs", "compile"}


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

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainables.interface import Precision, Problem, Samples
from trainables.training import precision as module
from trainables.training.loop import EpochLoop, TrainingConfig
from trainables.training.precision import has_mixed_precision, in_bfloat16, precision_name
from trainables.training.shared_stage import stage_key

CPU = torch.device("cpu")
AS_EVER = Precision()


class Seen(nn.Module):
    """A small network that keeps the types and layouts of what went through it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 1))
        self.types: set[torch.dtype] = set()
        self.last: set[bool] = set()

    def forward(self, pictures: Tensor) -> Tensor:
        output: Tensor = self.layers(pictures)
        self.types.add(output.dtype)
        self.last.add(pictures.is_contiguous(memory_format=torch.channels_last))
        return output


class SquaredError:
    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        errors = self.scores(output, pictures)
        return errors, torch.ones_like(errors)

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        return (output.float() - pictures).square().flatten(1).mean(dim=1)

    def maps(self, output: Tensor, pictures: Tensor) -> None:
        return None


def trained(precision: Precision = AS_EVER, **keys: Any) -> tuple[EpochLoop, Seen, list[dict[str, float]]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Seen()
    problem = Problem(("a", "b"), (8, 8, 3), epochs=2, precision=precision)
    loop = EpochLoop(network, SquaredError(), TrainingConfig(batch_size=8, **keys), problem, seed=0)
    pictures = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    samples = Samples(pictures, np.arange(20) % 2, ("a", "b"), tuple(map(str, range(20))))
    return loop, network, [dict(epoch.losses) for epoch in loop.fit(samples, samples)]


@pytest.fixture
def bfloat16_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that multiplies in bfloat16; any other computes the same, only slowly."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)


def test_a_processor_has_bfloat16_where_it_multiplies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for avx512, amx in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda there=avx512: there)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda there=amx: there)
        assert has_mixed_precision(CPU) == (avx512 or amx)
    assert not has_mixed_precision(torch.device("meta"))


@pytest.mark.usefixtures("bfloat16_here")
def test_the_run_or_the_configuration_chooses_bfloat16() -> None:
    run = Precision(dtype="bfloat16")
    for precision, keys in ((run, {}), (Precision(), {"mixed_precision": True})):
        loop, network, losses = trained(precision, **keys)
        assert network.types == {torch.bfloat16}
        assert loop.facts() == {"precision": "bfloat16, the rest float32"}
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
        plain = trained()[2]
        assert losses != plain
        assert losses[-1]["train_loss"] == pytest.approx(plain[-1]["train_loss"], rel=0.05)


def test_bfloat16_is_never_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_mixed_precision", lambda device: False)
    assert not in_bfloat16(True, Problem(("a", "b"), (8, 8, 3), 1, precision=Precision(dtype="bfloat16")))
    loop, network, losses = trained(Precision(dtype="bfloat16"), mixed_precision=True)
    assert network.types == {torch.float32}
    assert loop.facts() == {}
    assert losses == trained()[2]


def test_the_layout_is_the_run_s() -> None:
    loop, network, losses = trained(Precision(channels_last=False))
    assert network.last == {False}
    assert network.layers[2].weight.is_contiguous()
    assert loop.facts() == {"computed": "channels first"}
    loop, network, plain = trained()
    assert network.last == {True}
    assert loop.facts() == {}
    assert losses[-1]["train_loss"] == pytest.approx(plain[-1]["train_loss"], rel=1e-4)


def test_what_can_not_be_compiled_is_trained_as_it_is_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        raise RuntimeError("no compiler here\nand more")

    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network: compile_with(network, backend=refuse))
    loop, _, losses = trained(Precision(compile=True))
    assert losses == trained()[2]
    assert loop.facts()["computed"].startswith("not compiled (BackendCompilerFailed: ")
    assert "\n" not in loop.facts()["computed"]


def test_what_is_compiled_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network: compile_with(network, backend="eager"))
    loop, _, losses = trained(Precision(compile=True))
    assert losses == trained()[2]
    assert loop.facts() == {"computed": "compiled"}


def test_records_name_what_is_not_as_ever() -> None:
    cuda = torch.device("cuda")
    assert precision_name(False, Precision(), cuda) == ""
    assert precision_name(False, Precision(tf32=True), CPU) == ""
    assert precision_name(False, Precision(tf32=True), cuda) == "TF32"
    assert precision_name(False, Precision(tf32=False), cuda) == "float32 without TF32"
    assert precision_name(True, Precision(tf32=True), cuda) == "bfloat16, the rest TF32"


def test_a_first_stage_of_another_precision_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        stage_key({"a": 1}, 0, Problem(("a", "b"), (8, 8, 3), 1, data="d", precision=precision))
        for precision in (Precision(), Precision(dtype="bfloat16"))
    ]
    assert "precision" not in keys[0], "as it was before there was a choice"
    assert keys[0] != keys[1]

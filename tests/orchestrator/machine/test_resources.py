"""What this machine has, and what of its GPUs CUDA_VISIBLE_DEVICES leaves."""

import os
import subprocess
import sys

import pytest

from orchestrator.machine.nvml import Driver, named_by, read_driver, usable
from orchestrator.machine.offered import Card
from orchestrator.machine.resources import gpu_nodes, local_resources

GPUS = ["GPU-aa1", "GPU-ab2", "GPU-b33"]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("0", GPUS[:1]),
        ("2,0", [GPUS[2], GPUS[0]]),
        (" 1 , 2 ", GPUS[1:]),
        ("GPU-b", GPUS[2:]),
        ("GPU-a", []),  # names two
        ("0,7,1", GPUS[:1]),  # CUDA stops at what names nothing
        ("0,0,1", GPUS[:1]),
        ("", []),
        ("-1", []),
        ("MIG-1", []),
        ("²", []),
    ],
)
def test_gpus_are_named_by_the_rules_of_cuda(variable: str, expected: list[str]) -> None:
    assert named_by(variable, GPUS) == expected


def test_of_slices_it_is_not_known_what_is_free() -> None:
    cards = tuple((identity, Card(identity, 100, 50)) for identity in GPUS)
    driver = Driver("570", cards, sliced=(GPUS[1],))
    assert [card.name for card in usable(driver, None)] == [GPUS[0], GPUS[2]]
    assert [card.name for card in usable(driver, "1,2")] == [GPUS[2]]


@pytest.mark.skipif(bool(gpu_nodes()), reason="there is a GPU here")
def test_where_there_is_no_gpu_torch_is_not_imported_for_it() -> None:
    code = (
        "import sys\nfrom orchestrator.machine.resources import local_resources\n"
        "print(local_resources().gpus, 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == ["0.0", "False"]


@pytest.mark.gpu
def test_the_driver_tells_of_the_gpus_that_torch_uses() -> None:
    import torch

    there, driver = local_resources(), read_driver()
    assert there.gpus == torch.cuda.device_count()
    assert driver is not None
    assert len(usable(driver, os.environ.get("CUDA_VISIBLE_DEVICES"))) == there.gpus
    assert there.cards[0].name == torch.cuda.get_device_name(0)
    assert 0 < there.cards[0].free <= there.cards[0].memory
    assert abs(there.cards[0].memory - torch.cuda.get_device_properties(0).total_memory) < 2**30

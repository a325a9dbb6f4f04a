"""What the doctor says of GPUs: the judgement on cases as they are seen, and the step of training itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.machine import gpu_check
from orchestrator.machine.gpu_check import Observed, Tried, check_gpus, judged, observe
from orchestrator.machine.gpu_step import step_on
from orchestrator.machine.nvml import Driver
from orchestrator.machine.offered import Card
from orchestrator.machine.resources import gpu_nodes

GIB = 2**30
DRIVER = Driver("550.54.15", (("GPU-1", Card("H100", 80 * GIB, 79 * GIB)),))
CARD = Tried("H100", "9.0", 80 * GIB, 79 * GIB, True, 0.0021)
GOOD = Observed(("nvidia0",), True, None, "12.8", DRIVER, (CARD,))


def test_a_gpu_that_trains_is_a_line_and_no_problem() -> None:
    found = judged(GOOD)
    assert found.problems == ()
    assert found.cards == ("H100, 79.0 of 80.0 GiB free, bf16, a step of training 2.1 ms, driver 550.54.15",)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Observed((), True, None, "12.8", None), ["No GPU: /dev holds none.", "trained on CPUs"]),
        (Observed((), True, None, "12.8", DRIVER), ["the driver knows of 1", "--gpus all"]),
        (Observed(("nvidia0",), True, None, None, DRIVER), ["this torch has no CUDA"]),
        (Observed(("nvidia0",), True, None, "12.8", None), ["/dev holds nvidia0", "install the driver"]),
        (Observed(("nvidia0",), True, "", "12.8", DRIVER), ["CUDA_VISIBLE_DEVICES is empty", "Unset it"]),
        (Observed(("nvidia0",), True, "-1", "12.8", DRIVER), ["CUDA_VISIBLE_DEVICES is '-1'", "There are 0, or UUIDs"]),
        (Observed(("nvidia0",), True, "7", "12.8", DRIVER), ["is '7', which names none"]),
        (
            Observed(("nvidia0",), True, None, "12.8", replace(DRIVER, sliced=("GPU-1",)), error=""),
            ["MIG mode", "nvidia-smi mig -cgi", "CUDA_VISIBLE_DEVICES=MIG-"],
        ),
        (
            replace(GOOD, cards=(), error="CUDA initialization: The NVIDIA driver on your system is too old (found …)"),
            ["driver 550.54.15 is too old for this torch, which is built for CUDA 12.8", "Update the driver"],
        ),
        (
            replace(GOOD, cards=(), error="Error 802: system not yet initialized"),
            ["fabric manager"],
        ),
        (
            replace(GOOD, cards=(), error="Error 803: system has unsupported display driver / cuda driver combination"),
            ["do not fit each other", "Restart"],
        ),
        (replace(GOOD, cards=(), error="a step of training did not end within 180 s"), ["does not answer"]),
        (
            replace(GOOD, cards=(), error="a step of training ended its process (SIGSEGV)"),
            ["does not train", "SIGSEGV"],
        ),
        (replace(GOOD, cards=()), ["does not say why"]),
    ],
)
def test_without_a_gpu_the_reason_is_named(seen: Observed, words: list[str]) -> None:
    found = judged(seen)
    assert found.cards == ()
    assert len(found.problems) == 1
    assert [word for word in words if word not in found.problems[0]] == []


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (replace(CARD, error="CUDA error: no kernel image is available for execution"), ["compute capability 9.0"]),
        (replace(CARD, error="CUDA error: all CUDA-capable devices are busy or unavailable"), ["exclusive mode"]),
        (replace(CARD, free=GIB // 4, error="CUDA out of memory. Tried to …"), ["no memory left", "0.2 of 80.0 GiB"]),
        (replace(CARD, free=GIB), ["only 1.0 GiB free", "others hold 79.0", "nvidia-smi"]),
        (replace(CARD, free=40 * GIB), ["other processes hold 40.0 of 80.0 GiB"]),
        (replace(CARD, bf16=False), ["bf16"]),
        (replace(CARD, name="A100 MIG 1g.5gb"), ["MIG slice"]),
        (replace(CARD, error="wrong result: the loss of a step is 9"), ["does not train: wrong result"]),
    ],
)
def test_what_is_wrong_with_one_gpu_is_named_and_the_other_is_a_line(card: Tried, words: list[str]) -> None:
    found = judged(replace(GOOD, cards=(card, replace(CARD, name="other"))))
    assert found.cards[-1].startswith("other, ")
    assert len(found.cards) == 2 - bool(card.error)
    assert len(found.problems) == 1
    assert [word for word in words if word not in found.problems[0]] == []


def test_without_nvml_a_gpu_trains_all_the_same() -> None:
    found = judged(replace(GOOD, driver=None))
    assert len(found.cards) == 1
    assert "NVML" in found.problems[0]


def test_the_step_is_the_same_each_time_and_close_in_bf16() -> None:
    loss, seconds = step_on("cpu", False)
    assert step_on("cpu", False)[0] == loss
    assert seconds > 0
    assert abs(step_on("cpu", True)[0] - loss) < 0.05 * loss


@pytest.mark.skipif(bool(gpu_nodes()), reason="there is a GPU here")
def test_the_process_that_tries_says_that_cuda_finds_nothing() -> None:
    cards, error = gpu_check._try()
    assert cards == ()
    assert "did not end" not in error
    assert "ended its process" not in error
    assert check_gpus().problems[0].startswith(("No GPU: /dev holds none", "No GPU is used: this torch"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time; time.sleep(60)", "did not end within 1 s"),
        ("import os; os.kill(os.getpid(), 11)", "ended its process (SIGSEGV)"),
        ("import sys; sys.exit('libcudart.so.13 is not there')", "libcudart.so.13 is not there"),
        ("print('{}')", "exit code 0"),
    ],
)
def test_a_process_that_hangs_or_dies_is_told(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!{gpu_check.sys.executable}\n{code}\n", encoding="utf-8")
    interpreter.chmod(0o755)
    monkeypatch.setattr(gpu_check.sys, "executable", str(interpreter))
    monkeypatch.setattr(gpu_check, "LIMIT", 1.0 if "sleep" in code else 60.0)
    cards, error = gpu_check._try()
    assert cards == ()
    assert words in error


@pytest.mark.gpu
def test_the_gpus_of_this_machine_train() -> None:
    seen = observe()
    assert seen.cards
    assert [card.error for card in seen.cards] == [""] * len(seen.cards)
    assert len(judged(seen).cards) == len(seen.cards)

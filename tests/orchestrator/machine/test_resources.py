"""What is said of GPUs that nobody uses."""

import pytest

from orchestrator.machine.resources import gpu_hint, idle_gpus


@pytest.mark.parametrize(
    ("there", "wanted", "words"), [(1.0, 0.0, "A GPU stands idle"), (4.0, 0.0, "4 GPUs stand idle")]
)
def test_an_idle_gpu_is_told_with_what_to_set(there: float, wanted: float, words: str) -> None:
    said = idle_gpus(there, wanted)
    assert said is not None
    assert said.startswith(words)
    assert "--set resources.gpus=1" in said


@pytest.mark.parametrize(("there", "wanted"), [(0.0, 0.0), (1.0, 1.0), (2.0, 0.5), (0.0, 1.0)])
def test_where_none_is_idle_nothing_is_said(there: float, wanted: float) -> None:
    assert idle_gpus(there, wanted) is None


def test_the_doctor_says_how_they_are_used() -> None:
    assert "uses the GPU with" in gpu_hint(1)
    assert "uses the 2 GPUs with" in gpu_hint(2)
    assert "--set resources.gpus=1" in gpu_hint(2)

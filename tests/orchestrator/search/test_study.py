"""What is said of a trial that failed."""

import pytest

from orchestrator.artifacts.endings import first_line, why


def test_the_last_line_of_a_traceback_is_the_reason() -> None:
    text = "ray::ImplicitFunc.train()\n  File 'x.py', line 3\nFloatingPointError: The loss is not finite\n"
    assert first_line(text) == "FloatingPointError: The loss is not finite"


@pytest.mark.parametrize(("error", "status"), [
    (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out-of-memory"),
    (MemoryError("Unable to allocate 8 GiB"), "out-of-memory"),
    (ValueError("nonsense"), "failed"),
    (None, "failed"),
])  # fmt: skip
def test_memory_has_its_own_status(error: Exception | None, status: str) -> None:
    assert why(error)[0] == status
    assert why(error)[1]

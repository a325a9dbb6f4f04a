"""What of a machine's memory is free, within a container's limit."""

from pathlib import Path

import psutil
import pytest

from trainables.memory import CGROUPS, available_memory


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(("limit", "expected"), [(1000, 400), (500, 0)])
def test_a_container_s_limit_counts_without_what_the_kernel_gives_back(
    version: int, limit: int, expected: int, tmp_path: Path
) -> None:
    most, used, statistics, row = CGROUPS[version]
    (tmp_path / most).parent.mkdir(parents=True)
    for path, text in ((most, f"{limit}\n"), (used, "900\n"), (statistics, f"anon 1\n{row} 300\n")):
        (tmp_path / path).write_text(text, encoding="ascii")
    assert available_memory(tmp_path) == expected


@pytest.mark.parametrize("text", ["max\n", f"{2**62}\n", "what\n"])
def test_no_limit_is_the_machine_s(text: str, tmp_path: Path) -> None:
    most, used, statistics, _ = CGROUPS[0]
    (tmp_path / most).parent.mkdir(parents=True)
    for path, content in ((most, text), (used, "900\n"), (statistics, "anon 1\n")):
        (tmp_path / path).write_text(content, encoding="ascii")
    assert abs(available_memory(tmp_path) - psutil.virtual_memory().available) < 2**31

"""A disk that fills up in mid-search: the run stops with a reason, and goes on once there is room."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.artifacts.records import read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("ray_session")]

TRIALS = 12


@pytest.mark.parametrize("left", [0, 2**13])
def test_full_in_mid_search_and_resumed_with_room(
    series_tree: Path, tmp_path: Path, small_disk: Callable[[str], Path], orchestrate: Callable[..., Any], left: int
) -> None:
    values = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain", "store": str(tmp_path / "store")},
        "families": ["pca_logistic"],
        "budget": {"trials": TRIALS, "epochs": 1, "concurrent": 1},
        "seeds": [0],
    }
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    disk = small_disk("16m")
    out = disk / "run"
    first = orchestrate("sweep", file, "--out", out, "--set", "budget.trials=3", "--until", "search", "--quiet")
    assert first.code == 0, first.err
    assert sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) < 2**20, (
        "a search leaves little behind"
    )
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as full:
        try:
            while True:
                full.write(b"\0" * 4096)
        except OSError:
            pass
    with ballast.open("ab") as full:
        full.truncate(ballast.stat().st_size - left)
    before = (out / "records.jsonl").read_bytes()
    stopped = orchestrate("sweep", file, "--out", out, "--resume", "--until", "search", "--quiet")
    assert stopped.code == 2, stopped.err
    assert "No space left" in stopped.err
    assert "--resume" in stopped.err
    assert (out / "records.jsonl").read_bytes().startswith(before)
    ballast.unlink()
    again = orchestrate("sweep", file, "--out", out, "--resume", "--quiet")
    assert again.code == 0, again.err
    search = [one for one in read_records(out / "records.jsonl") if one.stage == "search"]
    assert sorted(one.trial for one in search) == list(range(TRIALS))
    assert {one.status for one in search} == {"completed"}
    assert (out / "report" / "index.html").is_file()

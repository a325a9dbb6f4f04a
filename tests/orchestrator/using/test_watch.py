"""`orchestrate watch`: each complete file has one line, across restarts and kills."""

import json
from pathlib import Path

from orchestrator.using.live.watch import watch


def lines_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_once(series_model: Path, series_tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    found = watch(series_model, series_tree, out, once=True, settle=0.1)
    print(found.text())
    assert len(lines_of(out)) == 42
    found = watch(series_model, series_tree, out, once=True, settle=0.1)
    print(found.text(), lines_of(out)[0])
    assert len(lines_of(out)) == 42

"""What a command prints of a run's ablation."""

import csv
from pathlib import Path

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.running.results import result_json, result_text

COLUMNS = ["variant", "C", "metric", "seeds", "mean", "half_width", "delta", "p", "significant"]


def test_the_ablation_is_printed_by_its_first_metric_whatever_its_names_hold(tmp_path: Path) -> None:
    table = tmp_path / "report" / "tables" / "ablation.csv"
    table.parent.mkdir(parents=True)
    rows = [
        ["base", "1", "macro_f1", "3", "0.500", "0.100", "", "", ""],
        ["base", "1", "accuracy", "3", "0.600", "0.100", "", "", ""],
        ["a\u202e\nb" + 99 * "x", "2", "macro_f1", "3", "0.700", "0.100", "+0.200", "< 0.001", "better"],
        ["a\u202e\nb" + 99 * "x", "2", "accuracy", "3", "0.800", "0.100", "+0.200", "0.011", "better"],
    ]
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    text = result_text(RunFolder(tmp_path))
    lines = text.splitlines()
    assert lines[0] == "Ablation of base: macro F1 (test)"
    assert lines[1].split() == ["variant", "seeds", "mean", "±", "(95", "%)", "Δ", "to", "baseline", "p", "(Holm)",
                                "significantly"]  # fmt: skip
    assert lines[3].split()[-7:] == ["3", "0.700", "0.100", "+0.200", "<", "0.001", "better"]
    assert "\\u202e\\nb" in lines[3]
    assert len(lines[3]) < 120
    assert "0.800" not in text
    assert len(result_json(RunFolder(tmp_path))["ablation"]) == 4

"""What a command prints of a run: for a person, or as JSON."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.formatting import label, labelled, printable, shorten
from orchestrator.report.document.spreadsheet import as_named
from orchestrator.report.numbers.leaderboard import leaderboard_json, leaderboard_text
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.report.sections.verdict import verdict_of_run
from orchestrator.running.claim import open_run
from orchestrator.scoring.own_metrics import read_own

COLUMNS = {
    "variant": "variant", "seeds": "seeds", "mean": "mean", "low": "from", "high": "to (95 %)",
    "half_width": "± (95 %)",
    "delta": "Δ to baseline", "p": "p (Holm)", "significant": "significantly",
}  # fmt: skip
"""Of the ablation's table, and what the terminal calls them; reports that earlier versions wrote have a half-width."""


def results(run_folder: str | Path) -> dict[str, Any]:
    """What the run in `run_folder` holds, as plain JSON values.

    `leaderboard` and `ablation` are their tables, a dict a row, empty where nothing is evaluated; `records` counts by
    stage and status; `report` is the page's path, or None; `marks` says where `experiment.yaml` is not the experiment
    that the records name. InputError where the folder holds no run, or another run's records.
    """
    return result_json(open_run(run_folder))


def result_json(folder: RunFolder) -> dict[str, Any]:
    """The run's folder, its report if there is one, how its trials ended, and the leaderboard's rows."""
    return _read(folder)[0]


def _read(folder: RunFolder) -> tuple[dict[str, Any], RunData | None]:
    """The same, and what the run's files tell; None where there is no record."""
    page = folder.report / "index.html"
    counts: dict[str, dict[str, int]] = {}
    for record in read_records(folder.records):
        stage = counts.setdefault(record.stage, {})
        stage[record.status] = stage.get(record.status, 0) + 1
    data = read_run(folder) if counts else None
    rows = leaderboard_json(data, standings(data))["rows"] if data is not None and "evaluation" in counts else []
    values = {
        "run": str(folder.root),
        "report": str(page) if page.exists() else None,
        "records": counts,
        "marks": [] if data is None else list(data.marks),
        "leaderboard": rows,
        "ablation": _ablation(folder).to_dict(orient="records"),
    }
    return values, data


def result_text(folder: RunFolder) -> str:
    """The leaderboard, the ablation by its first metric, and where the report lies."""
    with labelled(read_own(folder.own_metrics)):
        return _text(folder)


def _text(folder: RunFolder) -> str:
    result, data = _read(folder)
    parts = [f"Beware: {mark}" for mark in result["marks"]]
    if data is not None and (result["leaderboard"] or result["ablation"]):
        said, standing = verdict_of_run(data)
        parts += [said] if said else []
    if result["ablation"]:
        frame = _ablation(folder)
        metric = frame["metric"].iloc[0]
        kept = [name for name in COLUMNS if name in frame]
        rows = frame.loc[frame["metric"] == metric, kept].rename(columns=COLUMNS)
        rows["variant"] = [shorten(printable(name), 40) for name in rows["variant"]]
        baseline = rows["variant"].iloc[0]
        parts.append(f"Ablation of {baseline}: {label(metric)} (test)\n{rows.to_string(index=False)}")
    if data is not None and result["leaderboard"]:
        parts.append(leaderboard_text(data, standing))
        parts += _not_evaluated(data, result["leaderboard"])
    elif not result["ablation"]:
        ended = ", ".join(
            f"{stage}: " + ", ".join(f"{count} {status}" for status, count in statuses.items())
            for stage, statuses in result["records"].items()
        )
        parts.append(f"No model is evaluated yet ({ended or 'no trial has ended'}).")
    if result["report"]:
        parts.append(f"Report: {result['report']}")
    else:
        parts.append(f"Run: {result['run']}")
    return "\n\n".join(parts)


def _not_evaluated(data: RunData, rows: list[dict[str, Any]]) -> list[str]:
    """What a sweep would still evaluate, and the command; an ablation evaluates no more than its own baseline."""
    folder, records = data.run, data.records
    met = {record.variant for record in records if record.stage == "evaluation"}
    searched = {record.variant for record in records if record.stage == "search"}
    fruitful = {
        record.variant
        for record in records
        if record.stage == "search" and record.metrics and data.limits.kept_by(record.speed)
    }
    names = [row["variant"] for row in rows if row["variant"] not in met | (searched - fruitful)]
    if not names:
        return []
    command = shlex.join(["orchestrate", "sweep", str(folder.experiment), "--out", str(folder.root), "--resume"])
    listed = ", ".join(
        printable(f"{row['variant']} (the baseline)" if row["outcome"] == "baseline" else row["variant"])
        for row in rows
        if row["variant"] in names
    )
    return [f"Not searched and evaluated yet: {listed}. A sweep in the same folder does that: {command}"]


def _ablation(folder: RunFolder) -> pd.DataFrame:
    """The ablation's table as the report prints it; empty where there is none."""
    try:
        table = pd.read_csv(folder.report / "tables" / "ablation.csv", dtype=str, keep_default_na=False)
        return table.map(as_named)
    except (OSError, ValueError):
        return pd.DataFrame()

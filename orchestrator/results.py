"""What a command prints of a run: for a person, or as JSON."""

from typing import Any

from orchestrator.records import read_records
from orchestrator.report.leaderboard import leaderboard_json, leaderboard_text
from orchestrator.run_folder import RunFolder


def result_json(folder: RunFolder) -> dict[str, Any]:
    """The run's folder, its report if there is one, how its trials ended, and the leaderboard's rows."""
    page = folder.report / "index.html"
    counts: dict[str, dict[str, int]] = {}
    for record in read_records(folder.records):
        stage = counts.setdefault(record.stage, {})
        stage[record.status] = stage.get(record.status, 0) + 1
    return {
        "run": str(folder.root),
        "report": str(page) if page.exists() else None,
        "records": counts,
        "leaderboard": leaderboard_json(folder)["rows"] if "evaluation" in counts else [],
    }


def result_text(folder: RunFolder) -> str:
    """The leaderboard and where the report lies."""
    result = result_json(folder)
    parts = []
    if result["leaderboard"]:
        parts.append(leaderboard_text(folder))
    else:
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

"""Speed in a report: columns, a table, figures; what is beyond the experiment's limits comes last and never wins."""

from collections.abc import Callable
from typing import Any

from builders.classification_runs import RunBuilder

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Charts, Report, Table
from orchestrator.report.document.latex import to_latex
from orchestrator.report.document.markdown import to_markdown
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.sections import build_report
from orchestrator.running.results import result_text, results
from trainables.speed import Speed

MakeRun = Callable[..., RunFolder]
LIMITS = {"metric": "macro_f1", "mode": "max", "constraints": {"latency_ms": 20, "memory_mb": 500}}
NAMES = {"pca_logistic": 0.25, "resnet18": 0.9, "third": 0.6}


def speed(latency: float, memory: int = 12_300_000, **more: Any) -> Speed:
    values = {"pictures_per_second": 2500 / latency, "best_batch": 32, "device": "A processor", "threads": 2}
    return Speed(latency_ms=latency, memory=memory, **(values | more))


def paced(**latencies: tuple[float, ...]) -> Callable[[RunBuilder], None]:
    """A cell a seed of each variant, with these latencies."""

    def then(builder: RunBuilder) -> None:
        for variant, of_seeds in latencies.items():
            for seed, latency in enumerate(of_seeds):
                builder.cell(variant, seed, speed=speed(latency, beside=1) if latency else None)

    return then


def report_of(run: RunFolder) -> Report:
    with drawing():
        return build_report(read_run(run))


def table(report: Report, name: str) -> Table:
    return next(
        block
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Table) and block.name == name
    )


def test_medians_stand_in_ranking_table_figures_and_json(make_run: MakeRun) -> None:
    run = make_run(
        variants=NAMES, search=0, seeds=(), then=paced(pca_logistic=(1, 2, 30), resnet18=(8, 9, 10), third=(0, 0, 0))
    )
    report = report_of(run)
    ranking = table(report, "leaderboard")
    places = [ranking.columns.index(name) for name in ("Latency", "Memory")]
    cells = {row[0].text: [(row[place].text, row[place].detail) for place in places] for row in ranking.rows}
    assert cells == {
        "resnet18": [("9 ms", "278/s"), ("12.3 MB", "")], "third": [("–", "")] * 2,
        "pca_logistic": [("2 ms", "1\u202f250/s"), ("12.3 MB", "")],
    }  # fmt: skip
    assert "measured beside the other trainings of this run" in ranking.caption
    speeds = table(report, "speed")
    assert [[cell.text for cell in row] for row in speeds.rows] == [
        ["resnet18", "9 ms", "278", "32", "12.3 MB", "2"],
        ["pca_logistic", "2 ms", "1\u202f250", "32", "12.3 MB", "2"],
    ]
    assert speeds.rows[1][1].detail == "1 ms to 30 ms"
    assert "(A processor) while up to 1 other training could run beside it" in speeds.caption
    assert "Latency" in to_latex(report.printed["leaderboard"], "leaderboard")
    assert report.headline is not None
    assert report.headline.card is not None
    assert any("9 ms for one picture alone, 278 a second in batches of 32" in one for one in report.headline.card.lines)
    charts = {chart.of: chart for section in report.sections for block in section.blocks if isinstance(block, Charts)
              for chart in block.charts}  # fmt: skip
    alone, batched = charts["pareto", "latency"], charts["pareto", "throughput"]
    assert "On the Pareto front: pca_logistic and resnet18." in alone.alt
    assert "Not drawn, since theirs is not known: third." in batched.caption
    assert "Dotted" not in alone.caption
    rows = {row["variant"]: row for row in results(run.root)["leaderboard"]}
    assert (rows["resnet18"]["latency_ms"], rows["resnet18"]["best_batch"]) == (9.0, 32)
    assert (rows["third"]["memory_mb"], rows["resnet18"]["memory_mb"]) == (None, 12.3)
    assert "9 ms" in result_text(run)


def test_records_of_before_show_no_column(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0,))
    report = report_of(run)
    assert "Latency" not in table(report, "leaderboard").columns
    assert "speed" not in {block.name for section in report.sections for block in section.blocks
                           if isinstance(block, Table)}  # fmt: skip
    assert "a picture" not in result_text(run)
    assert results(run.root)["leaderboard"][0]["latency_ms"] is None


def test_what_is_beyond_the_limits_comes_last_and_is_never_the_winner(make_run: MakeRun) -> None:
    then = paced(pca_logistic=(1, 1, 1), resnet18=(30, 31, 15), third=(19, 30, 18))
    run = make_run(variants=NAMES, search=0, seeds=(), then=then, objective=LIMITS)
    report = report_of(run)
    order = [row[0] for row in table(report, "leaderboard").rows]
    assert [cell.text for cell in order] == ["third", "pca_logistic", "resnet18"]
    assert [cell.tone for cell in order] == ["strong", "", ""]
    assert any(cell.text == "beyond the limits" for cell in table(report, "leaderboard").rows[2])
    assert report.headline is not None
    assert report.headline.card is not None
    assert report.headline.card.title == "third"
    beyond = "resnet18 (latency 30 ms, 50 % beyond the 20 ms allowed)"
    told = f"Beyond the limits, latency at most 20 ms and memory at most 500 MB, and so no winner, is {beyond}."
    assert told in report.headline.verdict
    assert report.headline.verdict.startswith("third")
    text = to_markdown(report).replace("\\", "")
    assert "Below the others, since beyond the limits" in text
    rows = results(run.root)["leaderboard"]
    assert [row["variant"] for row in rows] == ["third", "pca_logistic", "resnet18"]
    assert [bool(row["beyond_limits"]) for row in rows] == [False, False, True]
    assert "beyond the limits" in result_text(run)


def test_where_all_are_beyond_there_is_no_winner(make_run: MakeRun) -> None:
    then = paced(pca_logistic=(40,), resnet18=(0,))
    report = report_of(make_run(search=0, seeds=(), then=then, objective=LIMITS))
    assert report.headline is not None
    assert report.headline.card is None
    assert report.headline.verdict == (
        "No evaluated variant keeps to latency at most 20 ms and memory at most 500 MB, so there is no winner: "
        "resnet18 (its speed is not known) and pca_logistic (latency 40 ms, 2.0 times the 20 ms allowed)."
    )
    run = make_run("again", search=0, seeds=(), then=then, objective=LIMITS)
    assert "so there is no winner" in result_text(run)

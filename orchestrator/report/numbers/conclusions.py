"""What a table of comparisons allows to conclude, and what not, in plain sentences."""

from collections.abc import Sequence

from orchestrator.report.document.formatting import label, number, plural, printable, words
from orchestrator.report.numbers.leaderboard import Standing
from orchestrator.scoring.statistics import SIGNIFICANCE, sign_test_floor


def tests_made(rows: Sequence[Standing], metrics: Sequence[str]) -> str:
    """The test, the correction, and over how many comparisons it ran; empty where nothing was tested."""
    found = [row.comparisons[metric] for metric in metrics for row in rows if metric in row.comparisons]
    counts = sorted({one.comparisons for one in found if one.p is not None})
    if not counts:
        return ""
    over = plural(counts[-1], "comparison") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} comparisons"
    of_each = " of each metric" if len(metrics) > 1 else ""
    return f"p: paired t-test over seeds, Holm-corrected for the {over}{of_each}."


def conclusion(rows: Sequence[Standing], baseline: str | None, metric: str, metrics: Sequence[str]) -> str:
    """What may be concluded by `metric`, and what neither by it nor by the other `metrics` of the table."""
    others = [row for row in rows if row.variant != baseline and row.estimates]
    if baseline is None or not others:
        return "Nothing is compared here, so no difference may be concluded."
    name = printable(baseline)
    found = {row.variant: row.comparisons[metric] for row in others if metric in row.comparisons}
    tested = [one for one in found.values() if one.p is not None]
    if not found:
        return f"The baseline {name} has no {label(metric)}, so no difference may be concluded."
    if not tested and all(one.difference.seeds < 2 for one in found.values()):
        return (
            "With one seed there is no test: a difference here may be the seed's, and none may be concluded to be that "
            f"of the variant. {_pictures(others, metric)}"
        ).rstrip()
    if not tested:
        return f"No difference to {name} varies from seed to seed, so none can be tested."
    seeds = min(one.difference.seeds for one in tested)
    better, worse = (
        [printable(variant) for variant, one in found.items() if one.outcome == way] for way in ("better", "worse")
    )
    held = [f"{words(names)} {_verb(names)} {way}" for names, way in ((better, "better"), (worse, "worse")) if names]
    if held:
        text = f"By {label(metric)} it may be concluded that {' and '.join(held)} than {name}, on pictures like these."
    else:
        text = f"By {label(metric)} no difference to {name} may be concluded."
    text += " A difference that is not significant is not shown to exist, which does not make the two equal."
    floor = sign_test_floor(seeds)
    can = "even were all to agree" if floor >= SIGNIFICANCE else "were all to agree"
    text += f" With {plural(seeds, 'seed')} a sign test could give no p below {number(floor)} {can}"
    if floor >= SIGNIFICANCE:
        text += ", so a smaller p here rests on the t-test's assumption that differences between seeds are normal"
    text += "."
    if len(metrics) > 1:
        text += " The correction runs within a metric, not across metrics."
    return text


def _verb(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _pictures(rows: Sequence[Standing], metric: str) -> str:
    known = any(row.estimates[metric].picture_half_width is not None for row in rows if metric in row.estimates)
    return "The intervals are of the test pictures alone." if known else ""

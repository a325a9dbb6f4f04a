"""What a table of comparisons allows to conclude, and what not, in plain sentences."""

from collections.abc import Iterable, Sequence

import numpy as np

from orchestrator.report.document.formatting import label, number, plural, printable, sentence, words
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.comparisons import POWER, Comparison, detectable


def what_was_tested(rows: Sequence[Standing], metrics: Sequence[str], removed: int) -> str:
    """What p asks, the correction, and over how many comparisons it ran; empty where nothing was tested.

    `removed`: how many of these are of variants that the run's ablation no longer has.
    """
    found = [row.comparisons[metric] for metric in metrics for row in rows if metric in row.comparisons]
    counts = sorted({one.comparisons for one in found if one.p is not None})
    if not counts:
        return ""
    over = plural(counts[-1], "comparison") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} comparisons"
    of_each = " of each metric" if len(metrics) > 1 else ""
    gone = f", {plural(removed, 'variant')} that earlier ablations compared among them" if removed else ""
    asks = WHAT_P_ASKS_OF_SPLITS if any(row.splits for row in rows) else WHAT_P_ASKS
    parts = "test parts" if any(row.splits for row in rows) else "test part"
    return f"{asks} Holm-corrected for the {over}{of_each} that this run has made on its {parts}{gone}."


WHAT_P_ASKS = (
    "p: the level at which the interval of Δ would just reach 0, that is, whether other seeds and other pictures like "
    "these, together, could have made this difference;"
)
WHAT_P_ASKS_OF_SPLITS = (
    "p: the level at which the interval of Δ would just reach 0, that is, whether other training sets, searches, seeds "
    "and pictures of this kind, together, could have made this difference, by the corrected resampled t test (Nadeau "
    "and Bengio 2003);"
)


ONE_SPLIT = "One training set, one search: intervals and p leave out what others would give."
"""What no interval of one split covers."""


def test_parts(data: RunData, rows: Sequence[Standing]) -> str:
    """What rows were measured on, with how many pictures, where that is the same of all."""
    pictures = sorted({row.pictures for row in rows if row.pictures is not None})
    if not data.over_splits:
        return f"the test part ({plural(pictures[0], 'picture')})" if len(pictures) == 1 else "the test part"
    return f"their test parts ({plural(pictures[0], 'picture')} in all)" if len(pictures) == 1 else "their test parts"


def what_splits(data: RunData) -> str:
    """Over how many training sets and searches the figures are, and what of these they leave out."""
    if not data.over_splits:
        asked = data.wanted_splits > 1
        return ONE_SPLIT + (f" Of the {data.wanted_splits} splits asked for, one is evaluated." if asked else "")
    found = len(data.evaluated_splits)
    some = f" of the {data.wanted_splits} asked for" if found < data.wanted_splits else ""
    if data.inherits:
        return (
            f"{found} splits{some}, each with its own training set; all train the winners of the first one's search, "
            "which has seen pictures that others test on, so figures are flattered and leave out what other searches "
            "would give."
        )
    return f"{found} splits{some}, each with its own training set and its own search."


def remarks_of(rows: Sequence[Standing], metric: str) -> list[str]:
    """What the intervals leave out, a sentence each with the variants that it is of."""
    said: dict[str, list[str]] = {}
    known = [row for row in rows if metric in row.estimates]
    for row in known:
        if row.estimates[metric].remark:
            said.setdefault(row.estimates[metric].remark, []).append(printable(row.variant))
    whose = {one: "" if len(names) == len(known) else f"{words(names)}: " for one, names in said.items()}
    return [f"{whose[one]}{one if whose[one] else sentence(one)}." for one in said]


def power(found: Iterable[Comparison], pictures: int | None, sources: int | None = None) -> str:
    """What difference comparisons like these would find; empty where none was tested."""
    tested = [one for one in found if one.p is not None]
    sizes = [detectable(one.spread, one.comparisons) for one in tested]
    sizes = [size for size in sizes if np.isfinite(size)]
    if not sizes:
        return ""
    splits = max(one.difference.splits for one in tested)
    seeds = min(one.difference.seeds for one in tested)
    if splits:
        pictures = None
    part = f" and {plural(pictures, 'test picture')}" if pictures else ""
    part += f" of {plural(sources, 'source')}" if sources and pictures and sources < pictures else ""
    median = " (the median of them)" if len(sizes) > 1 else ""
    first = f" as the first to count of {tested[0].comparisons}" if tested[0].comparisons > 1 else ""
    design = f"{plural(splits, 'split')} of {plural(seeds, 'seed')}" if splits else plural(seeds, "seed")
    return (
        f"{design}{part} show a difference of {number(np.median(sizes))} or "
        f"more{median} in {POWER:.0%} of such comparisons{first}."
    ).replace("%", " %")


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
    if not tested and all(one.difference.seeds < 2 and not one.difference.splits for one in found.values()):
        return (
            "With one seed there is no test: a difference here may be the seed's, and none may be concluded to be that "
            f"of the variant. {_pictures(others, metric)}"
        ).rstrip()
    if not tested:
        reasons = dict.fromkeys(one.why for one in found.values())
        return f"No difference to {name} could be tested: {words([printable(one) for one in reasons])}."
    better, worse = (
        [printable(variant) for variant, one in found.items() if one.outcome == way] for way in ("better", "worse")
    )
    held = [f"{words(names)} {_verb(names)} {way}" for names, way in ((better, "better"), (worse, "worse")) if names]
    if held:
        text = f"By {label(metric)} it may be concluded that {' and '.join(held)} than {name}, on pictures like these."
    else:
        text = f"By {label(metric)} no difference to {name} may be concluded."
    text += " A difference that is not significant is not shown to exist, which does not make the two equal."
    largest = max((row for row in others), key=lambda row: row.pictures or 0)
    text += f" {power(found.values(), largest.pictures, largest.sources)}"
    if len(metrics) > 1:
        text += " The correction runs within a metric, not across metrics."
    return text


def _verb(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _pictures(rows: Sequence[Standing], metric: str) -> str:
    known = any(row.estimates[metric].with_pictures for row in rows if metric in row.estimates)
    return "The intervals are of the test pictures alone." if known else ""

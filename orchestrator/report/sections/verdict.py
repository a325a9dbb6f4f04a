"""The verdict in one line: who wins, whether that is shown, and what the winner does in plain counts."""

from collections.abc import Sequence

from orchestrator.report.document.formatting import count, number, plural, printable, sentence, words
from orchestrator.report.numbers.chance import chance_of
from orchestrator.report.numbers.measured import Lineup, Standing, ablated, by_merit, evaluated, measured, standings
from orchestrator.report.numbers.plain_counts import PlainCounts, plain_counts
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.summary import first_line, left_aside, none_keeps, only_ablation


def ranking(data: RunData, rows: Sequence[Standing]) -> list[Standing]:
    """Those with a figure, best first, those beyond the limits last."""
    return by_merit(data, [row for row in rows if data.metric in row.estimates])


def verdict_of_run(data: RunData) -> tuple[str, list[Standing]]:
    """The verdict of what a run evaluated, else of its ablation, empty where nothing has a figure; and the ranking of
    what it evaluated."""
    rows = standings(data)
    lined = evaluated(data)
    if data.ablation is not None and only_ablation(data):
        lined = ablated(data)
        ranked = ranking(data, measured(data).ablated)
    else:
        ranked = ranking(data, rows)
    if not ranked:
        return "", rows
    if ranked[0].beyond:
        return none_keeps(data, ranked), rows
    return line(data, ranked, lined, plain_counts(data, lined.cells[ranked[0].variant])), rows


def line(data: RunData, ranked: Sequence[Standing], lineup: Lineup, counts: PlainCounts) -> str:
    """The one line to be read where only one is: who has the best figure, whether that is shown, and in counts."""
    best = ranked[0]
    level = [
        row for row in ranked if row.estimates[data.metric].mean == best.estimates[data.metric].mean and not row.beyond
    ]
    said = [first_line(data, lineup.baseline, level, alone=len(ranked) == 1), *left_aside(data, ranked)]
    told = _counted(counts)
    if told:
        model = "its one model" if counts.seeds == 1 else f"the median of its {counts.seeds} models"
        whose = sentence(model) if len(level) == 1 else f"Of {printable(best.variant)}, {model}"
        where = ", on the first split," if data.over_splits else ""
        said.append(f"{whose} (seed {counts.record.seed}){where} {told}.")
    said += [*missed(counts), *guessed(data, best, counts)]
    # Of another winner, the first sentence says so.
    said += unbeaten(data, ranked, lineup.baseline) if best.variant == lineup.baseline else []
    said += unlearnt(ranked, lineup)
    return " ".join(said)


def _counted(counts: PlainCounts) -> str:
    if counts.caught is not None and counts.false_alarms is not None:
        caught, false = counts.caught, counts.false_alarms
        alarms = plural(false.count, "false alarm")
        return (
            f"catches {count(caught.count)} of {plural(caught.of, 'anomaly', 'anomalies')} and raises {alarms} on "
            f"{plural(false.of, 'normal picture')}"
        )
    if counts.right is not None:
        return f"names the class of {count(counts.right.count)} of {plural(counts.right.of, 'test picture')} rightly"
    return ""


def missed(counts: PlainCounts) -> list[str]:
    said = []
    caught, false, right = counts.caught, counts.false_alarms, counts.right
    if caught is not None and caught.of and 2 * caught.count < caught.of:
        said.append(f"It misses most anomalies: {count(caught.of - caught.count)} of {count(caught.of)}.")
    if false is not None and false.of and 2 * false.count > false.of:
        said.append(f"It raises a false alarm on most normal pictures: {count(false.count)} of {count(false.of)}.")
    if right is not None and 2 * right.count < right.of:
        said.append(f"It is wrong on most pictures: {count(right.of - right.count)} of {count(right.of)}.")
    return said


def guessed(data: RunData, best: Standing, counts: PlainCounts) -> list[str]:
    """Against guessing, and against always naming the largest class."""
    said = []
    chance, found = chance_of(data), best.estimates[data.metric]
    if chance is not None:
        low = found.low if found.low == found.low else found.mean
        if found.mean <= chance:
            said.append(f"It is no better than guessing ({number(chance)}).")
        elif low <= chance:
            said.append(f"It is not shown to be better than guessing ({number(chance)} lies within the interval).")
    if counts.right is not None and counts.largest_class is not None:
        name, size = counts.largest_class
        if counts.right.count <= size and size < counts.right.of:
            said.append(
                f"Always saying {printable(name)} would be right on {count(size)} of {count(counts.right.of)}, no "
                "fewer."
            )
    return said


def unlearnt(ranked: Sequence[Standing], lineup: Lineup) -> list[str]:
    """Of variants that were to have pretrained weights where there are some (`weights: auto`), and had random ones."""
    names = [
        printable(row.variant)
        for row in ranked
        if any(
            one.config.get("weights", "auto") == "auto" and one.facts.get("weights", "").startswith("random")
            for one in lineup.cells[row.variant]
        )
    ]
    if not names:
        return []
    whose = "its backbone has" if len(names) == 1 else "their backbones have"
    return [
        f"{words(names)}: {whose} random weights, as no pretrained ones were found; with those the figures would be "
        "others."
    ]


def unbeaten(data: RunData, ranked: Sequence[Standing], baseline: str | None) -> list[str]:
    """Against the baseline."""
    best = ranked[0]
    if best.variant == baseline:
        others = [printable(row.variant) for row in ranked[1:] if not row.beyond]
        verb = "has" if len(others) == 1 else "have"
        return [f"No variant beats this baseline: {words(others)} {verb} no better mean."] if others else []
    comparison = best.comparisons.get(data.metric)
    if comparison is None or comparison.outcome == "better":
        return []
    return [f"It is not shown to be better than the baseline {printable(baseline)}: {comparison.explanation}."]

"""What stands above all else: the verdict, the ranking as one figure, the winner in counts, and what it sees."""

from collections.abc import Sequence

from orchestrator.report.document.document import Card, Headline
from orchestrator.report.document.formatting import count, duration, label, plural, printable, time_a_picture
from orchestrator.report.figures.standing_figure import standing_chart
from orchestrator.report.numbers.measured import Lineup, Standing
from orchestrator.report.numbers.plain_counts import Found, PlainCounts, plain_counts
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.headline_pictures import headline_tiles
from orchestrator.report.sections.speed_tables import speed_told
from orchestrator.report.sections.summary import none_keeps
from orchestrator.report.sections.verdict import guessed, line, missed, ranking, unbeaten


def headline(data: RunData, rows: Sequence[Standing], lineup: Lineup, nothing: str) -> Headline:
    """`rows`: the line-up's, in any order; `nothing`: what is said where none has a figure. Call within `drawing`."""
    ranked = ranking(data, rows)
    if not ranked:
        return Headline(nothing)
    if ranked[0].beyond:
        return Headline(none_keeps(data, ranked), standing_chart(data, ranked, lineup.baseline))
    counts = plain_counts(data, lineup.cells[ranked[0].variant])
    tiles, seen = headline_tiles(data, counts.record)
    warned = [*missed(counts), *guessed(data, ranked[0], counts), *unbeaten(data, ranked, lineup.baseline)]
    return Headline(
        line(data, ranked, lineup, counts),
        standing_chart(data, ranked, lineup.baseline),
        Card(printable(ranked[0].variant), _card_lines(data, ranked[0], counts), warned),
        tiles,
        seen,
    )


def _card_lines(data: RunData, best: Standing, counts: PlainCounts) -> list[str]:
    lines = []
    if counts.caught is not None and counts.false_alarms is not None:
        caught, false = counts.caught, counts.false_alarms
        noun = "anomaly" if caught.of == 1 else "anomalies"
        lines.append(f"Caught {count(caught.count)} of {count(caught.of)} {noun}{_spread(caught, counts)}")
        lines.append(f"False alarms on {count(false.count)} of {plural(false.of, 'normal picture')}"
                     f"{_spread(false, counts)}")  # fmt: skip
    elif counts.right is not None:
        right = counts.right
        lines.append(f"Right on {count(right.count)} of {plural(right.of, 'picture')}{_spread(right, counts)}")
    else:
        lines.append(f"Not counted in pictures: {printable(counts.reason)}")
    if counts.hardest is not None and counts.hardest[1] < counts.hardest[2]:
        name, hits, size = counts.hardest
        lines.append(f"Hardest class: {printable(name)}, right on {count(hits)} of {count(size)}")
    if counts.seeds > 1:
        lines.append(
            f"The counts are of seed {counts.record.seed}, the median of {counts.seeds} by {label(data.metric)}"
        )
    elif best.variant not in data.ensembles:
        lines.append(f"The counts are of the one seed that was evaluated, {counts.record.seed}")
    if data.over_splits:
        lines.append("The counts and the pictures are of the first split")
    took, where = duration(best.seconds), printable(counts.record.provenance.device)
    each = counts.record.seconds_a_picture
    if best.pace is not None:
        told = speed_told(best.pace)
    elif each is None:
        told = "Time a picture: not measured"
    else:
        told = f"{time_a_picture(each)} a picture, scored in batches"
    whose = "the trainings of its members" if best.variant in data.ensembles else "one training with its evaluation"
    lines.append(f"{told}; {whose} took {took} ({where})")
    return lines


def _spread(found: Found, counts: PlainCounts) -> str:
    if counts.seeds < 2:
        return ""
    if found.fewest == found.most:
        return f" (the same with each of {counts.seeds} seeds)"
    return f" ({count(found.fewest)} to {count(found.most)} over {counts.seeds} seeds)"

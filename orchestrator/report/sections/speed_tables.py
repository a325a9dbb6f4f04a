"""The speed of a run's models as it is printed: a table, a column of the ranking, and words."""

from collections.abc import Sequence

from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import (
    NONE,
    count,
    megabytes,
    milliseconds,
    plural,
    printable,
    rate,
    words,
)
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.speeds import Pace

WHAT = (
    "Latency: the median of repeated calls that score one test picture which lies in memory, maps included; reading, "
    "drawing and resizing files come on top."
)


def speed_told(pace: Pace) -> str:
    """Of one variant, as a line."""
    typical = pace.typical
    batched = ""
    if typical.best_batch == 1:
        batched = f", {rate(typical.pictures_per_second)} a second, no more in batches"
    elif typical.pictures_per_second is not None:
        batched = f", {rate(typical.pictures_per_second)} a second in batches of {count(typical.best_batch)}"
    return f"{milliseconds(typical.latency_ms)} for one picture alone{batched}, {megabytes(typical.memory)} of memory"


def speed_cells(row: Standing) -> list[TableCell]:
    """Latency with pictures a second, and memory, of the ranking."""
    if row.pace is None:
        return [TableCell(NONE, tone="quiet")] * 2
    typical = row.pace.typical
    return [
        TableCell(milliseconds(typical.latency_ms), f"{rate(typical.pictures_per_second)}/s"),
        TableCell(megabytes(typical.memory)),
    ]


SPEED_COLUMNS = ("Latency", "Memory")


def speed_table(data: RunData, rows: Sequence[Standing]) -> Table | None:
    """How fast each variant's models are, and where that was measured; None where nothing was. `rows`: best first."""
    timed = [(row, row.pace) for row in rows if row.pace is not None]
    if not timed:
        return None
    printed = []
    for row, pace in timed:
        typical = pace.typical
        low, high = milliseconds(pace.fastest_ms), milliseconds(pace.slowest_ms)
        verdict = [TableCell(printable(row.beyond) or "within", tone="bad" if row.beyond else "")]
        printed.append(
            [
                TableCell(printable(row.variant)),
                TableCell(milliseconds(typical.latency_ms), f"{low} to {high}" if pace.models > 1 else ""),
                TableCell(rate(typical.pictures_per_second)),
                TableCell(count(typical.best_batch)),
                TableCell(megabytes(typical.memory)),
                TableCell(words([str(one) for one in pace.threads])),
                *(verdict if data.limits.given else []),
            ]
        )
    columns = ["Variant", "Latency", "Pictures/s", "Batch", "Memory", "Threads"]
    columns += ["Limits"] if data.limits.given else []
    return Table("speed", _caption(data, [pace for _, pace in timed]), columns, printed, frozenset(range(1, 6)))


def _caption(data: RunData, paces: Sequence[Pace]) -> str:
    devices = list(dict.fromkeys(printable(device) for pace in paces for device in pace.devices))
    most = max((pace.beside for pace in paces if pace.beside is not None), default=0)
    if most:
        trainings = plural(most, "other training")
        beside = f" while up to {trainings} could run beside it, which slows it down"
    else:
        beside = " while no other training of the run was at work"
    limits = (
        f" The limits are {data.limits.told}; what keeps them here need not elsewhere." if data.limits.given else ""
    )
    return (
        f"How fast the kept models score pictures, each measured once on the worker that trained it ({words(devices)})"
        f"{beside}: medians over models, and the fastest to the slowest. {WHAT} Pictures/s: in batches of the size "
        "that gave most. Memory: the model's numbers, and what scoring one picture took at most beyond them. Threads: "
        f"that torch had on CPUs.{limits}"
    )


def column_told(data: RunData, rows: Sequence[Standing]) -> str:
    """What the ranking's caption says of its columns of speed."""
    if not any(row.pace for row in rows):
        return ""
    gone = [printable(row.variant) for row in rows if row.beyond and row.estimates]
    said = (
        "Latency (of one picture alone, with pictures a second in the best batch) and memory are medians over models, "
        "measured beside the other trainings of this run: the table of speeds says how and where."
    )
    if gone:
        said += f" Below the others, since beyond the limits ({data.limits.told}): {words(gone)}."
    return said

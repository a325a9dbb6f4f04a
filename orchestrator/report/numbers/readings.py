"""How often the test part of a run was read, and what of the log of its readings is not as it should be."""

from collections.abc import Sequence

from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.numbers.run_data import RunData

MOST_NAMED = 5


def read_often(data: RunData) -> str:
    """A sentence for what stands beside a table of test figures; empty where there is no log."""
    found = [reading for one in data.every_split for reading in one.readings.found]
    if not found:
        return ""
    times, whose, log = _times(len(found)), "This test part was read", "its log does"
    if data.others:
        whose, log = f"The test parts of {plural(len(data.every_split), 'split')} were read", "their logs do"
    unnamed = sum(not one.command for one in found)
    if unnamed == len(found):
        return f"{whose} {times}, by commands that {log} not name."
    # One command reads the test parts of many splits.
    named = {command for one in data.every_split for command in one.readings.commands}
    by = f"by {plural(len(named), 'command')}"
    if unnamed:
        return (
            f"{whose} {times}: {_times(len(found) - unnamed)} {by}, {_times(unnamed)} by commands that {log} not name."
        )
    return f"{whose} {times}, {by}."


def log_faults(data: RunData) -> list[str]:
    """What a reader must know of the log of readings before believing its count, of every split's."""
    if data.others:
        return [f"Split {one.split_number}: {line}" for one in data.every_split for line in _faults(one)]
    return _faults(data)


def _faults(data: RunData) -> list[str]:
    log, name = data.readings, data.run.test_reads.name
    if log.missing:
        return [f"{log.missing}: how often the test part was read is not known."]
    lines = []
    if log.broken:
        verb = "does" if len(log.broken) == 1 else "do"
        lines.append(
            f"{_lines(log.broken, name)} {verb} not follow from what stands before: a line was removed, changed, moved "
            "or put in there after it was written."
        )
    lost = _lost(data)
    if lost:
        cells = words(lost, MOST_NAMED)
        which = f"the reading that the record of {cells} names: its line was removed or changed after it was written"
        if len(lost) > 1:
            which = f"the readings that the records of {cells} name: their lines were removed or changed afterwards"
        lines.append(f"{name} lacks {which}.")
    unreadable = [number for number in log.unreadable if number not in log.unfinished]
    if unreadable:
        lines.append(f"{plural(len(unreadable), 'line')} of {name} can't be read.")
    if log.unfinished:
        whose = "its process" if len(log.unfinished) == 1 else "their processes"
        verb = "is" if len(log.unfinished) == 1 else "are"
        lines.append(
            f"{_lines(log.unfinished, name)} {verb} unfinished: {whose} died before reading the test part. What was "
            "written afterwards follows from it."
        )
    if log.beside:
        verb = "was" if len(log.beside) == 1 else "were"
        lines.append(f"{_lines(log.beside, name)} {verb} written at the same moment as another one, or stands twice.")
    if log.unchained:
        last = max(log.unchained)
        verb = "is" if len(log.unchained) == 1 else "are"
        lines.append(
            f"{plural(len(log.unchained), 'line')} of {name}, up to line {last}, {verb} not chained, since an earlier "
            f"version wrote {'it' if len(log.unchained) == 1 else 'them'}: one that was removed before line {last + 1} "
            "was written would not be missed."
        )
    return lines


def _lost(data: RunData) -> list[str]:
    """The evaluated cells whose reading the log does not hold."""
    known = {one.hash for one in data.readings.found}
    cells = [one for one in data.records if one.reading and one.reading not in known]
    return list(dict.fromkeys(f"{printable(one.variant)} (seed {one.seed})" for one in cells))


def _times(number: int) -> str:
    return "once" if number == 1 else f"{plural(number, 'time')}"


def _lines(numbers: Sequence[int], name: str) -> str:
    noun = "Line" if len(numbers) == 1 else "Lines"
    return f"{noun} {words([str(number) for number in numbers], MOST_NAMED)} of {name}"

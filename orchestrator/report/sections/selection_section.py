"""The selection's account: what each winner promised on validation, what came of it on test, what the search cost."""

from collections.abc import Sequence

from orchestrator.report.document.document import Section, Table, TableCell
from orchestrator.report.document.formatting import (
    count,
    duration,
    label,
    number,
    on_validation,
    plural,
    printable,
    sentence,
    words,
)
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.run_files import section
from orchestrator.report.numbers.selection import Selection, how_judged, how_seeded
from orchestrator.scoring.comparisons import SIGNIFICANCE

MOST_NAMED = 12


def selection_section(data: RunData, found: Sequence[Selection], folds: int | None) -> Section | None:
    """None where nothing was searched. `folds`: by which threshold strategies were compared, where that is known."""
    if not found:
        return None
    judged = how_judged(data, folds)
    text = [
        f"Trials {how_seeded(data)}." if data.trial_seeds else "",
        f"They were judged by {on_validation(data.search_metric)}{judged}." if judged else "",
        *budgets(data, found),
        *_limited(data),
        *_chosen(found),
        *_overtaken(data, found),
    ]
    return Section("selection", "Selection", [line for line in text if line], [selection_table(data, found)])


def _overtaken(data: RunData, found: Sequence[Selection]) -> list[str]:
    """That more trials were run since, and one of them is better than what was evaluated."""
    lines = []
    by_rule = section(data.experiment, "objective").get("winner") == "beats_default"
    for one in found:
        best = data.best_trial(one.variant) if one.variant in data.search and one.seeds else None
        if best is None or one.winner is None or best.trial == one.winner.trial:
            continue
        if one.choice is None and not by_rule:
            lines.append(
                f"{printable(one.variant)}: trial {one.winner.trial} was evaluated, and trial {best.trial} is better "
                "on validation. Going on with the run evaluates that one."
            )
        elif one.choice is None or best.trial != one.choice.best:
            lines.append(
                f"{printable(one.variant)}: trial {one.winner.trial} was evaluated, and trial {best.trial}, which "
                "nothing says was held against it, is better on validation. Going on with the run chooses anew."
            )
    return lines


def _limited(data: RunData) -> list[str]:
    """How many trials were beyond objective.constraints, and that none of them was chosen."""
    if not data.limits.given:
        return []
    counts = [
        f"{printable(variant)} {count(sum(not data.limits.kept_by(one.speed) for one in known))} of {count(len(known))}"
        for variant, trials in data.search.items()
        if (known := [one for one in trials if data.search_metric in one.metrics])
    ]
    learnt = "Optuna was told by how much, and draws fewer of their like." if _learns(data) else ""
    return [
        f"No trial was chosen that is beyond {data.limits.told} (objective.constraints), as measured after its first "
        f"epoch on the machine that trained it, beside other trainings. Beyond were: {words(counts, MOST_NAMED)}. "
        f"{learnt}".strip()
    ]


def _learns(data: RunData) -> bool:
    return bool(data.experiment.get("sampler", "tpe") == "tpe")


def _chosen(found: Sequence[Selection]) -> list[str]:
    """What came of the rule that a winner has to beat the default configuration."""
    told = [f"{printable(one.variant)}: {one.choice.told(label(one.choice.metric))}." for one in found if one.choice]
    if not told:
        return []
    rule = (
        "A search had to beat the family's default configuration, its first trial (objective.winner: beats_default): "
        "the best trial was taken where chance gives so large a lead with p below "
        f"{SIGNIFICANCE:g}, asked on draws of validation's source pictures as the largest lead of so many trials, and "
        "the default else. What another training would give is not in it."
    )
    return [rule, *told]


def selection_table(data: RunData, found: Sequence[Selection]) -> Table:
    """What papers quote of a search."""
    metric = label(data.search_metric)
    late = any(one.ended.get("timed-out") for one in found)
    printed = []
    for one in found:
        failed = one.ended.get("failed", 0) + one.ended.get("out-of-memory", 0)
        printed.append(
            [
                TableCell(printable(one.variant)),
                TableCell(number(one.validation), "" if one.winner is None else f"trial {one.winner.trial}"),
                TableCell(number(one.retrained)),
                TableCell(number(one.test)),
                TableCell(number(one.drop, signed=True), tone="bad" if (one.drop or 0) > 0 else ""),
                TableCell(count(one.asked)),
                TableCell(count(one.ended.get("completed", 0))),
                TableCell(count(one.ended.get("pruned", 0))),
                TableCell(count(failed)),
                *([TableCell(count(one.ended.get("timed-out", 0)))] if late else []),
                TableCell(duration(one.seconds)),
            ]
        )
    columns = [
        "Variant",
        "Validation",
        "Retrained",
        "Test",
        "Drop",
        "Asked",
        "Completed",
        "Pruned",
        "Failed",
        *(["Out of time"] if late else []),
        "Time",
    ]
    caption = (
        f"What each search chose, in {metric}. Validation: the chosen trial, {_flatters(found)} "
        f"Retrained: its final models on validation, their mean{_seeds(found)}. Test: the same models on the test "
        f"part. Drop: from validation to test, above 0 where test is worse.{_untested(found)} Asked, completed, "
        f"pruned, failed: trials. Time: of all trials, added up as if one had run after the other."
        f"{_of_first(data)}{data.caveat}"
    )
    return Table("selection", caption, columns, printed, frozenset(range(1, len(columns))), stacked=True)


def _of_first(data: RunData) -> str:
    return f" All is of the first of {plural(data.wanted_splits, 'split')}." if data.over_splits else ""


def _flatters(found: Sequence[Selection]) -> str:
    """What a winner's validation figure is of."""
    stayed = [printable(one.variant) for one in found if one.choice is not None and one.choice.default_stayed]
    if not stayed:
        return "the best of all, so that it flatters."
    if len(stayed) == len(found):
        return "the default configuration, which was kept."
    return f"the best of all, so that it flatters, or the default that was kept ({words(stayed, MOST_NAMED)})."


def _seeds(found: Sequence[Selection]) -> str:
    seeds = {one.seeds for one in found if one.seeds}
    return f" over {plural(next(iter(seeds)), 'seed')}" if len(seeds) == 1 else " over their seeds"


def _untested(found: Sequence[Selection]) -> str:
    """Why a winner's figure has nothing beside it on test."""
    if all(one.test is not None or not one.seeds for one in found):
        return ""
    return " A figure that is not measured on test, such as a loss, has no drop."


def budgets(data: RunData, found: Sequence[Selection]) -> list[str]:
    """Whether every search had as much, and where not, what each really had."""
    minutes = section(data.experiment, "budget").get("minutes")
    had = [one.trials - one.ended.get("timed-out", 0) for one in found]
    equal = len(set(had)) == 1 and len({one.asked for one in found}) == 1
    whole = all(one.asked is None or number_of >= one.asked for one, number_of in zip(found, had, strict=True))
    shared = f"The searches shared {minutes:g} minutes (budget.minutes)" if isinstance(minutes, int | float) else ""
    if equal and whole:
        each = f"{'each variant' if len(found) > 1 else 'the one variant'} had {plural(had[0], 'trial')}"
        if not shared:
            return [f"{sentence(each)}, as asked." if found[0].asked is not None else f"{sentence(each)}."]
        return [f"{shared}, which cut none short: {each}. In time, they had {_had(found, had)}."]
    unequal = "not every one had as many trials as were asked for, or as the others"
    return [f"{shared or 'The searches were unequal'}: {unequal}. They had {_had(found, had)}."]


def _had(found: Sequence[Selection], had: Sequence[int]) -> str:
    listed = [
        f"{printable(one.variant)} {plural(number_of, 'trial')} in {duration(one.seconds)}"
        for one, number_of in zip(found, had, strict=True)
    ]
    return words(listed, MOST_NAMED)

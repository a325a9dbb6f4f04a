"""The sections on what the search tried: which hyperparameters mattered, and what good trials have in common."""

from collections.abc import Mapping, Sequence

import pandas as pd

from orchestrator.report.document.document import Charts, Fold, Section
from orchestrator.report.document.formatting import plural, printable, words
from orchestrator.report.figures.importance import FEWEST_TRIALS, Importance, importance, importance_chart
from orchestrator.report.figures.parallel import parallel_chart
from orchestrator.report.figures.search_figures import effect_chart
from orchestrator.report.numbers.hyperparameters import Effect
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections import tables

MOST_PANELS = 12
CAUTION = "A search dwells where results are good, so what is said here describes this search; it proves no cause."


def importances(data: RunData, searched: Sequence[Effect]) -> dict[str, Importance]:
    """By variant, of those with trials enough."""
    found = {
        variant: importance(variant, [one for one in searched if one.variant == variant], data.search_mode)
        for variant in data.variants
    }
    return {variant: one for variant, one in found.items() if one is not None}


def hyperparameter_section(
    data: RunData, searched: Sequence[Effect], found: Mapping[str, Importance], frame: pd.DataFrame
) -> Section | None:
    """`searched`: the hyperparameters of every variant that took more than one value; `frame`: their table."""
    if not searched:
        return None
    bars, lines, few, folds = [], [], [], []
    left = 0
    for place, variant in enumerate(data.variants):
        ours = [effect for effect in searched if effect.variant == variant]
        if not ours:
            continue
        if variant in found:
            bars.append(importance_chart(data, found[variant], f"importance{place}"))
            shares = found[variant].shares
            ours.sort(key=lambda effect: -shares.get(effect.parameter, -1.0))
        else:
            few.append(printable(variant))
        trials = parallel_chart(data, variant, ours, f"parallel{place}")
        lines += [trials] if trials is not None else []
        slices = [effect_chart(data, one, f"effect{place}-{row}") for row, one in enumerate(ours[:MOST_PANELS])]
        folds.append(Fold(f"Slices of {printable(variant)}", [Charts(slices)], opened=True))
        left += len(ours[MOST_PANELS:])
    text = [CAUTION]
    if few:
        text.append(
            f"Importance needs {FEWEST_TRIALS} completed trials, some better than others, with a hyperparameter that "
            f"varied in all of them. It is not known for {words(few)}."
        )
    if left:
        text.append(f"{plural(left, 'hyperparameter')} that mattered less are in the table only.")
    overview = [Charts(charts) for charts in (bars, lines) if charts]
    return Section("hyperparameters", "Hyperparameters", text, [*overview, *folds, tables.effect_table(frame)])

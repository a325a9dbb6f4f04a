"""What was asked, what came out and what to beware of, in sentences."""

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from orchestrator.artifacts.clusters import clusters_told
from orchestrator.artifacts.endings import ENDED_WELL
from orchestrator.report.document.formatting import (
    NONE,
    interval,
    label,
    number,
    on_validation,
    plural,
    printable,
    words,
)
from orchestrator.report.numbers.measured import Standing, by_merit
from orchestrator.report.numbers.run_data import RunData, superseded
from orchestrator.report.sections.detection_summary import losing_sentences, threshold_sentence
from orchestrator.scoring.intervals import Estimate

MOST_LINES = 6
"""Sentences on single variants in one summary."""


def asked(data: RunData) -> list[str]:
    """The question, from the experiment's file."""
    experiment = data.experiment
    source: dict[str, Any] = experiment.get("data") or {}
    budget: dict[str, Any] = experiment.get("budget") or {}
    trained = {name: family for name, family in data.variants.items() if name not in data.ensembles}
    names = [printable(name) for name in trained]
    families = sorted({printable(family) for family in trained.values() if family})
    where = (f" on {printable(source['path'])}" if source.get("path") else "") + (
        f" (layout {printable(source['layout'])})" if source.get("layout") else ""
    )
    by = f", by {label(data.metric)}, where {'higher' if data.mode == 'max' else 'lower'} is better."
    if only_ablation(data):
        return [f"Ablate {printable(data.ablation.baseline if data.ablation else '')}{where}{by}", *_ablated(data)]
    lines = [f"Compare {plural(len(names), 'variant')} ({words(names)}) of {_families(families)}{where}{by}"]
    limits = [
        f"{plural(int(budget['trials']), 'trial')} for each variant" if budget.get("trials") else "",
        f"at most {plural(int(budget['epochs']), 'epoch')}" if budget.get("epochs") else "",
        f"{budget['minutes']} minutes in all" if budget.get("minutes") else "",
    ]
    limits = [limit for limit in limits if limit]
    lines.append(
        (f"Search: {', '.join(limits)}, judged {_by(data)}on the validation part. " if limits else "")
        + f"Then each winner is trained with {plural(len(data.seeds), 'seed')} and read once on the test part."
    )
    if data.wanted_splits > 1:
        split = (experiment.get("data") or {}).get("split") or {}
        folds = f"{split['folds']}-fold cross-validation" if split.get("folds") else ""
        often = f", {plural(int(split['repeats']), 'time')}" if folds and split.get("repeats", 1) > 1 else ""
        lines.append(
            f"All of it on {plural(data.wanted_splits, 'split')}"
            + (f" ({folds}{often})" if folds else ", divided at random")
            + (", with the winners of the first one's search." if data.inherits else ", each with its own search.")
        )
    if data.ensembles:
        told = [f"{printable(name)} ({_ensemble(one)})" for name, one in data.ensembles.items()]
        lines.append(f"Judged together, by the scores that are kept of each: {words(told)}.")
    if data.baseline is not None:
        lines.append(f"All are compared with the baseline {printable(data.baseline)}.")
    return [*lines, *_ablated(data)]


def _ensemble(one: dict[str, Any]) -> str:
    """What an ensemble's members are, and how they weigh."""
    of = one.get("of")
    names = words([printable(name) for name in of]) if isinstance(of, list) else NONE
    over = "all seeds as one model" if one.get("over") == "seeds" else "seed by seed"
    weighed = ", weights fitted to validation" if one.get("weights") == "validation" else ""
    return f"{names}, {over}{weighed}"


def only_ablation(data: RunData) -> bool:
    """Whether the run holds an ablation, and no variant that was evaluated beside it."""
    return data.ablation is not None and not any(data.completed.values())


def _ablated(data: RunData) -> list[str]:
    """What the ablation asks."""
    if data.ablation is None:
        return []
    variants, factors = data.ablation.variants, [printable(name) for name in data.ablation.factors]
    what = f"what {words(factors)} {'is' if len(factors) == 1 else 'are'} worth" if factors else "a list of changes"
    baseline = printable(variants[0].name) if variants else NONE
    seeds = plural(len(data.ablation.seeds), "seed")
    return [f"Ablation: {what}, in {plural(len(variants), 'variant')} with {seeds} each, all against {baseline}."]


def _by(data: RunData) -> str:
    return "" if data.search_metric == data.metric else f"by {label(data.search_metric)} "


def found(data: RunData, rows: Sequence[Standing]) -> list[str]:
    """The answer."""
    ranked = [row for row in rows if data.metric in row.estimates]
    if not ranked and any(row.estimates for row in rows):
        known = words([label(name) for name in data.metrics], 12)
        return [
            f"No evaluated model has a {label(data.metric)} on the test part, so there is no ranking; known: {known}.",
            *_search_lines(data),
        ]
    if not ranked:
        return ["Nothing has been evaluated on the test part, so there is no ranking yet.", *_search_lines(data)]
    lines = [_winner(data, data.baseline, ranked)]
    lines += _comparison_lines(data, data.baseline, ranked)
    if data.task == "detection":
        lines += [*losing_sentences(data, ranked), *threshold_sentence(data, ranked)]
    row = data.metric_row(data.metric)
    if data.classes and row is not None and row.guessed:
        lines.append(
            f"Guessing among {plural(len(data.classes), 'class', 'classes')} would score about "
            f"{number(1 / len(data.classes))}."
        )
    statuses = Counter(record.status for record in data.all_records)
    bad = sum(number_of for status, number_of in statuses.items() if status not in ENDED_WELL)
    lines.append(
        f"Of {plural(len(data.all_records), 'run')}, {statuses['completed']} completed, {statuses['pruned'] or 'none'} "
        f"{'was' if statuses['pruned'] == 1 else 'were'} pruned and {bad or 'none'} failed."
    )
    return lines


def ablation_found(data: RunData, rows: Sequence[Standing], baseline: str | None) -> list[str]:
    """The answer of an ablation, `rows` its variants."""
    ranked = by_merit(data, [row for row in rows if data.metric in row.estimates])
    if not ranked:
        return ["Ablation: no variant has a figure on the test part yet."]
    lines = [f"Ablation: {_winner(data, baseline, ranked)}"]
    return lines + _comparison_lines(data, baseline, ranked)


def _winner(data: RunData, baseline: str | None, ranked: Sequence[Standing]) -> str:
    """Who has the best mean, among those that keep the limits; or that none does."""
    if ranked[0].beyond:
        return none_keeps(data, ranked)
    top = ranked[0].estimates[data.metric].mean
    level = [row for row in ranked if row.estimates[data.metric].mean == top and not row.beyond]
    return " ".join([first_line(data, baseline, level, alone=len(ranked) == 1), *left_aside(data, ranked)])


def left_aside(data: RunData, ranked: Sequence[Standing]) -> list[str]:
    """What variants beyond the limits do not count for; nothing where there are none."""
    gone = [f"{printable(row.variant)} ({printable(row.beyond)})" for row in ranked if row.beyond]
    if not gone:
        return []
    verb = "is" if len(gone) == 1 else "are"
    return [f"Beyond the limits, {data.limits.told}, and so no winner, {verb} {words(gone)}."]


def none_keeps(data: RunData, ranked: Sequence[Standing]) -> str:
    """That there is no winner, where every evaluated variant is beyond the limits."""
    told = words([f"{printable(row.variant)} ({printable(row.beyond)})" for row in ranked])
    return f"No evaluated variant keeps to {data.limits.told}, so there is no winner: {told}."


def first_line(data: RunData, baseline: str | None, level: Sequence[Standing], alone: bool) -> str:
    """Who has the best mean; that it comes first only where it is the baseline, or significantly better than it."""
    best, top = level[0], level[0].estimates[data.metric]
    first, metric = words([printable(row.variant) for row in level]), label(data.metric)
    span = interval(top.low, top.high)
    reached = number(top.mean) + (f", 95 % interval {span}," if span else "") + f" over {_repeats(top)}"
    if alone:
        return f"{first} has a mean {metric} of {reached}; it is the only variant that was evaluated."
    if len(level) > 1:
        return f"{first} share the best mean {metric}, {reached}."
    comparison = best.comparisons.get(data.metric)
    if best.variant == baseline or (comparison is not None and comparison.outcome == "better"):
        return f"{first} comes first with a mean {metric} of {reached}."
    highest, above = ("highest", "above") if data.mode == "max" else ("lowest", "below")
    within = " of those within the limits" if data.limits.given else ""
    if comparison is None:
        doubt = "without a baseline to compare with, no difference is shown"
    elif comparison.outcome == "no test":
        doubt = f"not tested against the baseline {printable(baseline)}"
    else:
        doubt = f"not significantly {above} the baseline {printable(baseline)}"
    return f"The {highest} mean {metric}{within} is that of {first}, {reached}; {doubt}."


def _repeats(found: Estimate) -> str:
    seeds = plural(found.seeds, "seed")
    return f"{plural(found.splits, 'split')} of {seeds}" if found.splits else seeds


def _comparison_lines(data: RunData, baseline: str | None, ranked: Sequence[Standing]) -> list[str]:
    """A sentence a variant, the best first; of many, the rest is counted."""
    compared = [row for row in ranked if data.metric in row.comparisons]
    lines = [_comparison_line(data, baseline, row) for row in compared[:MOST_LINES]]
    rest = Counter(row.comparisons[data.metric].outcome for row in compared[MOST_LINES:])
    if rest:
        told = words([f"{count} {outcome}" for outcome, count in rest.items()])
        lines.append(f"Of the {rest.total()} others, {told}: see the table.")
    return lines


def _comparison_line(data: RunData, baseline: str | None, row: Standing) -> str:
    """One variant against the baseline, with what may be concluded."""
    one = row.comparisons[data.metric]
    name, base = printable(row.variant), printable(baseline)
    difference = one.difference
    if difference.seeds == 0:
        return f"{name} can't be compared with {base}: {one.explanation}."
    span = interval(difference.low, difference.high, signed=True)
    measured = f"difference {number(difference.mean, signed=True)} {span}".rstrip()
    if one.outcome == "no test":
        return f"{name} against {base}: {measured}; {one.explanation}."
    if one.outcome == "not significant":
        reason = one.explanation.partition(": ")[2]
        text = f"{name} does not differ significantly from {base}: {measured}"
        return f"{text}; {reason}." if reason else f"{text}."
    return f"{name} is significantly {one.outcome} than {base}: {measured}."


def _search_lines(data: RunData) -> list[str]:
    lines = []
    for variant, trials in data.search.items():
        best = data.best_trial(variant)
        if best is not None:
            value, trials_of = number(best.metrics[data.search_metric]), plural(len(trials), "trial")
            lines.append(f"{printable(variant)}: best {on_validation(data.search_metric)} {value} in {trials_of}.")
        elif trials:
            lines.append(f"{printable(variant)}: none of {plural(len(trials), 'trial')} completed.")
    return lines


def _families(families: list[str]) -> str:
    return f"the family {families[0]}" if len(families) == 1 else f"{len(families)} families"


def notices(data: RunData, rows: Sequence[Standing]) -> list[str]:
    """What a reader must know before believing a figure."""
    lines = list(data.remarks)
    if data.run.is_part:
        lines.insert(
            0,
            f"This is one of several splits of the run in {printable(data.run.whole)}: what may be concluded over all "
            "of them stands in the report of that folder.",
        )
    for kind in ("data", "split"):
        prints = data.distinct(kind)
        if len(prints) > 1:
            left_out = plural(len(data.records) - len(data.counted), "record")
            lines.append(
                f"Records come from {len(prints)} different {kind} fingerprints ({words(prints)}): {left_out} on other "
                "pictures than the rest, left out of every comparison."
            )
    lines += _coverage(data)
    origins: dict[str, list[str]] = {}
    for variant in data.variants:
        facts = {fact for one in data.records if one.variant == variant for fact in one.facts.items()}
        said = sorted(value for name, value in facts if "weights" in name.lower() and "random" in value.lower())
        if said:
            origins.setdefault(words([printable(one) for one in said]), []).append(printable(variant))
    for origin, names in origins.items():
        lines.append(f"{words(names)} started without pretrained weights ({origin}).")
    lines += _precisions(data)
    lines += [printable(line) for line in clusters_told(data.run.clusters)]
    for row in rows:
        remarks = [row.remark] if row.remark else []
        estimate = row.estimates.get(data.metric)
        remarks += [estimate.remark] if estimate and estimate.remark else []
        if remarks:
            lines.append(f"{printable(row.variant)}: {printable('; '.join(remarks))}.")
    repeated = superseded(data)
    if repeated:
        noun = plural(repeated, "evaluation record")
        lines.append(f"{noun} not counted: the same cell, or another configuration, was evaluated later.")
    return lines


def _precisions(data: RunData) -> list[str]:
    """In what networks computed, where that is not float32 for all that is compared."""
    names: dict[str, list[str]] = {}
    plain = "float32 or more"
    for variant in (name for name in data.variants if name not in data.ensembles):
        found = {one.facts.get("precision", plain) for one in data.records if one.variant == variant}
        for precision in sorted(found):
            names.setdefault(precision, []).append(printable(variant))
    if len(names) < 2:
        return [f"All was computed in {printable(kind)}." for kind in names if kind != plain]
    told = "; ".join(f"{words(sorted(variants))} in {printable(kind)}" for kind, variants in sorted(names.items()))
    return [f"Not all was computed in the same precision: {told}. A small lead may come from that."]


def _coverage(data: RunData) -> list[str]:
    """What is missing of what was asked."""
    lines = []
    evaluated = {variant: {one.seed for one in records} for variant, records in data.completed.items()}
    if only_ablation(data):
        return []
    if not any(evaluated.values()):
        return ["This run is partial: the final evaluation has not happened, or none of it completed."]
    for variant, seeds in evaluated.items():
        missing = [str(seed) for seed in data.seeds_of(variant) if seed not in seeds]
        if not seeds and (why := data.without_winner(variant)):
            lines.append(f"{printable(variant)}: {why}, so there was nothing to evaluate.")
        elif missing:
            noun = "seed" if len(missing) == 1 else "seeds"
            lines.append(f"{printable(variant)}: no completed evaluation with {noun} {words(missing)}.")
    if data.baseline is not None and not evaluated.get(data.baseline):
        name = printable(data.run.root.resolve().name)
        command = shlex.join(["orchestrate", "sweep", f"{name}/experiment.yaml", "--out", name, "--resume"])
        lines.append(
            f"The baseline {printable(data.baseline)} was not evaluated: nothing is compared. A sweep in the run's "
            f"folder does that, from the folder that holds it: {command}"
        )
    return lines

"""A run to a report: which tables and figures stand in which section."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.experiment.yaml_text import write_yaml
from orchestrator.report.document.document import (
    Block,
    Chart,
    Charts,
    Code,
    Facts,
    Fold,
    Listing,
    Report,
    Section,
    Table,
)
from orchestrator.report.document.formatting import count, label, plural, printable, setting, words
from orchestrator.report.figures.confusion_figure import confusion_chart
from orchestrator.report.figures.importance import importance_frame
from orchestrator.report.figures.learning_figures import loss_chart, metric_chart
from orchestrator.report.figures.pareto import trade_off_charts
from orchestrator.report.figures.search_figures import history_chart
from orchestrator.report.numbers import frames
from orchestrator.report.numbers.actual_cost import actual_costs, plan_frame
from orchestrator.report.numbers.hyperparameters import effect_frame, effects
from orchestrator.report.numbers.leaderboard import leaderboard_frame
from orchestrator.report.numbers.measured import Standing, standings
from orchestrator.report.numbers.measured import evaluated as lineup
from orchestrator.report.numbers.readings import read_often
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.selection import selection_frame, selections
from orchestrator.report.numbers.standing_cells import metrics_of_cells
from orchestrator.report.sections import class_tables, tables
from orchestrator.report.sections.ablation_section import Ablation
from orchestrator.report.sections.audit import audit_section
from orchestrator.report.sections.cost_section import cost_section
from orchestrator.report.sections.data_section import data_section
from orchestrator.report.sections.detection_sections import Detection, how_detection
from orchestrator.report.sections.galleries import LARGEST_PAGE, ROOM, gallery_section, size_of
from orchestrator.report.sections.headline import headline
from orchestrator.report.sections.pairwise_section import TITLE, pairwise_frame, pairwise_table
from orchestrator.report.sections.progress import missing
from orchestrator.report.sections.search_sections import hyperparameter_section, importances
from orchestrator.report.sections.selection_section import selection_section, selection_table
from orchestrator.report.sections.speed_tables import speed_table
from orchestrator.report.sections.splits_section import split_frame, splits_section
from orchestrator.report.sections.summary import ablation_found, asked, found, notices, only_ablation
from orchestrator.scoring.draws import DRAWS, PIXEL_DRAWS
from trainables.errors import InputError

OVER_SPLITS = (
    "Of each split the mean over its seeds counts once. The half-width of an interval is t √((1/J + q / (1 − q)) s²): "
    "s² the variance over J splits, t Student's quantile with J − 1 degrees of freedom, q the share of the data that a "
    "split tests on (of detection the larger one, of normal pictures or of anomalies). Splits share most of their "
    "training pictures, so s² / J alone would be too small (Nadeau and Bengio 2003)."
)


def build_report(data: RunData, columns: Sequence[str] = ()) -> Report:
    """The whole report of a run. A section without anything to show says so or is left out.

    `columns`: the metrics of the tables that papers quote; empty for all. InputError at one that the run does not hold.
    """
    _check_columns(data, columns)
    rows = standings(data)
    searched = [effect for variant in data.variants for effect in effects(data, variant)]
    important = importances(data, searched)
    numbers = {
        "leaderboard": leaderboard_frame(data, rows),
        "comparisons": frames.comparison_frame(data, rows),
        "evaluation": frames.cell_frame(data),
        "per_class": frames.class_frame(data),
        "confusion": frames.confusion_frame(data),
        "learning_curves": frames.curve_frame(data),
        "trials": frames.trial_frame(data),
        "hyperparameters": effect_frame(searched),
        "importance": importance_frame(list(important.values())),
        "cost": frames.cost_frame(data),
        "failures": frames.failure_frame(data),
        "facts": frames.fact_frame(data),
    }
    if data.over_splits:
        numbers["splits"] = split_frame(data)
    speeds = speed_table(data, rows)
    if speeds is not None:
        numbers["speed"] = frames.speed_frame(rows)
    chosen = selections(data)
    numbers["selection"] = selection_frame(data, chosen)
    numbers["pairwise"] = pairwise_frame(rows, data.baseline, data.task)
    actual = None if data.planned is None else actual_costs(data)
    if data.planned is not None and actual is not None:
        numbers["plan"] = plan_frame(data.planned, actual)
    ablation = Ablation(data, data.ablation) if data.ablation else None
    numbers |= ablation.frames if ablation else {}
    evaluated = [row for row in rows if row.estimates]
    tests = pairwise_table(data, rows, data.baseline, "pairwise")
    detection = Detection(data, [row.variant for row in evaluated]) if data.task == "detection" else None
    if detection is not None:
        numbers |= detection.frames
        results: list[Section | None] = [*detection.results]
    else:
        results = [_classes(data, evaluated, numbers), _confusion(data, evaluated, numbers)]
    often = read_often(data)
    ablated = ablation.section if ablation else None
    if ablated is not None and often:
        ablated = replace(ablated, text=[*ablated.text, often])
    results = [ablated, *results]
    sections = [
        _leaderboard(data, evaluated, rows, tests),
        splits_section(data, numbers.get("splits"), rows),
        _side_by_side(data, evaluated),
        *results,
        _learning(data),
        selection_section(data, chosen, detection.folds if detection else None),
        _search(data),
        hyperparameter_section(data, searched, important, numbers["hyperparameters"]),
        cost_section(data, numbers["cost"], actual, speeds),
        _failures(data, numbers),
        data_section(data, detection.facts if detection else ()),
        detection.audit if detection else audit_section(data, None),
        _provenance(data, numbers),
    ]
    alone = ablation is not None and only_ablation(data)
    answer = [] if alone else found(data, rows)
    changed = ablation_found(data, ablation.rows, ablation.lineup.baseline) if ablation else []
    ranked = (ablation.rows, ablation.lineup) if ablation and alone else (rows, lineup(data))
    first = headline(data, *ranked, nothing=[*answer, *changed][0])
    taken = sum(len(one.data) for one in first.tiles)
    names, room = [row.variant for row in evaluated], min(LARGEST_PAGE - size_of(sections), ROOM) - taken
    sections.insert(3 + len(results), gallery_section(data, names, room))
    # An ablation shares cells with the evaluation.
    done = sum(
        len({(one.variant, one.seed) for records in cells for one in records if one.status == "completed"})
        for cells in ([*split.completed.values(), *split.ablated.values()] for split in data.every_split)
    )
    if ablation and alone:
        title = f"Ablation of {printable(ablation.plan.baseline)}"
    else:
        title = f"Comparison of {words([printable(name) for name in data.variants], 3)}"
    return Report(
        title=title,
        subtitle=f"Run {printable(data.run.root.resolve().name)}: {plural(done, 'evaluated model')}, "
        f"{plural(len(data.all_records), 'record')}, last one of "
        f"{max(data.distinct('finished', every_split=True))}",
        asked=asked(data),
        # The first is part of the headline.
        found=[*answer, *changed][1:],
        notices=[*(detection.notices if detection else ()), *notices(data, rows)],
        sections=[section for section in sections if section is not None],
        frames=numbers,
        printed={
            **({"leaderboard": tables.leaderboard_tables(data, rows, columns)} if evaluated else {}),
            **({"selection": [selection_table(data, chosen)]} if chosen else {}),
            **({"pairwise": [tests]} if tests is not None else {}),
            **({"speed": [speeds]} if speeds is not None else {}),
            **({"ablation": [ablation.printed(columns)]} if ablation else {}),
        },
        parquets={"ablation": ablation.cells} if ablation else {},
        partial=missing(data),
        headline=first,
        marks=data.marks,
    )


def _check_columns(data: RunData, columns: Sequence[str]) -> None:
    """InputError at a metric that no evaluated model has."""
    ablated = (record for records in data.ablated.values() for record in records)
    known = list(dict.fromkeys([*data.metrics, *metrics_of_cells(data.metric, ablated)]))
    wrong = [repr(printable(name)) for name in columns if name not in known]
    if wrong:
        raise InputError(
            f"No evaluated model of this run has the metric {words(wrong)}. "
            + (f"--columns takes any of: {', '.join(map(printable, known))}." if known else "Nothing is evaluated yet.")
        )


def _leaderboard(data: RunData, evaluated: list[Standing], rows: list[Standing], tests: Table | None) -> Section | None:
    if not evaluated:
        return None
    blocks: list[Block] = [*tables.leaderboard_tables(data, rows)]
    text = (
        "The half-width of a difference's interval is √(t² a + u² (b − i)): a = s² / S for training with another of S "
        f"seeds, b the bootstrap variance ({count(DRAWS)} draws; {count(PIXEL_DRAWS)} for pixel metrics) for testing "
        "on other pictures, i what both hold, each seed's own answers on these pictures; t and u are Student's "
        "quantiles, u with the degrees of freedom of the class that varies most. Each draw holds as many of each class "
        "as the test part."
    )
    near = (
        "A metric between two bounds has its interval on the logit scale. It varies at least as twice as many "
        "yes-or-no answers as there are pictures would, so that few errors are not taken for none; a share that is 0 "
        "or 1 with every seed has the exact limit."
    )
    p = (
        "p is the level at which the interval of a difference would just reach 0. Holm's correction runs over all "
        "differences that this run ever tested on its test part, and a difference counts where p is then below .05."
    )
    if data.over_splits:
        text = OVER_SPLITS
        near = "A metric between two bounds has its interval on the logit scale."
    made = [text, near, p, *(how_detection(data) if data.task == "detection" else ())]
    folds = [Fold("How the numbers are made", [Listing(made)]), *([Fold(TITLE, [tests])] if tests is not None else [])]
    return Section("leaderboard", "Leaderboard", blocks=[*blocks, *folds])


def _side_by_side(data: RunData, evaluated: list[Standing]) -> Section | None:
    charts = trade_off_charts(data, evaluated)
    return Section("families", "Families side by side", blocks=[Charts(charts)]) if charts else None


def _classes(data: RunData, evaluated: list[Standing], numbers: dict[str, Any]) -> Section | None:
    frame = numbers["per_class"]
    if frame.empty:
        return None
    names = [row.variant for row in evaluated if row.variant in set(frame["variant"])]
    folds = [Fold(printable(name), [class_tables.class_table(frame, name)], opened=name == names[0]) for name in names]
    return Section("classes", "Classes", blocks=[class_tables.class_overview(data, frame, evaluated), *folds])


def _confusion(data: RunData, evaluated: list[Standing], numbers: dict[str, Any]) -> Section | None:
    folds: list[Block] = []
    charts: list[Chart] = []
    for row in evaluated:
        counted = frames.confusion_counts(data, row.variant)
        if counted is not None and len(counted[0]) <= class_tables.MOST_CLASSES:
            charts.append(confusion_chart(row.variant, *counted, f"confusion{len(charts)}"))
        matrix = class_tables.confusion_table(data, row.variant)
        pairs = class_tables.confused_table(numbers["confusion"], row.variant)
        counted_in = [block for block in (matrix, pairs) if block is not None]
        if counted_in:
            folds.append(Fold(f"{printable(row.variant)} in numbers", counted_in, opened=not folds))
    too_many = len(data.classes) > class_tables.MOST_CLASSES
    text = (
        f"{len(data.classes)} classes are too many for a matrix here; it is in tables/confusion.csv."
        if too_many
        else ""
    )
    blocks: list[Block] = [*([Charts(charts)] if charts else []), *folds]
    return Section("confusion", "Confusion", [text] if text else [], blocks) if blocks else None


def _learning(data: RunData) -> Section | None:
    charts: list[Chart | None] = []
    short = []
    for place, variant in enumerate(data.variants):
        cells = data.completed[variant]
        best = data.best_trial(variant)
        records = cells or ([best] if best else [])
        found = [
            loss_chart(variant, records, f"loss{place}", data.task),
            metric_chart(data, variant, cells, f"metric{place}"),
        ]
        charts += found
        if records and not any(found) and variant not in data.ensembles:
            short.append(printable(variant))
    shown = [chart for chart in charts if chart is not None]
    if not shown and not short:
        return None
    text = [f"Without a curve, because training is one fit and not a row of epochs: {words(short)}."] if short else []
    return Section("learning", "Learning curves", text, [Charts(shown)] if shown else [])


def _search(data: RunData) -> Section | None:
    if not any(data.search.values()):
        return None
    charts = [history_chart(data, variant, f"search{place}") for place, variant in enumerate(data.variants)]
    folds = []
    for variant in data.variants:
        chosen = next(iter(data.evaluation[variant]), None) or data.best_trial(variant)
        if chosen is not None and chosen.config:
            facts = [(printable(key), setting(value)) for key, value in frames.flat(chosen.config).items()]
            whence = "an ensemble" if variant in data.ensembles else f"from trial {chosen.trial}"
            folds.append(Fold(f"Configuration of {printable(variant)}, {whence}", [Facts(facts)]))
    shown = [chart for chart in charts if chart is not None]
    blocks: list[Block] = [*([Charts(shown)] if shown else []), *folds]
    return Section("search", "Search", blocks=blocks) if blocks else None


def _failures(data: RunData, numbers: dict[str, Any]) -> Section:
    frame = numbers["failures"]
    pruned = Counter(record.status for record in data.all_records)["pruned"]
    stopped = f"{plural(pruned, 'trial')} {'was' if pruned == 1 else 'were'} pruned, which is no failure."
    if frame.empty:
        return Section("failures", "Failures", [f"None: no run failed. {stopped if pruned else ''}".strip()])
    ended = frame[frame["status"] != frames.BEYOND]
    kinds = [f"{number_of} {status}" for status, number_of in ended["status"].value_counts().items()]
    text = (
        [f"{plural(len(ended), 'run')} of {count(len(data.all_records))} ended badly: {words(kinds)}."] if kinds else []
    )
    if without := len(frame) - len(ended):
        text.append(f"{plural(without, 'search', 'searches')} found no trial within the limits, {data.limits.told}.")
    return Section("failures", "Failures", [*text, *([stopped] if pruned else [])], [tables.failure_table(frame)])


def _provenance(data: RunData, numbers: dict[str, Any]) -> Section:
    names = {
        "experiment": "Experiment", "data": "Data fingerprint", "split": "Split fingerprint", "code": "Code",
        "device": "Device", "host": "Host",
    }  # fmt: skip
    facts = [
        (title, words([printable(value) for value in data.distinct(key, every_split=True)], 20))
        for key, title in names.items()
    ]
    versions: dict[str, list[str]] = {}
    for record in data.all_records:
        for package, version in record.provenance.packages.items():
            if version not in versions.setdefault(package, []):
                versions[package].append(version)
    if versions:
        facts.append(
            (
                "Packages",
                ", ".join(f"{printable(name)} {printable(' / '.join(found))}" for name, found in versions.items()),
            )
        )
    finished = sorted(data.distinct("finished", every_split=True))
    facts.append(
        ("Records", f"{count(len(data.all_records))}, from {printable(finished[0])} to {printable(finished[-1])}")
    )
    facts.append(("Seeds", words([str(seed) for seed in data.seeds], 30)))
    facts.append(("Objective", f"{label(data.metric)} ({data.mode})"))
    if data.search_metric != data.metric:
        facts.append(("Objective of the search", f"{label(data.search_metric)} ({data.search_mode})"))
    name = printable(data.run.root.resolve().name)
    verb = "ablate" if only_ablation(data) else "sweep"
    command = f"orchestrate {verb} {shlex.quote(f'{name}/experiment.yaml')} --out {shlex.quote(f'{name}-again')}"
    blocks: list[Block] = [Code(command), Facts(facts)]
    if not numbers["facts"].empty:
        blocks.append(tables.fact_table(numbers["facts"]))
    if data.experiment:
        text = write_yaml(data.experiment, allow_unicode=False)
        blocks.append(Fold("The experiment's file", [Code(text)]))
    return Section("provenance", "Provenance", ["This repeats the run, from the folder that holds it:"], blocks)

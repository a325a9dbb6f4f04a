"""The ablation's table against numbers worked out from records, and ablations that are not whole."""

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.records import TrialRecord, append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.formatting import bare
from orchestrator.report.document.markdown import to_markdown
from orchestrator.report.document.table_files import to_parquet
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.measured import measured
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.ablation_section import Ablation
from orchestrator.report.sections.sections import build_report

MakeRun = Callable[..., RunFolder]
VARIANTS = {"pca_full": 0.3, "pca_half": 0.9, "pca_none": 0.32}
CHANGES: dict[str, dict[str, Any]] = {
    "pca_full": {},
    "pca_half": {"layers": [2, 3]},
    "pca_none": {"layers": [], "dropout": 0.3},
}


def ablate(
    run: RunFolder,
    names: dict[str, str] | None = None,
    change: Callable[[TrialRecord], TrialRecord | None] = lambda record: record,
    **plan: Any,
) -> RunFolder:
    """Turn a run's variants into those of an ablation: the first by `evaluation`, the others by records of their own.

    `names`: as tables print the variants. `change`: a last word on each record; None drops it.
    """
    records = list(read_records(run.records))
    variants = list(dict.fromkeys(one.variant for one in records if one.stage == "evaluation"))
    cells = {name: f"{place:x}" * 16 for place, name in enumerate(variants, start=10)}
    folders = {name: name if name == variants[0] else f"{variants[0]}~{cells[name][:8]}" for name in variants}
    run.records.unlink()
    for record in records:
        if record.stage == "evaluation":
            stage = "evaluation" if record.variant == variants[0] else "ablation"
            update = {"cell": cells[record.variant], "variant": folders[record.variant], "stage": stage}
            kept = change(record.model_copy(update=update))
        else:
            kept = record if record.variant == variants[0] else None
        if kept is not None:
            append_record(run.records, kept)
    for name, folder in folders.items():
        if name != folder and (run.models / name).exists():
            (run.models / name).rename(run.models / folder)
    values: dict[str, Any] = {"design": "named", "factors": {}, "tuned": None, "seeds": (0, 1, 2)}
    rows = [
        AblatedVariant(
            name=(names or {}).get(name, name), changes=CHANGES.get(name, {}), family="pca_logistic",
            config={"layers": "1+2+3", "dropout": 0.0, "whiten": True}, strategy=None, cell=cells[name],
            folder=folders[name], trials=0,
        )
        for name in variants
    ]  # fmt: skip
    AblationPlan(**({"baseline": variants[0], "variants": tuple(rows)} | values | plan)).save(run.ablation)
    return run


@pytest.fixture
def make_ablation(make_run: MakeRun) -> MakeRun:
    """A run of classification whose three variants are an ablation."""

    def make(names: dict[str, str] | None = None, **more: Any) -> RunFolder:
        made = {key: more.pop(key) for key in ("seeds", "scores", "then", "budget") if key in more}
        return ablate(make_run(variants=VARIANTS, search=0, pictures=90, **made), names, **more)

    return make


def ablation(run: RunFolder) -> Ablation:
    data = read_run(run)
    assert data.ablation is not None
    return Ablation(data, data.ablation)


def row(found: Ablation, name: str) -> list[str]:
    return next(
        [f"{one.text} {one.detail}".strip() for one in line] for line in found.table.rows if line[0].text == name
    )


def values(run: RunFolder, variant: str, metric: str) -> np.ndarray:
    plan = AblationPlan.load(run.ablation)
    cell = next(one.cell for one in plan.variants if one.name == variant)
    return np.array([one.metrics[metric] for one in read_records(run.records) if one.cell == cell])


def test_numbers_are_those_of_the_records(make_ablation: MakeRun) -> None:
    run = make_ablation()
    found = ablation(run)
    assert list(found.table.columns)[:4] == ["Configuration", "Layers", "Dropout", "Macro F1"]
    ours, base = (values(run, name, "accuracy") for name in ("pca_half", "pca_full"))
    pairs = {one.variant: one.comparisons["accuracy"] for one in found.rows if one.comparisons}
    p = {name: pairs[name].p for name in ("pca_half", "pca_none")}
    held = sorted(value for value in p.values() if value is not None)
    corrected = [min(1.0, 2 * held[0]), min(1.0, max(2 * held[0], held[1]))]
    place = list(found.table.columns).index("Accuracy")
    cell = row(found, "pca_half")[place]
    expected = corrected[held.index(p["pca_half"] or 0)]
    printed = "< 0.001" if expected < 0.001 else f"{expected:.3f}"
    one = next(one.estimates["accuracy"] for one in found.rows if one.variant == "pca_half")
    assert cell.startswith(f"{ours.mean():.3f} [{bare(f'{one.low:.3f}')}, {bare(f'{one.high:.3f}')}] ")
    assert cell.endswith(f"(+{(ours - base).mean():.3f}*, {printed})")
    assert row(found, "pca_full")[1:3] == ["1, 2, 3", "0"]
    assert row(found, "pca_none")[1:3] == ["none", "0.3"]
    assert "(" not in row(found, "pca_full")[place]


def test_what_was_compared_once_is_corrected_for_ever(make_ablation: MakeRun) -> None:
    run = make_ablation()
    before = {one.variant: one.comparisons["accuracy"] for one in ablation(run).rows if one.comparisons}
    plan = AblationPlan.load(run.ablation)
    plan.model_copy(update={"variants": plan.variants[:-1], "removed": plan.variants[-1:]}).save(run.ablation)
    found = ablation(run)
    assert [one.variant for one in found.rows] == [one.name for one in plan.variants[:-1]]
    for one in found.rows[1:]:
        assert one.comparisons["accuracy"] == before[one.variant]
    assert "1 variant that earlier ablations compared among them" in found.table.caption


def test_the_correction_is_over_leaderboard_and_ablation_together(make_run: MakeRun) -> None:
    run = make_run(variants={"pca_logistic": 0.4, "pca_none": 0.6}, search=0, pictures=90, seeds=(0, 1, 2))
    data = read_run(run)
    alone = measured(data).evaluated
    assert {one.comparisons for row in alone for one in row.comparisons.values()} == {1}
    row = AblatedVariant(
        name="x", changes={}, family="pca_logistic", config={}, strategy=None, cell="", folder="", trials=0
    )
    records = [one.model_copy(update={"cell": f"{one.variant}"}) for one in read_records(run.records)]
    run.records.unlink()
    for record in records:
        append_record(run.records, record)
    rows = tuple(row.model_copy(update={"name": f"as {one}", "cell": one}) for one in ("pca_none", "pca_logistic"))
    AblationPlan(baseline="pca_none", design="named", factors={}, tuned=None, seeds=(0, 1, 2), variants=rows).save(
        run.ablation
    )
    together = measured(read_run(run))
    for found in (together.evaluated, together.ablated):
        assert {one.comparisons for row in found for one in row.comparisons.values()} == {2}


def test_the_caption_stands_alone(make_ablation: MakeRun) -> None:
    caption = ablation(make_ablation(budget={"trials": 20, "epochs": 12})).table.caption
    for words in (
        "3 seeds", "90 pictures", "95 % interval", "difference to pca_full, paired by seed",
        "other seeds and other pictures", "Holm-corrected for the 2 comparisons of each metric that this run has made",
        "at most 12 epochs", "as the experiment gives them", "inherit them", "pca_half is better than pca_full",
        "90 test pictures show a difference of", "One training set, one search", "does not make the two equal",
        "not across metrics",
    ):  # fmt: skip
        assert words in caption, words


def test_the_best_is_bold_and_the_significant_marked(make_ablation: MakeRun) -> None:
    table = ablation(make_ablation()).table
    for metric, best in (("Macro F1", max), ("Log loss", min)):
        place = list(table.columns).index(metric)
        means = [float(line[place].text.split()[0]) for line in table.rows]
        strong = [mean for mean, line in zip(means, table.rows, strict=True) if line[place].tone == "strong"]
        assert strong == [best(means)]
    for line in table.rows:
        for cell in line:
            assert ("*" in cell.detail) == (cell.detail_tone in ("good", "bad"))


def test_tuned_variants_are_said_to_be(make_ablation: MakeRun) -> None:
    run = make_ablation(tuned=5)
    plan = AblationPlan.load(run.ablation)
    searched = [one.model_copy(update={"trials": 20 if place == 0 else 5}) for place, one in enumerate(plan.variants)]
    plan.model_copy(update={"variants": tuple(searched)}).save(run.ablation)
    caption = ablation(run).table.caption
    assert "those of the best of 20 trials; each other variant was tuned again with 5 trials." in caption


def test_missing_and_failed_cells_are_said(make_ablation: MakeRun) -> None:
    def change(record: TrialRecord) -> TrialRecord | None:
        if record.variant == "pca_full~bbbbbbbb" and record.seed == 1:
            return None
        if record.variant == "pca_full~cccccccc" and record.seed == 2:
            return record.model_copy(update={"status": "failed", "metrics": {}, "reason": "out of luck"})
        return record

    found = ablation(make_ablation(change=change))
    assert [line[3].text for line in found.table.rows] == ["3 of 3 seeds", "2 of 3 seeds", "2 of 3 seeds"]
    assert "Partial: 7 of 9 cells are complete, 1 failed." in found.table.caption
    assert "pca_half (seed 1 not run) and pca_none (seed 2 failed)" in found.section.text[-1]
    statuses = found.cells.set_index(["variant", "seed"])["status"]
    assert statuses["pca_none", 2] == "failed"
    assert len(found.cells) == 8


def test_a_metric_that_one_seed_lacks(make_ablation: MakeRun) -> None:
    def change(record: TrialRecord) -> TrialRecord:
        if record.seed == 0 and "~" in record.variant:
            kept = {name: value for name, value in record.metrics.items() if name != "log_loss"}
            return record.model_copy(update={"metrics": kept})
        return record

    found = ablation(make_ablation(change=change))
    place = list(found.table.columns).index("Log loss")
    assert "2 of 3 seeds" in row(found, "pca_half")[place]
    assert "Seeds" not in found.table.columns


def test_one_seed_is_not_tested(make_ablation: MakeRun) -> None:
    found = ablation(make_ablation(seeds=(0,)))
    found = Ablation(found.data, found.plan.model_copy(update={"seeds": (0,)}))
    cell = row(found, "pca_half")[list(found.table.columns).index("Macro F1")]
    assert cell.endswith(", no test)")
    assert "With one seed there is no test" in found.table.caption
    assert "Holm" not in found.table.caption
    assert "*" not in cell


def test_nothing_completed(make_ablation: MakeRun) -> None:
    def fails(record: TrialRecord) -> TrialRecord:
        return record.model_copy(update={"status": "failed", "metrics": {}, "reason": "no"})

    found = ablation(make_ablation(change=fails))
    assert [line[0].text for line in found.table.rows] == list(VARIANTS)
    assert "Partial: 0 of 9 cells are complete, 9 failed." in found.table.caption
    assert "no difference may be concluded" in found.table.caption
    assert found.section.blocks == [found.table]
    assert len(found.cells) == 9
    assert found.frames["ablation"].empty


def test_the_baseline_alone(make_ablation: MakeRun) -> None:
    found = ablation(make_ablation(change=lambda record: None if "~" in record.variant else record))
    assert "Nothing is compared here" in found.table.caption
    assert all(cell.tone != "strong" for line in found.table.rows for cell in line)


def test_without_the_baseline_nothing_is_compared(make_ablation: MakeRun) -> None:
    found = ablation(make_ablation(change=lambda record: record if "~" in record.variant else None))
    assert "The baseline pca_full has no macro F1" in found.table.caption
    assert "(" not in row(found, "pca_half")[-1]


def test_the_last_completed_record_of_a_cell_stands(make_ablation: MakeRun) -> None:
    run = make_ablation()
    last = list(read_records(run.records))[-1]
    again = last.model_copy(update={"metrics": last.metrics | {"accuracy": 0.5}, "files": {}})
    append_record(run.records, again)
    append_record(run.records, last.model_copy(update={"status": "failed", "metrics": {}}))
    append_record(run.records, last.model_copy(update={"seed": 77}))
    found = ablation(run)
    kept = found.data.ablated["pca_none"]
    assert [one.seed for one in kept] == [0, 1, 2]
    assert kept[-1].metrics["accuracy"] == 0.5


def test_many_factors_are_one_column(make_ablation: MakeRun) -> None:
    run = make_ablation()
    plan = AblationPlan.load(run.ablation)
    wide = {f"key_{place}": place for place in range(5)} | {"whole|part": False}
    rows = (plan.variants[0], plan.variants[1].model_copy(update={"changes": wide}), plan.variants[2])
    plan.model_copy(update={"variants": rows}).save(run.ablation)
    found = ablation(run)
    assert found.table.columns[1] == "Changes"
    assert row(found, "pca_full")[1] == "none"
    assert row(found, "pca_half")[1].startswith("key_0: 0; key_1: 1;")
    assert row(found, "pca_half")[1].endswith("whole|part: off")


def test_epochs_and_size_as_factors(make_ablation: MakeRun) -> None:
    run = make_ablation(budget={"epochs": 12}, factors={"epochs": [12, 50]}, design="one_factor")
    plan = AblationPlan.load(run.ablation)
    rows = [
        one.model_copy(update={"changes": {"epochs": 50} if place == 1 else {}})
        for place, one in enumerate(plan.variants)
    ]
    plan.model_copy(update={"variants": tuple(rows)}).save(run.ablation)
    found = ablation(run)
    assert [row(found, name)[1] for name in VARIANTS] == ["12", "50", "12"]
    assert "Each training" not in found.table.caption


def test_the_parquet_holds_every_cell(make_ablation: MakeRun) -> None:
    def change(record: TrialRecord) -> TrialRecord:
        mixed: Sequence[Any] = (1, "two", 3.5)
        update = {"config": record.config | {"mixed": mixed[record.seed], "big": 2**70, "name&%": "x|y"}}
        return record.model_copy(update=update)

    run = make_ablation(change=change)
    found = ablation(run)
    read = pd.read_parquet(io.BytesIO(to_parquet(found.cells)))
    assert len(read) == 9
    records = {(one.cell, one.seed): one for one in read_records(run.records)}
    for _, line in read.iterrows():
        record = records[line["cell"], line["seed"]]
        assert line["metric.macro_f1"] == record.metrics["macro_f1"]
        assert line["seconds"] == record.seconds
        assert line["provenance.data"] == record.provenance.data
        assert line["config.mixed"] == str(record.config["mixed"])
        assert line["config.dropout"] == 0.31
    assert read["baseline"].tolist() == [True] * 3 + [False] * 6


def test_the_page_has_the_section_and_the_files(make_ablation: MakeRun) -> None:
    run = make_ablation()
    write_report(run)
    page = (run.report / "index.html").read_text(encoding="utf-8")
    assert '<section id="ablation"' in page
    assert '<section id="pairwise"' not in page
    names = {path.name for path in (run.report / "tables").iterdir()}
    expected = {f"ablation.{suffix}" for suffix in ("html", "md", "tex", "csv", "parquet")}
    assert expected | {"leaderboard.html", "leaderboard.md", "leaderboard.tex", "document.tex"} <= names


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', "\x00", '{"variants": []}'])
def test_a_broken_plan_is_a_remark(make_run: MakeRun, text: str) -> None:
    run = make_run(search=1, seeds=())
    run.ablation.write_text(text)
    data = read_run(run)
    assert data.ablation is None
    assert "The ablation is left out" in data.remarks[-1]


def test_a_plan_with_a_name_twice_is_a_remark(make_ablation: MakeRun) -> None:
    run = make_ablation(names={"pca_half": "pca_none"})
    data = read_run(run)
    assert data.ablation is None
    assert "a name twice" in data.remarks[-1]


def test_a_plan_of_other_cells_is_all_missing(make_ablation: MakeRun, make_run: MakeRun, tmp_path: Path) -> None:
    other = make_run("other", variants=VARIANTS, search=0, seeds=(0,))
    shutil.copy(make_ablation().ablation, other.ablation)
    found = ablation(other)
    assert "Partial: 0 of 9 cells are complete." in found.table.caption
    assert found.cells.empty


def test_no_plan_no_section(make_run: MakeRun) -> None:
    assert read_run(make_run(search=1, seeds=())).ablation is None


def test_a_run_that_holds_only_an_ablation_says_what_it_asked_and_found(make_ablation: MakeRun) -> None:
    def of_ablation(record: TrialRecord) -> TrialRecord | None:
        return None if record.stage == "search" else record.model_copy(update={"stage": "ablation"})

    run = make_ablation(change=of_ablation)
    with drawing():
        report = build_report(read_run(run))
    assert report.title.startswith("Ablation of ")
    assert report.asked[0].startswith("Ablate ")
    assert not any(line.startswith("Search:") for line in report.asked)
    assert report.headline is not None
    assert report.headline.verdict.startswith("pca_half comes first with a mean macro F1 of")
    assert report.headline.card is not None
    assert report.headline.card.lines[0].startswith("Right on ")
    assert report.found[0].startswith("pca_half is significantly better than pca_full")
    assert "no ranking" not in " ".join(report.found)
    assert not any("partial" in line for line in report.notices)
    assert "orchestrate ablate" in to_markdown(report)

"""The report of whole, partial and broken runs, read back as a reader would."""

import base64
import csv
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from builders.pages import Page

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.html import breakable
from orchestrator.report.folder import write_files
from orchestrator.report.numbers.leaderboard import leaderboard
from orchestrator.report.page import write_report
from trainables.errors import InputError

MakeRun = Callable[..., RunFolder]


def read(run: RunFolder) -> Page:
    path = write_report(run, figures=False)
    assert path == run.report / "index.html"
    return Page(path.read_text(encoding="utf-8"))


def seen(run: RunFolder) -> Page:
    return Page((run.report / "index.html").read_text(encoding="utf-8"))


def test_a_whole_run(whole_run: RunFolder) -> None:
    run, found = whole_run, seen(whole_run)
    assert found.sections == [
        "verdict", "summary", "leaderboard", "families", "classes", "confusion", "learning", "selection", "search",
        "hyperparameters", "cost", "failures", "data", "audit", "provenance",
    ]  # fmt: skip
    for words in (
        "resnet18 comes first",
        "is significantly better than pca_logistic",
        "Guessing among 9 classes would score about 0.111",
        "started without pretrained weights (random initialisation)",
        "None: no run failed",
        "3 exact duplicates stand on one side",
        "630 pictures",
        "orchestrate sweep run/experiment.yaml --out run-again",
        "ray 2.60.0",
        "e4d909c290d0fb1c",
    ):
        assert words in found.text, words
    names = {path.name for path in (run.report / "tables").iterdir()}
    assert {"leaderboard.csv", "per_class.csv", "confusion.csv", "trials.csv", "failures.csv"} <= names
    assert not [path for path in run.report.rglob("*") if path.name.startswith(".")]


def test_the_page_stands_alone(whole_run: RunFolder) -> None:
    text = (whole_run.report / "index.html").read_text(encoding="utf-8")
    found = Page(text)
    assert not [tag for tag, _ in found.tags if tag in ("img", "iframe", "object", "embed")]
    assert [attributes for tag, attributes in found.tags if tag == "script"] == [{}]
    script = text[text.index("<script>") + 8 : text.index("</script>")]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{allowed}&#39;;" in text
    assert all(tag != "link" or attributes["href"] == "data:," for tag, attributes in found.tags)
    assert not re.search(r"https?://|@import|src=|url\((?!#)", text)


def test_the_page_is_accessible(whole_run: RunFolder) -> None:
    found = seen(whole_run)
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in found.tags:
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids
        for reference in (attributes.get("aria-labelledby") or "").split():
            assert reference in ids
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in found.tags if tag == "th")
    tables, captions = ([tag for tag, _ in found.tags if tag == name] for name in ("table", "caption"))
    assert len(tables) == len(captions) > 5
    pictures = [attributes for tag, attributes in found.tags if attributes.get("role") == "img"]
    assert len(pictures) > 5
    assert all(attributes["aria-label"] for attributes in pictures)


def test_leaderboard_csv_is_the_frame(whole_run: RunFolder) -> None:
    read_back = pd.read_csv(whole_run.report / "tables" / "leaderboard.csv")
    frame = leaderboard(whole_run)
    assert list(read_back.columns) == list(frame.columns)
    for column in ("macro_f1", "macro_f1_low", "macro_f1_high", "p", "log_loss"):
        for ours, theirs in zip(read_back[column], frame[column], strict=True):
            assert (pd.isna(ours) and pd.isna(theirs)) or ours == theirs


def test_html_markdown_and_csv_agree(whole_run: RunFolder) -> None:
    run, found = whole_run, seen(whole_run)
    markdown = (run.report / "report.md").read_text(encoding="utf-8")
    with (run.report / "tables" / "leaderboard.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for metric in ("macro_f1", "log_loss"):
                mean, low, high = (f"{float(row[metric + suffix]):.3f}" for suffix in ("", "_low", "_high"))
                assert f"{mean} [{low}, {high}]" in found.text
                assert f"{mean} \\[{low}, {high}\\]" in markdown


def test_nothing_changes_without_new_records(whole_run: RunFolder) -> None:
    run = whole_run
    before = {path: path.read_bytes() for path in run.report.rglob("*") if path.is_file()}
    write_report(run, figures=False)
    assert {path: path.read_bytes() for path in run.report.rglob("*") if path.is_file()} == before


NASTY = (
    "<script>alert(1)</script>", 'quote"\'s', "pipe|pipe", "new\nline", "back`tick` *star* _under_", "&amp; {{ 7*7 }}",
    "日本 é", "$x_1$ %",
)  # fmt: skip


def test_any_class_name_is_shown_as_it_is(make_run: MakeRun) -> None:
    def escaped_lines(builder) -> None:  # type: ignore[no-untyped-def]
        for variant in builder.variants:
            builder.cell(variant, 0, "failed", reason="</td><script>alert(2)</script> | `x`")
            builder.trial(variant, 50, "failed")

    run = make_run(classes=NASTY, seeds=(0, 1), then=escaped_lines)
    text = write_report(run, figures=False).read_text(encoding="utf-8")
    found = Page(text)
    assert len([tag for tag, _ in found.tags if tag == "script"]) == 1
    for name in ("<script>alert(1)</script>", "quote\"'s", "pipe|pipe", r"new\nline", "{{ 7*7 }}", "日本 é", "$x_1$ %"):
        assert name in found.text, name
    assert "</td><script>alert(2)</script> | `x`" in found.text
    markdown = (run.report / "report.md").read_text(encoding="utf-8")
    table = [line for line in markdown.splitlines() if line.startswith("| ") and "pipe" in line]
    assert table
    assert all("pipe\\|pipe" in line for line in table)
    assert "<script>" not in markdown
    with (run.report / "tables" / "per_class.csv").open(newline="", encoding="utf-8") as file:
        assert "new\nline" in {row["class"] for row in csv.DictReader(file)}


def test_names_whose_bytes_are_no_text(make_run: MakeRun) -> None:
    run = make_run(search=1, seeds=())
    values = json.loads(run.split.read_text())
    values["remarks"] = ["a/bytes\udcff.csv is a duplicate"]
    run.split.write_text(json.dumps(values))
    assert r"a/bytes\udcff.csv is a duplicate" in read(run).text
    write_files(run.report, [("x.md", "bytes\udcff")])
    assert (run.report / "x.md").read_bytes() == rb"bytes\udcff"


def test_breakable_escapes() -> None:
    assert breakable("a_b<i>") == "a_<wbr>b&lt;i&gt;"
    assert breakable("x" * 45).count("<wbr>") == 2
    assert breakable("0.5 [0.4, 0.6]") == "0.5 [0.4, 0.6]"


def test_search_only(make_run: MakeRun) -> None:
    found = read(make_run(seeds=()))
    assert "leaderboard" not in found.sections
    assert "there is no ranking yet" in found.text
    assert "This run is partial" in found.text
    assert {"search", "hyperparameters", "cost", "provenance"} <= set(found.sections)


def test_some_cells_failed(make_run: MakeRun) -> None:
    def fails(builder) -> None:  # type: ignore[no-untyped-def]
        builder.cell("resnet18", 2, "out-of-memory", reason="Traceback\nRuntimeError: out of memory")

    run = make_run(seeds=(0, 1), then=fails)
    run.experiment.write_text(run.experiment.read_text().replace("- 1\n", "- 1\n- 2\n"))
    found = read(run)
    assert "resnet18: no completed evaluation with seed 2." in found.text
    assert "RuntimeError: out of memory" in found.text
    assert "1 run of 17 ended badly: 1 out-of-memory" in found.text


def test_everything_failed(make_run: MakeRun) -> None:
    def fails(builder) -> None:  # type: ignore[no-untyped-def]
        for variant in builder.variants:
            builder.trial(variant, 0, "failed")
            builder.cell(variant, 0, "failed")

    found = read(make_run(search=0, seeds=(), then=fails))
    assert "there is no ranking yet" in found.text
    assert "4 runs of 4 ended badly" in found.text
    assert "the loss is not finite" in found.text


def test_one_variant_and_one_seed(make_run: MakeRun) -> None:
    found = read(make_run(variants={"pca_logistic": 0.5}, seeds=(0,), search=1))
    assert "one seed: the interval leaves out the variation from training" in found.text
    assert "learning" in found.sections
    assert "training is one fit" in found.text


def test_two_data_fingerprints_are_said(make_run: MakeRun) -> None:
    def other(builder) -> None:  # type: ignore[no-untyped-def]
        provenance = {**builder.run_provenance(), "data": "another"}
        builder.cell("resnet18", 7, provenance=provenance)

    run = make_run(then=other)
    found = read(run)
    assert "Records come from 2 different data fingerprints" in found.text
    assert "1 record on other pictures than the rest, left out of every comparison" in found.text
    cells = pd.read_csv(run.report / "tables" / "evaluation.csv")
    assert 7 not in set(cells["seed"])


def test_many_classes_go_to_the_csv(make_run: MakeRun) -> None:
    run = make_run(classes=[f"class {row}" for row in range(40)], pictures=200, seeds=(0,), search=1)
    found = read(run)
    assert "40 classes are too many for a matrix here" in found.text
    assert len(pd.read_csv(run.report / "tables" / "confusion.csv")) == 2 * 40 * 40


def test_chosen_metrics_are_the_columns_that_papers_quote(whole_run: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(whole_run.root, tmp_path / "run"))
    page = (run.report / "index.html").read_bytes()
    write_report(run, figures=False, columns=["log_loss", "accuracy"])
    for suffix in ("tex", "md"):
        text = (run.report / "tables" / f"leaderboard.{suffix}").read_text(encoding="utf-8")
        assert "log loss" in text
        assert text.index("log loss") < text.index("accuracy")
        assert "macro recall" not in text
    assert (run.report / "index.html").read_bytes() == page
    write_report(run, figures=False, columns=["macro_f1"])
    assert "accuracy" not in (run.report / "tables" / "leaderboard.tex").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"'speed'\. --columns takes any of: macro_f1, accuracy"):
        write_report(run, figures=False, columns=["accuracy", "speed"])


def test_a_family_that_is_the_rows_name_has_no_column(make_run: MakeRun) -> None:
    run = make_run(variants={"pca_logistic": 0.4, "plot_classifier": 0.9}, search=0, seeds=(0,))
    write_report(run, figures=False)
    for name in ("leaderboard.tex", "leaderboard.md"):
        assert "Family" not in (run.report / "tables" / name).read_text(encoding="utf-8")


def test_an_unwritable_folder_is_bad_input(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(search=1, seeds=())
    run.report.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="The report can't be written"):
        write_report(run, figures=False)


def test_no_old_table_stays(make_run: MakeRun) -> None:
    run = make_run(search=1, seeds=(0,))
    folder = run.report / "tables"
    folder.mkdir(parents=True)
    for name in ("ablation.csv", "ablation.tex", "ablation.parquet", "mine.txt"):
        (folder / name).write_text("of an earlier report")
    write_report(run, figures=False)
    found = {path.name for path in folder.iterdir()}
    assert {"leaderboard.csv", "leaderboard.tex", "document.tex", "mine.txt"} <= found
    assert not [name for name in found if name.startswith("ablation")]


def test_a_report_cut_off_leaves_the_old_one(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(search=1, seeds=(0,))
    before = write_report(run, figures=False).read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        write_report(run, figures=False)
    assert (run.report / "index.html").read_bytes() == before
    assert not list(run.report.glob(".*"))


@pytest.mark.slow
def test_a_thousand_trials_report_in_time(make_run: MakeRun, tmp_path: Path) -> None:
    variants = {f"v{place}": 0.3 + 0.1 * place for place in range(6)}

    def many(builder) -> None:  # type: ignore[no-untyped-def]
        for variant in variants:
            for number in range(167):
                builder.trial(variant, number, epochs=50)

    run = make_run(variants=variants, pictures=1000, search=0, seeds=(0, 1, 2, 3, 4), then=many)
    started = time.process_time()
    path = write_report(run, figures=False)
    assert time.process_time() - started < 30
    assert path.stat().st_size < 5 * 2**20

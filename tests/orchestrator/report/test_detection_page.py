"""The page of a run of detection, read back as a reader would."""

import re
from collections.abc import Callable

import pandas as pd
import pytest
from builders.pages import Page

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.numbers.leaderboard import leaderboard_text
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report

MakeRun = Callable[..., RunFolder]


def read(run: RunFolder) -> Page:
    return Page(write_report(run, figures=False).read_text(encoding="utf-8"))


def test_a_whole_run(whole_detection_run: RunFolder) -> None:
    run = whole_detection_run
    found = Page((run.report / "index.html").read_text(encoding="utf-8"))
    assert found.sections == [
        "verdict", "summary", "leaderboard", "families", "thresholds", "scores", "kinds", "gallery", "learning",
        "selection", "search", "hyperparameters", "cost", "failures", "data", "audit", "provenance",
    ]  # fmt: skip
    for words in (
        "vae comes first with a mean ROC-AUC of",
        "vae is significantly better than pca",
        "TPR / TNR on test, at the threshold that validation chose: vae 0.",
        "no one can know it beforehand: chosen on test",
        "hole<i>",
        "The folders supply test.",
        "2 anomalies have an empty mask.",
        "60 normal, 60 anomalous, of 40 source pictures",
        "60 defect regions",
        "Normals and what vae makes of them",
        "Normals and anomalies are those of validation.",
        "each once",
        "PRO-AUC is the mean overlap of each 8-connected defect region",
    ):
        assert words in found.text, words
    assert "loses" not in found.text
    names = {path.stem for path in (run.report / "tables").iterdir()}
    assert {"leaderboard", "thresholds", "per_kind", "comparisons"} <= names
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    data = read_run(run)
    assert "vae" in leaderboard_text(data, standings(data))


def test_the_page_stands_alone_with_its_pictures(whole_detection_run: RunFolder) -> None:
    run = whole_detection_run
    text = (run.report / "index.html").read_text(encoding="utf-8")
    found = Page(text)
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(images) == 4
    for attributes in images:
        assert (attributes["src"] or "").startswith("data:image/png;base64,")
        assert "pictures side by side" in (attributes["alt"] or "")
        assert attributes["class"] == "exact"
    assert not [tag for tag, _ in found.tags if tag in ("iframe", "object", "embed", "i")]
    assert [attributes for tag, attributes in found.tags if tag == "script"] == [{}]
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    before = {path: path.read_bytes() for path in run.report.rglob("*") if path.is_file()}
    write_report(run, figures=False)
    assert {path: path.read_bytes() for path in run.report.rglob("*") if path.is_file()} == before


def test_html_markdown_and_csv_agree(whole_detection_run: RunFolder) -> None:
    run = whole_detection_run
    found = Page((run.report / "index.html").read_text(encoding="utf-8"))
    markdown = (run.report / "report.md").read_text(encoding="utf-8")
    frames = {
        name: pd.read_csv(run.report / "tables" / f"{name}.csv") for name in ("leaderboard", "thresholds", "per_kind")
    }
    printed = []
    for _, row in frames["leaderboard"].iterrows():
        printed.append(f"{row['pro_auc']:.3f} [{row['pro_auc_low']:.3f}, {row['pro_auc_high']:.3f}]")
    for _, row in frames["thresholds"].iterrows():
        printed.append(f"{row['tpr']:.3f} ± {row['tpr_sd']:.3f}")
    for _, row in frames["per_kind"].iterrows():
        printed.append(f"{row['roc_auc']:.3f} ± {row['roc_auc_sd']:.3f}")
    assert len(printed) > 12
    for text in printed:
        assert text in found.text, text
        assert text.replace("[", "\\[").replace("]", "\\]") in markdown, text


def test_a_deep_family_that_loses_is_said_to_lose(make_detection_run: MakeRun) -> None:
    run = make_detection_run("worse", search=0, seeds=(0, 1, 2), variants={"pca": 4.0, "vae": 0.5, "patch_knn": 5.0})
    text = read(run).text
    assert "vae loses to the baseline pca." in text
    assert "patch_knn loses" not in text
    run = make_detection_run("even", search=0, variants={"pca": 2.0, "vae": 1.8})
    assert "vae does not beat the baseline pca: its mean is not better" in read(run).text


def test_normals_only_is_said_first(make_detection_run: MakeRun) -> None:
    objective = {"metric": "validation_loss", "mode": "min", "test_metric": None}
    found = read(make_detection_run(anomalies=False, objective=objective, budget={"trials": 2, "epochs": 10}))
    assert "Validation holds normal pictures only: nothing was chosen by a detection metric" in found.text
    assert "judged by validation loss on the validation part" in found.text
    assert "The highest mean ROC-AUC is that of vae" in found.text
    assert "What each search chose, in validation loss." in found.text
    assert "A figure that is not measured on test, such as a loss, has no drop." in found.text
    assert "validation loss on validation" not in found.text.lower()


def test_every_table_of_test_figures_says_that_anomalies_were_moved(make_detection_run: MakeRun) -> None:
    split = {"anomalies_to_validation": 0.3, "group": r"^(.*)_\d+$"}
    data = {"path": "parts", "layout": "rgbd", "normal": "good", "split": split}
    run = make_detection_run(search=2, masks=True, data=data)
    found = read(run)
    said = "30 % of the test part's anomalies were moved to validation"
    tables = [attributes["aria-label"] or "" for _, attributes in found.tags if attributes.get("role") == "region"]
    on_test = [caption for caption in tables if "test part" in caption]
    assert len(on_test) >= 8
    assert all(said in caption for caption in on_test)
    assert "moved to validation, whole source pictures together" in found.text


def test_source_pictures_are_spoken_of_only_where_a_group_is_given(make_detection_run: MakeRun) -> None:
    data = {"path": "parts", "layout": "rgbd", "normal": "good", "split": {"anomalies_to_validation": 0.3}}
    found = read(make_detection_run(search=2, masks=True, data=data))
    assert "moved to validation: thresholds and trials" in found.text
    assert "The bootstrap draws pictures, copies of one file together" in found.text
    assert "different pictures, several of them copies of one file" in found.text
    assert "source picture" not in found.text
    grouped = read(make_detection_run("grouped", search=2)).text
    assert "The bootstrap draws whole source pictures, so that patches of one picture stay together" in grouped


def test_one_seed_one_variant_and_one_class(make_detection_run: MakeRun) -> None:
    assert "scores" in read(make_detection_run("one", search=0, seeds=(0,), variants={"pca": 2.0})).sections

    def only_normals(builder) -> None:  # type: ignore[no-untyped-def]
        builder.labels[:] = 0
        builder.cell("pca", 0)

    run = make_detection_run("class", search=1, seeds=(), variants={"pca": 2.0}, then=only_normals)
    found = read(run)
    assert "No evaluated model has a ROC-AUC on the test part, so there is no ranking; known: TNR." in found.text


def test_missing_side_files_leave_a_page(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=1, masks=True)
    for name in ("pca", "vae"):
        run.predictions(name, 0).unlink()
        run.pixels(name, 0).unlink()
    (run.root / "test_reads.jsonl").unlink()
    run.split.unlink()
    found = read(run)
    assert "the test scores of seed 0 are missing" in found.text
    assert "thresholds" not in found.sections
    assert {"kinds", "audit", "leaderboard"} <= set(found.sections)


def test_search_only(make_detection_run: MakeRun) -> None:
    found = read(make_detection_run(search=3, seeds=()))
    assert "there is no ranking yet" in found.text
    assert "leaderboard" not in found.sections


@pytest.mark.slow
def test_many_variants_with_large_galleries_stay_under_five_megabytes(make_detection_run: MakeRun) -> None:
    variants = {"pca": 1.0, **{f"vae-{place}": 1.0 + place / 4 for place in range(11)}}

    def large(builder) -> None:  # type: ignore[no-untyped-def]
        for name in variants:
            builder.gallery(name, 0, size=(92, 92), count=12, grain=1)

    run = make_detection_run(variants=variants, search=6, masks=True, then=large)
    found = read(run)
    assert (run.report / "index.html").stat().st_size < 5_000_000
    assert "left out to keep this page small" in found.text
    assert [tag for tag, _ in found.tags if tag == "img"]
    assert "The first 8 of 12 variants are drawn." in found.text

"""The verdict: one line, the winner in plain counts, warnings where they are due, the same in every format."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders.classification_runs import RunBuilder
from builders.detection_runs import DetectionBuilder

from orchestrator.artifacts.records import ThresholdChoice, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Headline
from orchestrator.report.document.markdown import to_markdown
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.sections import build_report
from orchestrator.report.sections.verdict import verdict_of_run
from orchestrator.running.results import result_text

MakeRun = Callable[..., RunFolder]


def headline(run: RunFolder) -> Headline:
    with drawing():
        found = build_report(read_run(run)).headline
    assert found is not None
    return found


def lines(found: Headline) -> str:
    assert found.card is not None
    return "\n".join([*found.card.lines, *found.card.warnings])


def at(value: float) -> dict[str, Any]:
    return {"threshold": ThresholdChoice(strategy="max_normal", value=value)}


def with_lines(*values: float, skill: float = 3.0, **more: Any) -> Callable[[DetectionBuilder], None]:
    """A cell of `vae` a seed, with these thresholds."""

    def then(builder: DetectionBuilder) -> None:
        builder.variants["vae"] = skill
        for seed, value in enumerate(values):
            builder.cell("vae", seed, **at(value), **more)

    return then


def test_a_detector_in_plain_counts(make_detection_run: MakeRun) -> None:
    run = make_detection_run(variants={"pca": 1.5}, seeds=(0, 1, 2), search=0, then=with_lines(3.0, 4.0, 5.0))
    found = headline(run)
    cells = {one.seed: one for one in read_records(run.records) if one.variant == "vae"}
    middle = sorted(cells.values(), key=lambda one: one.metrics["roc_auc"])[1]
    counts = []
    for seed in (0, 1, 2):
        with np.load(run.predictions("vae", seed)) as kept:
            above = kept["scores"] > 3.0 + seed
            counts.append([int((above & (kept["labels"] == label)).sum()) for label in (1, 0)])
    (hits, alarms), each = counts[middle.seed], list(zip(*counts, strict=True))
    assert f"Caught {hits} of 60 anomalies ({min(each[0])} to {max(each[0])} over 3 seeds)" in lines(found)
    assert f"False alarms on {alarms} of 60 normal pictures ({min(each[1])} to {max(each[1])}" in lines(found)
    assert f"The counts are of seed {middle.seed}, the median of 3 by ROC-AUC" in lines(found)
    assert f"catches {hits} of 60 anomalies and raises {alarms} false alarm" in found.verdict
    assert "Time a picture: not measured" in lines(found)


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0274, "27 ms"), (0.00042, "0.42 ms"), (0.27, "270 ms"), (2.5, "2.5 s")]
)
def test_the_time_a_picture_took_is_told(make_detection_run: MakeRun, seconds: float, told: str) -> None:
    run = make_detection_run(seeds=(0,), search=0, then=with_lines(3.0, seconds_a_picture=seconds))
    assert f"{told} a picture, scored in batches; one training with its evaluation took" in lines(headline(run))


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        (1e9, "It misses most anomalies: 60 of 60."),
        (-1.0, "It raises a false alarm on most normal pictures: 60 of 60."),
    ],
)
def test_a_detector_that_misses_most_says_so_first(make_detection_run: MakeRun, value: float, warning: str) -> None:
    run = make_detection_run(variants={"pca": 1.5}, seeds=(0, 1), search=0, then=with_lines(value, value))
    found = headline(run)
    assert found.card is not None
    assert warning in found.card.warnings
    assert warning in found.verdict
    assert f"**{found.verdict.partition(',')[0]}" in (to_markdown_of(run))


def to_markdown_of(run: RunFolder) -> str:
    with drawing():
        return to_markdown(build_report(read_run(run))).replace("\\", "")


def test_a_detector_that_guesses(make_detection_run: MakeRun) -> None:
    run = make_detection_run(variants={"pca": 0.0, "vae": 0.0}, seeds=(0, 1, 2), search=0)
    found = headline(run)
    assert "guessing (0.500" in found.verdict
    assert "guessing (0.500" in lines(found)
    assert "comes first" not in found.verdict or "No variant beats this baseline" in found.verdict


def test_not_better_than_the_baseline(make_run: MakeRun) -> None:
    run = make_run(variants={"pca_logistic": 0.7, "resnet18": 0.72}, search=0)
    found = headline(run)
    assert found.card is not None
    if found.card.title == "resnet18":
        assert "not significantly above the baseline pca_logistic" in found.verdict
        assert any("not shown to be better than the baseline" in one for one in found.card.warnings)
    else:
        assert any("No variant beats this baseline" in one for one in found.card.warnings)


def test_a_classifier_in_plain_counts(make_run: MakeRun) -> None:
    run = make_run(search=0)
    found = headline(run)
    cells = [one for one in read_records(run.records) if one.variant == "resnet18"]
    middle = sorted(cells, key=lambda one: one.metrics["macro_f1"])[1]
    right = [int(np.trace(np.array(one.confusion))) for one in cells]
    ours = int(np.trace(np.array(middle.confusion)))
    assert f"Right on {ours} of 135 pictures ({min(right)} to {max(right)} over 3 seeds)" in lines(found)
    assert f"names the class of {ours} of 135 test pictures rightly" in found.verdict
    assert "Hardest class: " in lines(found)
    assert found.card is not None
    assert not found.card.warnings


def test_a_classifier_that_is_no_better_than_the_largest_class(make_run: MakeRun) -> None:
    def mostly(builder: RunBuilder) -> None:
        builder.labels = (np.arange(90) % 10 == 0).astype(np.int64)
        for seed in (0, 1):
            builder.cell("pca_logistic", seed)

    run = make_run(
        variants={"pca_logistic": 0.0}, classes=("fine", "broken"), pictures=90, search=0, seeds=(), then=mostly
    )
    assert "Always saying fine would be right on 81 of 90, no fewer." in headline(run).verdict


def test_without_kept_scores_the_absence_is_said(make_detection_run: MakeRun) -> None:
    run = make_detection_run(variants={"pca": 1.5}, seeds=(0,), search=0)
    run.predictions("pca", 0).unlink()
    found = headline(run)
    assert "Not counted in pictures: the test scores of seed 0 are missing" in lines(found)
    assert "catches" not in found.verdict
    assert found.seen.startswith("No heat maps to show")


def test_one_seed(make_detection_run: MakeRun) -> None:
    found = headline(make_detection_run(variants={"pca": 3.5}, seeds=(4,), search=0))
    assert "Its one model (seed 4) catches" in found.verdict
    assert "over 1 seed" in found.verdict
    assert " to " not in lines(found).splitlines()[0]


def test_nothing_evaluated(make_run: MakeRun) -> None:
    run = make_run(seeds=())
    found = headline(run)
    assert found == Headline("Nothing has been evaluated on the test part, so there is no ranking yet.")
    assert verdict_of_run(read_run(run))[0] == ""
    assert "No model is evaluated yet" in result_text(run)


def test_page_markdown_and_terminal_begin_with_the_same_line(make_run: MakeRun) -> None:
    run = make_run(search=0)
    page = write_report(run, figures=False).read_text(encoding="utf-8")
    said = result_text(run).splitlines()[0]
    assert said.startswith("resnet18 comes first with a mean macro F1 of")
    assert f'<p class="verdict">{said}</p>' in page
    assert page.index('class="verdict">') < page.index('id="summary"')
    markdown = (run.report / "report.md").read_text(encoding="utf-8").replace("\\", "")
    assert markdown.index(f"**{said}**") < markdown.index("## What was asked")


def test_names_of_any_kind_stay_text(make_run: MakeRun) -> None:
    name = "<b>pca</b> & _x_"
    run = make_run(variants={name: 0.9}, search=0, baseline=name)
    page = write_report(run, figures=False).read_text(encoding="utf-8")
    assert "&lt;b&gt;pca&lt;/b&gt; &amp; _x_ has a mean macro F1" in page
    assert "<b>" not in page
    shutil.rmtree(run.root)


@pytest.mark.parametrize(("weights", "said"), [("auto", True), ("none", False), (None, True)])
def test_random_weights_that_nobody_asked_for_stand_in_the_verdict(
    make_detection_run: MakeRun, weights: str | None, said: bool
) -> None:
    config = {} if weights is None else {"weights": weights}
    found = with_lines(3.0, config=config, facts={"weights": "random initialisation"})
    run = make_detection_run(variants={"pca": 1.5}, seeds=(0,), search=0, then=found)
    told = "vae: its backbone has random weights, as no pretrained ones were found" in headline(run).verdict
    assert told == said
    assert "pca: its" not in headline(run).verdict

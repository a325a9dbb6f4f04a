"""The figures of rows: all variants, an ablation's changes, and what is taken for what."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.figures.confusion_figure import confusion_chart
from orchestrator.report.figures.figure_files import charts_of, figure_files
from orchestrator.report.figures.standing_figure import MOST_ROWS, standing_chart
from orchestrator.report.figures.svg import drawing
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections.sections import build_report

MakeRun = Callable[..., RunFolder]


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with drawing():
        yield


def test_every_variant_with_the_baseline_marked(whole_run: RunFolder) -> None:
    data = read_run(whole_run)
    rows = standings(data)
    found = standing_chart(data, rows, data.baseline)
    assert found is not None
    assert found.figure is not None
    for row in rows:
        one = row.estimates["macro_f1"]
        assert f"{row.variant} {one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" in found.alt
    texts = [one.get_text() for one in found.figure.axes[0].texts]
    assert "baseline" in texts
    assert [one.get_text() for one in found.figure.axes[0].get_yticklabels()] == [row.variant for row in rows]
    assert "Chance is 0.111." in found.caption or "chance, 0.111" in found.caption


def test_of_many_the_baseline_is_among_those_drawn(make_run: MakeRun) -> None:
    variants = {"pca_logistic": 0.1} | {f"v{place}": 0.5 + place / 50 for place in range(20)}
    data = read_run(make_run(variants=variants, pictures=45, search=0, seeds=(0,)))
    found = standing_chart(data, standings(data), "pca_logistic")
    assert found is not None
    assert found.figure is not None
    names = [one.get_text() for one in found.figure.axes[0].get_yticklabels()]
    assert len(names) == MOST_ROWS
    assert names[-1] == "pca_logistic"
    assert "5 more stand in the table." in found.caption


@pytest.mark.parametrize("same", [0.0, 0.5, 1.0])
def test_figures_that_are_all_the_same_have_a_sensible_axis(make_detection_run: MakeRun, same: float) -> None:
    run = make_detection_run(seeds=(), search=0, then=lambda one: [
        one.cell(name, seed, metrics={"pro_auc": same + seed * 1e-17}) for name in one.variants for seed in (0, 1)
    ], objective={"metric": "pro_auc"})  # fmt: skip
    data = read_run(run)
    found = standing_chart(data, standings(data), data.baseline)
    assert found is not None
    assert found.figure is not None
    low, high = found.figure.axes[0].get_xlim()
    assert high - low > 1e-3


def test_without_figures_there_is_no_figure(make_run: MakeRun) -> None:
    data = read_run(make_run(seeds=()))
    assert standing_chart(data, standings(data), data.baseline) is None


@pytest.mark.parametrize("classes", [1, 2, 9, 12, 13, 30])
def test_what_is_taken_for_what(classes: int) -> None:
    counts = np.random.default_rng(0).integers(0, 40, (classes, classes)) + 50 * np.eye(classes, dtype=np.int64)
    names = [f"class <{place}> with a name" for place in range(classes)]
    found = confusion_chart("v", names, counts, 3, "confusion0")
    assert found.figure is not None
    written = [one.get_text() for one in found.figure.axes[0].texts]
    assert written == ([str(one) for one in counts.ravel() if one] if classes <= 12 else [])
    assert f"{np.trace(counts)} of {counts.sum()} lie on the diagonal" in found.caption.replace("\u202f", "")
    assert "summed over 3 seeds" in found.caption
    assert len(found.svg) < 90_000
    assert "var(--blue)" in found.svg


def test_an_empty_row_of_a_matrix() -> None:
    found = confusion_chart("v", ["a", "b"], np.array([[0, 0], [1, 3]]), 1, "k")
    assert "3 of 4 lie on the diagonal" in found.caption


def test_they_are_files_for_print_too(make_run: MakeRun) -> None:
    report = build_report(read_run(make_run(search=0, seeds=(0, 1))))
    wanted = [one for one in charts_of(report) if one.of[0] in ("variants", "confusion")]
    assert [one.of for one in wanted] == [("variants",), ("confusion", "resnet18"), ("confusion", "pca_logistic")]
    with figure_files(wanted) as drawn:
        files = dict(drawn)
    assert {name for name in files if name.startswith("variants")} == {
        f"variants.{kind}" for kind in ("pdf", "png", "svg")
    }
    assert files["confusion-resnet18.pdf"].startswith(b"%PDF")

"""Figures as files: their names, what is in them, and that no old one stays."""

import os
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import orchestrator.report.figures.figure_files as figure_files_module
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Chart, Charts, Fold, Report, Section
from orchestrator.report.figures.figure_files import SUFFIXES, charts_of, figure_files, file_names
from orchestrator.report.figures.svg import chart, drawing, legend, panel
from orchestrator.report.folder import write_files
from orchestrator.report.page import write_report

MakeRun = Callable[..., RunFolder]


def simple(*of: str, name: str = "Δ ρ 10⁻⁵") -> Chart:
    figure, axes = panel()
    axes.plot([1, 2, 3], [1, 10, 100], "o-", label=name)
    axes.plot([1, 2, 3], [2, 20, 200], label="other")
    axes.set_xlabel(name)
    legend(axes)
    return chart(figure, "k", of, "title", "caption", "alt")


def files(charts: list[Chart]) -> dict[str, bytes]:
    with drawing(), figure_files(charts) as drawn:
        return dict(drawn)


def test_each_figure_comes_in_three_formats_for_print() -> None:
    with drawing():
        found = files([simple("losses", "vae")])
    assert list(found) == ["losses-vae.svg", "losses-vae.pdf", "losses-vae.png"]
    pdf = found["losses-vae.pdf"]
    assert pdf.startswith(b"%PDF")
    assert b"/CIDFontType2" in pdf
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    with Image.open(BytesIO(found["losses-vae.png"])) as image:
        assert image.size == (990, 690)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    svg = found["losses-vae.svg"].decode()
    root = ElementTree.fromstring(svg)
    assert root.attrib["width"] == "237.6pt"
    assert "var(--" not in svg
    assert ">Δ ρ 10⁻⁵<" in svg


def test_the_same_figures_are_the_same_bytes() -> None:
    with drawing():
        charts = [simple("a", name="日本語 \u0378")]
        assert files(charts) == files(charts) == files([simple("a", name="日本語 \u0378")])


def test_many_figures_are_drawn_by_two_processes_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawing():
        charts = [simple(f"{number}") for number in range(3)]
        alone = files(charts)
        monkeypatch.setattr(figure_files_module, "MANY", 2)
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        assert files(charts) == alone
        monkeypatch.setattr(sys, "executable", shutil.which("false"))
        assert files(charts) == alone, "where the other process fails, this one draws all"


def test_names_are_safe_and_no_two_alike() -> None:
    parts = [
        "vae",
        "VAE",
        "a/b",
        "a b",
        "../../etc/passwd",
        "con<script>",
        "",
        "日本",
        "x" * 300,
        "\udc80",
        ".",
        "a\nb",
    ]
    names = file_names([("losses", part) for part in parts] + [("roc",), ("roc",)])
    assert names[0] == "losses-vae"
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}", name) for name in names)
    assert len({name.casefold() for name in names}) == len(names)
    # Whatever stands beside it, a name keeps its file.
    assert file_names([("losses", "a b")]) == [names[3]]


def test_charts_in_folds_are_found_and_those_without_a_figure_left_out() -> None:
    with drawing():
        one, two = simple("a"), simple("b")
    page_only = Chart("t", "c", "a", "<svg/>")
    section = Section("k", "t", blocks=[Charts([one, page_only]), Fold("f", [Fold("g", [Charts([two])])])])
    assert charts_of(Report("t", "s", [], [], [], [section])) == [one, two]


def test_no_old_figure_stays(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    with drawing():
        write_files(folder, files([simple("a")]).items(), SUFFIXES)
        (folder / "mine.txt").write_text("kept")
        write_files(folder, files([simple("b")]).items(), SUFFIXES)
    assert sorted(path.name for path in folder.iterdir()) == ["b.pdf", "b.png", "b.svg", "mine.txt"]
    with drawing():
        write_files(folder, (), SUFFIXES)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_link_out_of_the_run_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "theirs.png").write_bytes(b"1")
    (tmp_path / "figures").symlink_to(elsewhere)
    with drawing():
        write_files(tmp_path / "figures", files([simple("a")]).items(), SUFFIXES)
    assert [path.name for path in elsewhere.iterdir()] == ["theirs.png"]
    assert (tmp_path / "figures" / "a.pdf").exists()


def test_a_report_with_its_figures_and_then_without(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0, 1), variants={"pca_logistic": 0.2, "resnet<18>": 0.9})
    write_report(run)
    names = {path.name for path in (run.report / "figures").iterdir()}
    assert {f"pareto-seconds.{suffix}" for suffix in ("pdf", "png", "svg")} <= names
    assert any(re.fullmatch(r"losses-resnet_18_[0-9a-f]{8}\.pdf", name) for name in names)
    page = (run.report / "index.html").read_bytes()
    write_report(run, figures=False)
    assert (run.report / "index.html").read_bytes() == page
    assert not list((run.report / "figures").iterdir())


def test_any_name_can_be_printed() -> None:
    with drawing():
        assert len(files([simple("a", name="a" * 300), simple("b", name="$x^2$ \\frac{ \u202e")])) == 6

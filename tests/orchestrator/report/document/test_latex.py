"""LaTeX that real pdflatex sets, whatever stands in names."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import NONE, number
from orchestrator.report.document.latex import document, escape, to_latex

NASTY = (
    "_ % & # $ { } ~ ^ \\", "<script>|`\"'", "αβγ ΔΩ ά", "日本語", "😀🇩🇪", "a\u202eb\u2066c", "line\nbreak\ttab\x00",
    "Größe, façade, Łódź, ø, œ, ı", "[1] and *", "--dash ,, ''", "\u0301alone", "ﷺ", "−0.5 ± 0.1 √²",
    "\\input{/etc/passwd}", "\\end{tabular}", "%comment", "x" * 90,
)  # fmt: skip


def compile_latex(folder: Path, text: str) -> str:
    """Run pdflatex on a document; its log. Fails where TeX stops or complains of anything but boxes."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    (folder / "document.tex").write_text(text, encoding="ascii")
    run = subprocess.run(
        [program, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "document.tex"],
        cwd=folder, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    log = run.stdout.decode("latin-1")
    assert run.returncode == 0, log[-1500:]
    assert "Missing character" not in log
    return log


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        ("100%_&#$", r"100\%\_\&\#\$"),
        ("{~^\\}", r"\{\textasciitilde{}\textasciicircum{}\textbackslash{}\}"),
        ("−0.012", "$-$0.012"),
        ("0.9 ± 0.1", r"0.9 $\pm$ 0.1"),
        (number(float("nan")), "--"),
        ("Δ α Ω", r"$\Delta$ $\alpha$ $\Omega$"),
        ("Σ Τ ς", r"$\Sigma$ $\mathrm{T}$ $\varsigma$"),
        ("é", r"{\'{e}}"),
        ("e\u0301", r"{\'{e}}"),
        ("😀", r"{[}U+1F600{]}\allowbreak{}"),
        ("\u202e", r"{[}U+202E{]}\allowbreak{}"),
        ("a\nb", r"a{[}U+000A{]}\allowbreak{}b"),
        ("a--b", "a-{}-b"),
        (NONE, "--"),
    ],
)
def test_escape(raw: str, escaped: str) -> None:
    assert escape(raw) == escaped


def test_no_character_of_any_plane_reaches_latex_as_it_is() -> None:
    for start in range(0, 0x3000, 7):
        assert escape(chr(start)).isascii()


@pytest.mark.parametrize("caption", ["Short.", "Some words stand here. " * 30, "word " * 90, " ".join(NASTY)])
def test_a_float_has_a_short_caption_and_the_rest_as_notes(caption: str) -> None:
    table = Table("t", caption.strip(), ["Name", "x"], [[TableCell("a"), TableCell("1")]], frozenset({1}))
    text = to_latex([table], "t")
    printed = text[text.index("\\caption[t]{") + 12 : text.index("\\label{tab:t}")]
    assert len(printed.replace("\\allowbreak{}", "").split()) <= 41
    long = len(caption.split()) > 40
    assert ("\\parbox{\\linewidth}" in text) == long
    if long:
        assert text.index("\\bottomrule") < text.index("\\parbox{\\linewidth}") < text.index("\\end{table}")


def nasty_table() -> Table:
    rows = [
        [
            TableCell(text, tone="strong"),
            TableCell(text),
            TableCell("0.5 ± 0.1", f"(−0.1*, p = {row})", detail_tone="good"),
            TableCell(text),
        ]
        for row, text in enumerate(NASTY)
    ]
    return Table("nasty", " ".join(NASTY), ["Name", "_%&", "Metric ± Δ", "日本"], rows, frozenset({2}))


@pytest.mark.parametrize(
    "packages", [r"\usepackage{booktabs}", r"\usepackage[T1]{fontenc}\usepackage{booktabs,xcolor}"]
)
def test_pdflatex_sets_every_name(tmp_path: Path, packages: str) -> None:
    (tmp_path / "nasty.tex").write_text(to_latex([nasty_table()], "nasty"), encoding="ascii")
    text = (
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n"
        f"{packages}\n\\begin{{document}}\n\\listoftables\n\\input{{nasty}}\n\\end{{document}}"
    )
    compile_latex(tmp_path, text)


def test_wide_and_long_tables_stay_on_the_page(tmp_path: Path) -> None:
    """Twelve metrics and seventy variants: parts, each within the width and height of the page."""
    columns = ["Configuration", "Input", *(f"metric {row}" for row in range(12))]
    rows = [
        [TableCell(f"variant_{row}_of_a_long_name_that_must_break"), TableCell("rgbd")]
        + [TableCell(f"0.{row:03d} ± 0.01{place % 10}", f"(+0.{place:03d}*, p = 0.{row:03d})") for place in range(12)]
        for row in range(70)
    ]
    table = Table("wide", "A caption. " * 30, columns, rows, frozenset(range(2, 14)))
    text = to_latex([table], "wide")
    assert text.count(r"\label{") == 1
    for row in range(70):
        assert len(re.findall(rf"0\.{row:03d} \$\\pm\$", text)) == 12
    (tmp_path / "wide.tex").write_text(text, encoding="ascii")
    log = compile_latex(tmp_path, document(["wide"]))
    overfull = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(overfull, default=0) < 6
    assert "Float too large" not in log


def test_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "empty.tex").write_text(
        to_latex([Table("empty", "Nothing.", ["A", "B"], [])], "empty"), encoding="ascii"
    )
    compile_latex(tmp_path, document(["empty"]))

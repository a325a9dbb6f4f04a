"""One table in every format: read back, the numbers agree to the last printed digit."""

import csv
import html
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.records import append_record, read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Report, Table, TableCell
from orchestrator.report.document.formatting import bare, number, p_value, share
from orchestrator.report.document.table_files import table_files
from orchestrator.report.folder import to_csv
from orchestrator.report.numbers.leaderboard import leaderboard_frame
from orchestrator.report.numbers.measured import standings
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.sections import tables
from orchestrator.report.sections.ablation_section import Ablation

MakeRun = Callable[..., RunFolder]
Grid = list[list[str]]
NASTY = "<script>alert(1)</script> _%&|\\$#{}~^ αβ 日本 😀 \u202eevil\nline `x` *y*"


def ablate(run: RunFolder, names: dict[str, str]) -> RunFolder:
    """A run whose evaluated variants are also those of an ablation."""
    records = list(read_records(run.records))
    run.records.unlink()
    variants = list(dict.fromkeys(one.variant for one in records if one.stage == "evaluation"))
    cells = {name: f"{place:x}" * 16 for place, name in enumerate(variants, start=1)}
    for record in records:
        kept = record.model_copy(update={"cell": cells[record.variant]}) if record.stage == "evaluation" else record
        append_record(run.records, kept)
    rows = tuple(
        AblatedVariant(
            name=names.get(name, name), changes={} if name == variants[0] else {"input": names.get(name, name)},
            family="pca", config={"input": "rgb"}, strategy=None, cell=cells[name], folder=name, trials=0,
        )
        for name in variants
    )  # fmt: skip
    plan: dict[str, Any] = {"design": "named", "factors": {}, "tuned": None, "seeds": (0, 1, 2)}
    AblationPlan(baseline=variants[0], variants=rows, **plan).save(run.ablation)
    return run


def files(run: RunFolder) -> dict[str, str]:
    """Every file of both tables, and the CSVs, as text."""
    data = read_run(run)
    assert data.ablation is not None
    found, rows = Ablation(data, data.ablation), standings(data)
    printed = {"leaderboard": tables.leaderboard_tables(data, rows), "ablation": [found.table]}
    report = Report("", "", [], [], [], [], printed=printed, parquets={"ablation": found.cells})
    texts = {name: content for name, content in table_files(report) if isinstance(content, str)}
    return texts | {
        "leaderboard.csv": to_csv(leaderboard_frame(data, rows)),
        "ablation.csv": to_csv(found.frames["ablation"]),
    }


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Grid] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.found.append([])
        elif tag == "tr":
            self.found[-1].append([])
        elif tag in ("th", "td"):
            self.found[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1] and self.found[-1][-1]:
            self.found[-1][-1][-1] += data


def tidy(grid: Grid) -> Grid:
    return [[re.sub(r"\s+", " ", cell).strip() for cell in row] for row in grid if row]


def from_html(text: str) -> list[Grid]:
    parser = _Tables()
    # What stands between the last cell and the caption is the parser's, not the table's.
    parser.feed(re.sub(r"<caption>.*?</caption>", "", text, flags=re.DOTALL))
    return [tidy(grid) for grid in parser.found]


def from_markdown(text: str) -> list[Grid]:
    grids: list[Grid] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("| "):
            inside = False
            continue
        if not inside:
            grids.append([])
        inside = True
        cells = re.split(r"(?<!\\)(?:\\\\)*\|", line.strip()[1:-1])
        if not re.fullmatch(r"[-:| ]+", line):
            plain = [re.sub(r"\\([^A-Za-z0-9\s])", r"\1", re.sub(r"(?<!\\)\*\*", "", cell)) for cell in cells]
            grids[-1].append(plain)
    return [tidy(grid) for grid in grids]


LATEX = {
    r"\allowbreak{}": "", "$-$": "−", r"$\pm$": "±", r"$\Delta$": "Δ", "{*}": "*", "{[}": "[", "{]}": "]", "$<$": "<",
    "$>$": ">", r"\%": "%", r"\_": "_", "--": "–",
}  # fmt: skip


def from_latex(text: str) -> list[Grid]:
    """The tables, put together from their parts: a column once, second lines after the first."""
    grids: list[Grid] = []
    for part in re.split(r"\\label\{", text)[1:]:
        whole: dict[str, list[str]] = {}
        heads: list[str] = []
        for tabular in re.findall(r"\\toprule\n(.*?)\\bottomrule", part, flags=re.DOTALL):
            head, body = tabular.split("\\midrule\n")
            names = _latex_row(head.strip())
            rows: Grid = []
            for line in body.strip().splitlines():
                cells = _latex_row(line)
                if line.endswith("[2pt]"):
                    rows[-1] = [f"{one} {other}".strip() for one, other in zip(rows[-1], cells, strict=True)]
                else:
                    rows.append(cells)
            assert not heads or names[0] == heads[0]
            first = 1 if heads else 0
            heads += names[first:]
            for row in rows:
                whole.setdefault(row[0], []).extend(row[first:])
        grids.append(tidy([heads, *whole.values()]))
    return grids


def _latex_row(line: str) -> list[str]:
    cells = []
    for cell in re.split(r"(?<!\\)&", re.sub(r" \\tabularnewline(\[2pt\])?$", "", line)):
        text = re.sub(r"\\raggedright\\hspace\{0pt\}", "", cell)
        for raw, plain in LATEX.items():
            text = text.replace(raw, plain)
        cells.append(re.sub(r"\\(?:textbf|quiet)\{(.*)\}", r"\1", text.strip()))
    return cells


@pytest.fixture
def detection(make_detection_run: MakeRun) -> RunFolder:
    """The ablation of RGB and depth, with masks, so with eight metrics."""
    variants = {"pca": 1.5, "vae": 3.0, "vae-small": 1.6}
    run = ablate(make_detection_run(variants=variants, masks=True, pictures=150, search=0, seeds=(0, 1, 2)), {})
    plan = AblationPlan.load(run.ablation)
    titles = ("RGB Baseline", "RGB-D Full", "RGB-D Reduced")
    changes: tuple[dict[str, Any], ...] = ({}, {"input": "rgbd"}, {"input": "rgbd", "layers": [2, 3]})
    config = {"input": "rgb", "layers": "1+2+3+4"}
    rows = tuple(
        one.model_copy(
            update={"name": name, "changes": change, "config": config | {"input": change.get("input", "rgb")}}
        )
        for one, name, change in zip(plan.variants, titles, changes, strict=True)
    )
    plan.model_copy(update={"variants": rows}).save(run.ablation)
    return run


@pytest.fixture
def classification(make_run: MakeRun) -> RunFolder:
    variants = {"pca_logistic": 0.4, "resnet18": 0.9, "resnet18-frozen": 0.45}
    return ablate(make_run(variants=variants, pictures=90, search=0), {})


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_all_formats_agree_to_the_last_digit(task: str, request: pytest.FixtureRequest) -> None:
    found = files(request.getfixturevalue(task))
    for name in ("leaderboard", "ablation"):
        page, markdown, latex = (
            read(found[f"{name}.{suffix}"])
            for read, suffix in ((from_html, "html"), (from_markdown, "md"), (from_latex, "tex"))
        )
        assert len(page) == (2 if name == "leaderboard" else 1)
        assert page == markdown
        assert page == latex
        assert sum(len(re.findall(r"\d\.\d{3}", cell)) for grid in page for row in grid for cell in row) > 30
    _ablation_csv_agrees(from_html(found["ablation.html"])[0], found["ablation.csv"])
    _leaderboard_csv_agrees(from_html(found["leaderboard.html"]), found["leaderboard.csv"])
    _a_changed_digit_is_noticed(found)
    if task == "detection":
        _has_the_shape_asked_for(from_html(found["ablation.html"])[0], found["ablation.tex"])


def _has_the_shape_asked_for(grid: Grid, latex: str) -> None:
    """The ablation of RGB and depth is asked for with these columns, in this order, in one table."""
    expected = ["Configuration", "Input", "Layers", "Image ROC-AUC", "Pixel ROC-AUC", "PRO-AUC"]
    assert grid[0] == [*expected, "Balanced accuracy", "TPR", "TNR"]
    assert [line[:3] for line in grid[1:]] == [
        ["RGB Baseline", "rgb", "1, 2, 3, 4"],
        ["RGB-D Full", "rgbd", "1, 2, 3, 4"],
        ["RGB-D Reduced", "rgbd", "2, 3"],
    ]
    first = latex.split("\\toprule\n")[1].split(" \\tabularnewline")[0]
    assert first.split(" & ") == expected


def _ablation_csv_agrees(grid: Grid, text: str) -> None:
    rows = list(csv.DictReader(io.StringIO(text)))
    heads, *body = grid
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    first = len(heads) - len(metrics)
    assert len(rows) == len(body) * len(metrics)
    for place, line in enumerate(body):
        for column, metric in enumerate(metrics):
            row = next(one for one in rows if one["variant"] == line[0] and one["metric"] == metric)
            star = "*" if row["significant"] else ""
            whole = f"{row['mean']} [{bare(row['low'])}, {bare(row['high'])}]"
            if place:
                whole += f" ({row['delta'].replace('-', '−')}{star}, {row['p']})"
            assert line[first + column] == whole
    assert any(row["significant"] for row in rows)


def _leaderboard_csv_agrees(grids: list[Grid], text: str) -> None:
    """The CSV has full precision; rounded as the tables are, it is what they print."""
    rows = {row["variant"]: row for row in csv.DictReader(io.StringIO(text))}
    ranking, metrics = grids

    def value(row: dict[str, str], key: str) -> float:
        return float(row[key]) if row[key] else float("nan")

    def between(row: dict[str, str], key: str, signed: bool = False) -> str:
        return ", ".join(number(value(row, f"{key}{end}"), signed=signed) for end in ("_low", "_high"))

    for line in ranking[1:]:
        row = rows[line[0]]
        first = next(key for key in row if f"{key}_low" in row)
        assert line[2] == number(value(row, first))
        assert line[3] == f"[{between(row, first)}]"
        if row["difference"]:
            assert line[4] == f"{number(value(row, 'difference'), signed=True)} [{between(row, 'difference', True)}]"
            better = f"P(better) {share(value(row, 'probability_better'))}"
            assert line[5] == (f"{p_value(value(row, 'p_holm'))} {better}" if row["p_holm"] else better)
            words = row["outcome"].removeprefix("significantly ")
            assert line[6] == re.split(r":|,| after", words)[0]
    keys = [key for key in next(iter(rows.values())) if f"{key}_low" in rows[ranking[1][0]] and key != "difference"]
    for line in metrics[1:]:
        row = rows[line[0]]
        assert line[1:] == [f"{number(value(row, key))} [{between(row, key)}]" for key in keys]


def _a_changed_digit_is_noticed(found: dict[str, str]) -> None:
    """The check can fail: one digit changed in one format is another grid."""
    for suffix, read in (("html", from_html), ("md", from_markdown), ("tex", from_latex)):
        text = found[f"ablation.{suffix}"]
        digits = next(re.finditer(r"0\.\d\d\d(?= [\\{]*\[)", text))
        changed = text[: digits.end() - 1] + text[digits.end() - 1 :].replace(text[digits.end() - 1], "x", 1)
        assert read(changed) != read(text)


def test_names_from_anywhere_in_every_format(make_run: MakeRun, tmp_path: Path) -> None:
    names = {"pca_logistic": NASTY, "resnet18": "[1] _%&|"}
    found = files(ablate(make_run(variants={"pca_logistic": 0.4, "resnet18": 0.9}, pictures=45, search=0), names))
    page = found["ablation.html"]
    assert "<script" not in page
    shown = re.sub(r"<[^>]*>", "", page)
    assert "<script>alert(1)</script> _%&|\\$#{}~^ αβ 日本 😀 \\u202eevil\\nline" in html.unescape(shown)
    grid = from_markdown(found["ablation.md"])[0]
    assert [len(row) for row in grid] == [len(grid[0])] * 3
    assert not re.search(r"https?://|@import|src=|url\(", page)
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    for name, text in found.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [program, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "document.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    log = run.stdout.decode("latin-1")
    assert run.returncode == 0, log[-1500:]
    assert max(map(float, re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)), default=0.0) < 6


def test_what_is_not_known_is_a_dash_everywhere() -> None:
    table = Table("t", "c", ["Name", "F1"], [[TableCell("a"), TableCell(number(float("nan")))]], frozenset({1}))
    found = dict(table_files(Report("", "", [], [], [], [], printed={"t": [table]})))
    for read, suffix in ((from_html, "html"), (from_markdown, "md"), (from_latex, "tex")):
        assert read(str(found[f"t.{suffix}"])) == [[["Name", "F1"], ["a", "–"]]]


def test_parquet_is_read_back() -> None:
    frame = pd.DataFrame({"name": ["ä", "b"], "value": [0.1, None]})
    found = dict(table_files(Report("", "", [], [], [], [], parquets={"t": frame})))
    content = found["t.parquet"]
    assert isinstance(content, bytes)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(content)), frame)

"""The page in a real browser: it asks for nothing, sorts, works by keyboard, and axe-core finds no serious fault."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.artifacts.run_folder import RunFolder

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
PHONE = {"width": 375, "height": 800}


@dataclass
class Opened:
    """One opened page, and all that it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def opened(browser: Any, run: RunFolder, **settings: Any) -> Opened:
    context = browser.new_context(reduced_motion="reduce", **{"viewport": {"width": 1200, "height": 900}} | settings)
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.said.append(message.text))
    found.page.on("pageerror", lambda error: found.said.append(str(error)))
    found.page.on("request", lambda request: found.asked.append(request.url))
    found.page.goto((run.report / "index.html").resolve().as_uri())
    return found


@pytest.fixture(scope="module")
def desk(browser: Any, whole_run: RunFolder) -> Opened:
    """The page as it is read most; tests leave it as they found it."""
    return opened(browser, whole_run)


COLUMN = """([table, column]) => [...table.tBodies[0].rows].map(row => row.cells[column].textContent.trim())"""


def column(desk: Opened, caption: str, title: str) -> tuple[Any, Any, Any]:
    """The table, the button in the head of its column, and a function that reads the column."""
    table = desk.page.locator("table", has=desk.page.locator("caption", has_text=caption)).first
    heads = table.locator("thead th")
    place = [text.strip() for text in heads.all_text_contents()].index(title)
    where = [table.element_handle(), place]
    return table, heads.nth(place).get_by_role("button"), lambda: desk.page.evaluate(COLUMN, where)


def test_it_says_nothing_and_asks_for_nothing(desk: Opened) -> None:
    assert desk.said == []
    assert len(desk.asked) == 1
    assert desk.asked[0].startswith("file://")


def test_no_other_script_may_run(desk: Opened) -> None:
    ran = desk.page.evaluate(
        """() => { const one = document.createElement("script"); one.textContent = "window.ran = true";
        document.body.append(one); return window.ran === true; }"""
    )
    assert not ran
    assert desk.said
    assert all("Content Security Policy" in text for text in desk.said)
    desk.said.clear()


def test_every_table_has_a_button_for_every_column(desk: Opened) -> None:
    counts = desk.page.evaluate(
        """() => [...document.querySelectorAll("table")].filter(one => one.tBodies[0].rows.length > 1)
        .map(one => [one.tHead.rows[0].cells.length, one.querySelectorAll("thead th > button").length])"""
    )
    assert len(counts) > 5
    assert all(heads == buttons for heads, buttons in counts)


def test_numbers_sort_by_value_and_names_by_letter(desk: Opened) -> None:
    table, button, read = column(desk, "what is mistaken for what most often", "Times")
    before = read()
    values = [int(text) for text in before]
    assert len(set(values)) > 2
    button.press("Enter")
    assert [int(text) for text in read()] == sorted(values, reverse=True)
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    button.press("Space")
    assert [int(text) for text in read()] == sorted(values)
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    button.click()
    assert read() == before
    assert table.locator("th[aria-sort]").count() == 0
    table, button, read = column(desk, "F1 of each class", "Class")
    names = read()
    button.click()
    button.click()
    assert read() == sorted(names, reverse=True)
    button.click()


@pytest.mark.parametrize(
    ("texts", "ascending"),
    [
        (["10.0 s", "–", "2 min 05 s", "1 h 01 min", "59.9 s"], ["10.0 s", "59.9 s", "2 min 05 s", "1 h 01 min", "–"]),
        (["0.5", "−0.2", "", "+0.1", "−1.5"], ["−1.5", "−0.2", "+0.1", "0.5", ""]),
        (["0.040", "< 0.001", "0.001", "–"], ["< 0.001", "0.001", "0.040", "–"]),
        (["1\u202f234", "20", "·", "3"], ["·", "3", "20", "1\u202f234"]),
        (["2.0 GiB", "1,024 MiB", "900 MiB", "1.5 GiB"], ["900 MiB", "1,024 MiB", "1.5 GiB", "2.0 GiB"]),
        (["2e−05", "0.1", "3e−06"], ["3e−06", "2e−05", "0.1"]),
        (["9 %", "10.5 %", "–"], ["9 %", "10.5 %", "–"]),
        (["v10", "v9", "", "–", "a"], ["a", "v9", "v10", "", "–"]),
    ],
)
def test_every_way_a_number_is_printed_sorts_by_value(desk: Opened, texts: list[str], ascending: list[str]) -> None:
    """The page's own script, on a table with these cells."""
    rows = "".join(
        f"<tr><th>row</th><td class='number'>{text}<span class='detail'>9</span></td></tr>" for text in texts
    )
    table = f"<table><thead><tr><th>name</th><th>x</th></tr></thead><tbody>{rows}</tbody></table>"
    script = desk.page.locator("body > script").first.text_content()
    frame = desk.page.context.new_page()
    frame.set_content(f"<html><body><nav></nav><button id='all-folds'></button>{table}</body></html>")
    frame.evaluate(script)
    button = frame.locator("thead button").nth(1)
    for wanted in (ascending, None):
        button.click()
        if frame.locator("th[aria-sort=ascending]").count():
            found = [one.removesuffix("9") for one in frame.locator("td").all_text_contents()]
            assert found == (wanted or ascending)
            break
    else:
        raise AssertionError("never ascending")
    button.click()
    frame.close()


def test_every_section_is_reached_by_keyboard(browser: Any, whole_run: RunFolder) -> None:
    page = opened(browser, whole_run).page
    targets = page.evaluate("() => [...document.querySelectorAll('section')].map(one => one.id)")
    assert len(targets) > 8
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    for target in targets:
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.getAttribute('href')") == f"#{target}"
        page.keyboard.press("Enter")
        # A busy machine lays the page out a moment later.
        page.wait_for_function(
            """id => {
                const top = document.getElementById(id + "-title").getBoundingClientRect().top;
                const covered = document.querySelector("nav").getBoundingClientRect().bottom;
                return location.hash === "#" + id && covered <= top && top < 900;
            }""",
            arg=target,
        )
        page.locator(f"nav a[href='#{target}']").focus()
    page.close()


def test_folds_open_together_and_for_printing(desk: Opened) -> None:
    def closed() -> int:
        return int(desk.page.evaluate("() => document.querySelectorAll('details:not([open])').length"))

    before, button = closed(), desk.page.get_by_role("button", name="Open all folds")
    assert before > 1
    desk.page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert closed() == 0
    desk.page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert closed() == before
    button.press("Enter")
    assert closed() == 0
    desk.page.get_by_role("button", name="Close all folds").press("Enter")
    assert desk.page.evaluate("() => document.querySelectorAll('details[open]').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Any, whole_run: RunFolder, scheme: str) -> None:
    found = opened(browser, whole_run, color_scheme=scheme)
    found.page.get_by_role("button", name="Open all folds").click()
    # What is drawn in figures is hidden from screen readers; a dark page differs in its colours alone.
    options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
    context = {"exclude": [["svg"]]}
    violations = axe.Axe().run(found.page, context=context, options=options).response["violations"]
    grave = [one for one in violations if one["impact"] in ("serious", "critical")]
    assert not grave, json.dumps(
        [[one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]]] for one in grave], indent=1
    )
    found.page.close()


def test_a_phone_needs_no_sideways_scroll_and_keeps_the_first_column(browser: Any, whole_run: RunFolder) -> None:
    found = opened(browser, whole_run, viewport=PHONE)
    found.page.get_by_role("button", name="Open all folds").click()
    assert found.page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]
    table = found.page.locator("table").first
    lefts = table.evaluate(
        """table => { const box = table.parentNode, cell = table.tBodies[0].rows[0].cells[0];
        const before = cell.getBoundingClientRect().left; box.scrollLeft = 100;
        return [before, cell.getBoundingClientRect().left, box.scrollLeft]; }"""
    )
    assert lefts[2] == 100
    assert lefts[0] == lefts[1]
    assert found.said == []
    found.page.close()


def test_nothing_is_cut_off_at_a_small_desk(browser: Any, whole_run: RunFolder, whole_detection_run: RunFolder) -> None:
    cut_off = """() => [...document.querySelectorAll(".scroll")].filter(one => one.scrollWidth > one.clientWidth)
        .map(one => one.getAttribute("aria-label"))"""
    for run in (whole_run, whole_detection_run):
        found = opened(browser, run, viewport={"width": 1280, "height": 900})
        found.page.get_by_role("button", name="Open all folds").click()
        assert found.page.evaluate(cut_off) == []
        found.page.close()


def test_the_verdict_is_where_the_eye_is(desk: Opened) -> None:
    """The line, the figure and the card within the first screen; two figures fill their row."""
    for what in (".verdict", ".first figure", ".winner"):
        box = desk.page.locator(what).bounding_box()
        assert box["y"] + box["height"] < 900, what
    row = desk.page.locator("#families .charts").bounding_box()
    last = desk.page.locator("#families .charts figure").last.bounding_box()
    assert last["x"] + last["width"] == pytest.approx(row["x"] + row["width"], abs=1)


def test_it_is_whole_without_its_script(browser: Any, whole_run: RunFolder) -> None:
    found = opened(browser, whole_run, java_script_enabled=False)
    assert found.page.locator("h2").count() > 8
    assert found.page.get_by_role("button").count() == 0
    found.page.locator("summary").first.click()
    assert found.page.get_by_text("The half-width of a difference").is_visible()
    found.page.close()


def test_a_figure_reads_out_the_place_under_the_pointer(browser: Any, whole_run: RunFolder) -> None:
    found = opened(browser, whole_run)
    figure = found.page.locator("[data-axes]").first
    told = str(figure.get_attribute("data-axes")).split()
    left, top, right, bottom, x0, x1, y0, y1 = map(float, told[:8])
    figure.scroll_into_view_if_needed()
    box = figure.locator("svg").bounding_box()
    across, up = 0.25, 0.75
    found.page.mouse.move(
        box["x"] + box["width"] * (left + across * (right - left)),
        box["y"] + box["height"] * (bottom - up * (bottom - top)),
    )
    x, y = (float(text.replace("−", "-")) for text in figure.locator(".readout").text_content().split(", "))
    assert x == pytest.approx(x0 * (x1 / x0) ** across if told[8] == "log" else x0 + across * (x1 - x0), rel=0.02)
    assert y == pytest.approx(y0 * (y1 / y0) ** up if told[9] == "log" else y0 + up * (y1 - y0), rel=0.02)
    found.page.mouse.move(box["x"] + 2, box["y"] + 2)
    assert figure.locator(".readout").text_content() == ""
    found.page.close()

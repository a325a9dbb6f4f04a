"""`orchestrate stream`: a window of a live series is judged as `predict` judges a CSV of its values."""

import json
import math
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.kept_models import trained

from orchestrator import InputError, load_model, predict, stream
from orchestrator.machine.progress import Reporter
from orchestrator.using.live import stream as module
from orchestrator.using.live.stream import Windows
from orchestrator.using.live.value_source import Piece
from orchestrator.using.prepared_pictures import PictureReader
from trainables.interface import Samples

from .conftest import Heard, until

QUIET = Reporter(quiet=True)
VALUES = np.round(np.random.default_rng(0).normal(size=200).cumsum(), 4)


@pytest.fixture(autouse=True)
def few_threads(one_thread: None) -> None:
    """Small networks."""


def judged(model: Path, source: Any, **options: Any) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    stream(model, source, on_line=lines.append, **{"reporter": QUIET, **options})
    return lines


def test_windows_move_on_by_the_hop() -> None:
    piece = Piece([], 0.0, 0.0, live=True)
    for size, hop, cut in ((5, 2, 3), (3, 3, 1), (2, 7, 4), (4, 1, 50)):
        windows, found = Windows(size, hop), list[tuple[int, list[float]]]()
        for start in range(0, 50, cut):
            part = [float(value) for value in range(start, min(50, start + cut))]
            found += [(one.first, one.values.tolist()) for one in windows.add(part, piece)]
        expected = [(first, [float(first + step) for step in range(size)]) for first in range(0, 51 - size, hop)]
        assert found == expected


def test_a_window_is_judged_as_a_file_of_its_values(series_model: Path, tmp_path: Path) -> None:
    values = [float(value) for value in VALUES]
    values[70] = math.nan
    lines = judged(series_model, values, window=60, hop=35)
    assert [(one["first"], one["last"]) for one in lines] == [(0, 59), (35, 94), (70, 129), (105, 164), (140, 199)]
    for one in lines:
        text = "\n".join("" if math.isnan(value) else repr(value) for value in values[one["first"] : one["last"] + 1])
        (tmp_path / f"{one['first']:03d}.csv").write_text(f"value\n{text}\n", encoding="utf-8")
    predict(series_model, tmp_path, tmp_path.parent / "p.csv", reporter=QUIET, overwrite=True)
    expected = pd.read_csv(tmp_path.parent / "p.csv")
    assert [one["verdict"] for one in lines] == expected["verdict"].tolist()
    for name in ("probability_step", "probability_trend", "probability_wave"):
        np.testing.assert_allclose([one[name] for one in lines], expected[name], rtol=1e-9)
    reader = PictureReader(load_model(series_model).kept)
    window = np.array(values[70:130])
    np.testing.assert_array_equal(reader.plot(window), reader.picture(tmp_path / "070.csv"))


def test_seeds_judge_together(series: Samples, tmp_path: Path) -> None:
    how = {"layout": "series", "style": "plain"}
    for seed in (0, 1):
        trained(tmp_path / "m" / str(seed), "pca_logistic", series, how, seed=seed, components=3 + seed)
    source = tmp_path / "a.csv"
    source.write_text("".join(f"{value}\n" for value in VALUES), encoding="utf-8")
    (line,) = judged(tmp_path / "m/0", VALUES.tolist(), window=len(VALUES), ensemble=True)
    (row,) = predict(tmp_path / "m/0", source, ensemble=True, reporter=QUIET).rows
    np.testing.assert_allclose(line["probability_wave"], row["probability_wave"], rtol=1e-9)
    (alone,) = judged(tmp_path / "m/0", VALUES.tolist(), window=len(VALUES))
    assert alone["probability_wave"] != line["probability_wave"]


def test_a_window_without_numbers_is_a_line_with_its_reason(series_model: Path) -> None:
    lines = judged(series_model, ["1", "2", *[""] * 4, "3", "4"], window=4)
    assert [one["status"] for one in lines] == ["ok", "ok"]
    lines = judged(series_model, ["1", "2", *[""] * 6, "3", "4"], window=4)
    assert [one["status"] for one in lines] == ["ok", "failed"]
    assert lines[1]["reason"] == "fewer than two numbers"
    assert lines[1]["verdict"] is None


def test_a_file_that_grows_is_followed(series_model: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "live.csv", tmp_path / "lines.jsonl"
    path.write_text("time,value\n" + "".join(f"{row},{value}\n" for row, value in enumerate(VALUES[:100])))
    stop, heard, lines = Event(), Heard(), list[dict[str, Any]]()
    how = {"window": 50, "hop": 25, "stop": stop, "reporter": heard, "on_line": lines.append}
    thread = Thread(target=lambda: stream(series_model, path, out, **how))  # type: ignore[arg-type]
    thread.start()
    try:
        until(lambda: len(lines) == 3)
        with path.open("a", encoding="utf-8") as file:
            for row, value in enumerate(VALUES[100:125]):
                file.write(f"{row},{value}\n")
                file.flush()
        until(lambda: len(lines) == 4)
    finally:
        stop.set()
        thread.join()
    assert [one["first"] for one in lines] == [0, 25, 50, 75]
    assert [one["latency_ms"] is None for one in lines] == [True, True, True, False]
    assert [json.loads(line) for line in out.read_text(encoding="ascii").splitlines()] == lines
    expected = judged(series_model, VALUES[:125].tolist(), window=50, hop=25)
    assert [one["verdict"] for one in lines] == [one["verdict"] for one in expected]


def test_what_comes_faster_than_it_can_be_judged_is_skipped_evenly_and_said_once(
    series_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = module.of_values
    monkeypatch.setattr(module, "of_values", lambda *given: (one._replace(live=True) for one in source(*given)))
    heard = Heard()
    values = np.sin(np.arange(3000) / 5).tolist()
    lines = judged(series_model, values, window=60, hop=1, lag=0.2, reporter=heard)
    assert sum("Values come faster" in one for one in heard.said) == 1
    assert lines[-1]["first"] > 2000
    assert sum(one["skipped"] for one in lines) == lines[-1]["first"] - len(lines) + 1 > 1000
    for before, now in pairwise(lines):
        assert now["first"] - before["first"] == now["skipped"] + 1
    assert len(judged(series_model, values[:200], window=60, hop=1, lag=math.inf)) == 141


def test_the_command_on_a_pipe_ends_with_it_or_by_ctrl_c(
    series_model: Path, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = started("stream", series_model, "--window", "60", "--hop", "30", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("".join(f"{value}\n" for value in VALUES[:90]))
    process.stdin.flush()
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [one["first"] for one in lines] == [0, 30]
    assert all(one["latency_ms"] > 0 for one in lines)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert out == ""
    assert "2 windows of 90 values" in said
    assert "From a window's last value to its line:" in said
    assert "Traceback" not in said


def test_standard_input_may_be_a_file(
    series_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orchestrate: Callable[..., Any]
) -> None:
    path = tmp_path / "values.txt"
    path.write_text("".join(f"{value}\n" for value in VALUES), encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        ended = orchestrate("stream", series_model, "--window", "60", "--hop", "10")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert len(lines) == 15
    assert "15 windows of 200 values" in ended.err
    monkeypatch.setattr("sys.stdin", iter(["1\n", "2\n"]))
    ended = orchestrate("stream", series_model, "--window", "60")
    assert ended.code == 0
    assert "2 values came, and a window takes 60" in ended.err


def test_what_can_t_be_done_is_told(series_model: Path, tile_model: Path, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").touch()
    (tmp_path / "a.csv.gz").touch()
    for model, source, options, said in (
        (tile_model, "-", {"window": 9}, "was trained on pictures, not on plots"),
        (series_model, "-", {"window": 1}, "--window 1"),
        (series_model, "-", {"window": 9, "hop": 0}, "--hop 0"),
        (series_model, "-", {"window": 9, "lag": 0.0}, "--lag 0"),
        (series_model, tmp_path / "no.csv", {"window": 9}, "There is no file"),
        (series_model, tmp_path / "a.csv.gz", {"window": 9}, "is packed"),
        (series_model, "-", {"window": 9, "out": tmp_path / "there.jsonl"}, "is there already"),
        (series_model, "-", {"window": 9, "out": tmp_path / "no/lines.jsonl"}, "does not exist"),
    ):
        with pytest.raises(InputError, match=said):
            stream(model, source, reporter=QUIET, **options)
    with pytest.raises(InputError, match="no column 'c'"):
        stream(series_model, ["a,b", "1,2"], window=2, column="c", reporter=QUIET)

"""`orchestrate watch`: each complete file has one line, across restarts, kills and full disks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.kept_models import run_with
from PIL import Image

from orchestrator import InputError, RunFolder, predict, watch
from orchestrator.machine.progress import Reporter
from orchestrator.scoring import drift_watch
from orchestrator.using.live import watch as module

from .conftest import Heard, until, watching

QUIET = Reporter(quiet=True)
ONCE: dict[str, Any] = {"once": True, "settle": 0.05, "reporter": QUIET}
MANY = 1_000


@pytest.fixture(autouse=True)
def few_threads(one_thread: None) -> None:
    """Small networks."""


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text(encoding="ascii").splitlines()]


def series(path: Path, count: int = 60, age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).normal(size=count)
    path.write_text("value\n" + "\n".join(f"{value:.6f}" for value in values) + "\n", encoding="utf-8")
    if age:
        os.utime(path, (time.time() - age, time.time() - age))
    return path


def each_once(out: Path, names: set[str]) -> bool:
    counted = Counter(Path(line["path"]).name for line in lines_of(out))
    return set(counted) == names and set(counted.values()) == {1}


def test_lines_say_what_predict_says_and_each_file_has_one(
    series_model: Path, series_tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.jsonl"
    found = watch(series_model, series_tree, out, **ONCE)
    assert sum(found.counts.values()) == 42
    predict(series_model, series_tree, tmp_path / "p.csv", reporter=QUIET)
    rows, expected = pd.read_json(out, lines=True).sort_values("path"), pd.read_csv(tmp_path / "p.csv")
    assert list(rows["path"]) == list(expected["path"])
    columns = ["verdict", "probability_step", "probability_trend", "probability_wave"]
    pd.testing.assert_frame_equal(rows[columns].reset_index(drop=True), expected[columns], rtol=1e-9)
    assert rows["size"].tolist() == [Path(path).stat().st_size for path in rows["path"]]
    before = out.read_bytes()
    assert watch(series_model, series_tree, out, **ONCE).counts == {}
    assert out.read_bytes() == before


def test_files_that_come_change_or_fail(series_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "r.jsonl"
    series(folder / "old.csv", age=100)
    bad = folder / "bad.csv"
    bad.write_text("value\nnone\n", encoding="utf-8")
    os.utime(bad, (time.time() - 200, time.time() - 200))
    with watching(series_model, folder, out, settle=0.1) as (lines, heard):
        until(lambda: len(lines) == 2)
        assert [(Path(one["path"]).name, one["status"]) for one in lines] == [("bad.csv", "failed"), ("old.csv", "ok")]
        assert any("bad.csv gives no result" in one for one in heard.said)
        young = folder / "young.csv"
        young.write_text("value\n1.5\n", encoding="utf-8")  # too few values, so far
        time.sleep(0.5)
        assert len(lines) == 2
        series(young)
        until(lambda: len(lines) == 3)
        series(bad)
        until(lambda: len(lines) == 4)
    assert [Path(one["path"]).name for one in lines_of(out)] == ["bad.csv", "old.csv", "young.csv", "bad.csv"]
    assert [one["status"] for one in lines_of(out)] == ["failed", "ok", "ok", "ok"]


def test_a_young_file_that_stays_broken_fails_after_a_few_tries(
    series_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(module, "TRIES", 2)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bad.csv").write_text("value\nnone\n", encoding="utf-8")
    watch(series_model, folder, tmp_path / "r.jsonl", **ONCE)
    assert len(counted()) == 2
    assert [one["status"] for one in lines_of(tmp_path / "r.jsonl")] == ["failed"]


def test_killed_in_the_middle_gone_on_with_and_stopped_by_ctrl_c(
    series_model: Path, tmp_path: Path, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "r.jsonl"
    names = {series(folder / f"{number:02d}.csv", count=4_000).name for number in range(60)}
    arguments = ("watch", series_model, folder, "--out", out, "--settle", "0.05", "--poll", "0.2", "--quiet")
    process = started(*arguments)
    until(lambda: process.poll() is not None or (out.exists() and out.stat().st_size > 0))
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(lines_of(out))
    with out.open("ab") as file:
        file.write(b'{"path": "/half/of/a/li')
    process = started(*arguments)
    until(lambda: process.poll() is not None or out.read_bytes().count(b"\n") == 60)
    process.send_signal(signal.SIGINT)
    said, wrong = process.communicate(timeout=60)
    assert process.returncode == 130, wrong
    assert said.startswith(f"{60 - done} file")
    assert wrong == ""
    assert each_once(out, names)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_at_once_and_killed_again_and_again(
    series_model: Path, tmp_path: Path, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "r.jsonl"
    folder.mkdir()
    arguments = ("watch", series_model, folder, "--out", out, "--settle", "0.2", "--quiet")
    process = started(*arguments)
    until(out.exists)
    names = {series(folder / f"{number % 7}/{number:04d}.csv").name for number in range(MANY)}
    for share in (0.1, 0.35, 0.6, 0.85):
        until(lambda share=share: out.read_bytes().count(b"\n") >= share * MANY, 600)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert out.read_bytes().count(b"\n") < MANY
        process = started(*arguments)
    until(lambda: out.read_bytes().count(b"\n") >= MANY, 600)
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "files in" in said
    assert each_once(out, names)


def test_results_of_others_are_refused(
    series_model: Path, tile_model: Path, series_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tiles = tmp_path / "r.jsonl", tmp_path / "tiles"
    tiles.mkdir()
    series(tmp_path / "in/a.csv", age=9)
    watch(series_model, tmp_path / "in", out, **ONCE)
    with pytest.raises(InputError, match=r"results of another folder, model, threshold\. Give"):
        watch(tile_model, tiles, out, **ONCE)
    with pytest.raises(InputError, match="results of another folder"):
        watch(series_model, tiles, out, **ONCE)
    monkeypatch.chdir(tmp_path)
    assert watch(series_model, "in", "r.jsonl", **ONCE).counts == {}, "the same folder by another name"
    predict(series_model, series_tree, tmp_path / "p.jsonl", reporter=QUIET)
    with pytest.raises(InputError, match="does not say that it comes of watching"):
        watch(series_model, series_tree, tmp_path / "p.jsonl", **ONCE)
    out.write_text('{"verdict": "step"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="its line 1 is none of a file"):
        watch(series_model, tmp_path / "in", out, **ONCE)


def test_what_can_t_be_done_is_told_before_any_work(series_model: Path, tile_model: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "r.jsonl", tmp_path / "in"
    folder.mkdir()
    for model, where, options, said in (
        (series_model, tmp_path / "no", {}, "does not exist"),
        (series_model, folder, {"command": "true"}, "say by --normal which class"),
        (series_model, folder, {"command": "true", "normal": "good"}, "is no class of"),
        (tile_model, folder, {"command": "true", "normal": "normal"}, "Leave --normal out"),
        (tile_model, folder, {"command": "no-such-program-here"}, "there is no program"),
        (tile_model, folder, {"command": "echo 'a"}, "can't be split"),
        (tile_model, folder, {"settle": -1.0}, "--settle -1"),
        (tile_model, folder, {"poll": 0.0}, "--poll 0"),
    ):
        with pytest.raises(InputError, match=said):
            watch(model, where, out, reporter=QUIET, **options)
    for name, said in (("r.csv", "are JSON lines"), ("no/r.jsonl", "does not exist")):
        with pytest.raises(InputError, match=said):
            watch(series_model, folder, tmp_path / name, **ONCE)
    assert not list(tmp_path.glob("r.*"))


def test_one_process_at_a_time(series_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "r.jsonl"
    folder.mkdir()
    with watching(series_model, folder, out), pytest.raises(InputError, match="Another process writes"):
        watch(series_model, folder, out, **ONCE)
    assert watch(series_model, folder, out, **ONCE).counts == {}


def test_results_that_are_moved_away_end_the_watch(series_model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "r.jsonl"
    series(folder / "a.csv", age=9)
    with watching(series_model, folder, out, settle=0.1) as (lines, heard):
        until(lambda: len(lines) == 1)
        out.rename(tmp_path / "elsewhere.jsonl")
        series(folder / "b.csv")
        until(lambda: bool(heard.raised))
        assert "was moved or removed" in str(heard.raised.pop())


SCRIPT = """
import os, pathlib, sys
told = {key: value for key, value in os.environ.items() if key.startswith("ORCHESTRATOR_")}
line = " ".join([pathlib.Path(sys.argv[1]).name, told["ORCHESTRATOR_VERDICT"], told["ORCHESTRATOR_SCORE"]])
with open(sys.argv[2], "a") as file:
    file.write(line + chr(10))
sys.exit(3)
"""


def test_the_command_is_run_once_for_each_anomaly(tile_model: Path, tile_tree: Path, tmp_path: Path) -> None:
    folder, out, ran, script = (tmp_path / name for name in ("in", "r.jsonl", "ran.txt", "s.py"))
    script.write_text(SCRIPT, encoding="utf-8")
    shutil.copytree(tile_tree / "test", folder)
    heard = Heard()
    how = {**ONCE, "reporter": heard, "command": f"{sys.executable} {script} {{}} '{ran}'"}
    watch(tile_model, folder, out, **how)
    anomalies = [one for one in lines_of(out) if one["alarm"]]
    assert 0 < len(anomalies) < len(lines_of(out))
    assert {one["verdict"] for one in anomalies} == {"anomaly"}
    expected = [f"{Path(one['path']).name} anomaly {one['score']}" for one in anomalies]
    assert sorted(ran.read_text(encoding="utf-8").splitlines()) == sorted(expected)
    assert sum("ended with 3" in one for one in heard.said) == len(anomalies)
    watch(tile_model, folder, out, **how)
    assert len(ran.read_text(encoding="utf-8").splitlines()) == len(anomalies)
    # As if it had been killed before the last command ended.
    journal = tmp_path / "r.jsonl.commands.jsonl"
    kept = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(kept[:-1]) + kept[-1][:20], encoding="utf-8")
    watch(tile_model, folder, out, **how)
    assert len(ran.read_text(encoding="utf-8").splitlines()) == len(anomalies) + 1
    assert len(journal.read_text(encoding="utf-8").splitlines()) == len(anomalies)


def test_a_command_of_a_classifier_that_takes_too_long_is_ended(series_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    series(folder / "a.csv", age=9)
    (verdict,) = watch(series_model, folder, tmp_path / "first.jsonl", **ONCE).counts
    other = next(one for one in ("step", "trend") if one != verdict)
    for normal, count in ((verdict, 0), (other, 1)):
        heard = Heard()
        how = {**ONCE, "reporter": heard, "command": "sh -c 'sleep 600'", "normal": normal, "exec_timeout": 0.2}
        watch(series_model, folder, tmp_path / f"{count}.jsonl", **how)
        assert sum("no end within 0.2 s" in one for one in heard.said) == count


def test_drift_is_said_when_it_begins_and_ends(
    tile_model: Path, tile_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_watch, "EVERY", 24)
    monkeypatch.setattr(drift_watch, "WINDOW", 24)
    folder, out = tmp_path / "in", tmp_path / "r.jsonl"
    folder.mkdir()
    pictures = sorted((tile_tree / "train/good").glob("*.png"))
    with watching(tile_model, folder, out, settle=0.1) as (lines, heard):
        for step, value in enumerate((1.0, 0.4, 1.0)):
            for path in pictures:
                darker = Image.open(path).convert("RGB").point(lambda pixel, value=value: int(pixel * value))
                darker.save(folder / f"{step}_{path.name}")
            until(lambda step=step: len(lines) == (step + 1) * len(pictures))  # type: ignore[misc]
    told = [one for one in heard.said if "validation" in one]
    assert len(told) == 2, told
    assert "Beware" in told[0]
    assert "brightness" in told[0]
    assert "are like validation's again" in told[1]


@pytest.mark.slow
def test_a_full_disk_loses_nothing(series_model: Path, tmp_path: Path, small_disk: Callable[[str], Path]) -> None:
    folder, disk = tmp_path / "in", small_disk("1m")
    names = {series(folder / f"{number:02d}.csv", age=9).name for number in range(80)}
    out = disk / "r.jsonl"
    out.touch()
    with (disk / "ballast").open("wb", buffering=0) as full, suppress(OSError):
        while full.write(b"\0" * 4096):
            pass
    with (disk / "ballast").open("ab") as full:
        full.truncate((disk / "ballast").stat().st_size - 5 * 4096)
    with pytest.raises(InputError, match=r"No space left.*nothing is lost"):
        watch(series_model, folder, out, **ONCE)
    done = len(lines_of(out))
    assert done < len(names)
    (disk / "ballast").unlink()
    watch(series_model, folder, out, **ONCE)
    assert each_once(out, names)


def test_a_run_s_winner_watches(series_model: Path, tmp_path: Path, orchestrate: Callable[..., Any]) -> None:
    run = run_with(tmp_path / "run", {"strong": {0: (0.9, 0.9)}}, "macro_f1", "pca_logistic")
    shutil.copytree(series_model, RunFolder(run).model("strong", 0))
    series(tmp_path / "in/a.csv", age=9)
    ended = orchestrate("watch", run, tmp_path / "in", "--out", tmp_path / "r.jsonl", "--once")
    assert ended.code == 0, ended.err
    assert "strong, seed 0" in ended.err
    assert "Watching" in ended.err
    assert len(lines_of(tmp_path / "r.jsonl")) == 1

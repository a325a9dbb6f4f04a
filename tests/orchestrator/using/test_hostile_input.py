"""What strangers call their files and write into their models, and where results can't lie."""

import csv
import fcntl
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import InputError, predict
from orchestrator.artifacts.models import KeptEnsemble, KeptMember, keep_ensemble
from orchestrator.machine.progress import Reporter
from orchestrator.using.inputs import inputs_of
from orchestrator.using.loaded_model import LoadedModel
from orchestrator.using.result_file import Journal, Table, checked_out
from orchestrator.using.rows import failed
from orchestrator.using.scorer import Scorer
from trainables.files import write_whole

QUIET = Reporter(quiet=True)


@pytest.fixture(autouse=True)
def few_threads(one_thread: None) -> None:
    """Small networks."""


@pytest.fixture
def spoilt(tile_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the detector whose note says something else: keys -> its folder."""

    def make(**keys: Any) -> Path:
        folder = tmp_path / "models/tiles/0"
        shutil.copytree(tile_model, folder, dirs_exist_ok=True)
        note = json.loads((tile_model / "model.json").read_text(encoding="utf-8"))
        (folder / "model.json").write_text(json.dumps({**note, **keys}), encoding="utf-8")
        return folder

    return make


@pytest.mark.parametrize("name", ["=HYPERLINK(1).png", "@a.png", "-x.png", "+1;=2.png", "a\r=b.png", "\t=c.png"])
def test_no_spreadsheet_runs_a_name(name: str) -> None:
    table = Table(["normal", "=cmd"], detection=False, threshold=None)
    text = "".join(table.text([{**failed(name, "broken", -0.5), "verdict": "=cmd"}], "csv"))
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header[4] == "probability_=cmd"
    assert row[0].lstrip("'") == name
    assert row[2] == "'=cmd"
    assert row[5] == "-0.5", "a number stays one"
    if ";" in name or "\r" in name:
        assert f'"{row[0]}"' in text, "what may begin a cell of its own is quoted"
    else:
        assert row[0] == f"'{name}"


@pytest.mark.parametrize(
    "keys",
    [
        {"threshold": float("nan")},
        {"format": 2},
        {"preprocessing": {}},
        {"preprocessing": {"layout": ["mvtec"], "column": None, "style": None}},
        {"preprocessing": {"layout": "other", "column": None, "style": None}},
    ],
    ids=str,
)
def test_a_note_that_can_t_be_is_refused(spoilt: Callable[..., Path], tile_tree: Path, keys: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="holds no kept model that this version reads"):
        predict(spoilt(**keys), tile_tree / "test/hole", reporter=QUIET)


@pytest.mark.parametrize("keys", [{"threshold": None}, {"classes": ["one"]}], ids=str)
def test_a_detector_without_a_line_calls_nothing_normal(
    spoilt: Callable[..., Path], tile_tree: Path, keys: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="does not fit together"):
        predict(spoilt(**keys), tile_tree / "test/hole", reporter=QUIET)


def test_weights_that_are_a_pipe_keep_nobody_waiting(spoilt: Callable[..., Path], tile_tree: Path) -> None:
    folder = spoilt()
    (folder / "weights.pt").unlink()
    os.mkfifo(folder / "weights.pt")
    with pytest.raises(InputError, match="missing or not what was kept"):
        predict(folder, tile_tree / "test/hole", reporter=QUIET)


def test_an_ensemble_leads_to_nothing_outside_its_run(
    spoilt: Callable[..., Path], tile_model: Path, tile_tree: Path, tmp_path: Path
) -> None:
    inside = spoilt()
    weights = json.loads((inside / "model.json").read_text(encoding="utf-8"))["weights"]
    folder = tmp_path / "models/all/0"

    def keep(member: str, **keys: Any) -> None:
        one = KeptMember(variant="tiles", seed=0, folder=member, weights=weights, weight=1.0)
        kept = KeptEnsemble(
            variant="all", seed=0, task="detection", classes=("normal", "anomaly"), members=(one,), threshold=0.5,
            code="1",
        )  # fmt: skip
        keep_ensemble(folder, kept.model_copy(update=keys))

    keep("../../tiles/0")
    assert predict(folder, tile_tree / "test/hole", reporter=QUIET).rows
    for elsewhere in (str(tile_model), os.path.relpath(tile_model, folder), "a\0b", ".."):
        keep(elsewhere)
        with pytest.raises(InputError, match="names a member that is none of its run"):
            predict(folder, tile_tree / "test/hole", reporter=QUIET)
    keep("../../tiles/0", members=())
    with pytest.raises(InputError, match="holds no ensemble that this version reads"):
        predict(folder, tile_tree / "test/hole", reporter=QUIET)
    keep("../../tiles/0", threshold=None)
    with pytest.raises(InputError, match="does not fit together"):
        predict(folder, tile_tree / "test/hole", reporter=QUIET)


def test_a_score_that_is_no_number_is_no_verdict(
    tile_model: Path, tile_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = Scorer._scored

    def spoiled(self: Scorer, *arguments: Any) -> Any:
        scores, statistics = scored(self, *arguments)
        return np.where(np.arange(len(scores)) == 0, np.nan, scores), statistics

    monkeypatch.setattr(Scorer, "_scored", spoiled)
    found = predict(tile_model, tile_tree / "test/hole", reporter=QUIET)
    wrong = [row for row in found.rows if row["status"] == "failed"]
    assert wrong
    assert {row["reason"] for row in wrong} == {"the model's score of it is no finite number"}
    assert all(row["verdict"] is None for row in wrong)


def test_a_file_that_goes_while_it_is_scored_costs_no_other(
    tile_model: Path, tile_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tile_tree / "test/hole", data)
    gone = sorted(data.iterdir())[2]
    model_predict = LoadedModel.predict

    def slow(self: LoadedModel, pictures: Any, **more: Any) -> Any:
        if len(pictures) > 1:
            gone.unlink(missing_ok=True)
        return model_predict(self, pictures, **more)

    monkeypatch.setattr(LoadedModel, "predict", slow)
    found = predict(tile_model, data, heat_maps=tmp_path / "maps", reporter=QUIET)
    assert [row["path"] for row in found.rows if row["status"] == "failed"] == [str(gone)]


def test_maps_that_can_t_be_written_are_no_file_s_fault(tile_model: Path, tile_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="file/maps: Not a directory"):
        predict(tile_model, tile_tree / "test/hole", heat_maps=tmp_path / "file/maps", reporter=QUIET)


def test_two_do_not_write_the_same_results(tile_model: Path, tile_tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.csv"
    with (tmp_path / "r.csv.unfinished").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="Another process puts its results"):
            predict(tile_model, tile_tree / "test/hole", out, reporter=QUIET)
    predict(tile_model, tile_tree / "test/hole", out, reporter=QUIET)
    assert out.is_file()


def test_a_journal_that_was_taken_away_gives_no_wrong_rows(tmp_path: Path) -> None:
    names = ["a.png", "b.png"]
    journal = Journal(tmp_path / "r.csv.unfinished", {}, names)
    journal.add(names[:1], [""], [failed(names[0], "broken", 0.0)])
    (tmp_path / "r.csv.unfinished").unlink()
    with pytest.raises(InputError, match="was moved or removed"):
        journal.add(names[1:], [""], [failed(names[1], "broken", 0.0)])
    with pytest.raises(InputError, match="was moved or removed"):
        list(journal.rows())
    assert not list(tmp_path.iterdir())


def test_results_replace_no_folder_no_device_and_no_input(
    series_model: Path, tile_model: Path, tile_tree: Path, series_tree: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for place in (tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(InputError, match="is no file"):
            predict(tile_model, tile_tree / "test/hole", place, overwrite=True, reporter=QUIET)
    assert checked_out(tmp_path / "pipe.csv", overwrite=True, pipe=True)
    with pytest.raises(OSError, match="not a regular file"):
        write_whole(tmp_path / "pipe.csv", "text", wait=False)
    series = tmp_path / "one.csv"
    shutil.copy(series_tree / "wave/000.csv", series)
    with pytest.raises(InputError, match="would be replaced"):
        predict(series_model, tmp_path, series, overwrite=True, reporter=QUIET)


def test_a_full_disk_loses_no_row(
    tile_model: Path, tile_tree: Path, small_disk: Callable[[str], Path], orchestrate: Callable[..., Any]
) -> None:
    disk = small_disk("64k")
    filler = disk / "filler"
    filler.write_bytes(b"0" * (60 * 1024))
    out = disk / "r.csv"
    ended = orchestrate("predict", tile_model, tile_tree / "train", tile_tree / "test", "--out", out, "-q")
    assert (ended.code, out.exists()) == (2, False)
    assert "No space left on device. Make room" in ended.err
    assert "r.csv.unfinished: the same command goes on" in ended.err
    filler.unlink()
    assert orchestrate("predict", tile_model, tile_tree / "train", tile_tree / "test", "--out", out, "-q").code == 0


def test_names_that_can_be_no_path_are_told(tile_model: Path, orchestrate: Callable[..., Any]) -> None:
    long = "a" * 300
    for arguments in ((long, tile_model), (f"{long}:pca", tile_model), (tile_model, long), (tile_model, "")):
        ended = orchestrate("predict", *arguments)
        assert ended.code == 2, ended.err
        assert ended.err.startswith("Error: ")


def test_lists_that_are_written_otherwise_are_told(of_series: LoadedModel) -> None:
    from orchestrator.data.layouts.table import LAYOUTS

    layout = LAYOUTS[of_series.kept.preprocessing["layout"]]
    with pytest.raises(InputError, match="parted by zero bytes"):
        inputs_of(["-"], layout, ["a.csv\0b.csv\0"])
    with pytest.raises(InputError, match="bytes that this locale can't read"):
        inputs_of(["-"], layout, io.TextIOWrapper(io.BytesIO(b"caf\xe9.csv\n"), encoding="utf-8"))

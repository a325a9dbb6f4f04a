"""The file that a broken-off training goes on from: whole, its own, or absent."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator.scoring.judge import Judge
from trainables.files import bytes_sha256
from trainables.interface import Problem
from trainables.plot_classifier import FAMILY
from trainables.small_files import FolderFiles
from trainables.training.trial import Job, epochs
from trainables.training.trial_state import FORMAT, TrialState, state_key, told_of_foreign

CONTENT: dict[str, Any] = {"model": {"weight": torch.arange(50.0), "epoch": 3}, "note": "third"}


@pytest.fixture
def state(tmp_path: Path) -> TrialState:
    return TrialState(FolderFiles(tmp_path / "states"), state_key({"family": "vae", "seed": 1}))


def folder_of(state: TrialState) -> Path:
    """Where its file lies."""
    assert isinstance(state.files, FolderFiles)
    return state.files.folder


def path_of(state: TrialState) -> Path:
    return folder_of(state) / state.file.name


def test_what_is_saved_is_loaded(state: TrialState) -> None:
    assert state.load() is None
    state.save(CONTENT)
    loaded = TrialState(state.files, state.key).load()
    assert loaded is not None
    assert torch.equal(loaded["model"]["weight"], CONTENT["model"]["weight"])
    assert (loaded["model"]["epoch"], loaded["note"]) == (3, "third")
    state.save({"note": "fourth"})
    assert state.load() == {"note": "fourth"}
    assert [path.name for path in folder_of(state).iterdir()] == [path_of(state).name]
    state.remove()
    assert state.load() is None
    state.remove()


def test_a_file_cut_at_any_of_twenty_places_counts_as_absent(state: TrialState) -> None:
    state.save(CONTENT)
    whole = path_of(state).read_bytes()
    for cut in range(20):
        path_of(state).write_bytes(whole[: len(whole) * cut // 20])
        assert state.load() is None


def test_a_changed_byte_counts_as_absent(state: TrialState) -> None:
    state.save(CONTENT)
    whole = bytearray(path_of(state).read_bytes())
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        spoiled = whole.copy()
        spoiled[place] ^= 0xFF
        path_of(state).write_bytes(spoiled)
        assert state.load() is None


def test_noise_and_another_training_count_as_absent(state: TrialState) -> None:
    other = TrialState(state.files, state_key({"family": "vae", "seed": 2}))
    other.save(CONTENT)
    path_of(state).write_bytes(path_of(other).read_bytes())
    assert state.load() is None
    path_of(state).write_bytes(b"\0" * 500)
    assert state.load() is None


def test_the_key_is_of_all_that_decides() -> None:
    key = state_key({"config": {"a": 1, "b": 2}, "seed": 0})
    assert key == state_key({"seed": 0, "config": {"b": 2, "a": 1}})
    assert key != state_key({"config": {"a": 1, "b": 2}, "seed": 1})


def test_short_trainings_are_not_saved(state: TrialState) -> None:
    assert not state.due()
    state._saved -= 1000
    assert state.due()
    state.save(CONTENT)
    assert not state.due()


def foreign(state: TrialState, content: Any) -> None:
    """Write something else with the right checksum."""
    payload = io.BytesIO()
    torch.save(content, payload)
    folder_of(state).mkdir(exist_ok=True)
    path_of(state).write_bytes(bytes_sha256(payload.getvalue()).encode() + payload.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        [1, 2], {}, "text", 3, None, torch.ones(3), {"format": 2, "key": "k", "content": {}},
        {"format": FORMAT, "key": "another", "content": CONTENT}, {"format": FORMAT, "key": None, "content": [1]},
        torch.nn.Linear(2, 2),
    ],
)  # fmt: skip
def test_whole_bytes_of_something_else_are_set_aside_and_told_of_once(state: TrialState, content: Any) -> None:
    if isinstance(content, dict) and content.get("key", "") is None:
        content = content | {"key": state.key}
    foreign(state, content)
    assert state.load() is None
    assert not path_of(state).exists()
    (said,) = told_of_foreign(folder_of(state))
    assert "1 saved states" in said
    assert told_of_foreign(folder_of(state)) == []
    state.save(CONTENT)
    assert state.load() is not None


def test_bytes_that_are_no_archive_are_set_aside(state: TrialState) -> None:
    folder_of(state).mkdir()
    for payload in (b"", b"text", b"PK\x03\x04", pickle.dumps(CONTENT["note"])):
        path_of(state).write_bytes(bytes_sha256(payload).encode() + payload)
        assert state.load() is None
        assert len(told_of_foreign(folder_of(state))) == 1


PAST = {"rows": [{"loss": 1.0}], "bests": [1], "metrics": {"1": {"loss": 1.0}}, "seconds": 1.0, "energy": None}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda saved: saved.pop("model"),
        lambda saved: saved.pop("weights"),
        lambda saved: saved.pop("past"),
        lambda saved: saved.update(past="{"),
        lambda saved: saved.update(past="[" * 100_000),
        lambda saved: saved.update(past=json.dumps(PAST | {"bests": [3]})),
        lambda saved: saved.update(past=json.dumps(PAST | {"rows": 3})),
        lambda saved: saved.update(scores="text"),
        lambda saved: saved.update(model={"network": {"strange": torch.ones(3)}}),
        lambda saved: saved["model"]["loop"].update(optimizer={"state": {}, "param_groups": []}),
    ],
)
def test_a_training_whose_state_is_foreign_begins_anew_as_if_there_were_none(
    state: TrialState, make_samples: Any, spoil: Any
) -> None:
    samples, validation = make_samples(16, 1), make_samples(6, 2)
    job = Job(
        FAMILY, Problem(samples.classes, (32, 32, 3), 2), samples, validation, Judge("classification"), "macro_f1",
        "max", None, 1,
    )  # fmt: skip
    config = {"backbone": "shufflenet_v2_x0_5", "weights": "none", "batch_size": 8}
    expected = [one.row for one in epochs(job.build(config, 0), job)]
    model = job.build(config, 0)
    content = {
        "model": job.build(config, 1).state(), "weights": {}, "past": json.dumps(PAST), "scores": torch.ones(6, 3),
    }  # fmt: skip
    spoil(content)
    state.save(content)
    assert [one.row for one in epochs(model, job, state=state)] == expected
    assert len(told_of_foreign(folder_of(state))) == 1

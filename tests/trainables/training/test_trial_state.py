"""The file that a broken-off training goes on from: whole, its own, or absent."""

from pathlib import Path
from typing import Any

import pytest
import torch

from trainables.training.trial_state import TrialState, state_key

CONTENT: dict[str, Any] = {"model": {"weight": torch.arange(50.0), "epoch": 3}, "note": "third"}


@pytest.fixture
def state(tmp_path: Path) -> TrialState:
    return TrialState(tmp_path / "states", state_key({"family": "vae", "seed": 1}))


def test_what_is_saved_is_loaded(state: TrialState) -> None:
    assert state.load() is None
    state.save(CONTENT)
    loaded = TrialState(state.folder, state.key).load()
    assert loaded is not None
    assert torch.equal(loaded["model"]["weight"], CONTENT["model"]["weight"])
    assert (loaded["model"]["epoch"], loaded["note"]) == (3, "third")
    state.save({"note": "fourth"})
    assert state.load() == {"note": "fourth"}
    assert [path.name for path in state.folder.iterdir()] == [state.path.name]
    state.remove()
    assert state.load() is None
    state.remove()


def test_a_file_cut_at_any_of_twenty_places_counts_as_absent(state: TrialState) -> None:
    state.save(CONTENT)
    whole = state.path.read_bytes()
    for cut in range(20):
        state.path.write_bytes(whole[: len(whole) * cut // 20])
        assert state.load() is None


def test_a_changed_byte_counts_as_absent(state: TrialState) -> None:
    state.save(CONTENT)
    whole = bytearray(state.path.read_bytes())
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        spoiled = whole.copy()
        spoiled[place] ^= 0xFF
        state.path.write_bytes(spoiled)
        assert state.load() is None


def test_noise_and_another_training_count_as_absent(state: TrialState) -> None:
    other = TrialState(state.folder, state_key({"family": "vae", "seed": 2}))
    other.save(CONTENT)
    state.path.write_bytes(other.path.read_bytes())
    assert state.load() is None
    state.path.write_bytes(b"\0" * 500)
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

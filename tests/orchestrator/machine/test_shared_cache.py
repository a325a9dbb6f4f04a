import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import cached, clean_cache
from orchestrator.machine.shared_cache import about_text, contents_text
from trainables.cache import Cache
from trainables.errors import InputError

DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of three entries of different ages, in days: features 3 and 0, components 1."""
    monkeypatch.setenv("ORCHESTRATOR_CACHE", str(tmp_path))
    for kind, days in (("features", 3), ("components", 1), ("features", 0)):
        key = {"what": "projected stages", "days": days, "weights": "ab" * 32, "depth": []}
        Cache(tmp_path).kept(kind, key, lambda: {"values": np.zeros(200_000)})
        entry, moment = Cache(tmp_path).entry(kind, key).folder, time.time() - days * DAY - 60
        for path in (entry / "entry.json", entry):
            os.utime(path, (moment, moment))
    return tmp_path


def test_it_is_listed_with_what_was_unused_for_longest_first(folder: Path) -> None:
    found = cached()
    assert [(one.kind, one.about["days"]) for one in found.entries] == [
        ("features", 3),
        ("components", 1),
        ("features", 0),
    ]
    assert found.folder == str(folder)
    assert found.bytes > 3 * 1_600_000
    lines = contents_text(found).splitlines()
    assert lines[0].split() == ["kind", "size", "last", "used", "what"]
    assert lines[1].startswith("features    1.6 MB")
    assert lines[1].endswith("projected stages, days 3")
    assert lines[-1] == f"3 entries, 4.8 MB, in {folder}, which may take 20.0 GB (ORCHESTRATOR_CACHE_GB)."


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ({}, []),
        ({"older_than": 2}, [1, 0]),
        ({"kind": "features"}, [1]),
        ({"older_than": 0.5, "kind": "features"}, [1, 0]),
        ({"older_than": 30}, [3, 1, 0]),
    ],
)
def test_what_is_removed_is_what_was_asked_for(folder: Path, keys: dict[str, Any], left: list[int]) -> None:
    before = cached()
    removed = clean_cache(**keys)
    assert [one.about["days"] for one in cached().entries] == left
    assert removed.bytes == before.bytes - cached().bytes


@pytest.mark.usefixtures("folder")
def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match=r"nothing of the kind 'feature'; it holds components, features"):
        clean_cache(kind="feature")
    with pytest.raises(InputError, match="a number of days, 0 or more"):
        clean_cache(older_than=-1)
    assert len(cached().entries) == 3


def test_an_empty_cache_is_said_to_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_CACHE", str(tmp_path / "none"))
    assert contents_text(cached()).startswith("Nothing lies in ")
    assert clean_cache().entries == ()
    with pytest.raises(InputError, match="it is empty"):
        clean_cache(kind="features")


def test_a_key_is_told_without_hashes_and_in_one_line() -> None:
    assert about_text({"what": "a", "weights": "0" * 64, "layers": "2+3", "depth": []}) == "a, layers 2+3"
    assert len(about_text({"what": "x" * 300})) == 100


def test_the_commands(folder: Path, orchestrate: Callable[..., Any]) -> None:
    assert len(json.loads(orchestrate("cache", "ls", "--json").out)["entries"]) == 3
    assert orchestrate("cache", "clean", "--kind", "components").out.startswith("Removed 1 entry, 1.6 MB, from ")
    ended = orchestrate("cache", "clean", "--kind", "models")
    assert (ended.code, "Error: The cache in" in ended.err) == (2, True)
    assert orchestrate("cache", "clean").out.startswith("Removed 2 entries")
    assert orchestrate("cache", "ls").out.startswith("Nothing lies in ")

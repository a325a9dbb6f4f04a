import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables import cache as module
from trainables.cache import Arrays, Cache, own_cache, why_unwritable
from trainables.errors import InputError

KEY = {"weights": "abc", "layers": [2, 3]}
VALUES = np.arange(12.0).reshape(3, 4)


class Made:
    """Counts how often it is asked."""

    def __init__(self, values: np.ndarray = VALUES) -> None:
        self.times, self.values = 0, values

    def __call__(self) -> Arrays:
        self.times += 1
        return {"values": self.values, "ids": np.array([b"one", b"two"])}


def never() -> Arrays:
    raise AssertionError("what is there must be found, not made")


def whole(cache: Cache, key: dict[str, Any] = KEY) -> Path:
    return cache.entry("features", key).folder / "whole"


def test_what_was_made_is_found_again_and_can_not_be_changed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "not" / "yet")
    cache.kept("features", KEY, Made())
    found = cache.kept("features", dict(reversed(KEY.items())), never)
    np.testing.assert_array_equal(found["values"], VALUES)
    assert found["ids"].tolist() == [b"one", b"two"]
    assert isinstance(found["values"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found["values"][0] = 1


def test_another_key_or_kind_is_another_entry(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), Made()
    for kind, key in (("features", KEY), ("features", {**KEY, "layers": [2]}), ("components", KEY)):
        cache.kept(kind, key, made)
    assert made.times == 3
    assert [(one.kind, one.about) for one in cache.listed()].count(("features", KEY)) == 1


def spoiled(folder: Path, how: str) -> None:
    file = folder / "values.npy"
    content = file.read_bytes()
    if how == "cut":
        file.write_bytes(content[:-8])
    elif how == "one bit":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "gone":
        file.unlink()
    elif how == "another's":
        index = json.loads((folder / "index.json").read_text())
        (folder / "index.json").write_text(json.dumps({**index, "entry": "0" * 64}))
    elif how == "no index":
        (folder / "index.json").unlink()
    else:
        assert how == "index without sense"
        (folder / "index.json").write_text("[1")


@pytest.mark.parametrize("how", ["cut", "one bit", "gone", "another's", "no index", "index without sense"])
def test_an_entry_that_is_not_sound_is_made_anew(tmp_path: Path, how: str) -> None:
    cache, made = Cache(tmp_path), Made()
    cache.kept("features", KEY, made)
    spoiled(whole(cache), how)
    np.testing.assert_array_equal(cache.kept("features", KEY, made)["values"], VALUES)
    assert made.times == 2
    np.testing.assert_array_equal(cache.kept("features", KEY, never)["values"], VALUES)


def test_a_file_changed_after_it_was_read_once_is_found_out(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), Made()
    for _ in range(2):
        cache.kept("features", KEY, made)
    file = whole(cache) / "values.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    cache.kept("features", KEY, made)
    assert made.times == 2


def test_two_that_want_one_key_make_it_once(tmp_path: Path) -> None:
    cache, pulses, times = Cache(tmp_path), [], []

    def slow() -> Arrays:
        times.append(1)
        time.sleep(0.2)
        return {"values": VALUES}

    found: list[Arrays] = []

    def want() -> None:
        found.append(cache.kept("features", KEY, slow, lambda: pulses.append(1)))

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1
    assert pulses
    for one in found:
        np.testing.assert_array_equal(one["values"], VALUES)


def test_a_wait_ends_with_what_the_pulse_raises(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def stop() -> None:
        raise TimeoutError

    with cache.entry("features", KEY).locked("whole"), pytest.raises(TimeoutError):
        cache.kept("features", KEY, never, stop)


def test_what_was_unused_for_longest_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most_bytes=25_000)
    for number in range(2):
        cache.kept("features", {"number": number}, Made(np.zeros(1_000)))
        os.utime(cache.entry("features", {"number": number}).folder / "entry.json", (number, number))
        os.utime(cache.entry("features", {"number": number}).folder, (number, number))
    cache.kept("features", {"number": 0}, never)  # used again
    cache.kept("features", {"number": 2}, Made(np.zeros(1_000)))
    assert sorted(one.about["number"] for one in cache.listed()) == [0, 2]


@pytest.mark.parametrize("most", [0, 500])
def test_what_is_larger_than_the_limit_is_made_and_not_kept(tmp_path: Path, most: int) -> None:
    cache, made = Cache(tmp_path, most_bytes=most), Made(np.zeros(100))
    for _ in range(2):
        assert not cache.kept("features", KEY, made)["values"].any()
    assert made.times == 2


def test_the_rest_of_the_disk_is_left_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage._replace(free=module.RESERVE))
    cache, made = Cache(tmp_path), Made()
    cache.kept("features", KEY, made)
    assert not whole(cache).exists()
    with pytest.raises(OSError, match="2 GB of the disk stay free") as caught:
        cache.entry("features", KEY).write("whole", made())
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("place", [lambda path: path / "file", lambda path: path / "file" / "below"])
def test_without_a_folder_all_is_made(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    (tmp_path / "file").write_text("in its place")
    made = Made()
    for _ in range(2):
        np.testing.assert_array_equal(Cache(place(tmp_path)).kept("features", KEY, made)["values"], VALUES)
    assert made.times == 2
    assert Cache(place(tmp_path)).listed() == []
    assert why_unwritable(Cache(place(tmp_path)))
    assert why_unwritable(Cache(tmp_path / "new")) == ""


def test_a_failure_leaves_nothing_behind_and_the_lock_free(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(AssertionError, match="found, not made"):
        cache.kept("features", KEY, never)
    assert not whole(cache).exists()
    cache.kept("features", KEY, Made())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entry = cache.entry("features", KEY)
    entry.open()
    draft = entry.folder / f".whole.{module.socket.gethostname()}.4194305.1.part"
    draft.mkdir()
    cache.kept("features", KEY, Made())
    assert not draft.exists()


def test_removing_frees_what_is_listed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    opened = {number: cache.kept("features", {"number": number}, Made()) for number in range(3)}
    first, *others = cache.listed()
    assert cache.remove([first]) == first.bytes > VALUES.nbytes
    assert cache.listed() == others
    for one in opened.values():
        np.testing.assert_array_equal(one["values"], VALUES)


def test_where_the_cache_lies_and_how_large_it_is() -> None:
    assert own_cache({"XDG_CACHE_HOME": "/x"}) == Cache(Path("/x/anomaly-orchestrator"), 20 * 10**9)
    assert own_cache({"ORCHESTRATOR_CACHE": "/y", "ORCHESTRATOR_CACHE_GB": "0.5"}) == Cache(Path("/y"), 5 * 10**8)
    for wrong in ("-1", "much", "nan", "inf"):
        with pytest.raises(InputError, match="ORCHESTRATOR_CACHE_GB"):
            own_cache({"ORCHESTRATOR_CACHE_GB": wrong})


def test_drafts_are_no_parts_and_what_a_killed_removal_left_goes_with_the_next(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.kept("features", KEY, Made())
    entry = cache.entry("features", KEY)
    draft = entry.folder / ".other.host.1.2.part"
    draft.mkdir()
    (draft / "index.json").write_text((entry.folder / "whole" / "index.json").read_text())
    assert entry.parts() == ["whole"]
    left = tmp_path / "features" / ".abc.1.part"
    left.mkdir()
    cache.remove([])
    assert not left.exists()
    assert draft.exists(), "another process is writing it"

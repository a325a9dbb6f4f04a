"""One process at a time, whole shards only, and no garbage without bound."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.data.store.index import Index, Row, Rows, read_index
from orchestrator.data.store.shards import ShardContents, write_shard
from orchestrator.data.store.store import Recipe, open_store
from orchestrator.data.store.upkeep import LOOSE_SHARDS, claimed, finish, is_current, known_shards
from trainables.errors import InputError

SHAPE = (2, 3, 3)
RECIPE = Recipe("series", "plain", (2, 3), None, "identity")


def picture(number: int) -> np.ndarray:
    return np.full((1, *SHAPE), number, dtype=np.uint8)


def key_of(number: int) -> str:
    return RECIPE.key(f"content{number}")


def shard(folder: Path, *numbers: int) -> ShardContents:
    keys = [key_of(number) for number in numbers]
    return write_shard(folder / "shards", keys, [SHAPE[:2]] * len(keys), np.concatenate(list(map(picture, numbers))))


def index_of(shards: list[ShardContents], used: list[int]) -> Index:
    where = {key: (number, place) for number, one in enumerate(shards) for place, key in enumerate(one.keys)}
    rows = [Row(f"{name}.csv", 0, None, f"content{name}", 2, 3, 0, 0, 0, *where[key_of(name)]) for name in used]
    return Index(
        RECIPE.identity, SHAPE, "/data", "seen", "", ("a",), Rows.of(rows), (), tuple(one.shard for one in shards)
    )


def claim_elsewhere(folder: Path, answers: "multiprocessing.Queue[str]") -> None:
    try:
        with claimed(folder, RECIPE):
            answers.put("claimed")
    except InputError as error:
        answers.put(str(error))


def test_one_process_at_a_time_fills_a_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    with claimed(tmp_path / "store", RECIPE) as before:
        assert before is None
        other = context.Process(target=claim_elsewhere, args=(tmp_path / "store", answers))
        other.start()
        assert "Another process is filling the store" in answers.get(timeout=60)
        other.join()
    other = context.Process(target=claim_elsewhere, args=(tmp_path / "store", answers))
    other.start()
    assert answers.get(timeout=60) == "claimed"
    other.join()


def test_a_folder_that_can_not_be_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"), claimed(tmp_path / "file", RECIPE):
        pass
    with pytest.raises(InputError, match=r"holds something that is no store.*'file'"), claimed(tmp_path, RECIPE):
        pass
    with pytest.raises(InputError, match="can't be written: Not a directory"), claimed(tmp_path / "file/store", RECIPE):
        pass
    with pytest.raises(InputError, match="can't be written"), claimed(Path("/proc/store"), RECIPE):
        pass


def test_other_pictures_are_not_mixed_in(tmp_path: Path) -> None:
    with claimed(tmp_path / "store", RECIPE):
        pass
    other = Recipe("series", "seed", (2, 3), "x", "identity")
    message = "other pictures than are asked for now: style plain, not seed; column None, not x"
    with pytest.raises(InputError, match=message), claimed(tmp_path / "store", other):
        pass
    newer = Recipe("series", "plain", (2, 3), None, "newer")
    with claimed(tmp_path / "store", newer):
        pass


def test_shards_of_an_interrupted_run_are_known_where_they_are_whole(tmp_path: Path) -> None:
    with claimed(tmp_path, RECIPE) as before:
        whole, broken, undescribed = shard(tmp_path, 1, 2), shard(tmp_path, 3), shard(tmp_path, 4)
        path = tmp_path / f"shards/{broken.shard.name}.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
        (tmp_path / f"shards/{undescribed.shard.name}.json").unlink()
        (tmp_path / "shards/.123.part").write_bytes(b"half")
        assert list(known_shards(tmp_path, SHAPE, before)) == [whole]
        finish(tmp_path, RECIPE, index_of([whole], [1, 2]))
        assert {path.stem for path in (tmp_path / "shards").iterdir()} == {whole.shard.name}


def test_little_garbage_stays_and_much_is_packed_away(tmp_path: Path) -> None:
    with claimed(tmp_path, RECIPE):
        shards = [shard(tmp_path, 0, 1, 2), shard(tmp_path, 3, 4), shard(tmp_path, 5)]
        index = index_of(shards, [5, 0, 3])
        assert finish(tmp_path, RECIPE, index) == index
        packed = finish(tmp_path, RECIPE, index_of(shards, [5, 3]))
        assert [one.rows for one in packed.shards] == [2]
        assert read_index(tmp_path) == packed
        assert {path.stem for path in (tmp_path / "shards").iterdir()} == {packed.shards[0].name}
        assert packed.rows.path == ["5.csv", "3.csv"]
    assert open_store(tmp_path).pictures[np.arange(2)][:, 0, 0, 0].tolist() == [5, 3]


def test_many_small_shards_are_packed(tmp_path: Path) -> None:
    with claimed(tmp_path, RECIPE):
        count = LOOSE_SHARDS + 3
        shards = [shard(tmp_path, number) for number in range(count)]
        assert len(finish(tmp_path, RECIPE, index_of(shards[:-1], list(range(count - 1)))).shards) == count - 1
        shards[-1] = shard(tmp_path, count - 1)
        assert len(finish(tmp_path, RECIPE, index_of(shards, list(range(count)))).shards) == 1
    assert open_store(tmp_path).pictures[np.arange(count)][:, 0, 0, 0].tolist() == list(range(count))


def test_a_recipe_is_written_before_work_begins(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "store", RECIPE):
        raise KeyboardInterrupt
    with pytest.raises(InputError, match="not finished"):
        open_store(tmp_path / "store")


def test_a_store_is_current_while_files_recipe_and_shards_stay(tmp_path: Path) -> None:
    with claimed(tmp_path, RECIPE):
        one = shard(tmp_path, 0)
        index = finish(tmp_path, RECIPE, index_of([one], [0]))
        assert is_current(tmp_path, index, RECIPE, SHAPE, "seen")
        assert not is_current(tmp_path, index, RECIPE, SHAPE, "other")
        assert not is_current(tmp_path, index, RECIPE, (3, 2, 3), "seen")
        assert not is_current(tmp_path, index, Recipe("series", "plain", (2, 3), None, "newer"), SHAPE, "seen")
        assert not is_current(tmp_path, replace(index, seen=None), RECIPE, SHAPE, "seen")
        (tmp_path / f"shards/{one.shard.name}.npy").touch()
        assert not is_current(tmp_path, index, RECIPE, SHAPE, "seen")


def test_a_store_that_can_not_be_finished_is_explained(tmp_path: Path) -> None:
    with claimed(tmp_path / "store", RECIPE):
        index = index_of([shard(tmp_path / "store", 0)], [0])
        (tmp_path / "store/index.json").mkdir()
        with pytest.raises(InputError, match=r"can't be written: Is a directory\. Make room"):
            finish(tmp_path / "store", RECIPE, index)

"""A finished store opens, gives pictures by row, travels as places, and is refused where it is damaged."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from orchestrator.data.layouts.listing import Skipped
from orchestrator.data.store.index import FailedRow, Index, Row, Rows, fingerprint, write_index
from orchestrator.data.store.shards import write_shard
from orchestrator.data.store.store import Recipe, open_store, read_recipe, write_recipe
from trainables.errors import InputError
from trainables.interface import Pictures

SHAPE = (4, 6, 3)
RECIPE = Recipe("series", "plain", (4, 6), None, "identity")
NAMES = ["a/1.csv", "a/2 '\n\".csv", "b/1.csv", "b/é.csv", "b/\udcff.csv", "c/1.csv"]
PICTURES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Six pictures in two shards, in another order than the index; the last file repeats the first one's content."""
    folder = tmp_path / "store"
    (folder / "shards").mkdir(parents=True)
    order = [4, 0, 2, 1, 3]
    keys = [RECIPE.key(f"content{number}") for number in range(5)]
    shards = [
        write_shard(folder / "shards", [keys[number] for number in part], [SHAPE[:2]] * len(part), PICTURES[part]).shard
        for part in (order[:3], order[3:])
    ]
    rows = []
    for number, name in enumerate(NAMES):
        source = number % 5
        place = order.index(source)
        label = "abc".index(name[0])
        rows.append(Row(name, label, None, f"content{source}", 4, 6, 1, 2, 3, place // 3, place % 3))
    index = Index(
        identity=RECIPE.identity,
        shape=SHAPE,
        root="/data",
        seen="seen",
        fingerprint=fingerprint((row.path, row.content) for row in rows),
        classes=("a", "b", "c"),
        rows=Rows.of(rows),
        failed=(FailedRow("a/bad.csv", "empty", "content9", 1, 2, 3),),
        shards=tuple(shards),
    )
    write_recipe(folder, RECIPE)
    write_index(folder, index)
    return folder


def test_a_store_gives_what_was_put_in(store: Path) -> None:
    opened = open_store(store)
    assert opened.paths == tuple(NAMES)
    assert opened.classes == ("a", "b", "c")
    assert opened.labels.tolist() == [0, 0, 1, 1, 1, 2]
    assert opened.labels.dtype == np.int64
    assert opened.parts == (None,) * 6
    assert opened.content[0] == opened.content[5] == "content0"
    assert opened.sizes.tolist() == [[4, 6]] * 6
    assert opened.skipped == (Skipped("a/bad.csv", "empty"),)
    assert opened.recipe == RECIPE
    assert opened.fingerprint == fingerprint(zip(opened.paths, opened.content, strict=True))


def test_pictures_are_given_by_row(store: Path) -> None:
    pictures = open_store(store).pictures
    expected = PICTURES[[0, 1, 2, 3, 4, 0]]
    protocol: Pictures = pictures
    assert protocol.shape == (6, *SHAPE)
    assert len(protocol) == 6
    for rows in ([3, 0, 0, 5, 1], [], [2], [-1, -6], range(6)):
        index = np.array(rows, dtype=np.int64)
        assert np.array_equal(pictures[index], expected[index])
    assert np.array_equal(pictures[np.int64(4)], expected[4])
    assert np.array_equal(pictures[np.arange(6) > 2], expected[3:])
    with pytest.raises(IndexError):
        pictures[np.array([6])]


def test_what_is_given_is_a_copy(store: Path) -> None:
    pictures = open_store(store).pictures
    pictures[np.array([0])][...] = 0
    taken = pictures[np.array([0])]
    assert np.array_equal(taken[0], PICTURES[0])
    taken[...] = 0
    assert np.array_equal(pictures[np.array([0])][0], PICTURES[0])


def test_a_selection_is_places_not_data(store: Path) -> None:
    pictures = open_store(store).pictures
    chosen = pictures.select(np.array([5, 2, 3])).select(np.array([2, 0]))
    assert chosen.shape == (2, *SHAPE)
    assert np.array_equal(chosen[np.arange(2)], PICTURES[[3, 0]])
    travelled = pickle.loads(pickle.dumps(chosen))
    assert np.array_equal(travelled[np.arange(2)], PICTURES[[3, 0]])
    many = pictures.select(np.zeros(100_000, dtype=np.int64))
    assert len(pickle.dumps(many)) < 10 * len(many)


def test_a_recipe_survives_writing(store: Path) -> None:
    assert read_recipe(store) == RECIPE


def test_keys_tell_recipes_and_contents_apart() -> None:
    others = [
        Recipe("series", "plain", (6, 4), None, "identity"),
        Recipe("series", "plain", None, None, "identity"),
        Recipe("series", "plain", (4, 6), "None", "identity"),
        Recipe("series", "plain", (4, 6), None, "newer"),
    ]
    assert len({one.key("content") for one in [RECIPE, *others]}) == 5
    assert RECIPE.key("content") != RECIPE.key("other")
    assert RECIPE.differences(others[0]) == ["size (4, 6), not (6, 4)"]
    assert RECIPE.differences(others[3]) == []


def test_another_recipe_makes_a_store_unfinished(store: Path) -> None:
    write_recipe(store, RECIPE)
    assert open_store(store)
    write_recipe(store, Recipe("series", "plain", (4, 6), None, "newer"))
    with pytest.raises(InputError, match="not finished"):
        open_store(store)


def test_what_is_no_store_is_refused(tmp_path: Path, store: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="is no store"):
            open_store(folder)
    (store / "store.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="is no store"):
        open_store(store)


@pytest.mark.parametrize("damage", ["index", "truncated", "header", "missing"])
def test_a_damaged_store_is_refused(store: Path, damage: str) -> None:
    shard = next((store / "shards").glob("*.npy"))
    if damage == "index":
        (store / "index.json").write_bytes((store / "index.json").read_bytes()[:-20])
    elif damage == "truncated":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "header":
        shard.write_bytes(shard.read_bytes().replace(b"|u1", b"|i1"))
    else:
        shard.unlink()
    with pytest.raises(
        InputError, match="not finished" if damage == "index" else "1 of 2 shards .* missing or truncated"
    ):
        open_store(store)

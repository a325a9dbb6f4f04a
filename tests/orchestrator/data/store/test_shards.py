"""Shards are whole or not there, are told from damaged ones, and give back what was put in."""

from pathlib import Path

import numpy as np
import pytest

from orchestrator.data.files.sight import PICTURE_BYTES, SERIES_BYTES, Sight
from orchestrator.data.store.shards import (
    SHARD_BYTES,
    Shard,
    ShardContents,
    has_right_form,
    has_views,
    open_shard,
    read_shard,
    remove_shard,
    repack,
    rows_per_shard,
    views_file,
    write_shard,
)

SHAPE = (5, 7, 3)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def written(folder: Path, count: int = 4) -> ShardContents:
    keys = [f"key{number}" for number in range(count)]
    return write_shard(folder, keys, [SHAPE[:2]] * count, pictures(count))


def mapped(folder: Path, shard: Shard) -> np.ndarray:
    return open_shard(folder / f"{shard.name}.npy", shard.mtime_ns)


def test_full_shards_are_bounded_in_rows_and_bytes() -> None:
    assert rows_per_shard((64, 64, 3)) == 256
    assert rows_per_shard((224, 224, 3)) == SHARD_BYTES // (224 * 224 * 3) == 222
    assert rows_per_shard((600, 800, 3)) == 23
    assert rows_per_shard((9000, 9000, 3)) == 1


def test_what_is_written_is_read(tmp_path: Path) -> None:
    contents = written(tmp_path)
    assert read_shard(tmp_path, contents.shard.name, SHAPE) == contents
    assert np.array_equal(mapped(tmp_path, contents.shard), pictures(4))
    assert np.array_equal(np.load(tmp_path / f"{contents.shard.name}.npy"), pictures(4))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npy"]


def test_the_same_keys_give_the_same_name_and_others_another(tmp_path: Path) -> None:
    assert written(tmp_path).shard.name == written(tmp_path).shard.name
    assert len(list(tmp_path.iterdir())) == 2
    assert written(tmp_path, 3).shard.name != written(tmp_path).shard.name


def test_damage_is_found(tmp_path: Path) -> None:
    contents = written(tmp_path)
    shard, name = contents.shard, contents.shard.name
    path = tmp_path / f"{name}.npy"
    whole = path.read_bytes()

    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert has_right_form(tmp_path, shard, SHAPE)
    assert read_shard(tmp_path, name, SHAPE, known=shard) is None

    for damaged in (whole[:-1], whole + b"x", b"", b"x" * len(whole), whole[:10]):
        path.write_bytes(damaged)
        assert not has_right_form(tmp_path, shard, SHAPE)
        assert read_shard(tmp_path, name, SHAPE) is None

    path.write_bytes(whole)
    assert read_shard(tmp_path, name, SHAPE, known=shard) is not None
    assert read_shard(tmp_path, name, (7, 5, 3)) is None

    description = tmp_path / f"{name}.json"
    for text in ("", "{", "[]", "{}", description.read_text().replace('"key0", ', "")):
        kept = description.read_text()
        description.write_text(text)
        assert read_shard(tmp_path, name, SHAPE) is None
        description.write_text(kept)

    path.unlink()
    assert not has_right_form(tmp_path, shard, SHAPE)
    assert read_shard(tmp_path, name, SHAPE, known=shard) is None


def test_an_unchanged_known_shard_is_not_read_again(tmp_path: Path) -> None:
    contents = written(tmp_path)
    wrong = contents.shard._replace(checksum=contents.shard.checksum ^ 1)
    description = tmp_path / f"{contents.shard.name}.json"
    description.write_text(description.read_text().replace(str(contents.shard.checksum), str(wrong.checksum)))
    assert read_shard(tmp_path, contents.shard.name, SHAPE, known=wrong) is not None
    assert read_shard(tmp_path, contents.shard.name, SHAPE, known=contents.shard) is None


def test_a_replaced_shard_is_mapped_anew(tmp_path: Path) -> None:
    shard = written(tmp_path).shard
    assert np.array_equal(mapped(tmp_path, shard), pictures(4))
    newer = write_shard(tmp_path, [f"key{number}" for number in range(4)], [SHAPE[:2]] * 4, pictures(4, seed=1)).shard
    assert newer.name == shard.name
    assert np.array_equal(mapped(tmp_path, newer), pictures(4, seed=1))


def test_pictures_are_packed_into_full_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.data.store.shards.SHARD_ROWS", 3)
    first, second = written(tmp_path, 4), write_shard(tmp_path, ["other"], [(2, 2)], pictures(1, seed=1))
    places = [
        (second.shard, 0, "other", (2, 2), None),
        (first.shard, 3, "key3", SHAPE[:2], None),
        (first.shard, 0, "key0", SHAPE[:2], None),
        (first.shard, 1, "key1", SHAPE[:2], None),
    ]
    packed = list(repack(tmp_path, places))
    assert [one.keys for one in packed] == [("other", "key3", "key0"), ("key1",)]
    assert packed[0].sizes == ((2, 2), SHAPE[:2], SHAPE[:2])
    assert np.array_equal(mapped(tmp_path, packed[0].shard), np.stack([pictures(1, 1)[0], *pictures(4)[[3, 0]]]))
    assert np.array_equal(mapped(tmp_path, packed[1].shard), pictures(4)[[1]])
    assert list(repack(tmp_path, [])) == []


def test_removed_shards_are_gone(tmp_path: Path) -> None:
    name = written(tmp_path).shard.name
    remove_shard(tmp_path, name)
    remove_shard(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def sights(count: int) -> list[Sight]:
    views = np.random.default_rng(9).integers(0, 256, (count, PICTURE_BYTES), dtype=np.uint8)
    return [Sight(f"seen {number}", views[number]) for number in range(count)]


def test_what_is_seen_lies_beside_the_pictures(tmp_path: Path) -> None:
    keys, sizes = [f"key{number}" for number in range(4)], [SHAPE[:2]] * 4
    contents = write_shard(tmp_path, keys, sizes, pictures(4), (), sights(4))
    name = contents.shard.name
    assert contents.sights == ("seen 0", "seen 1", "seen 2", "seen 3")
    assert read_shard(tmp_path, name, SHAPE) == contents
    assert has_views(tmp_path, contents.shard, PICTURE_BYTES)
    assert not has_views(tmp_path, contents.shard, SERIES_BYTES)
    assert np.array_equal(np.load(views_file(tmp_path, name)), np.stack([one.views for one in sights(4)]))
    file = views_file(tmp_path, name)
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"x" * len(whole)):
        file.write_bytes(damaged)
        assert read_shard(tmp_path, name, SHAPE) == contents._replace(sights=())
    file.unlink()
    assert read_shard(tmp_path, name, SHAPE) == contents._replace(sights=())
    assert not has_views(tmp_path, contents.shard, PICTURE_BYTES)
    file.write_bytes(whole)
    remove_shard(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_what_is_seen_is_packed_along_unless_some_of_it_is_not_known(tmp_path: Path) -> None:
    known = write_shard(tmp_path, ["a", "b"], [SHAPE[:2]] * 2, pictures(2), (), sights(2))
    older = written(tmp_path)
    first = [(known.shard, row, key, SHAPE[:2], None) for row, key in ((1, "b"), (0, "a"))]
    (packed,) = repack(tmp_path, first)
    assert packed.sights == ("seen 1", "seen 0")
    assert np.array_equal(np.load(views_file(tmp_path, packed.shard.name))[0], sights(2)[1].views)
    (mixed,) = repack(tmp_path, [*first, (older.shard, 0, "key0", SHAPE[:2], None)])
    assert mixed.sights == ()

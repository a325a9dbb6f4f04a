"""Pictures for workers that do not see the store: by Ray, the same bits, and no more held than may be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from orchestrator.data.store.lazy_arrays import StoredDepths, StoredMasks, StoredPictures
from orchestrator.data.store.shards import ShardFolder, write_shard
from orchestrator.machine import shipping as shipping_module
from orchestrator.machine.shipping import Shipping, fetched
from trainables.training.batches import views_of

pytestmark = pytest.mark.usefixtures("ray_session")

SHAPE = (5, 6, 8)
"""Three planes of colour, one of the mask, four of depth."""
ROWS, A_SHARD = 24, 8


@pytest.fixture
def planes(tmp_path: Path) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (ROWS, *SHAPE), dtype=np.uint8)


@pytest.fixture
def arguments(tmp_path: Path, planes: np.ndarray) -> tuple[Any, ...]:
    """Of arrays whose planes lie in three shards."""
    folder = tmp_path / "shards"
    folder.mkdir()
    parts = [range(start, start + A_SHARD) for start in range(0, ROWS, A_SHARD)]
    shards = [
        write_shard(folder, [str(row) for row in part], [SHAPE[:2]] * A_SHARD, planes[part.start : part.stop]).shard
        for part in parts
    ]
    rows = np.arange(ROWS, dtype=np.int32)
    return ShardFolder(folder), tuple(shards), rows // A_SHARD, rows % A_SHARD, SHAPE


def on_a_worker(*arrays: Any) -> Any:
    """What a worker reads of them: some rows, out of order; and of the first, the views."""
    rows = np.array([23, 0, 9, 9, 16])

    def read(arrays: list[Any]) -> Any:
        return [one[rows] for one in arrays], [view.copy() for view in views_of(arrays[0], rows)]

    return ray.get(ray.remote(read).remote(list(arrays)))


def test_a_worker_has_pictures_masks_and_depth_without_the_folder(
    arguments: tuple[Any, ...], tmp_path: Path, planes: np.ndarray
) -> None:
    shipping, rows = Shipping({}), np.array([23, 0, 9, 9, 16])
    plain = (
        StoredPictures(*arguments, slice(0, 3)),
        StoredMasks(*arguments, slice(3, 4)),
        StoredDepths(*arguments, slice(4, 8)),
    )
    given = [one.shipped(shipping) for one in plain]
    expected = [one[rows] for one in plain]
    (tmp_path / "shards").rename(tmp_path / "elsewhere")
    found, views = on_a_worker(*given)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    assert np.array_equal(np.stack(views), planes[rows][..., :3])
    with pytest.raises(ray.exceptions.RayTaskError):
        on_a_worker(plain[0])


def test_of_some_rows_their_shards_alone_are_put_and_each_once(arguments: tuple[Any, ...]) -> None:
    shipping, pictures = Shipping({}), StoredPictures(*arguments, slice(0, 3))
    pictures.select(np.array([0, 3])).shipped(shipping)
    assert len(shipping._refs) == 1
    first = dict(shipping._refs)
    pictures.shipped(shipping)
    assert len(shipping._refs) == ROWS // A_SHARD
    assert first.items() <= shipping._refs.items()


def test_another_ray_has_all_of_it_anew(arguments: tuple[Any, ...], planes: np.ndarray) -> None:
    shipping = Shipping({})
    given = StoredPictures(*arguments, slice(0, 3)).shipped(shipping)
    before = shipping.home, dict(shipping._refs)
    shipping._job = "of a Ray that is gone"
    shipping.start()
    assert shipping.home is not before[0]
    assert not set(shipping._refs.values()) & set(before[1].values())
    del before
    found, _ = on_a_worker(given)
    assert np.array_equal(found[0], planes[[23, 0, 9, 9, 16]][..., :3])


def test_no_more_is_held_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    held = shipping_module._HELD
    held.clear()
    monkeypatch.setattr(shipping_module, "_most_held", lambda: 250)
    arrays = [np.full(100, number, dtype=np.uint8) for number in range(4)]
    refs = [ray.put(one) for one in arrays]
    for place in (0, 1, 0, 2, 3, 3):
        assert np.array_equal(fetched(refs[place]), arrays[place])
    assert list(held) == [refs[2].binary(), refs[3].binary()]
    large = ray.put(np.zeros(1000, dtype=np.uint8))
    assert fetched(large).nbytes == 1000
    assert list(held) == [large.binary()]
    held.clear()


def test_a_worker_may_hold_a_part_of_its_machines_memory() -> None:
    most = ray.get(ray.remote(lambda: shipping_module._most_held()).remote())
    (node,) = ray.nodes()
    assert 0 < most <= node["Resources"]["object_store_memory"] / 4  # of two CPUs

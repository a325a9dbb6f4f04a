"""Samples of several stores as those of one."""

from typing import Any

import numpy as np
import pytest

from orchestrator.data.store.joined import Joined, joined
from trainables.interface import Samples


def part(count: int, first: int, **more: Any) -> Samples:
    pictures = np.arange(first, first + count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    paths = tuple(f"{first}/{row}" for row in range(count))
    return Samples(pictures, np.arange(count) % 2, ("a", "b"), paths, **more)


def test_rows_are_those_of_the_parts_one_behind_the_other() -> None:
    one, other = part(3, 0), part(4, 10)
    both = joined(one, part(0, 5), other)
    assert (len(both), both.pictures.shape) == (7, (7, 2, 2, 3))
    assert both.paths == one.paths + other.paths
    assert both.labels.tolist() == [0, 1, 0, 0, 1, 0, 1]
    order = np.array([6, 0, 3, 3, 2])
    np.testing.assert_array_equal(both.pictures[order][:, 0, 0, 0], [13, 0, 10, 10, 2])
    assert both.pictures[order].dtype == np.uint8
    assert both.pictures[np.array([[0, 6]])].shape == (1, 2, 2, 2, 3)
    assert both.pictures[np.empty(0, np.int64)].shape == (0, 2, 2, 3)
    np.testing.assert_array_equal(both.select(np.array([5, 1])).pictures[:, 0, 0, 0], [12, 1])
    with pytest.raises(IndexError, match="There are 7 rows"):
        both.pictures[np.array([7])]
    assert joined(one, part(0, 5)) is one


def test_depth_goes_along_where_all_have_it() -> None:
    deep = [part(count, 0, depth=np.full((count, 2, 2), count, np.float32)) for count in (2, 3)]
    both = joined(*deep)
    assert isinstance(both.depth, Joined)
    np.testing.assert_array_equal(both.depth[np.array([1, 2])][:, 0, 0], [2, 3])
    assert joined(deep[0], part(1, 0)).depth is None

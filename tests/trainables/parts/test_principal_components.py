from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.decomposition import PCA

from trainables.parts.principal_components import common_width, principal_components


def in_batches(data: np.ndarray, size: int = 7) -> Iterator[np.ndarray]:
    return (data[start : start + size] for start in range(0, len(data), size))


def falling(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Data whose spread falls slowly from direction to direction, as that of pictures does."""
    rng = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(rng.standard_normal((columns, min(rows, columns))))
    spread = 1 / (1 + np.arange(directions.shape[1]))
    return rng.standard_normal((rows, directions.shape[1])) * spread @ directions.T + rng.random(columns)


@pytest.mark.parametrize(("rows", "columns", "count"), [(200, 60, 8), (40, 300, 12), (30, 20, 20), (9, 50, 8)])
def test_they_are_scikit_learns(rows: int, columns: int, count: int) -> None:
    data = falling(rows, columns)
    found = principal_components(lambda: in_batches(data), count)
    exact = PCA(count, svd_solver="full").fit(data)
    np.testing.assert_allclose(found.mean, exact.mean_, atol=1e-12)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(count), atol=1e-10)
    centred = data - found.mean
    along = (centred @ found.components.T).var(axis=0, ddof=1)
    np.testing.assert_allclose(along, exact.explained_variance_, rtol=1e-3)
    left, least = (
        np.square(centred - centred @ basis.T @ basis).sum() for basis in (found.components, exact.components_)
    )
    assert left <= least * 1.001 + 1e-12


def test_the_size_of_the_batches_changes_nothing_and_neither_does_a_repeat() -> None:
    data = falling(50, 30)
    first, again, other = (principal_components(lambda size=size: in_batches(data, size), 5) for size in (7, 7, 50))  # type: ignore[misc]
    np.testing.assert_array_equal(first.components, again.components)
    np.testing.assert_allclose(np.abs(first.components), np.abs(other.components), atol=1e-8)


def test_directions_without_spread_are_left_out() -> None:
    data = falling(40, 30)
    flat = np.outer(data[:, 0], np.ones(30)) + 5
    assert principal_components(lambda: in_batches(flat), 6).components.shape == (1, 30)
    alike = np.full((10, 30), 0.7)
    found = principal_components(lambda: in_batches(alike), 3)
    assert found.components.shape == (0, 30)
    np.testing.assert_allclose(found.mean, 0.7)


def test_two_rows_have_one_component() -> None:
    data = falling(2, 30)
    found = principal_components(lambda: in_batches(data), 1)
    centred = data - found.mean
    np.testing.assert_allclose(centred @ found.components.T @ found.components, centred, atol=1e-12)


@pytest.mark.parametrize(
    ("count", "most", "width"), [(1, 99, 16), (16, 99, 16), (17, 99, 32), (64, 99, 64), (65, 99, 99), (3, 5, 5)]
)
def test_many_counts_share_a_width(count: int, most: int, width: int) -> None:
    assert common_width(count, most) == width

import numpy as np
import pytest

from trainables.errors import InputError
from trainables.parts import depth_scale
from trainables.parts.depth_scale import depth_of, fit_depth_scale, scale_depth


def test_percentiles_and_median_are_those_of_what_is_known() -> None:
    random = np.random.default_rng(0)
    depth = random.uniform(300, 900, (100, 6, 6)).astype(np.float32)
    depth[random.random(depth.shape) < 0.3] = np.nan
    low, high, median = fit_depth_scale(depth)
    known = depth[np.isfinite(depth)]
    np.testing.assert_allclose((low, high), np.percentile(known, (1, 99)), rtol=1e-6)
    assert median == pytest.approx(np.median(known))


def test_a_large_part_is_looked_at_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = np.random.default_rng(0).uniform(0, 1, (70, 20, 20)).astype(np.float32)
    whole = fit_depth_scale(depth)
    monkeypatch.setattr(depth_scale, "MOST_VALUES", 3000)
    part = fit_depth_scale(depth)
    assert part != whole
    np.testing.assert_allclose(part, whole, atol=0.03)


def test_unknown_depth_becomes_the_median_and_all_lies_in_0_to_1() -> None:
    depth = np.array([[np.nan, 100.0, 200.0, 400.0, 1e6, -5.0, np.inf]], dtype=np.float32)
    scaled = scale_depth(depth, (100.0, 500.0, 200.0))
    np.testing.assert_allclose(scaled, [[0.25, 0, 0.25, 0.75, 1, 0, 0.25]])
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scale_depth(depth, (7.0, 7.0, 7.0)), np.zeros_like(depth))


def test_no_depth_is_an_error(make_samples: object) -> None:
    with pytest.raises(InputError, match="No depth is known in any training picture"):
        fit_depth_scale(np.full((3, 4, 4), np.nan, dtype=np.float32))
    with pytest.raises(InputError, match="input: rgbd needs depth"):
        depth_of(make_samples(2, 0))  # type: ignore[operator]

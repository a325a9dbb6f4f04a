from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.artifacts.heat_maps import binary_mask, file_stem, heat_picture, overlay, scale_of, write_heat_maps

RAMP = np.linspace(-1, 3, 40, dtype=np.float32).reshape(4, 10)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB pixels (..., 3)."""
    linear = np.where(pixels <= 10, pixels / 255 / 12.92, ((pixels / 255 + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


def test_heat_rises_in_lightness_and_is_clipped() -> None:
    pixels = heat_picture(RAMP, (0.0, 2.0))
    assert pixels.shape == (4, 10, 3)
    assert pixels.dtype == np.uint8
    light = luminance(pixels).ravel()
    inside = (RAMP.ravel() >= 0) & (RAMP.ravel() <= 2)
    assert (np.diff(light[inside]) > 0).all(), "readable in grey, so by the colour-blind too"
    assert (pixels.reshape(-1, 3)[RAMP.ravel() < 0] == heat_picture(np.zeros((1, 1), np.float32), (0, 2))[0]).all()
    assert (pixels.reshape(-1, 3)[RAMP.ravel() > 2] == heat_picture(np.full((1, 1), 2, np.float32), (0, 2))[0]).all()
    np.testing.assert_array_equal(heat_picture(RAMP[:1], (0, 2)), pixels[:1])


def test_a_scale_without_length_divides_nothing() -> None:
    flat = heat_picture(np.array([[1.0, 1.0, 2.0]], dtype=np.float32), (1.0, 1.0))
    assert (flat[0, 0] == flat[0, 1]).all()
    assert luminance(flat[0, 2]) > luminance(flat[0, 0])


def test_a_few_stray_pixels_darken_no_other_and_normal_ones_stay_dark() -> None:
    normal = np.random.default_rng(0).exponential(1.0, (8, 32, 32)).astype(np.float32)
    low, line = float(np.median(normal)), float(np.percentile(normal, 99))
    scale = scale_of(low, line)
    defect = normal.copy()
    defect[0, :4, :4] = 4 * line
    defect[1, 0, 0] = 1e6
    assert luminance(heat_picture(normal.reshape(-1, 32), scale)).mean() < 10
    assert luminance(heat_picture(defect[0, :4, :4], scale)).min() > 90, "however high a stray pixel is"


def test_a_line_at_the_dark_end_or_below_gives_no_scale_upside_down() -> None:
    assert scale_of(1.0, 1.0) == scale_of(1.0, 0.5) == (1.0, 1.0)


def test_the_mask_is_what_lies_above_the_threshold() -> None:
    mask = binary_mask(np.array([[0.5, 1.0], [1.5, -1.0]], dtype=np.float32), 1.0)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 0], [255, 0]]


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlay_leaves_what_is_low_as_it_is(channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 10, channels), dtype=np.uint8)
    over = overlay(picture, RAMP, (0.0, 2.0))
    assert over.shape == (4, 10, 3)
    low, high = RAMP <= 0, RAMP >= 2
    np.testing.assert_array_equal(over[low], np.broadcast_to(picture, (4, 10, 3))[low])
    half = (np.broadcast_to(picture, (4, 10, 3))[high].astype(float) + heat_picture(RAMP, (0.0, 2.0))[high]) / 2
    np.testing.assert_allclose(over[high], half, atol=0.51)


def test_three_files_hold_the_three_pictures(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 10, 3), dtype=np.uint8)
    paths = write_heat_maps(tmp_path / "new", "test/hole/7.png", picture, RAMP, (0.0, 2.0), 1.0)
    assert [path.name.rpartition("_")[2] for path in paths] == ["heat.png", "found.png", "overlay.png"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    expected = (heat_picture(RAMP, (0.0, 2.0)), binary_mask(RAMP, 1.0), overlay(picture, RAMP, (0.0, 2.0)))
    for path, pixels in zip(paths, expected, strict=True):
        assert path.name.startswith("test__hole__7.png-")
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)


HOSTILE = [
    "../../etc/passwd", "/etc/passwd", "..", ".", "", "a/b", "a__b", "a\\b", "A/b", "C:\\x.png", "nul\0byte", "x\ny",
    "ü/é.png", "\udce9.png", "a" * 400, "ß" * 400, ".hidden", "-rf", "a/b ", "a/b.", "$(x)", "<script>",
]  # fmt: skip


def test_no_name_leads_out_of_the_folder_and_no_two_share_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    picture = np.zeros((4, 10, 3), dtype=np.uint8)
    for name in HOSTILE:
        for path in write_heat_maps(folder, name, picture, RAMP, (0, 1), 0.5):
            assert path.resolve().parent == folder.resolve()
            assert path.is_file()
    assert len(list(folder.iterdir())) == 3 * len(HOSTILE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["maps"]
    stems = [file_stem(name) for name in HOSTILE]
    assert len({stem.casefold() for stem in stems}) == len(HOSTILE)
    assert not any(stem.startswith(".") or "/" in stem or "\\" in stem for stem in stems)
    assert all(len(f".{stem}_overlay.4194304.tmp".encode()) <= 255 for stem in stems)

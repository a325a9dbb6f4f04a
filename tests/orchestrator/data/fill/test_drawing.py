"""A recipe turns bytes into the picture that its renderer draws, or says why not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.files.content_hashes import Sources
from orchestrator.data.fill.drawing import Drawer, DrawingError, Mishap, ShapeError, place_on, recipe_of, shape_of
from orchestrator.data.layouts.table import find_files
from orchestrator.data.plotting.plot_style import STYLES
from orchestrator.data.plotting.renderer import Renderer
from trainables.errors import InputError

SERIES = Sources(b"value\n1\n3\n2\n")


def white_canvas(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_a_series_is_drawn_by_the_renderer(style: str) -> None:
    drawn = Drawer(recipe_of("series", style, (24, 32), None))(SERIES)
    assert np.array_equal(drawn, Renderer(style, (24, 32)).picture(np.array([1.0, 3.0, 2.0])))


def test_recipes_name_what_the_pixels_depend_on() -> None:
    plain, seed = recipe_of("series", "plain", (24, 32), "x"), recipe_of("series", "seed", (24, 32), "x")
    assert plain.identity != seed.identity
    assert (plain.style, plain.column) == ("plain", "x")
    images = recipe_of("images", "seed", (24, 32), "x")
    assert (images.style, images.column) == (None, None)
    with pytest.raises(InputError, match="Unknown plot style 'sead'"):
        recipe_of("series", "sead", (24, 32), None)


def test_what_can_not_be_drawn_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DrawingError, match=r"^empty$"):
        Drawer(recipe_of("series", "plain", (24, 32), None))(Sources(b""))
    with pytest.raises(DrawingError, match="no picture"):
        Drawer(recipe_of("images", "", (24, 32), None))(SERIES)

    def out_of_memory(renderer: Renderer, values: np.ndarray) -> np.ndarray:
        raise MemoryError("none left")

    monkeypatch.setattr(Renderer, "picture", out_of_memory)
    with pytest.raises(Mishap, match="can't be drawn: MemoryError: none left"):
        Drawer(recipe_of("series", "plain", (24, 32), None))(SERIES)


def test_plots_of_their_own_size_get_white_around(tmp_path: Path) -> None:
    recipe = recipe_of("series", "seed", None, None)
    canvas = white_canvas(6, 8)
    assert place_on(canvas, np.full((4, 5, 3), 7, np.uint8), recipe) == (4, 5)
    assert np.all(canvas[:4, :5] == 7)
    assert np.all(canvas[4:] == 255)
    assert np.all(canvas[:, 5:] == 255)
    with pytest.raises(ShapeError, match="7x5 pixels, not 6x8"):
        place_on(canvas, np.full((7, 5, 3), 7, np.uint8), recipe)
    with pytest.raises(ShapeError, match="4x5 pixels, not 6x8"):
        place_on(canvas, np.full((4, 5, 3), 7, np.uint8), recipe_of("images", "", None, None))


def test_pictures_of_their_own_size_follow_the_first_that_opens(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/0.png").write_bytes(b"broken")
    (tmp_path / "b/0.png").write_bytes(b"")
    listing = find_files(tmp_path, "images")
    with pytest.raises(InputError, match=r"None of the 2 files .* can be opened"):
        shape_of(recipe_of("images", "", None, None), listing)
    Image.new("RGB", (8, 6)).save(tmp_path / "b/0.png")
    assert shape_of(recipe_of("images", "", None, None), listing) == (6, 8, 3)
    assert shape_of(recipe_of("images", "", (2, 3), None), listing) == (2, 3, 3)


def test_a_renderer_that_can_not_be_fast_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.data.plotting.renderer.PICTURES_BEFORE_FAST", 0)
    monkeypatch.setattr("orchestrator.data.plotting.fast_way.PROVEN_MATPLOTLIB", ("1.0",))
    draw = Drawer(recipe_of("series", "plain", (24, 32), None))
    assert draw.remark == ""
    assert np.array_equal(draw(SERIES), Renderer("plain", (24, 32), fast=False).picture(np.array([1.0, 3.0, 2.0])))
    assert "switched off" in draw.remark
    assert Drawer(recipe_of("images", "", None, None)).remark == ""

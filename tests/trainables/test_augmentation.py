import torch

from trainables.augmentation import BRIGHTNESS, SHIFT, ZOOM, Augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_strength_zero_changes_nothing() -> None:
    pictures = torch.rand(4, 3, 16, 16)
    assert Augmentation(0)(pictures, generator()) is pictures


def test_the_same_generator_gives_the_same_pictures_and_each_picture_its_own_draw() -> None:
    pictures = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1)
    first, second = (Augmentation(1)(pictures, generator(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Augmentation(1)(pictures, generator(4)))
    assert all(not torch.equal(first[0], other) for other in first[1:])


def test_a_mark_moves_no_further_than_shift_and_zoom_allow() -> None:
    side = 100
    pictures = torch.zeros(200, 1, side, side)
    pictures[:, :, 40:61, 40:61] = 0.5
    moved = Augmentation(1)(pictures, generator())
    weight = moved.sum(dim=(1, 2, 3))
    ticks = torch.arange(side) + 0.5
    for axis in (3, 2):
        profile = moved.sum(dim=tuple(d for d in (1, 2, 3) if d != axis))
        centre = (profile * ticks).sum(dim=1) / weight
        distance = (centre - 50.5).abs()
        assert distance.max() <= side * SHIFT * (1 + 2 * ZOOM) + 1
        assert distance.max() > side * SHIFT / 2
    brightness = moved.amax(dim=(1, 2, 3)) / 0.5
    assert 1 - BRIGHTNESS - 0.01 <= brightness.min() < brightness.max() <= 1 + BRIGHTNESS + 0.01


def test_uncovered_borders_take_the_colour_of_the_edge() -> None:
    pictures = torch.full((50, 3, 20, 20), 0.6)
    changed = Augmentation(1)(pictures, generator())
    assert (changed.amax(dim=(1, 2, 3)) - changed.amin(dim=(1, 2, 3))).max() < 1e-6


def test_values_stay_in_their_range() -> None:
    changed = Augmentation(1, flip_left_right=True)(torch.rand(20, 3, 16, 16), generator())
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_only_the_flip_mirrors_and_it_mirrors_about_half() -> None:
    ramp = torch.linspace(0, 1, 32).expand(100, 1, 32, 32)
    for flip in (False, True):
        changed = Augmentation(0.5, flip_left_right=flip)(ramp, generator())
        mirrored = int((changed[:, 0, 16, 2] > changed[:, 0, 16, -3]).sum())
        assert 30 < mirrored < 70 if flip else mirrored == 0
    exact = Augmentation(0, flip_left_right=True)(ramp, generator())
    for picture in exact:
        assert torch.allclose(picture, ramp[0], atol=1e-5) or torch.allclose(picture, ramp[0].flip(-1), atol=1e-5)

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import gaussian_blur, rotate

from trainables.parts import augmentation
from trainables.parts.augmentation import BRIGHTNESS, CONTRAST, LIGHT, SHIFT, ZOOM, Augmentation, PhotoAugmentation


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


def test_a_photograph_is_flipped_both_ways_each_half_of_the_time() -> None:
    corner = torch.zeros(400, 1, 12, 20)
    corner[:, :, :3, :3] = 1
    changed = PhotoAugmentation(0.01)(corner, generator())[:, 0]
    seen = {(top, left): int((changed[:, top, left] > 0.5).sum()) for top, left in ((1, 1), (1, -2), (-2, 1), (-2, -2))}
    assert sum(seen.values()) == 400
    assert all(70 < count < 130 for count in seen.values())


def test_a_photograph_is_turned_as_torchvision_turns_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "LIGHT", 0.0)
    monkeypatch.setattr(augmentation, "CONTRAST", 0.0)
    pictures = gaussian_blur(torch.rand(6, 3, 40, 72, generator=generator(1)), [5, 5])
    changed = PhotoAugmentation(10.0)(pictures, generator())
    turns = (2 * torch.rand(5, 6, generator=generator())[0] - 1) * 10
    assert turns.abs().max() > 5
    fitting = []
    for sign in (-1, 1):
        nearest = []
        for picture, turn, result in zip(pictures, turns, changed, strict=True):
            ways = [
                rotate(picture.flip(flips), sign * float(turn), InterpolationMode.BILINEAR)
                for flips in ([], [1], [2], [1, 2])
            ]
            # Away from the border, where torchvision uncovers black.
            nearest.append(min(float((way - result)[:, 10:30, 10:62].abs().max()) for way in ways))
        fitting.append(max(nearest))
    # To which side is of no matter; the same for all is.
    assert min(fitting) < 1e-4 < 0.05 < max(fitting)


def test_a_photograph_changes_its_light_and_its_contrast_by_the_strength() -> None:
    flat = torch.full((400, 3, 8, 8), 0.5)
    ratio = PhotoAugmentation(3.0)(flat, generator())[:, 0, 4, 4] / 0.5
    assert 1 - 3 * LIGHT - 1e-6 <= ratio.min() < 1 - 2.5 * LIGHT
    assert 1 + 2.5 * LIGHT < ratio.max() <= 1 + 3 * LIGHT + 1e-6
    halves = torch.cat((torch.full((400, 1, 8, 8), 0.4), torch.full((400, 1, 8, 8), 0.6)), dim=1)
    changed = PhotoAugmentation(3.0)(halves, generator())
    spread = (changed[:, 1] - changed[:, 0]).mean(dim=(1, 2)) / 0.2 / changed.mean(dim=(1, 2, 3)) * 0.5
    assert 1 - 3 * CONTRAST - 1e-4 <= spread.min() < 1 - 2.5 * CONTRAST
    assert 1 + 2.5 * CONTRAST < spread.max() <= 1 + 3 * CONTRAST + 1e-4


def test_photographs_draw_from_the_generator_alone() -> None:
    pictures = torch.rand(1, 3, 16, 24).expand(8, -1, -1, -1)
    first, second = (PhotoAugmentation(1)(pictures, generator(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, PhotoAugmentation(1)(pictures, generator(4)))
    assert all(not torch.equal(first[0], other) for other in first[1:])
    assert PhotoAugmentation(0)(pictures, generator()) is pictures
    strong = PhotoAugmentation(10)(torch.rand(20, 3, 16, 16), generator())
    assert 0 <= strong.min() < strong.max() <= 1

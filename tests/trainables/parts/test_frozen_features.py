from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.parts.frozen_features import (
    FrozenFeatures,
    FrozenFeaturesConfig,
    align,
    check_features,
    feature_channels,
    reflect,
)

QUICK = {"backbone": "resnet18", "weights": "none", "layers": [1, 2]}


def problem(side: int = 32, channels: int = 3, depth: bool = False) -> Problem:
    return Problem(("normal", "anomaly"), (side, side, channels), 1, depth=depth)


def features(seed: int = 0, depth: bool = False, side: int = 32, **keys: Any) -> FrozenFeatures:
    config = FrozenFeaturesConfig(**{**QUICK, **keys})
    return FrozenFeatures(config, problem(side, depth=depth), seed, depth=depth, mixed=False)


def one(frozen: FrozenFeatures, samples: Samples) -> list[torch.Tensor]:
    """Each stage's map of the first picture."""
    return [stage[0] for stage in frozen.features(samples, np.zeros(1, dtype=np.int64))]


def test_layers_are_written_as_a_list_or_a_text() -> None:
    for given, kept in (([3, 2], "2+3"), ("3+2", "2+3"), (2, "2"), ("4", "4"), ((1, 2, 3, 4), "1+2+3+4")):
        config = FrozenFeaturesConfig(layers=given)
        assert config.layers == kept
        assert config.stages == tuple(int(layer) - 1 for layer in kept.split("+"))
    for wrong in ([], [0], [5], [2, 2], "2,3", "", None, [[2]], {"a": 1}):
        with pytest.raises(ValidationError, match=r"it must hold some of 1, 2, 3, 4, each once, as in \[2, 3\]"):
            FrozenFeaturesConfig(layers=wrong)


def test_maps_are_projected_stages(make_samples: Any) -> None:
    samples = make_samples(2, 0, detection=True)
    frozen = features(padding="zeros")
    maps = [stage[1] for stage in frozen.features(samples, np.arange(2))]
    assert [tuple(stage.shape) for stage in maps] == [(16, 8, 8), (32, 4, 4)]
    assert all(not stage.requires_grad and not stage.is_inference() for stage in maps)
    picture = torch.from_numpy(np.asarray(samples.pictures)[1:2]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    net = frozen.backbone
    with torch.no_grad():
        given = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1((picture - mean) / std)))))
        projection = frozen.projections[0].weight[:, :, 0, 0]
    assert torch.allclose(maps[0], torch.einsum("pc,chw->phw", projection, given[0]), atol=1e-4)
    assert torch.allclose(projection @ projection.T, torch.eye(16), atol=1e-5), "rows are orthonormal"


def test_a_reduction_of_one_keeps_the_stages(make_samples: Any) -> None:
    frozen = features(reduction=1)
    assert frozen.channels == [64, 128]
    assert one(frozen, make_samples(1, 0))[0].shape == (64, 8, 8)
    assert feature_channels(FrozenFeaturesConfig(**QUICK, reduction=1), problem()) == 192


def test_the_seed_decides_and_training_mode_changes_nothing(make_samples: Any) -> None:
    samples = make_samples(1, 0)
    before = torch.get_rng_state()
    first, second, other = features(seed=3), features(seed=3), features(seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.digest() == second.digest() != other.digest()
    maps = one(first, samples)
    assert all(torch.equal(one, two) for one, two in zip(maps, one(second, samples), strict=True))
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert not any(module.training for module in first.modules())


@pytest.mark.parametrize(("side", "places"), [(32, (8, 4)), (40, (10, 5)), (64, (16, 8))])
def test_reflection_keeps_the_places_of_the_maps(make_samples: Any, side: int, places: tuple[int, int]) -> None:
    samples = make_samples(1, 0, side=side)
    for padding in ("zeros", "reflect"):
        maps = one(features(side=side, padding=padding), samples)
        assert tuple(stage.shape[1] for stage in maps) == places


def test_a_border_does_not_show_with_reflection() -> None:
    # A picture without any structure has features without any structure, but for what padding adds.
    plain = Samples(np.full((1, 64, 64, 3), 90, dtype=np.uint8), np.zeros(1, dtype=np.int64), ("normal",), ("a",))
    spread = {}
    for padding in ("zeros", "reflect"):
        first, _ = one(features(side=64, padding=padding), plain)
        centre = first[:, 8:9, 8:9]
        spread[padding] = float((first - centre).norm(dim=0).max() / centre.norm())
    assert spread["zeros"] > 0.1
    assert spread["reflect"] < 0.01


def test_reflect_mirrors_again_where_a_picture_is_smaller() -> None:
    picture = torch.arange(20.0).view(1, 1, 4, 5)
    for margin in (0, 2, 3, 9):
        expected = np.pad(picture.numpy()[0, 0], margin, mode="reflect")
        mine = reflect(picture, margin)[0, 0].numpy()
        assert mine.shape == expected.shape
        if margin <= 3:
            np.testing.assert_array_equal(mine, expected)
    assert reflect(torch.ones(1, 1, 1, 6), 2).shape == (1, 1, 5, 10)


def test_align_resizes_stacks_and_smooths() -> None:
    stage = torch.rand(2, 4, 4)
    aligned = align([stage[None], torch.ones(1, 3, 2, 2)], (4, 4))
    assert aligned.shape == (1, 5, 4, 4)
    assert torch.allclose(aligned[0, 2:], torch.ones(3, 4, 4)), "a mean at the border is of what is there"
    assert torch.allclose(aligned[0, :2, 1, 2], stage[:, 0:3, 1:4].mean(dim=(1, 2)))
    assert torch.allclose(aligned[0, :2, 0, 0], stage[:, :2, :2].mean(dim=(1, 2)))


def test_depth_is_scaled_normalised_and_filled(make_samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(1, 0)
    depth = np.full((1, 32, 32), 250.0, dtype=np.float32)
    depth[0, :4] = np.nan
    frozen = features(depth=True, padding="zeros")
    frozen.depth_scale = (200.0, 300.0, 210.0)
    seen: list[torch.Tensor] = []
    frozen.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    one(frozen, replace(samples, depth=depth))
    (given,) = seen
    assert given.shape == (1, 4, 32, 32)
    assert torch.allclose(given[0, 3, :4], torch.tensor((0.1 - 0.449) / 0.226))
    assert torch.allclose(given[0, 3, 4:], torch.tensor((0.5 - 0.449) / 0.226))
    with pytest.raises(InputError, match="these samples have none"):
        one(frozen, samples)


def test_grey_pictures_are_taken_as_rgb(make_samples: Any) -> None:
    samples = make_samples(1, 0)
    grey = np.asarray(samples.pictures)[..., :1]
    thrice = replace(samples, pictures=np.repeat(grey, 3, axis=-1))
    once = replace(samples, pictures=grey.copy())
    config = FrozenFeaturesConfig(**QUICK)
    frozen = FrozenFeatures(config, problem(channels=1), 0, depth=False, mixed=False)
    assert torch.equal(one(frozen, once)[0], one(frozen, thrice)[0])
    assert check_features(config, problem(channels=1), "x") == []


def test_what_is_kept_gives_the_same_maps(make_samples: Any) -> None:
    samples = replace(make_samples(1, 0), depth=np.random.default_rng(0).uniform(size=(1, 32, 32)).astype(np.float32))
    first, other = features(seed=1, depth=True), features(seed=2, depth=True)
    first.depth_scale = (0.1, 0.9, 0.4)
    other.take_back(first.kept())
    assert other.depth_scale == first.depth_scale
    assert torch.equal(one(first, samples)[1], one(other, samples)[1])


def test_what_is_set_beside_pretrained_weights_is_kept_with_them(make_samples: Any) -> None:
    samples = make_samples(1, 0)
    frozen = features(backbone="googlenet")
    frozen.backbone.transform_input = True
    other = features(backbone="googlenet", seed=1)
    other.take_back(frozen.kept())
    assert other.backbone.transform_input is True
    assert torch.equal(one(frozen, samples)[0], one(other, samples)[0])


def test_parameters_are_those_of_the_backbone_without_its_classifier() -> None:
    assert features(reduction=1).parameters_held == 11_689_512 - 513_000
    assert features(reduction=4, depth=True).parameters_held == 11_689_512 - 513_000 + 64 * 49 + 64 * 16 + 128 * 32


def test_what_can_not_be_had_is_refused() -> None:
    config = FrozenFeaturesConfig(**QUICK)
    with pytest.raises(InputError, match=r"data\.layout to one with depth"):
        check_features(config, problem(), "x", depth=True)
    assert check_features(config, problem(depth=True), "x", depth=True) == []
    with pytest.raises(InputError, match=r"1 channel .grey. or 3 .RGB.; these have 4"):
        check_features(config, problem(channels=4), "x")
    with pytest.raises(InputError, match=r"maxvit_t.*zeros adds none"):
        check_features(FrozenFeaturesConfig(backbone="maxvit_t", weights="none"), problem(side=224), "x")
    with pytest.raises(ValidationError, match="The nearest: resnet18"):
        FrozenFeaturesConfig(backbone="resnt18")

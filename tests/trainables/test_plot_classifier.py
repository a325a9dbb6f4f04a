from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from trainables.cache import Cache
from trainables.errors import InputError
from trainables.interface import Problem, Samples
from trainables.plot_classifier import FAMILY, HeadInput, PlotClassifier, PlotClassifierConfig, PlotNetwork, check
from trainables.training.loop import EpochLoop

NINE = tuple("abcdefghi")
QUICK = {"backbone": "shufflenet_v2_x0_5", "weights": "none", "batch_size": 8}


def model(train: Samples, epochs: int = 2, seed: int = 0, **keys: Any) -> PlotClassifier:
    shape = train.pictures.shape
    problem = Problem(train.classes, (shape[1], shape[2], shape[3]), epochs)
    return PlotClassifier(PlotClassifierConfig(**{**QUICK, **keys}), problem, seed)


def test_resnet50_with_nine_classes_has_the_published_number_of_parameters() -> None:
    config = PlotClassifierConfig(backbone="resnet50", weights="none")
    with torch.device("meta"):
        network = PlotNetwork(config, Problem(NINE, (224, 224, 3), 30))
    assert sum(parameter.numel() for parameter in network.parameters()) == 24_692_297


def test_parameters_count_frozen_ones_too(make_samples: Any) -> None:
    train = make_samples(4, 0)
    assert model(train, train_layers="head").parameters == model(train).parameters


def test_it_learns_to_tell_shapes_apart(make_samples: Any) -> None:
    train, validation = make_samples(120, 1), make_samples(60, 2)
    trained = model(train, epochs=8, learning_rate=5e-3, dropout=0.0, batch_size=10)
    *_, last = trained.fit(train, validation)
    assert np.mean(last.validation.scores.argmax(axis=1) == validation.labels) > 0.6


@pytest.mark.parametrize("augmentation", [0.0, 1.0])
def test_head_only_training_leaves_the_backbone_alone(make_samples: Any, augmentation: float) -> None:
    train = make_samples(24, 1)
    trained = model(train, train_layers="head", augmentation=augmentation)
    before = trained.weights()
    list(trained.fit(train, make_samples(9, 2)))
    after = trained.weights()
    head = {name for name in before if name.startswith("fc.")}
    assert all(torch.equal(before[name], after[name]) for name in before.keys() - head)
    assert all(not torch.equal(before[name], after[name]) for name in head if name.endswith("weight"))
    assert not torch.equal(before["fc.3.running_mean"], after["fc.3.running_mean"])


def test_a_head_trained_on_kept_features_is_the_one_trained_on_pictures(make_samples: Any, tmp_path: Path) -> None:
    train, validation = make_samples(24, 1), make_samples(9, 2)
    shape = train.pictures.shape
    config = PlotClassifierConfig(**{**QUICK, "train_layers": "head", "learning_rate": 1e-2})
    results = []
    for cache in (None, Cache(tmp_path), Cache(tmp_path)):
        problem = Problem(train.classes, (shape[1], shape[2], shape[3]), 3, cache=cache)
        trained = PlotClassifier(config, problem, 0)
        if cache is None:  # as with augmentation, the whole network sees the pictures in each step
            trained.loop = EpochLoop(trained.network, trained.objective, config, problem, 0)
        *_, last = trained.fit(train, validation)
        results.append((dict(last.losses), last.validation.scores, trained.weights()))
    for losses, scores, weights in results[1:]:
        assert losses == pytest.approx(results[0][0], rel=1e-4)
        np.testing.assert_allclose(scores, results[0][1], atol=1e-5)
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, results[0][2][name], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(results[1][1], results[2][1])
    assert [one.kind for one in Cache(tmp_path).listed()] == ["features"]


@pytest.mark.parametrize(
    "backbone", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "vgg11", "densenet121", "vit_b_32", "convnext_tiny"]
)
def test_nothing_of_torchvisions_stands_behind_the_head(backbone: str) -> None:
    problem = Problem(("a", "b"), (64, 64, 3), 1)
    network = PlotNetwork(PlotClassifierConfig(backbone=backbone, weights="none", train_layers="head"), problem)
    assert HeadInput(network, PlotClassifierConfig(backbone=backbone), problem).is_all(problem)


def test_a_frozen_backbone_that_changed_ends_a_resume(make_samples: Any) -> None:
    train = make_samples(24, 1)
    first, other = (model(train, train_layers="head", seed=seed) for seed in (0, 1))
    next(first.fit(train, train))
    state = first.state()
    model(train, train_layers="head").load(state)
    with pytest.raises(InputError, match="other frozen weights of shufflenet"):
        other.load(state)


def test_full_training_moves_the_backbone_and_its_statistics(make_samples: Any) -> None:
    train = make_samples(24, 1)
    trained = model(train)
    before = trained.weights()
    list(trained.fit(train, make_samples(9, 2)))
    after = trained.weights()
    assert not torch.equal(before["conv1.0.weight"], after["conv1.0.weight"])
    assert not torch.equal(before["conv1.1.running_mean"], after["conv1.1.running_mean"])


def test_dropout_reaches_the_head(make_samples: Any) -> None:
    head = model(make_samples(4, 0), dropout=0.6).network.head
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == pytest.approx([0.6, 0.6, 0.4])


def test_balanced_class_weights_count_each_class_alike(make_samples: Any) -> None:
    whole = make_samples(30, 1)
    rows = np.flatnonzero((whole.labels != 2) | (np.arange(30) < 6))
    train = Samples(np.asarray(whole.pictures)[rows], whole.labels[rows], whole.classes, whole.paths[: len(rows)])
    trained = model(train, epochs=1, class_weights="balanced")
    list(trained.fit(train, whole))
    weights = trained.objective.class_weights
    assert weights is not None
    np.testing.assert_allclose(weights.numpy() * np.bincount(train.labels), len(train) / 3, rtol=1e-6)
    labels = torch.tensor([0, 2])
    _, counted = trained.objective.losses(torch.zeros(2, 3), torch.zeros(2, 3, 4, 4), labels)
    assert torch.equal(counted, weights[labels])


def test_grey_pictures_are_taken(make_samples: Any) -> None:
    samples = make_samples(12, 1)
    grey = Samples(np.asarray(samples.pictures)[..., :1].copy(), samples.labels, samples.classes, samples.paths)
    *_, last = model(grey, epochs=1).fit(grey, grey)
    assert last.validation.scores.shape == (12, 3)


def test_normalisation_is_imagenets_or_none() -> None:
    pictures = torch.rand(2, 3, 32, 32)
    problem = Problem(NINE, (32, 32, 3), 1)
    seen: list[torch.Tensor] = []
    for normalisation in ("none", "imagenet"):
        network = PlotNetwork(PlotClassifierConfig(**{**QUICK, "normalisation": normalisation}), problem).eval()
        network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network(pictures)
    assert torch.equal(seen[0], pictures)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(seen[1], (pictures - mean.view(3, 1, 1)) / std.view(3, 1, 1))


@pytest.mark.parametrize(
    "keys",
    [{"dropout": 1.0}, {"dropout": -0.1}, {"augmentation": 1.5}, {"learning_rate": -1}, {"train_layers": "some"}],
)
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FAMILY.config(**keys)


def test_an_unknown_backbone_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"Unknown backbone 'resnt18'. The nearest: resnet18"):
        FAMILY.config(backbone="resnt18")


def test_remarks(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    problem = Problem(NINE, (64, 64, 3), 1)
    (remark,) = check(PlotClassifierConfig(backbone="resnet18"), problem)
    assert "random initialisation" in remark
    assert str(tmp_path) in remark
    assert check(PlotClassifierConfig(backbone="resnet18", weights="none"), problem) == []
    config = PlotClassifierConfig(
        backbone="resnet18", weights="none", train_layers="head", mixed_precision=True, flip_left_right=True
    )
    remarks = " ".join(check(config, problem))
    assert all(word in remarks for word in ("random weights", "mixed_precision", "flip_left_right"))


def test_a_picture_that_does_not_fit_is_refused_with_sizes_that_do() -> None:
    with pytest.raises(InputError, match=r"64 x 64 .*inception_v3.* squares of 96, 128, .*data\.size"):
        check(PlotClassifierConfig(backbone="inception_v3"), Problem(NINE, (64, 64, 3), 1))
    with pytest.raises(InputError, match=r"have 4\. Change data\.layout"):
        check(PlotClassifierConfig(backbone="resnet18"), Problem(NINE, (64, 64, 4), 1))

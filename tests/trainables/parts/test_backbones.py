import pytest
import torch
from torch import nn
from torchvision.models import get_model_weights

from trainables.configurations.backbones import backbone_names, check_backbone, check_weights_name, weights_names
from trainables.errors import InputError
from trainables.parts.backbones import (
    build_backbone,
    check_size,
    last_layer,
    replace_last_layer,
)
from trainables.parts.heads import plot_head

FAMOUS = {
    "resnet18": 32,
    "efficientnet_b0": 32,
    "squeezenet1_1": 32,
    "mobilenet_v3_small": 32,
    "densenet121": 32,
    "googlenet": 32,
    "shufflenet_v2_x0_5": 32,
}
LARGER = {"resnet50": 64, "vit_b_16": 32, "swin_t": 32, "convnext_tiny": 32, "inception_v3": 75, "maxvit_t": 224}


def run(name: str, side: int, *, train: bool) -> None:
    """Build with a head of nine classes and pass two pictures through, in training mode back as well."""
    model = build_backbone(name, (side, side))
    head = replace_last_layer(model, lambda features: plot_head(features, 9, 0.3))
    assert any(module is head for module in model.modules())
    assert not any(layer.out_features == 1000 for layer in model.modules() if isinstance(layer, nn.Linear))
    model.train(train)
    with torch.set_grad_enabled(train):
        logits = model(torch.rand(2, 3, side, side))
    assert logits.shape == (2, 9)
    assert logits.isfinite().all()
    if train:
        logits.sum().backward()
        without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert without == []


@pytest.mark.parametrize("name", FAMOUS)
def test_a_backbone_with_our_head_trains(name: str) -> None:
    run(name, FAMOUS[name], train=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_a_larger_backbone_with_our_head_trains(name: str) -> None:
    run(name, LARGER[name], train=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", backbone_names())
def test_every_backbone_runs_at_a_size_that_its_check_allows(name: str) -> None:
    for side in (32, 75, 224):
        if fits(name, side):
            run(name, side, train=False)
            break
        with pytest.raises((InputError, RuntimeError, AssertionError)):
            build_backbone(name, (side, side)).eval()(torch.rand(1, 3, side, side))
    else:
        pytest.fail(f"{name} runs at none of the sizes")


def fits(name: str, side: int) -> bool:
    """What the check says."""
    try:
        check_size(name, (side, side))
    except InputError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("vit_b_16", (40, 40), "indivisible by patch size"),
        ("vit_b_16", (32, 48), "square pictures only"),
        ("inception_v3", (64, 64), "inception_v3"),
        ("alexnet", (32, 32), "alexnet"),
        ("maxvit_t", (64, 64), "maxvit_t"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(name: str, size: tuple[int, int], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        check_size(name, size)
    assert f"{size[0]} x {size[1]}" in str(error.value)
    assert "Set data.size" in str(error.value)


@pytest.mark.parametrize(
    ("name", "size"), [("resnet18", (48, 96)), ("vit_b_16", (64, 64)), ("regnet_y_400mf", (64, 64))]
)
def test_a_size_that_fits_passes(name: str, size: tuple[int, int]) -> None:
    check_size(name, size)


def test_the_tested_names_are_torchvisions() -> None:
    assert {*FAMOUS, *LARGER} <= set(backbone_names())
    assert check_backbone("vit_b_16") == "vit_b_16"
    with pytest.raises(InputError, match="The nearest: vit_b_16"):
        check_backbone("vit_b16")


def test_the_names_of_weights_that_its_source_gives_are_torchvisions() -> None:
    for name in backbone_names():
        assert set(weights_names(name)) == set(get_model_weights(name).__members__), name


@pytest.mark.parametrize("weights", ["auto", "none", "DEFAULT", "IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V1"])
def test_a_known_name_of_weights_is_no_missing_file(weights: str) -> None:
    check_weights_name("resnet50", weights)


@pytest.mark.parametrize("weights", ["IMAGENET1K_V3", "ResNet50_Weights.V9", "best.pth", "~/gone", "resnet50", ""])
def test_unknown_weights_are_refused_unread(weights: str) -> None:
    for backbone in ("resnet50", "mine:backbone"):
        with pytest.raises(InputError, match=r"Unknown weights|no file of weights"):
            check_weights_name(backbone, weights)


def test_the_last_layer_is_the_classifier() -> None:
    with torch.device("meta"):
        for name, path in (("resnet18", "fc"), ("squeezenet1_0", "classifier.1"), ("vit_b_16", "heads.head")):
            assert last_layer(build_backbone(name, (64, 64)))[0] == path

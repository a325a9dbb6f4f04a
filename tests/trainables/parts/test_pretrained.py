import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_model_weights

from trainables import patch_knn, plot_classifier
from trainables.errors import InputError
from trainables.interface import Problem
from trainables.parts.backbones import build_backbone
from trainables.parts.pretrained import find_weights, load_backbone_weights
from trainables.plot_classifier import PlotClassifier, PlotClassifierConfig, check

PROBLEM = Problem(("a", "b", "c"), (32, 32, 3), 1)
RESNET18 = "resnet18-f37072fd.pth"
"""torchvision's file name for the only weights of resnet18."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of torch.hub's checkpoints."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def save(name: str, path: Path, side: int = 32) -> dict[str, torch.Tensor]:
    """A file as torchvision publishes it, of random weights."""
    weights: dict[str, torch.Tensor] = build_backbone(name, (side, side)).state_dict()
    torch.save(weights, path)
    return weights


def start(**keys: Any) -> PlotClassifier:
    return PlotClassifier(PlotClassifierConfig(**keys), PROBLEM, seed=0)


def assert_starts_from(model: PlotClassifier, weights: dict[str, torch.Tensor]) -> None:
    ours = model.weights()
    kept = [name for name in weights if not name.startswith("fc.")]
    assert len(kept) > 100
    assert all(torch.equal(ours[name], weights[name]) for name in kept)


def test_auto_takes_torchvisions_file_where_it_is(folder: Path) -> None:
    config = {"backbone": "resnet18", "weights": "auto"}
    assert start(**config).facts() == {"weights": "random initialisation"}
    weights = save("resnet18", folder / RESNET18)
    model = start(**config)
    assert_starts_from(model, weights)
    assert model.facts() == {"weights": f"IMAGENET1K_V1 ({RESNET18})"}
    (remark,) = check(PlotClassifierConfig(**config), PROBLEM)
    assert RESNET18 in remark


def test_none_takes_no_file(folder: Path) -> None:
    save("resnet18", folder / RESNET18)
    assert start(backbone="resnet18", weights="none").facts() == {"weights": "random initialisation"}


@pytest.mark.parametrize("name", ["DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_a_name_of_torchvisions(folder: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        check(PlotClassifierConfig(backbone="resnet18", weights=name), PROBLEM)
    url = get_model_weights("resnet18").DEFAULT.url
    for word in (RESNET18, str(folder), url, "give the path"):
        assert word in str(error.value)
    assert list(folder.iterdir()) == []
    weights = save("resnet18", folder / RESNET18)
    assert_starts_from(start(backbone="resnet18", weights=name), weights)


def test_a_path(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine è.pt"
    weights = save("resnet18", path)
    monkeypatch.chdir(tmp_path)
    config = PlotClassifierConfig(backbone="resnet18", weights=path.name)
    monkeypatch.chdir("/")  # a trial runs elsewhere
    model = PlotClassifier(config, PROBLEM, seed=0)
    assert_starts_from(model, weights)
    assert "mine è.pt (sha256 " in model.facts()["weights"]


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_training_checkpoint_is_opened(tmp_path: Path, key: str) -> None:
    weights = save("resnet18", tmp_path / "plain.pt")
    torch.save({key: weights, "epoch": 3}, tmp_path / "checkpoint.pt")
    assert_starts_from(start(backbone="resnet18", weights=str(tmp_path / "checkpoint.pt")), weights)


def test_a_missing_path_and_an_unknown_name(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no file of weights at 'there/none.pth'.*IMAGENET1K_V1"):
        find_weights("resnet18", "there/none.pth")
    with pytest.raises(
        InputError, match=r"Unknown weights 'IMAGENET1K'.*Did you mean IMAGENET1K_V1\?.*Allowed: auto, none"
    ):
        find_weights("resnet18", "IMAGENET1K")


def test_weights_of_another_architecture_say_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    save("resnet34", path)
    with pytest.raises(InputError, match=r"not those of resnet18: \d+ unknown to it, such as layer1\.2\.conv1\.weight"):
        start(backbone="resnet18", weights=str(path))
    save("resnet18", path)
    with pytest.raises(
        InputError, match=r"\d+ missing, such as .*of another shape, such as layer1\.0\.conv1\.weight \("
    ):
        start(backbone="resnet50", weights=str(path))


def test_a_file_that_does_not_fit_is_refused_before_training(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    save("mobilenet_v3_small", path)
    problem = Problem(("a", "b"), (64, 64, 3), 1)
    for module, keys in ((plot_classifier, {}), (patch_knn, {"layers": "2"})):
        config = module.FAMILY.config(backbone="shufflenet_v2_x0_5", weights=str(path), **keys)
        with pytest.raises(InputError, match="not those of shufflenet_v2_x0_5"):
            module.FAMILY.check(config, problem)
    save("shufflenet_v2_x0_5", path)
    config = plot_classifier.FAMILY.config(backbone="shufflenet_v2_x0_5", weights=str(path))
    assert any("starts from" in remark for remark in plot_classifier.FAMILY.check(config, problem))
    path.write_text("no weights at all", encoding="utf-8")
    with pytest.raises(InputError, match="can't be read"):
        plot_classifier.FAMILY.check(config, problem)


def test_another_number_of_classes_is_no_fault(tmp_path: Path) -> None:
    model = build_backbone("resnet18", (32, 32))
    model.fc = torch.nn.Linear(512, 10)
    torch.save(model.state_dict(), tmp_path / "ten.pt")
    assert_starts_from(start(backbone="resnet18", weights=str(tmp_path / "ten.pt")), model.state_dict())


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "pickle", "trap", "array", "list"])
def test_a_file_that_holds_no_weights_is_refused_and_runs_nothing(tmp_path: Path, kind: str) -> None:
    path, mark = tmp_path / "weights.pth", tmp_path / "mark"
    if kind == "cut":
        save("squeezenet1_1", path)
        path.write_bytes(path.read_bytes()[:10_000])
    elif kind == "trap":
        torch.save({"fc.weight": Trap(mark)}, path)
    elif kind == "array":
        np.save(path.open("wb"), np.zeros(3))
    elif kind == "list":
        torch.save([torch.zeros(3)], path)
    else:
        path.write_bytes({"empty": b"", "text": b"no weights", "pickle": pickle.dumps({"a": Trap(mark)})}[kind])
    with pytest.raises(InputError, match=r"weights\.pth (can't be read|holds no state_dict)"):
        start(backbone="resnet18", weights=str(path))
    assert not mark.exists()


def test_published_auxiliary_outputs_are_left_out(tmp_path: Path) -> None:
    from torchvision.models import googlenet

    published = googlenet(weights=None, aux_logits=True, init_weights=False).state_dict()
    torch.save(published, tmp_path / "googlenet.pth")
    model = start(backbone="googlenet", weights=str(tmp_path / "googlenet.pth"))
    assert_starts_from(model, {name: value for name, value in published.items() if not name.startswith("aux")})
    assert model.network.backbone.transform_input


def test_old_names_of_densenet_layers_are_known(tmp_path: Path) -> None:
    weights = build_backbone("densenet121", (32, 32)).state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for name, value in weights.items()
        if not name.endswith("num_batches_tracked")
    }
    assert old.keys() - weights.keys()
    torch.save(old, tmp_path / "old.pth")
    ours = start(backbone="densenet121", weights=str(tmp_path / "old.pth")).weights()
    assert all(torch.equal(ours[name], value) for name, value in weights.items() if not name.startswith("classifier."))


@pytest.mark.slow
def test_position_embeddings_follow_the_picture_size(tmp_path: Path) -> None:
    weights = save("vit_b_32", tmp_path / "vit.pth", side=224)
    file = find_weights("vit_b_32", str(tmp_path / "vit.pth"))
    assert file is not None
    model = build_backbone("vit_b_32", (64, 64))
    load_backbone_weights(model, "vit_b_32", file, 64)
    assert model.encoder.pos_embedding.shape == (1, 5, 768)
    assert torch.equal(model.encoder.pos_embedding[:, 0], weights["encoder.pos_embedding"][:, 0])
    assert torch.equal(model.conv_proj.weight, weights["conv_proj.weight"])

import shutil
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
from trainables.vae_transfer import FAMILY, TransferNetwork, VaeTransfer, VaeTransferConfig, check

NINE = tuple("abcdefghi")
QUICK: dict[str, Any] = {
    "vae_architecture": "small_conv",
    "vae_latent_dim": 6,
    "vae_epochs": 2,
    "vae_batch_size": 8,
    "batch_size": 8,
}


def model(
    samples: Samples, epochs: int = 2, seed: int = 0, cache: Path | None = None, data: str = "these", **keys: Any
) -> VaeTransfer:
    height, width, channels = samples.pictures.shape[1:]
    kept = None if cache is None else Cache(cache)
    problem = Problem(samples.classes, (height, width, channels), epochs, cache=kept, data=data)
    return VaeTransfer(VaeTransferConfig(**{**QUICK, **keys}), problem, seed)


def stages(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("stages/*/stage.pt"))


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def count(module: nn.Module, trained: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)


def test_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = TransferNetwork(VaeTransferConfig(), Problem(NINE, (224, 224, 3), 20))
    assert count(network.head) == 67_849
    assert count(network) == 9_280_425
    assert count(network, trained=True) == 67_849


def test_it_learns_to_tell_shapes_apart(make_samples: Any) -> None:
    train, validation = make_samples(120, 1), make_samples(60, 2)
    stage_one = {"vae_epochs": 5, "vae_batch_size": 16, "vae_learning_rate": 3e-3, "vae_kl_weight": 0.1}
    keys = {**stage_one, "vae_latent_dim": 16, "learning_rate": 3e-3, "batch_size": 16, "dropout": 0.0}
    *_, last = model(train, epochs=8, **keys).fit(train, validation)
    assert np.mean(last.validation.scores.argmax(axis=1) == validation.labels) > 0.9


def test_stage_one_is_shared_by_all_that_agree_on_it(make_samples: Any, tmp_path: Path) -> None:
    train, validation = make_samples(16, 1), make_samples(9, 2)

    def run(**keys: Any) -> VaeTransfer:
        trained = model(train, epochs=1, cache=tmp_path, **keys)
        list(trained.fit(train, validation))
        return trained

    first = run()
    (stage,) = tmp_path.glob("stages/*/stage.pt")
    written = stage.stat().st_mtime_ns
    second = run(learning_rate=1e-2, dropout=0.1, vae_dropout=0.5, optimizer="adamw")
    assert stages(tmp_path) == [stage.parent.name]
    assert stage.stat().st_mtime_ns == written
    assert same(first.network.encoder.state_dict(), second.network.encoder.state_dict())
    assert first.facts() == second.facts()
    assert stage.parent.name.startswith(first.facts()["stage 1 key"])
    for number, keys in enumerate(
        (
            {"vae_latent_dim": 5},
            {"vae_kl_weight": 0.5},
            {"vae_learning_rate": 1e-3},
            {"vae_epochs": 1},
            {"vae_patience": None},
            {"vae_batch_size": 4},
            {"seed": 1},
            {"data": "others"},
        ),
        start=2,
    ):
        run(**keys)  # type: ignore[arg-type]
        assert len(stages(tmp_path)) == number


def test_a_shared_stage_changes_nothing(make_samples: Any, tmp_path: Path) -> None:
    train, validation = make_samples(16, 1), make_samples(9, 2)
    alone, first, second = (model(train, cache=cache) for cache in (None, tmp_path, tmp_path))
    epochs = [list(trained.fit(train, validation)) for trained in (alone, first, second)]
    assert len(stages(tmp_path)) == 1
    for other, others in ((first, epochs[1]), (second, epochs[2])):
        assert same(alone.weights(), other.weights())
        assert alone.facts() == other.facts()
        assert [dict(epoch.losses) for epoch in epochs[0]] == [dict(epoch.losses) for epoch in others]


def test_without_a_fingerprint_of_the_data_nothing_is_shared(make_samples: Any, tmp_path: Path) -> None:
    train = make_samples(9, 1)
    list(model(train, epochs=1, cache=tmp_path, data="").fit(train, train))
    assert stages(tmp_path) == []


def test_stage_one_knows_no_labels(make_samples: Any) -> None:
    train, validation = make_samples(16, 1), make_samples(9, 2)
    shuffled = Samples(train.pictures, np.roll(train.labels, 1), train.classes, train.paths)
    encoders = []
    for samples in (train, shuffled):
        trained = model(samples)
        list(trained.fit(samples, validation))
        encoders.append(trained.network.encoder.state_dict())
    assert same(*encoders)


def test_a_frozen_encoder_stays_as_stage_one_left_it(make_samples: Any, tmp_path: Path) -> None:
    train, validation = make_samples(16, 1), make_samples(9, 2)
    trained = model(train, epochs=3, cache=tmp_path)
    training = trained.fit(train, validation)
    next(training)
    (stage,) = tmp_path.glob("stages/*/stage.pt")
    left = torch.load(stage, weights_only=True)["content"]["weights"]
    head = {name: tensor.clone() for name, tensor in trained.network.head.state_dict().items()}
    list(training)
    assert same(left, trained.network.encoder.state_dict())
    assert not torch.equal(head["0.weight"], trained.network.head.state_dict()["0.weight"])


def test_a_trained_encoder_moves_at_its_own_rate(make_samples: Any, tmp_path: Path) -> None:
    train, validation = make_samples(16, 1), make_samples(9, 2)
    trained = model(train, cache=tmp_path, train_encoder=True, learning_rate=0.01, encoder_learning_rate_factor=0.2)
    head, encoder = trained.loop.optimizer.param_groups
    assert (head["lr"], encoder["lr"]) == (0.01, pytest.approx(0.002))
    for group, module in ((head, trained.network.head), (encoder, trained.network.encoder)):
        assert {id(p) for p in group["params"]} == {id(p) for p in module.parameters() if p.requires_grad}
    list(trained.fit(train, validation))
    (stage,) = tmp_path.glob("stages/*/stage.pt")
    left = torch.load(stage, weights_only=True)["content"]["weights"]
    now = trained.network.encoder.state_dict()
    assert not torch.equal(left["layers.0.weight"], now["layers.0.weight"])
    assert not torch.equal(left["mean.weight"], now["mean.weight"])


def test_resuming_a_trained_encoder_equals_not_stopping(make_samples: Any) -> None:
    train, validation = make_samples(17, 1), make_samples(9, 2)
    keys = {"epochs": 3, "train_encoder": True, "plateau_patience": 0}
    whole, before, after = (model(train, **keys) for _ in range(3))
    epochs = list(whole.fit(train, validation))
    next(before.fit(train, validation))
    after.load(before.state())
    rest = list(after.fit(train, validation))
    assert [dict(epoch.losses) for epoch in rest] == [dict(epoch.losses) for epoch in epochs[1:]]
    assert same(whole.weights(), after.weights())
    assert whole.facts() == after.facts() != {}


def test_a_frozen_encoder_sees_each_picture_once(make_samples: Any, tmp_path: Path) -> None:
    class Counted:
        """Pictures that count how often one of them is read."""

        def __init__(self, array: Any) -> None:
            self.array, self.shape, self.read = np.asarray(array), array.shape, 0

        def __len__(self) -> int:
            return len(self.array)

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            self.read += len(rows)
            return self.array[rows]

    plain = make_samples(16, 1), make_samples(9, 2)
    first = model(plain[0], epochs=4, cache=tmp_path)
    expected = list(first.fit(*plain))
    counted = [Counted(samples.pictures) for samples in plain]
    train, validation = (
        Samples(pictures, samples.labels, samples.classes, samples.paths)
        for pictures, samples in zip(counted, plain, strict=True)
    )
    shutil.rmtree(tmp_path / "features")
    second = model(train, epochs=4, cache=tmp_path)
    epochs = list(second.fit(train, validation))
    assert [pictures.read for pictures in counted] == [16, 9]
    list(model(train, epochs=4, cache=tmp_path).fit(train, validation))
    assert [pictures.read for pictures in counted] == [16, 9], "found again by the next training"
    np.testing.assert_array_equal(epochs[-1].validation.scores, expected[-1].validation.scores)
    np.testing.assert_array_equal(second.predict(validation).scores, expected[-1].validation.scores)
    assert counted[1].read == 9, "and by who predicts"


def test_facts_speak_of_stage_one(make_samples: Any) -> None:
    train = make_samples(9, 1)
    trained = model(train, epochs=1)
    assert trained.facts() == {}
    list(trained.fit(train, train))
    facts = trained.facts()
    assert facts.keys() == {"stage 1", "stage 1 key"}
    assert facts["stage 1"].startswith("best epoch ")
    assert " of 2, validation loss " in facts["stage 1"]


@pytest.mark.parametrize(
    ("keys", "shape", "message"),
    [
        ({}, (200, 224, 3), r"vae_architecture conv224 .* 32; these are 200 x 224.*\[192, 224\] or \[224, 224\]"),
        ({"vae_architecture": "small_conv", "vae_latent_dim": 200}, (8, 8, 3), "Set vae_latent_dim to 192 or less"),
        ({}, (32, 32, 4), "these have 4"),
    ],
)
def test_what_can_not_be_built_is_refused(keys: dict[str, Any], shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(VaeTransferConfig(**keys), Problem(NINE, shape, 1))


def test_remarks() -> None:
    problem = Problem(NINE, (64, 64, 3), 1)
    assert check(VaeTransferConfig(), problem) == []
    assert check(VaeTransferConfig(train_encoder=True, encoder_learning_rate_factor=0.5), problem) == []
    config = VaeTransferConfig(vae_dropout=0.1, encoder_learning_rate_factor=0.5, mixed_precision=True)
    remarks = " ".join(check(config, problem))
    for word in ("vae_dropout changes nothing", "train_encoder is false", "mixed_precision changes nothing"):
        assert word in remarks


@pytest.mark.parametrize(
    "keys",
    [
        {"vae_epochs": 0},
        {"vae_patience": 0},
        {"encoder_learning_rate_factor": 0},
        {"dropout": 1},
        {"vae_kl_weight": -1},
    ],
)
def test_impossible_values_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(keys))):
        FAMILY.config(**keys)

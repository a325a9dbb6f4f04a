"""What a GPU alone can show of the epoch loop: run with `pytest -m gpu`."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from orchestrator.families import family_row
from trainables.interface import Precision, Problem, Samples
from trainables.testing import make_samples
from trainables.training import batches as batches_module
from trainables.training.batches import Batches, free_room
from trainables.training.graphed_step import WARM_STEPS, GraphedStep
from trainables.training.loop import EpochLoop, TrainingConfig
from trainables.training.precision import use_tf32
from trainables.training.probe import probe, stacked_seconds, step_seconds
from trainables.training.together import Together

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def exact() -> Any:
    """Products in float32, so that ways of one computation can be told from other computations."""
    use_tf32(Precision(tf32=False))
    yield
    use_tf32(Precision(tf32=False))


class Lazy:
    """Pictures that are an array only where rows are asked for."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.asked = array, array.shape, 0

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.asked += 1
        return self.array[rows]


def samples(count: int = 70, side: int = 16) -> Samples:
    pictures = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return Samples(Lazy(pictures), np.arange(count) % 2, ("a", "b"), tuple(map(str, range(count))))


@pytest.mark.parametrize("room", [None, 0])
def test_batches_held_and_fetched_are_those_of_the_processor(monkeypatch: pytest.MonkeyPatch, room: int | None) -> None:
    given = samples()
    if room is not None:
        monkeypatch.setattr(batches_module, "free_room", lambda device: room)
    batches = Batches(CUDA)
    batches.hold(given)
    held = batches.held(given)
    assert (held is None) == (room == 0)
    asked = given.pictures.asked  # type: ignore[attr-defined]
    parts = np.split(np.random.default_rng(1).permutation(70), [32, 64])
    for _ in range(3):
        plain = Batches(torch.device("cpu")).each(given, parts)
        asked = given.pictures.asked  # type: ignore[attr-defined]
        for (pictures, labels), (expected, known) in zip(batches.each(given, parts), plain, strict=True):
            assert pictures.device.type == labels.device.type == "cuda"
            assert pictures.stride() == expected.stride()
            assert torch.allclose(pictures.cpu(), expected, rtol=1e-6, atol=0)
            assert torch.equal(labels.cpu(), known)
        if held is not None:
            assert given.pictures.asked == asked + 3, "the processor's alone"  # type: ignore[attr-defined]
    batches.release()
    assert batches.held(given) is None
    assert not [thread for thread in threading.enumerate() if thread.name == "made ahead"]


def test_the_room_is_a_share_of_what_is_free() -> None:
    before = free_room(CUDA)
    ballast = torch.empty(2**30, dtype=torch.uint8, device=CUDA)
    assert before - free_room(CUDA) == pytest.approx(0.25 * 2**30, rel=0.2)
    del ballast
    assert free_room(CUDA) == pytest.approx(before, rel=0.05), "what torch keeps for itself is free"


class SquaredError:
    def losses(self, output: Tensor, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        errors = self.scores(output, pictures)
        return errors, torch.ones_like(errors)

    def scores(self, output: Tensor, pictures: Tensor) -> Tensor:
        return (output.float() - pictures).square().flatten(1).mean(dim=1)

    def maps(self, output: Tensor, pictures: Tensor) -> None:
        return None


def plain_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 1))


def new_loop(precision: Precision, network: nn.Module | None = None, **keys: Any) -> EpochLoop:
    problem = Problem(("a", "b"), (16, 16, 3), epochs=4, device="cuda", precision=precision)
    config = TrainingConfig(**{"batch_size": 8, "plateau_patience": 0, "plateau_factor": 0.1, **keys})
    return EpochLoop(network or plain_network(), SquaredError(), config, problem, seed=0)


@pytest.mark.parametrize("keys", [{}, {"gradient_clipping": 0.1}, {"weight_decay": 0.1, "optimizer": "adamw"}])
def test_a_graph_trains_as_the_steps_do_that_it_was_captured_from(keys: dict[str, Any]) -> None:
    given = samples(70)  # the last batch is a smaller one
    ways = [new_loop(Precision(cuda_graphs=graphs), learning_rate=1e-2, **keys) for graphs in (False, True)]
    losses = [[dict(epoch.losses) for epoch in loop.fit(given, given)] for loop in ways]
    assert ways[1].facts() == {"computed": "as a CUDA graph"}
    assert ways[0].facts() == {}
    for plain, graphed in zip(*losses, strict=True):
        assert graphed == pytest.approx(plain, rel=1e-3)
    weights = [loop.state()["network"] for loop in ways]
    for name, values in weights[0].items():
        assert torch.allclose(values.float(), weights[1][name].float(), rtol=1e-2, atol=1e-4), name
    steps = [loop.state()["optimizer"]["state"][0]["step"] for loop in ways]
    assert float(steps[0]) == float(steps[1]) == 4 * 9, "none is left out, and none taken twice"


def test_a_graph_takes_up_another_learning_rate() -> None:
    loop = new_loop(Precision(cuda_graphs=True), learning_rate=1e-2)
    pictures = torch.rand(8, 3, 16, 16, device=CUDA).to(memory_format=torch.channels_last)
    labels = torch.zeros(8, dtype=torch.int64, device=CUDA)
    loop.network.train()
    step = loop.ready_step()
    for _ in range(WARM_STEPS + 2):
        step(pictures, labels)
    assert isinstance(step, GraphedStep)
    assert step.refused is None
    for group in loop.optimizer.param_groups:
        group["lr"] = 0.0
    before = loop.state()["network"]["0.weight"]
    step(pictures, labels)
    assert torch.equal(loop.state()["network"]["0.weight"], before)


def test_a_network_that_no_graph_holds_is_trained_without_and_says_why() -> None:
    class Looks(nn.Module):
        """Asks on the processor what its pictures are like."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = plain_network()

        def forward(self, pictures: Tensor) -> Tensor:
            output: Tensor = self.inner(pictures)
            return output if float(pictures.mean()) > 0 else 2 * output

    given = samples(64)
    plain, refused = (new_loop(Precision(cuda_graphs=graphs), Looks()) for graphs in (False, True))
    expected = [dict(epoch.losses) for epoch in plain.fit(given, given)]
    losses = [dict(epoch.losses) for epoch in refused.fit(given, given)]
    assert refused.facts()["computed"].startswith("without a CUDA graph (")
    for one, other in zip(expected, losses, strict=True):
        assert other == pytest.approx(one, rel=1e-3)


def test_dropout_is_drawn_anew_in_each_replay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(0.5))
    loop = new_loop(Precision(cuda_graphs=True), network, learning_rate=1e-12)
    pictures = torch.rand(8, 3, 16, 16, device=CUDA).to(memory_format=torch.channels_last)
    labels = torch.zeros(8, dtype=torch.int64, device=CUDA)
    network.train()
    step = loop.ready_step()
    seen = {float(step(pictures, labels)[0].sum()) for _ in range(WARM_STEPS + 5)}
    assert isinstance(step, GraphedStep)
    assert step.refused is None
    assert len(seen) == WARM_STEPS + 5


@pytest.mark.parametrize("precision", [Precision(), Precision(dtype="bfloat16", tf32=True, cuda_graphs=True)])
@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("conv_autoencoder", {"augmentation": 1.0}),
        ("vae", {"architecture": "linear"}),
        ("plot_classifier", {"backbone": "resnet18", "weights": "none", "augmentation": 0.7}),
    ],
)
def test_families_train_on_a_gpu_to_what_a_processor_gives(
    family: str, keys: dict[str, Any], precision: Precision
) -> None:
    found = family_row(family).family
    detection = found.task == "detection"
    train, validation = (make_samples(count, seed=count, detection=detection) for count in (60, 30))
    if detection:
        train = train.select(np.flatnonzero(train.labels == 0))
    problem = Problem(train.classes, (32, 32, 3), epochs=3, precision=precision)
    losses = []
    for device in ("cpu", "cuda"):
        config = found.config(batch_size=8, **keys)
        model = found.build(config, replace(problem, device=device), 3)
        losses.append([epoch.losses["train_loss"] for epoch in model.fit(train, validation)])
        assert np.isfinite(model.predict(validation).scores).all()
    # The draws of dropout and of z differ between devices.
    assert losses[1] == pytest.approx(losses[0], rel=0.35)


def test_a_training_goes_on_from_its_state_with_graphs() -> None:
    given = samples(70)
    whole = new_loop(Precision(cuda_graphs=True))
    expected = [dict(epoch.losses) for epoch in whole.fit(given, given)]
    first = new_loop(Precision(cuda_graphs=True))
    training = first.fit(given, given)
    begun = [dict(next(training).losses) for _ in range(2)]
    state = first.state()
    training.close()
    second = new_loop(Precision(cuda_graphs=True))
    second.load(state)
    rest = [dict(epoch.losses) for epoch in second.fit(given, given)]
    for one, other in zip(expected, begun + rest, strict=True):
        assert other == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize("name", ["conv_autoencoder", "vae"])
def test_stacked_seeds_end_as_by_themselves_and_the_last_goes_on_alone(name: str) -> None:
    family = family_row(name).family
    train, validation = (make_samples(count, seed=count, detection=True) for count in (60, 30))
    train = train.select(np.flatnonzero(train.labels == 0))
    problem = Problem(train.classes, (32, 32, 3), epochs=3, device="cuda")
    config = family.config(batch_size=8, **({"dropout": 0.0} if name == "vae" else {}))
    alone, together = ([family.build(config, problem, seed) for seed in range(3)] for _ in range(2))
    expected = [[dict(epoch.losses) for epoch in model.fit(train, validation)] for model in alone]
    Together([model.loop for model in together])
    trainings = [model.fit(train, validation) for model in together]
    found = [[dict(next(one).losses)] for one in trainings]
    for one in trainings[1:]:
        one.close()
    found[0] += [dict(epoch.losses) for epoch in trainings[0]]
    assert together[0].facts()["computed"] == "stacked with 2 of other seeds"
    for losses, others in zip(found, expected, strict=True):
        for one, other in zip(losses, others, strict=False):
            assert one == pytest.approx(other, rel=0.35 if name == "vae" else 1e-2)  # z is drawn in another order


def test_stacked_networks_are_timed() -> None:
    one, stacked = stacked_seconds("cuda", (32, 32), 8, Precision(), 3)
    assert 0 < one < 1
    assert 0 < stacked < 1
    assert "take" in probe("cuda", (32, 32), {}, seeds=3).reasons["fused"]


def test_each_way_is_timed_and_settled_on() -> None:
    taken = step_seconds("cuda", (32, 32), 8, (Precision(), Precision(cuda_graphs=True), Precision(dtype="bfloat16")))
    assert all(0 < seconds < 1 for seconds in taken)
    found = probe("cuda", (32, 32), {}, steps=100)
    assert found.precision.compile is False
    assert found.precision.tf32 is (torch.cuda.get_device_capability() >= (8, 0))
    assert found.reasons.keys() == {"dtype", "tf32", "channels_last", "cuda_graphs", "compile", "fused"}


def test_tf32_changes_products_and_can_be_forbidden() -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this GPU has no TF32")
    given = torch.rand(512, 512, device=CUDA)
    exact = (given.double() @ given.double()).float()
    errors: dict[bool, float] = {}
    for tf32 in (True, False):
        use_tf32(Precision(tf32=tf32))
        errors[tf32] = float(((given @ given) / exact - 1).abs().max())
    assert errors[False] < 1e-5 < errors[True] < 1e-2

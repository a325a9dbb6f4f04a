import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from orchestrator.data.store.lazy_arrays import StoredPictures
from orchestrator.data.store.shards import ShardFolder, write_shard
from orchestrator.families import family_row
from trainables.interface import Problem, Samples
from trainables.parts import augmentation
from trainables.parts.augmentation import Augmentation, PhotoAugmentation
from trainables.testing import make_samples
from trainables.training import batches as module
from trainables.training.batches import Batches, free_room

CPU = torch.device("cpu")
WAYS: list[dict[str, Any]] = [{"hold": True, "ahead": False}, {"hold": False, "ahead": False}, {"ahead": True}]


def plainly(samples: Samples, rows: np.ndarray) -> Tensor:
    """The pictures as they were read before there were ways to hold them."""
    return torch.from_numpy(samples.pictures[rows]).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def stored(folder: Path, count: int = 40, side: int = 12, channels: int = 3) -> Samples:
    """Samples whose pictures lie in two shards, in another order than the rows."""
    draws = np.random.default_rng(0)
    pictures = draws.integers(0, 256, (count, side, side + 4, channels), dtype=np.uint8)
    half = count // 2
    shards = [
        write_shard(folder, [f"{start}-{row}" for row in range(half)], [(side, side)] * half, pictures[start:][:half])
        for start in (0, half)
    ]
    order = draws.permutation(count)
    lazy = StoredPictures(
        ShardFolder(folder),
        tuple(contents.shard for contents in shards),
        (order // half).astype(np.int32),
        (order % half).astype(np.int32),
        (side, side + 4, channels),
        slice(0, 3),
    )
    return Samples(lazy, np.arange(count) % 2, ("a", "b"), tuple(map(str, range(count))))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("split", [1, 2**16])
def test_every_way_gives_the_same_bits_and_the_same_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any], in_memory: bool, channels: int, split: int
) -> None:
    monkeypatch.setattr(module, "SPLIT_VALUES", split)
    samples = stored(tmp_path, channels=channels)
    if in_memory:
        samples = samples.select(np.arange(len(samples)))
        samples.pictures.setflags(write=False)  # type: ignore[attr-defined]  # as Ray hands them over
    batches = Batches(CPU, ahead=way["ahead"])
    if way.get("hold"):
        batches.hold(samples)
        assert (batches.held(samples) is None) == in_memory
    order = np.random.default_rng(1).permutation(40)
    parts = [order[:7], order[7:8], order[8:30], order[30:]]
    for _ in range(2):
        for rows, (pictures, labels) in zip(parts, batches.each(samples, parts), strict=True):
            expected = plainly(samples, rows)
            assert torch.equal(pictures, expected)
            assert (pictures.dtype, pictures.stride()) == (expected.dtype, expected.stride())
            assert labels.tolist() == samples.labels[rows].tolist()


def test_what_was_first_made_while_scoring_serves_a_training(tmp_path: Path) -> None:
    samples = stored(tmp_path)
    batches = Batches(CPU)
    with torch.inference_mode():
        list(batches.each(samples, [np.arange(20)]))
    weight = torch.ones(1, requires_grad=True)
    for pictures, _ in batches.each(samples, [np.arange(20), np.arange(20, 40)]):
        (pictures * weight).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(2 * plainly(samples, np.arange(40)).square().sum().item(), rel=1e-5)


def test_a_picture_of_its_own_is_not_taken_over(tmp_path: Path) -> None:
    samples = stored(tmp_path)
    batches = Batches(CPU)
    first = batches.at(samples, np.arange(4))
    batches.at(samples, np.arange(4, 8))
    assert torch.equal(first, plainly(samples, np.arange(4)))


def test_what_is_too_large_stays_where_it_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = stored(tmp_path)
    small = samples.select(np.arange(4))
    small = Samples(Lazy(np.asarray(small.pictures)), small.labels, small.classes, small.paths)
    size = 40 * 12 * 16 * 3
    for room, held in ((size - 1, (False, True)), (size, (True, False)), (size + size // 10, (True, True))):
        monkeypatch.setattr(module, "GATHERED_BYTES", room)
        batches = Batches(CPU)
        batches.hold(samples, small)
        assert tuple(batches.held(part) is not None for part in (samples, small)) == held
        batches.release()
        assert batches.held(samples) is None
    assert free_room(CPU) == room


class Lazy:
    """Pictures that are an array only where rows are asked for."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape = array, array.shape

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        if rows.max() >= len(self.array) - 1 and self.array[-1].max() == 0:
            raise OSError(5, "Input/output error")
        return self.array[rows]


def test_a_shard_that_can_not_be_read_ends_the_training_and_leaves_no_thread() -> None:
    array = np.ones((20, 4, 4, 3), dtype=np.uint8)
    array[-1] = 0
    samples = Samples(Lazy(array), np.zeros(20, dtype=np.int64), ("a", "b"), tuple(map(str, range(20))))
    batches = Batches(CPU, ahead=True)
    reading = batches.each(samples, np.split(np.arange(20), 5))
    assert [len(next(reading)[0]) for _ in range(4)] == [4] * 4
    with pytest.raises(OSError, match="Input/output error"):
        next(reading)
    reading = batches.each(samples, np.split(np.arange(20), 10))
    next(reading)
    reading.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "made ahead"]


# What the augmentations were before their grids were made of rows and columns: the bits to meet.


def old_augmentation(self: Augmentation, pictures: Tensor, generator: torch.Generator) -> Tensor:
    draws = torch.rand(5, len(pictures), generator=generator)
    shift_x, shift_y, zoom, brightness = (2 * draws[:4] - 1) * self.strength
    scale = 1 + augmentation.ZOOM * zoom
    mirror = torch.where(draws[4] < 0.5, -1.0, 1.0) if self.flip_left_right else torch.ones_like(scale)
    zero = torch.zeros_like(scale)
    rows = (
        torch.stack((scale * mirror, zero, 2 * augmentation.SHIFT * shift_x), dim=1),
        torch.stack((zero, scale, 2 * augmentation.SHIFT * shift_y), dim=1),
    )
    grid = affine_grid(torch.stack(rows, dim=1), list(pictures.shape), align_corners=False)
    moved = grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return (moved * (1 + augmentation.BRIGHTNESS * brightness)[:, None, None, None]).clamp(0, 1)


def old_photo_augmentation(self: PhotoAugmentation, pictures: Tensor, generator: torch.Generator) -> Tensor:
    draws = torch.rand(5, len(pictures), generator=generator)
    turn, light, contrast = (2 * draws[:3] - 1) * self.strength
    across, down = torch.where(draws[3:] < 0.5, -1.0, 1.0)
    angle = torch.deg2rad(augmentation.ROTATION * turn)
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    aspect = pictures.shape[2] / pictures.shape[3]
    rows = (
        torch.stack((across * cosine, -across * sine * aspect, zero), dim=1),
        torch.stack((down * sine / aspect, down * cosine, zero), dim=1),
    )
    grid = affine_grid(torch.stack(rows, dim=1), list(pictures.shape), align_corners=False)
    turned = grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
    lit = turned * (1 + augmentation.LIGHT * light)[:, None, None, None]
    grey = lit.mean(dim=(1, 2, 3), keepdim=True)
    return (grey + (lit - grey) * (1 + augmentation.CONTRAST * contrast)[:, None, None, None]).clamp(0, 1)


@pytest.mark.parametrize("shape", [(5, 3, 32, 32), (2, 1, 33, 57), (3, 3, 224, 224), (4, 3, 1, 6)])
def test_augmented_pictures_have_the_bits_that_affine_grid_gives(shape: tuple[int, ...]) -> None:
    flat = (shape[0], shape[2], shape[3], shape[1])
    pictures = torch.rand(flat, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    kept = pictures.clone()
    for seed in range(3):
        for strength, flip in ((0.0, True), (0.6, False), (1.0, True)):
            given, old = (torch.Generator().manual_seed(seed) for _ in range(2))
            changes = Augmentation(strength, flip)
            assert torch.equal(changes(pictures, given), old_augmentation(changes, pictures, old))
        for strength in (0.5, 9.0):
            given, old = (torch.Generator().manual_seed(seed) for _ in range(2))
            turns = PhotoAugmentation(strength)
            assert torch.equal(turns(pictures, given), old_photo_augmentation(turns, pictures, old))
    assert torch.equal(pictures, kept)


@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("conv_autoencoder", {"augmentation": 1.0}),
        ("vae", {}),
        ("plot_classifier", {"backbone": "resnet18", "weights": "none", "augmentation": 0.7, "flip_left_right": True}),
    ],
)
def test_two_epochs_have_the_bits_of_the_old_way(
    monkeypatch: pytest.MonkeyPatch, family: str, keys: dict[str, Any]
) -> None:
    found = family_row(family).family
    detection = found.task == "detection"
    train, validation = (make_samples(count, seed=count, detection=detection) for count in (21, 10))
    if detection:
        train = train.select(np.flatnonzero(train.labels == 0))
    trained = []
    for way in ("old", "array", "held", "ahead"):
        parts = [train, validation]
        if way in ("held", "ahead"):
            parts = [Samples(Lazy(np.asarray(one.pictures)), one.labels, one.classes, one.paths) for one in parts]
        problem = Problem(train.classes, (32, 32, 3), epochs=2)
        model = found.build(found.config(batch_size=8, **keys), problem, 3)
        loop = model.loop  # type: ignore[attr-defined]
        with monkeypatch.context() as patched:
            if way == "old":
                loop.fetch = plainly
                patched.setattr(Augmentation, "__call__", old_augmentation)
                patched.setattr(PhotoAugmentation, "__call__", old_photo_augmentation)
            if way == "ahead":
                loop.batches = Batches(CPU, ahead=True)
                patched.setattr(Batches, "hold", lambda self, *parts: None)
            epochs = list(model.fit(*parts))
            last = model.predict(parts[1])
        assert loop.batches.held(parts[0]) is None
        trained.append((epochs, last, model.weights()))
    (epochs, last, weights), *others = trained
    for other_epochs, other_last, other_weights in others:
        for one, other in zip(epochs, other_epochs, strict=True):
            assert one.losses == other.losses
            assert np.array_equal(one.validation.scores, other.validation.scores)
        assert np.array_equal(last.scores, other_last.scores)
        assert (last.maps is None and other_last.maps is None) or np.array_equal(last.maps, other_last.maps)
        assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


def test_a_loss_that_is_no_number_leaves_no_thread() -> None:
    family = family_row("conv_autoencoder").family
    train = make_samples(40, seed=0, detection=True, normal_only=True)
    model = family.build(family.config(batch_size=4, learning_rate=1e30), Problem(train.classes, (32, 32, 3), 2), 0)
    model.loop.batches = Batches(CPU, ahead=True)  # type: ignore[attr-defined]
    lazy = Samples(Lazy(np.asarray(train.pictures)), train.labels, train.classes, train.paths)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Batches, "hold", lambda self, *parts: None)
        with pytest.raises(FloatingPointError) as raised:
            list(model.fit(lazy, lazy))
    # While the error is held, and with it all frames that it went through.
    assert raised.value.__traceback__ is not None
    assert not [thread for thread in threading.enumerate() if thread.name == "made ahead"]

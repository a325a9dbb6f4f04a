"""Pictures a second of a training's input side, without a model: ours, and Pillow with torchvision in a DataLoader.

    python benchmarks/loader.py
    python benchmarks/loader.py --cases "224 PNG" "32 PNG, augmented" --rounds 9 --device cuda

The other way is the one of PyTorch's documentation: an ImageFolder, transforms, a DataLoader that shuffles; with no
workers and with one a core, which live from epoch to epoch, so that their start is not counted. Ours reads a store as
`orchestrate render` leaves it. Augmented: shift, zoom and brightness of the same sizes. All take turns, an epoch each;
the table shows medians over the rounds, and the ratio of ours to the better of theirs.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from orchestrator.data.store.lazy_arrays import StoredPictures
from orchestrator.data.store.shards import ShardFolder, rows_per_shard, write_shard
from trainables.interface import Samples
from trainables.parts.augmentation import BRIGHTNESS, SHIFT, ZOOM, Augmentation
from trainables.training.batches import Batches
from trainables.training.loop import split_batches

BATCH = 32


@dataclass(frozen=True)
class Case:
    """What is read."""

    name: str
    side: int
    """Of the pictures that a network gets."""
    kept: int
    """Of the files."""
    suffix: str
    augmented: bool
    count: int


CASES = (
    Case("224 PNG", 224, 224, "png", augmented=False, count=512),
    Case("224 JPEG", 224, 224, "jpg", augmented=False, count=512),
    Case("512 PNG -> 224", 224, 512, "png", augmented=False, count=256),
    Case("32 PNG", 32, 32, "png", augmented=False, count=2048),
    Case("32 PNG, augmented", 32, 32, "png", augmented=True, count=2048),
    Case("224 PNG, augmented", 224, 224, "png", augmented=True, count=256),
)


def draw(side: int, draws: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (side, side, 3) as hard to decode as a photograph of a surface: waves, a colour, grain."""
    down, across = np.mgrid[:side, :side] / side
    waves = np.sin(across * draws.uniform(4, 20) + draws.uniform(0, 6)) * np.cos(down * draws.uniform(4, 20))
    picture = 127 + 60 * waves[..., None] + draws.uniform(-20, 20, 3) + draws.normal(0, 8, (side, side, 3))
    return picture.clip(0, 255).astype(np.uint8)


def write(case: Case, folder: Path) -> Samples:
    """The pictures as files under `files/`, and as a store's shards, mapped."""
    draws = np.random.default_rng(0)
    labels = np.arange(case.count) % 2
    pictures = []
    for number, label in enumerate(labels):
        file = folder / "files" / str(label) / f"{number:05}.{case.suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(case.kept, draws)).save(file)
        with Image.open(file) as opened:
            resized = opened.convert("RGB").resize((case.side, case.side), Image.Resampling.BILINEAR)
        pictures.append(np.asarray(resized))
    shape = (case.side, case.side, 3)
    step = rows_per_shard(shape)
    parts = [pictures[start : start + step] for start in range(0, case.count, step)]
    shards = [
        write_shard(folder, [f"{number}-{row}" for row in range(len(part))], [shape[:2]] * len(part), np.stack(part))
        for number, part in enumerate(parts)
    ]
    rows = np.arange(case.count, dtype=np.int32)
    lazy = StoredPictures(
        ShardFolder(folder),
        tuple(one.shard for one in shards),
        rows // np.int32(step),
        rows % np.int32(step),
        shape,
        slice(0, 3),
    )
    return Samples(lazy, labels, ("0", "1"), tuple(map(str, rows)))


def plain_loader(case: Case, folder: Path, workers: int, device: torch.device) -> Callable[[], None]:
    """One epoch through an ImageFolder and a DataLoader."""
    steps: list[Callable[[Image.Image], object]] = []
    if case.kept != case.side:
        steps.append(transforms.Resize((case.side, case.side)))
    if case.augmented:
        bilinear = transforms.InterpolationMode.BILINEAR
        zoom = (1 - ZOOM, 1 + ZOOM)
        steps.append(transforms.RandomAffine(0, translate=(SHIFT, SHIFT), scale=zoom, interpolation=bilinear))
        steps.append(transforms.ColorJitter(brightness=BRIGHTNESS))
    data = ImageFolder(str(folder / "files"), transforms.Compose([*steps, transforms.ToTensor()]))
    loader = DataLoader(
        data, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0, pin_memory=device.type == "cuda"
    )

    def epoch() -> None:
        for pictures, labels in loader:
            pictures.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return epoch


def ours(case: Case, samples: Samples, device: torch.device) -> tuple[Callable[[], None], float]:
    """One epoch as the epoch loop has it; and the seconds that it takes, once a training, to hold the pictures."""
    batches, draws = Batches(device), np.random.default_rng(0)
    augment = Augmentation(1.0 if case.augmented else 0.0)
    generator = torch.Generator().manual_seed(0)
    started = time.perf_counter()
    batches.hold(samples)

    def epoch() -> None:
        for pictures, _ in batches.each(samples, split_batches(draws.permutation(case.count), BATCH)):
            augment(pictures, generator)

    return epoch, time.perf_counter() - started


@contextmanager
def threads(count: int) -> Iterator[None]:
    """With so many threads in torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def measure(case: Case, rounds: int, cores: int, device: torch.device) -> tuple[dict[str, float], float]:
    """Pictures a second by way, and the seconds of holding."""
    with tempfile.TemporaryDirectory() as folder:
        samples = write(case, Path(folder))
        epoch, held = ours(case, samples, device)
        ways: dict[str, tuple[int, Callable[[], None]]] = {
            f"{workers} workers": (1, plain_loader(case, Path(folder), workers, device)) for workers in {0, cores}
        }
        ways |= {"ours, 1 thread": (1, epoch), f"ours, {cores}": (cores, epoch)}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):  # the first starts workers and warms caches
            for name, (count, way) in ways.items():
                with threads(count):
                    started = time.perf_counter()
                    way()
                    if device.type == "cuda":
                        torch.cuda.synchronize(device)
                    if number:
                        taken[name].append(time.perf_counter() - started)
    return {name: case.count / statistics.median(seconds) for name, seconds in taken.items()}, held


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    device = torch.device(given.device)
    card = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    print(f"{platform.processor() or platform.machine()}, {given.cores} cores{card}, torch {torch.__version__}")
    for case in CASES:
        if given.cases and case.name not in given.cases:
            continue
        rates, held = measure(case, given.rounds, given.cores, device)
        best = {
            who: max(rate for name, rate in rates.items() if name.startswith("ours") == (who == "ours"))
            for who in ("ours", "theirs")
        }
        each = "   ".join(f"{name} {rate:9,.0f}" for name, rate in rates.items())
        print(f"{case.name:20} {each}   {best['ours'] / best['theirs']:6.1f} x   held in {held:.2f} s", flush=True)


if __name__ == "__main__":
    main()

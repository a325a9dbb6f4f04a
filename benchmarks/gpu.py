"""What a GPU is worth here: everything in one call of some eight minutes, one table, written as it goes.

    python benchmarks/gpu.py --out gpu.md

Each part is a process of its own with a limit, so that none takes the others with it; its rows are appended to the
file (and to standard output) as soon as they are known, and a part that fails is a row with its reason. `--device cpu`
tries the parts on a machine without a GPU, with less to do: its figures say nothing.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Row = tuple[str, str]
"""What was measured, and what came out."""
MEMBERS = 16
SWEEP = 60.0
"""Seconds that one sweep may take."""
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12, "A10": 125e12, "RTX 4090": 165e12}
"""Floating-point operations a second in bfloat16, dense, by the makers' data sheets."""
RESNET50_FLOPS = 3 * 2 * 4.09e9
"""Of one picture of 224 x 224, forward and backward: 4.09 G multiply-adds forward, twice that backward."""


@dataclass(frozen=True)
class Size:
    """How much there is to do."""

    device: str

    @property
    def small(self) -> bool:
        """On a CPU, where the script itself is tried."""
        return self.device == "cpu"

    @property
    def backbone(self) -> str:
        """A large one, or a small one."""
        return "resnet18" if self.small else "resnet50"

    def of(self, gpu: int, cpu: int) -> int:
        """One of two amounts."""
        return cpu if self.small else gpu


def samples(count: int, side: int, classes: int, seed: int = 0) -> Any:
    """Noise, and a brighter half for the second class."""
    from trainables.interface import Samples

    random = np.random.default_rng(seed)
    pictures = random.integers(0, 200, (count, side, side, 3), dtype=np.uint8)
    labels = np.arange(count) % max(classes, 1)
    pictures[labels == 1, : side // 2] += 50
    return Samples(pictures, labels, ("normal", "anomaly"), tuple(map(str, range(count))))


def problem(size: Size, side: int, epochs: int, **keys: Any) -> Any:
    """Of these samples."""
    from trainables.interface import Problem

    return Problem(("normal", "anomaly"), (side, side, 3), epochs, device=size.device, **keys)


def synchronise(size: Size) -> None:
    """Wait until the GPU has done all that it was given."""
    import torch

    if not size.small:
        torch.cuda.synchronize()


def seconds_of(size: Size, work: Callable[[], object]) -> float:
    """Of one call, with all that the GPU was given in it."""
    synchronise(size)
    started = time.perf_counter()
    work()
    synchronise(size)
    return time.perf_counter() - started


def fine_tuning(size: Size) -> Iterator[Row]:
    """ResNet50 at 224: ours with what the probe chose, and the loop of PyTorch's documentation with a DataLoader."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
    from torchvision import models, transforms

    from trainables.interface import Precision
    from trainables.plot_classifier import PlotClassifier, PlotClassifierConfig

    count, side, batch = size.of(2048, 16), size.of(224, 64), size.of(128, 8)
    train = samples(count, side, 2)
    little = train.select(np.arange(2))
    config = PlotClassifierConfig(
        backbone="resnet50" if not size.small else "resnet18", weights="none", batch_size=batch
    )
    for name, dtype in (("float32 with TF32", "float32"), ("bfloat16", "bfloat16")):
        from trainables.training.precision import use_tf32

        precision = Precision(dtype=dtype, tf32=True)
        use_tf32(precision)
        model = PlotClassifier(config, problem(size, side, 4, precision=precision), 0)
        training = model.fit(train, little)
        next(training)
        took = statistics.median(seconds_of(size, partial(next, training)) for _ in range(2))
        rate = count / took
        yield f"ResNet50, 224 px, batch {batch}, ours, {name}", f"{rate:,.0f} pictures/s{share_of_peak(size, rate)}"

    class Folder(Dataset[Any]):
        """As a folder of pictures gives them, but from memory: the decoding of files is not counted."""

        turn = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
        )

        def __len__(self) -> int:
            return count

        def __getitem__(self, row: int) -> Any:
            return self.turn(train.pictures[row]), int(train.labels[row])

    network = (models.resnet50 if not size.small else models.resnet18)(num_classes=2).to(size.device)
    optimizer, lossy = torch.optim.Adam(network.parameters()), nn.CrossEntropyLoss()
    workers = size.of(min(8, os.cpu_count() or 1), 0)
    loader = DataLoader(Folder(), batch, shuffle=True, num_workers=workers, pin_memory=not size.small)

    def epoch() -> None:
        for pictures, labels in loader:
            optimizer.zero_grad()
            loss = lossy(network(pictures.to(size.device)), labels.to(size.device))
            loss.backward()
            optimizer.step()

    epoch()
    rate = count / statistics.median(seconds_of(size, epoch) for _ in range(2))
    yield f"the same, plain DataLoader loop, {workers} workers", f"{rate:,.0f} pictures/s{share_of_peak(size, rate)}"


def share_of_peak(size: Size, rate: float) -> str:
    """Of what the card can do at most in bfloat16, where that is known."""
    import torch

    if size.small:
        return ""
    name = torch.cuda.get_device_name()
    peak = next((value for card, value in PEAK.items() if card in name), None)
    return "" if peak is None else f", {rate * RESNET50_FLOPS / peak:.1%} of the bfloat16 peak"


def members(size: Size, count: int, **precision: Any) -> list[Any]:
    """Like trainings of `conv_autoencoder` at 32 px that differ in seed and learning rate."""
    from trainables.conv_autoencoder import ConvAutoencoder, ConvAutoencoderConfig
    from trainables.interface import Precision

    found = []
    for seed in range(count):
        config = ConvAutoencoderConfig(architecture="A", learning_rate=1e-3 * 1.1**seed)
        found.append(ConvAutoencoder(config, problem(size, 32, 5, precision=Precision(**precision)), seed))
    return found


def small_models(size: Size) -> Iterator[Row]:
    """16 small trainings: one after the other, as CUDA graphs, several processes at a time, and fused into one."""
    train, validation = samples(size.of(2048, 64), 32, 1), samples(size.of(512, 32), 32, 2, seed=1)
    count, base = size.of(MEMBERS, 4), 0.0
    ways: dict[str, Callable[[], float]] = {
        "one after the other": lambda: after_each_other(size, members(size, count), train, validation),
        "one after the other, CUDA graphs": lambda: after_each_other(
            size, members(size, count, cuda_graphs=True), train, validation
        ),
        "fused into one": lambda: fused(size, members(size, count), train, validation),
        "4 processes at a time": lambda: packed(size, count, 4),
        "8 processes at a time": lambda: packed(size, count, 8),
    }
    for name, way in ways.items():
        try:
            took = way()
        except Exception as error:
            yield f"{count} x conv_autoencoder, 32 px, {name}", f"failed: {type(error).__name__}: {error}"
            continue
        base = base or took
        yield (
            f"{count} x conv_autoencoder, 32 px, 4 epochs, {name}",
            f"{count * 3600 / took:,.0f} trials/h, {base / took:.1f} x",
        )


def after_each_other(size: Size, models: Sequence[Any], train: Any, validation: Any) -> float:
    """Seconds of four epochs of each, the first of five being warming up."""
    total = 0.0
    for model in models:
        training = model.fit(train, validation)
        next(training)
        total += seconds_of(size, lambda training=training: [next(training) for _ in range(4)])  # type: ignore[misc]
        training.close()
    return total


def fused(size: Size, models: Sequence[Any], train: Any, validation: Any) -> float:
    """Seconds of four epochs of all."""
    from trainables.training.together import Together

    Together([model.loop for model in models])
    trainings = [model.fit(train, validation) for model in models]

    def epoch() -> None:
        for training in trainings:
            next(training)

    epoch()
    if apart := next((model.loop.apart for model in models if model.loop.apart), ""):
        raise RuntimeError(f"not fused: {apart}")
    took = seconds_of(size, lambda: [epoch() for _ in range(4)])
    for training in trainings:
        training.close()
    return took


def packed(size: Size, count: int, at_once: int) -> float:
    """Seconds of four epochs of all, in processes that share the GPU; starting and warming up is not counted."""
    each = -(-count // at_once)
    command = [sys.executable, __file__, "--device", size.device, "--worker", str(each)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(at_once)
    ]
    for one in workers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for one in workers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in workers:
        one.communicate(timeout=120)
    return time.perf_counter() - started


def work(size: Size, count: int) -> None:
    """What a worker of `packed` does: warm up, wait for the word, train."""
    train, validation = samples(size.of(2048, 64), 32, 1), samples(size.of(512, 32), 32, 2, seed=1)
    trainings = [model.fit(train, validation) for model in members(size, count)]
    for training in trainings:
        next(training)
    print("ready", flush=True)
    sys.stdin.readline()
    for training in trainings:
        for _ in range(4):
            next(training)
    synchronise(size)


def features(size: Size) -> Iterator[Row]:
    """Frozen features a second, batched as the cache computes them."""
    from trainables.configurations.frozen_features import FrozenFeaturesConfig
    from trainables.parts.frozen_features import FrozenFeatures
    from trainables.parts.kept_features import KeptFeatures

    count, side = size.of(1024, 16), size.of(224, 64)
    given = samples(count, side, 2)
    for mixed in (False, True):
        config = FrozenFeaturesConfig(
            backbone="resnet50" if not size.small else "resnet18", weights="none", layers="2+3"
        )
        network = FrozenFeatures(config, problem(size, side, 1), 0, depth=False, mixed=mixed)
        kept = KeptFeatures(network, problem(size, side, 1))
        kept(given, np.arange(min(64, count)))
        took = seconds_of(size, lambda kept=kept: kept(given, np.arange(count)))  # type: ignore[misc]
        name = "bfloat16" if network.mixed else "float32"
        yield f"features of ResNet50 layers 2+3, 224 px, {name}", f"{count / took:,.0f} pictures/s"
        if size.small:
            return


SERIES = ("noise", "walk", "shift")


def write_data(folder: Path) -> None:
    """Series of three classes, and pictures with and without a bright patch."""
    from PIL import Image

    random = np.random.default_rng(0)
    for kind, name in enumerate(SERIES):
        for number in range(40):
            values = random.normal(size=200)
            values = values.cumsum() if kind == 1 else values
            values[random.integers(60, 140) :] += 4 * (kind == 2)
            path = folder / "series" / name / f"{number}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("value\n" + "\n".join(f"{value:.4f}" for value in values) + "\n")
    for name, count in (("good", 200), ("bad", 60)):
        for number in range(count):
            array = random.normal(128, 12, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            if name == "bad":
                row, column = random.integers(4, 24, 2)
                array[row : row + 5, column : column + 5] = 250
            path = folder / "pictures" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


def experiment(folder: Path, **overrides: Any) -> Path:
    """The file of a small sweep over both kinds of models."""
    values = {
        "data": {"path": str(folder / "pictures"), "layout": "images", "size": 32, "normal": "good"},
        "families": [
            "pca",
            {"name": "ae", "family": "conv_autoencoder", "fixed": {"architecture": "B"}},
            {"name": "knn", "family": "patch_knn", "fixed": {"backbone": "resnet18", "weights": "none", "layers": [1]}},
        ],
        "baseline": "pca",
        "budget": {"trials": 6, "epochs": 6},
        "seeds": [0, 1],
        **overrides,
    }
    file = folder / f"{len(list(folder.glob('*.yaml')))}.yaml"
    file.write_text(json.dumps(values))
    return file


def sweep(file: Path, out: Path, *more: str) -> list[Any]:
    """Run it by command; its records."""
    from orchestrator import read_records

    command = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--quiet", *more]
    # What a part prints is its rows alone.
    subprocess.run(command, check=True, timeout=SWEEP, stdout=subprocess.DEVNULL)
    return list(read_records(out / "records.jsonl"))


def whole_runs(size: Size) -> Iterator[Row]:
    """The same sweep on CPU and GPU; a kill -9 and a resume; memory as it was reserved; energy."""
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        os.environ["ORCHESTRATOR_CACHE"] = str(folder / "cache")  # nothing that an earlier call has left
        write_data(folder)
        file = experiment(folder)
        found = {}
        ways = {"CPU": ("--set", "resources.gpus=0"), **({} if size.small else {"GPU": ()})}
        for name, more in ways.items():
            started = time.perf_counter()
            records = sweep(file, folder / name, *more)
            found[name] = records
            failed = sum(one.status not in ("completed", "pruned") for one in records)
            yield (
                f"a sweep of 18 trials and 6 models, on the {name}",
                f"{time.perf_counter() - started:.0f} s, {failed} of {len(records)} failed",
            )
        for variant in ("pca", "ae", "knn"):
            means = {
                name: statistics.mean(
                    one.metrics["roc_auc"] for one in records if one.variant == variant and one.stage == "evaluation"
                )
                for name, records in found.items()
            }
            yield f"test ROC-AUC of {variant}", ", ".join(f"{value:.4f} on the {name}" for name, value in means.items())
        last = found[next(reversed(found))]
        yield "GPUs that records name", ", ".join(sorted({f"{one.variant}: {one.device} {one.gpus:g}" for one in last}))
        own = [one.own_memory or 0 for one in last if one.variant == "ae" and one.stage == "search"]
        yield "memory of the autoencoder's trials", ", ".join(f"{value / 2**20:.0f}" for value in own) + " MiB"
        energy = [one.energy for one in last if one.energy is not None]
        yield (
            "energy of what trained on it",
            f"{sum(energy):,.0f} J in {len(energy)} trainings" if energy else "no figure",
        )
        yield kill_and_resume(file, folder / "killed", ways[next(reversed(ways))], last)


HUNGRY = """
# An autoencoder of which one trial wants more of the GPU than the share that it has beside others.
from dataclasses import replace
from pathlib import Path

import ray
import torch

from trainables import conv_autoencoder

MARK = Path(__file__).with_suffix(".mark")


class Hungry(conv_autoencoder.ConvAutoencoder):
    def fit(self, train, validation):
        assigned = ray.get_runtime_context().get_assigned_resources()
        shares = any(0 < share < 1 for name, share in assigned.items() if name.startswith("GPU"))
        mine = repr(self.loop.config)
        if shares and not MARK.exists():
            MARK.write_text(mine)
        if MARK.exists() and MARK.read_text() == mine:
            whole = torch.cuda.get_device_properties(0).total_memory
            held = torch.empty(int(0.6 * whole), dtype=torch.uint8, device="cuda")
        yield from super().fit(train, validation)


def suggest(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)}


FAMILY = replace(
    conv_autoencoder.FAMILY, name="hungry", build=Hungry, stackable=None, suggest=suggest, loss_keys=()
)
"""


def memory(size: Size) -> Iterator[Row]:
    """What trials that share the GPU were expected to take of it, and took; one that wants more than its share."""
    from orchestrator.experiment.packing import CONTEXT, MARGIN

    if size.small:
        yield "a trial that wants more than its share", "not tried: it needs a GPU"
        return
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        os.environ["ORCHESTRATOR_CACHE"] = str(folder / "cache")
        write_data(folder)
        (folder / "hungry.py").write_text(HUNGRY)
        family = {"name": "hungry", "family": f"{folder / 'hungry.py'}:FAMILY", "fixed": {"architecture": "B"}}
        budget = {"trials": 8, "epochs": 6}
        file = experiment(folder, families=[family], baseline="hungry", seeds=[0], scheduler="none", budget=budget)
        trials = [one for one in sweep(file, folder / "run", "--until", "search") if one.stage == "search"]
        alone = [one.own_memory or 0 for one in trials if one.gpus >= 1 and "memory" not in one.facts]
        beside = [one for one in trials if 0 < one.gpus < 1]
        if not beside or not alone:
            yield "trials that share the GPU", f"none of {len(trials)} did"
            return
        expected, took = MARGIN * max(alone), max(one.own_memory or 0 for one in beside)
        yield (
            f"memory of trials that share the GPU, {beside[0].gpus:g} each, beside {CONTEXT / 2**20:.0f} MiB for CUDA",
            f"{expected / 2**20:.0f} MiB expected, {took / 2**20:.0f} MiB taken at most by {len(beside)}",
        )
        again = [one for one in trials if "memory" in one.facts]
        yield (
            "a trial that wants 60% of the GPU beside others",
            "; ".join(f"{one.status} on {one.gpus:g} GPU: {one.facts['memory']}" for one in again) or "was not met",
        )
        yield "how all trials ended", ", ".join(sorted({one.status for one in trials}))


def kill_and_resume(file: Path, out: Path, more: Sequence[str], undisturbed: Sequence[Any]) -> Row:
    """A kill -9 of the whole group once trials have ended, and a resume: what was lost or done twice."""
    from orchestrator import read_records

    command = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--quiet", *more]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    records = out / "records.jsonl"
    until = time.monotonic() + SWEEP
    try:
        while process.poll() is None and time.monotonic() < until:
            if records.exists() and records.read_bytes().count(b"\n") >= 8:
                break
            time.sleep(0.2)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = records.read_bytes()
    after = sweep(file, out, "--resume", *more)
    kept = records.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    keys = [(one.stage, one.variant, one.trial, one.seed) for one in read_records(records)]
    wanted = {(one.stage, one.variant, one.trial, one.seed) for one in undisturbed}
    ended = len(before.splitlines())
    return (
        f"kill -9 after {ended} records, then a resume",
        f"{len(wanted - set(keys))} lost, {len(keys) - len(set(keys))} twice, earlier ones "
        f"{'as they were' if kept else 'CHANGED'}, {len(after)} in all",
    )


PARTS: dict[str, tuple[Callable[[Size], Iterator[Row]], float]] = {
    "small models": (small_models, 120.0),
    "features": (features, 40.0),
    "fine-tuning": (fine_tuning, 75.0),
    "memory": (memory, 70.0),
    "whole runs": (whole_runs, 160.0),
}
"""And the seconds that each may take."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")) / "gpu.md")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = Size(given.device)
    if given.worker is not None:
        work(size, given.worker)
        return
    if given.part is not None:
        for row in PARTS[given.part][0](size):
            print(json.dumps(row), flush=True)
        return
    told(given.out, ("measured", "result"))
    told(given.out, ("---", "---"))
    told(given.out, ("device", device_name(size)))
    for name in given.parts:
        run_part(name, size, given.out)


def device_name(size: Size) -> str:
    """The card, its memory, the driver and torch."""
    import torch

    if size.small:
        return f"CPU, torch {torch.__version__}: figures say nothing"
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, torch {torch.__version__}"


def run_part(name: str, size: Size, out: Path) -> None:
    """One part in a process of its own; what it tells is written as it comes."""
    limit = size.of(1, 5) * PARTS[name][1]
    command = [sys.executable, __file__, "--device", size.device, "--part", name]
    late = threading.Event()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit, end)
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            with suppress(ValueError):  # a library's word, and no row
                told(out, tuple(json.loads(line)))
        code = process.wait()
        timer.cancel()
        if code:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["no word"])[-1]
            why = f"took more than {limit:g} s" if late.is_set() else f"exit {code}: {last}"
            told(out, (f"{name}: ended", why[:300]))


def told(out: Path, row: Sequence[str]) -> None:
    """Print a row, and write it so that a cut loses nothing."""
    line = f"| {' | '.join(row)} |"
    print(line, flush=True)
    with out.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()

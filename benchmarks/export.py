"""How fast an exported file is: ONNX in onnxruntime beside the same model in torch, on a CPU, in turns.

python benchmarks/export.py [--size 224] [--threads 1] [--rounds 15] [--families pca patch_knn]

Each family is trained for a moment on made-up pictures, since speed hangs on no weight, and exported as `orchestrate
export` does. Then both score the same batches, alternately, and the medians of their times are compared. Torch is given
pictures of the trained size; the file looks for other sizes before. One more row shows what a picture of twice that
size costs it, beside Pillow's resize and torch. Prints a table in Markdown.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from orchestrator.families import FAMILIES
from orchestrator.using.export.onnx_file import OnnxFile, OnnxRunner
from orchestrator.using.export.whole_graph import Scored
from trainables.interface import Problem
from trainables.testing import make_samples

BATCHES = (1, 32)
RESNET = {"backbone": "resnet18", "weights": "none"}
CONFIGS: dict[str, dict[str, Any]] = {
    "plot_classifier": RESNET,
    "vae_transfer": {"vae_epochs": 1, "vae_architecture": "conv224"},
    "vae": {"architecture": "conv224"},
    "feature_autoencoder": RESNET,
    "patch_knn": {**RESNET, "most_patches": 2_000},
    "pca": {"components": 16},
}
"""What differs from the defaults."""


def scored_of(name: str, size: int) -> tuple[Scored, float | None]:
    """The family's model after its first epoch, and a threshold where it has one."""
    family = FAMILIES[name].family
    detects = family.task == "detection"
    train = make_samples(24, 1, side=size, detection=detects, normal_only=detects)
    validation = make_samples(9, 2, side=size, detection=detects)
    config = family.config(**CONFIGS.get(name, {}))
    model = family.build(config, Problem(train.classes, (size, size, 3), 1), 0)
    next(iter(model.fit(train, validation)))
    assert family.module is not None
    return Scored(family.module(model), (size, size, 3), family.task), 0.5 if detects else None


def in_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            if number:  # the first warms up
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(each) for name, each in times.items()}


def measure(
    scored: Scored, threshold: float | None, run: OnnxRunner, batch: int, side: int, size: int, rounds: int
) -> tuple[float, float]:
    """Milliseconds a picture in torch and in onnxruntime, of pictures of `side` and a model of `size`."""
    pictures = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    line = () if threshold is None else (torch.tensor(threshold),)

    def in_torch() -> None:
        given = pictures
        if side != size:
            resized = (Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR) for one in pictures)
            given = np.stack([np.asarray(one) for one in resized])
        with torch.inference_mode():
            scored(torch.from_numpy(given), *line)

    found = in_turns({"torch": in_torch, "onnx": lambda: run(pictures)}, rounds)
    return 1e3 * found["torch"] / batch, 1e3 * found["onnx"] / batch


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = arguments.size
    print("| family | batch | pictures | torch, ms a picture | onnxruntime, ms a picture | torch / onnxruntime |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in arguments.families:
        scored, threshold = scored_of(name, size)
        run = OnnxRunner(OnnxFile(scored, (size, size), threshold).content({}), threads=arguments.threads)
        for batch, side in [*((batch, size) for batch in BATCHES), (1, 2 * size)]:
            theirs, ours = measure(scored, threshold, run, batch, side, size, arguments.rounds)
            print(f"| `{name}` | {batch} | {side} px | {theirs:.2f} | {ours:.2f} | {theirs / ours:.2f} |", flush=True)


if __name__ == "__main__":
    main()

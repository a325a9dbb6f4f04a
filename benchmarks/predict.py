"""How fast a kept model scores CSVs, beside what its two parts take: drawing a plot, and the model.

    python benchmarks/predict.py                   10,000 CSVs of 500 points, 224 px, all cores
    python benchmarks/predict.py --files 2000 --family plot_classifier

The parts are measured by as many processes at a time as there are cores, each with one thread, before and after the
whole; their sum is what a file can't cost less than. The rate is that between the first tenth of the rows and the
last, so that the start of Ray and of the workers stands beside it and not in it. Memory is that of the process that
was asked, which holds what grows with the number of files.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from rendering import write_csvs

SIDE, POINTS, SAMPLE = 224, 500, 256
CONFIGS = {"pca_logistic": {"components": 16}, "plot_classifier": {"backbone": "resnet18", "weights": "none"}}


def keep(folder: Path, family: str) -> None:
    """An untuned model of nine classes, for plots."""
    from orchestrator.artifacts.models import KeptModel, keep_model
    from orchestrator.families import family_row
    from trainables.interface import Problem, Samples

    random, classes = np.random.default_rng(0), tuple(f"class{number}" for number in range(9))
    pictures = random.integers(0, 255, (36, SIDE, SIDE, 3), dtype=np.uint8)
    samples = Samples(pictures, np.arange(36) % 9, classes, tuple(map(str, range(36))))
    row, config = family_row(family).family, CONFIGS[family]
    model = row.build(row.config(**config), Problem(classes, (SIDE, SIDE, 3), 1), 0)
    if family == "pca_logistic":
        next(iter(model.fit(samples, samples)))
    how = {"layout": "series", "column": None, "style": "seed", "size": [SIDE, SIDE]}
    note = KeptModel(
        family=family, variant=family, seed=0, config=config, classes=classes, shape=(SIDE, SIDE, 3),
        preprocessing=how, code="benchmark",
    )  # fmt: skip
    keep_model(folder, model.weights(), note, 1)


def parts(model: str, paths: list[str], results: "multiprocessing.Queue[tuple[float, float]]") -> None:
    """Seconds a file that drawing takes, and that the model takes, on one thread."""
    import torch

    from orchestrator.using.loaded_model import load_model
    from orchestrator.using.prepared_pictures import PictureReader

    torch.set_num_threads(1)
    loaded = load_model(model)
    reader = PictureReader(loaded.kept)
    reader.drawer.start()
    pictures = np.stack([reader.picture(path) for path in paths[:64]])
    loaded.predict(pictures)
    began = time.perf_counter()
    for path in paths:
        reader.picture(path)
    drawn = time.perf_counter()
    for _ in range(len(paths) // 64):
        loaded.predict(pictures)
    results.put(((drawn - began) / len(paths), (time.perf_counter() - drawn) / len(paths)))


def floor(model: str, paths: list[str], cores: int) -> tuple[float, float]:
    """The same, by so many processes at a time: the mean of them."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[float, float]] = context.Queue()
    crew = [context.Process(target=parts, args=(model, paths, results)) for _ in range(cores)]
    for one in crew:
        one.start()
    found = [results.get(timeout=600) for _ in crew]
    for one in crew:
        one.join()
    return statistics.mean(one[0] for one in found), statistics.mean(one[1] for one in found)


def whole(model: str, data: Path, out: Path, files: int) -> tuple[float, float, float, float]:
    """Files a second once at work, seconds in all, and MiB that the process held after a tenth and at most."""
    command = [sys.executable, "-m", "orchestrator.cli", "predict", model, str(data), "--out", str(out), "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"})
    watched, journal = psutil.Process(process.pid), out.with_name(out.name + ".unfinished")
    seen: list[tuple[float, int, float]] = []
    while process.poll() is None:
        try:
            done = journal.read_bytes().count(b'"stamp"')
            seen.append((time.perf_counter(), done, watched.memory_info().rss / 2**20))
        except (OSError, psutil.Error):
            pass
        time.sleep(0.5)
    assert process.returncode == 0
    first = next(one for one in seen if one[1] >= files / 10)
    last = max(seen, key=lambda one: (one[1], -one[0]))
    rate = (last[1] - first[1]) / (last[0] - first[0])
    return rate, time.perf_counter() - began, first[2], max(one[2] for one in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--family", choices=sorted(CONFIGS), default="pca_logistic")
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, model = folder / "csv", str(folder / "model")
        paths = [str(data / path) for path in write_csvs(data, asked.files, POINTS)]
        keep(folder / "model", asked.family)
        before = floor(model, paths[:SAMPLE], cores)
        rate, seconds, early, most = whole(model, data, folder / "r.csv", asked.files)
        after = floor(model, paths[:SAMPLE], cores)
    draw, score = (statistics.mean(both) for both in zip(before, after, strict=True))
    best = cores / (draw + score)
    print(f"{asked.family}, {asked.files:,} CSVs of {POINTS} points, {SIDE} px, {cores} cores")
    print(f"parts: drawing {draw * 1e3:.2f} ms, model {score * 1e3:.2f} ms a file: at best {best:.0f} files/s")
    print(f"whole: {rate:.0f} files/s once at work, {rate / best:.0%} of that; {seconds:.0f} s with the start")
    print(f"memory of the process: {early:.0f} MiB after a tenth of the files, {most:.0f} MiB at most")


if __name__ == "__main__":
    main()

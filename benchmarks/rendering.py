"""How fast CSVs become pictures, beside the published models' way (read_csv, pyplot, savefig, decode, resize).

    python benchmarks/rendering.py                 one core: both styles at 100, 500 and 5,000 points, and the steps
    python benchmarks/rendering.py --end-to-end    all cores: Ray Data beside multiprocessing.Pool

Both ways run in alternation on one machine, so that its load weighs on both; figures are medians. Ratios travel
between machines, milliseconds don't.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.files.content_hashes import content_hash
from orchestrator.data.files.series import parse_series
from orchestrator.data.files.source_files import SourceFolder
from orchestrator.data.fill.draw_batch import DrawBatch
from orchestrator.data.fill.drawing import recipe_of
from orchestrator.data.plotting.png import encode_png
from orchestrator.data.plotting.renderer import Renderer
from orchestrator.data.store.shards import write_shard
from trainables.small_files import FolderFiles

SIZE = (224, 224)
BATCH = 64
"""Pictures of ours between two rounds of the seeds' way, which draws SEEDS_BATCH."""
SEEDS_BATCH = 4


def write_csvs(folder: Path, count: int, length: int, seed: int = 0) -> list[str]:
    """`count` series of `length` points, half of them noise, half walks; their paths below `folder`."""
    draws = np.random.default_rng([seed, length])
    paths = []
    for number in range(count):
        values = draws.normal(size=length)
        if number % 2:
            values = values.cumsum()
        path = Path(f"class{number % 9}") / f"{number:06d}.csv"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("data\n" + "\n".join(map(repr, values.tolist())) + "\n")
        paths.append(str(path))
    return paths


def seeds_png(csv: Path, png: Path, style: str) -> None:
    """The published models' way to a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    values = pd.to_numeric(pd.read_csv(csv)["data"], errors="coerce").dropna().to_numpy()
    if style == "plain":
        plt.figure(figsize=(8, 6), dpi=100)
        plt.plot(values)
        plt.savefig(png)
    else:
        _, axes = plt.subplots(figsize=(8, 6), dpi=100)
        axes.plot(values, linewidth=1.5, color="#1f77b4")
        axes.set_xlabel("Time", fontsize=12)
        axes.set_ylabel("Value", fontsize=12)
        axes.grid(True, alpha=0.3)
        axes.spines["top"].set_visible(False)
        axes.spines["right"].set_visible(False)
        plt.tight_layout()
        plt.savefig(png, dpi=100, bbox_inches="tight")
    plt.close()


def seeds_picture(csv: Path, png: Path, style: str) -> NDArray[np.uint8]:
    """The published models' way to what a model sees."""
    seeds_png(csv, png, style)
    with Image.open(png) as image:
        return np.asarray(image.convert("RGB").resize(SIZE[::-1], Image.Resampling.BILINEAR))


def alternate(first: Callable[[int], int], second: Callable[[int], int], rounds: int) -> tuple[float, float]:
    """Median seconds a picture of two ways, run in turns. Each takes the round and returns how many it made."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for way, seconds in zip((first, second), taken, strict=True):
            began = time.perf_counter()
            made = way(turn)
            seconds.append((time.perf_counter() - began) / made)
    return statistics.median(taken[0]), statistics.median(taken[1])


def one_core(rounds: int, lengths: Sequence[int]) -> None:
    """CSV -> 224 × 224 in a shard, and CSV -> full-size PNG, against the seeds' way."""
    print(f"\nOne core, {rounds} rounds in alternation; milliseconds a picture (median)")
    print("style  points  to a shard: seeds    ours  ratio   to a PNG: seeds    ours  ratio")
    for style in ("plain", "seed"):
        for length in lengths:
            with tempfile.TemporaryDirectory() as name:
                ways = Ways(Path(name), style, length)
                slow, fast = alternate(ways.seeds, ways.ours, rounds)
                slow_png, fast_png = alternate(ways.seeds_to_png, ways.ours_to_png, rounds)
            print(
                f"{style:6} {length:6,}  {slow * 1e3:17.1f} {fast * 1e3:7.2f} {slow / fast:5.1f}×"
                f"   {slow_png * 1e3:15.1f} {fast_png * 1e3:7.2f} {slow_png / fast_png:5.1f}×",
                flush=True,
            )
            if ways.renderer.remark:
                print("  " + ways.renderer.remark)


class Ways:
    """Both ways over the same CSVs. Each method takes the round and returns how many pictures it made."""

    def __init__(self, folder: Path, style: str, length: int) -> None:
        self._csv = folder / "csv"
        self._png = folder / "picture.png"
        self._style = style
        self._paths = write_csvs(self._csv, 4 * BATCH, length)
        (folder / "shards").mkdir()
        recipe = recipe_of("series", style, SIZE, None)
        self._worker = DrawBatch(
            SourceFolder(str(self._csv)), FolderFiles(folder / "shards", made=False), recipe, (*SIZE, 3)
        )
        self._worker.draw(self._paths[:BATCH])  # the first pictures get the fast way ready
        self.renderer = Renderer(style, None)
        self.renderer.start()
        self._check_same(self._paths[:2])

    def seeds(self, turn: int) -> int:
        for csv in self._some(turn):
            seeds_picture(csv, self._png, self._style)
        return SEEDS_BATCH

    def ours(self, turn: int) -> int:
        start = turn % 4 * BATCH
        result = self._worker.draw(self._paths[start : start + BATCH])
        assert len(result["drawn"]) == BATCH, result
        return BATCH

    def seeds_to_png(self, turn: int) -> int:
        for csv in self._some(turn):
            seeds_png(csv, self._png, self._style)
        return SEEDS_BATCH

    def ours_to_png(self, turn: int) -> int:
        start = turn % 4 * BATCH
        for path in self._paths[start : start + BATCH]:
            values = parse_series((self._csv / path).read_bytes()).values
            self._png.write_bytes(encode_png(self.renderer.full(values)))
        return BATCH

    def _some(self, turn: int) -> list[Path]:
        return [self._csv / self._paths[(turn * SEEDS_BATCH + i) % len(self._paths)] for i in range(SEEDS_BATCH)]

    def _check_same(self, paths: Sequence[str]) -> None:
        """Both ways make the same picture, or there is nothing to compare."""
        sized = Renderer(self._style, SIZE)
        sized.start()
        for path in paths:
            mine = sized.picture(parse_series((self._csv / path).read_bytes()).values)
            assert np.array_equal(mine, seeds_picture(self._csv / path, self._png, self._style))


def steps(style: str, length: int) -> None:
    """The share of each step in CSV -> shard."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / path for path in write_csvs(folder, BATCH, length)]
        renderer = Renderer(style, SIZE)
        renderer.start()
        plot = renderer._fast._plot
        datas = [path.read_bytes() for path in paths]
        series = [parse_series(data).values for data in datas]
        pictures = np.zeros((BATCH, *SIZE, 3), np.uint8)
        ticks = typical(lambda values: plot._ticker(float(values.min()), float(values.max())), series)
        draw = typical(plot.draw, series)
        taken = {
            "read": typical(Path.read_bytes, paths),
            "hash": typical(content_hash, datas),
            "parse": typical(parse_series, datas),
            "ticks": ticks,
            "draw": draw - ticks,
            "resize": typical(renderer.picture, series) - draw,
            "write": typical(lambda keys: write_shard(folder, keys, [SIZE] * BATCH, pictures), [["k"] * BATCH]) / BATCH,
        }
    total = sum(taken.values())
    shares = "  ".join(f"{step} {seconds * 1e6:.0f} ({seconds / total:.0%})" for step, seconds in taken.items())
    print(f"{style:6} {length:6,}  {shares}", flush=True)


def typical(call: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
    """The median over the inputs of the least seconds of three calls."""
    return statistics.median(min(timed(call, given) for _ in range(3)) for given in inputs)


def timed(call: Callable[[Any], Any], given: Any) -> float:
    began = time.perf_counter()
    call(given)
    return time.perf_counter() - began


def start_up() -> None:
    """How long the fast way takes to get ready in a fresh process."""
    code = (
        "import time; t = time.perf_counter()\n"
        "from orchestrator.data.plotting.renderer import Renderer\n"
        "r = Renderer('seed', (224, 224)); a = time.perf_counter(); r.start(); b = time.perf_counter()\n"
        "print(f'imports {a - t:.2f} s, fast way ready {b - a:.2f} s', r.remark)"
    )
    root = Path(__file__).resolve().parents[1]
    for label, cache in (("machine code compiled", tempfile.mkdtemp()), ("machine code kept", None)):
        environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
        shown = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
        print(f"  start of a process, {label}: {shown.stdout.strip() or shown.stderr.strip()}", flush=True)


def seeds_job(job: tuple[str, str, str]) -> None:
    """One picture by a pool's worker: CSV, a folder for its PNG, style."""
    csv, folder, style = job
    seeds_picture(Path(csv), Path(folder) / f"{os.getpid()}.png", style)


def end_to_end(count: int, seeds_count: int, length: int, style: str, workers: int | None) -> None:
    """All cores: Ray Data into a store, against a pool of processes over the seeds' way."""
    from orchestrator.data.fill.pipeline import fill_store
    from orchestrator.data.fill.progress_count import Progress
    from orchestrator.machine.engine import Engine

    cores = workers or os.cpu_count() or 1
    print(f"\nEnd to end, {cores} cores, {style} style, {length} points")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_csvs(folder / "csv", count, length)
        with multiprocessing.get_context("spawn").Pool(cores) as pool:
            jobs = [(str(folder / "csv" / path), str(folder), style) for path in paths]
            pool.map(seeds_job, jobs[: 4 * cores], chunksize=1)  # imports and fonts
            began = time.perf_counter()
            pool.map(seeds_job, jobs[:seeds_count], chunksize=4)
            slow = seeds_count / (time.perf_counter() - began)
        print(f"  seeds' way in a pool: {slow:8.1f} pictures/s once started ({seeds_count} pictures)", flush=True)
        told: list[Progress] = []
        with Engine(cpus=cores):
            began = time.perf_counter()
            filled = fill_store(
                folder / "csv", folder / "store", layout="series", style=style, size=SIZE, workers=cores,
                on_progress=told.append,
            )  # fmt: skip
            first = time.perf_counter() - began
            began = time.perf_counter()
            fill_store(folder / "csv", folder / "store", layout="series", style=style, size=SIZE, workers=cores)
            second = time.perf_counter() - began
        assert filled.rendered == count
        begun = next(progress.seconds for progress in told if progress.done)
        steady = [p for p in told if p.seconds > begun + 5] or told[-2:]
        rate = (told[-1].done - steady[0].done) / max(told[-1].seconds - steady[0].seconds, 1e-9)
        print(f"  ours through Ray Data: {rate:7.1f} pictures/s once started, {rate / slow:.1f}× ({count} pictures)")
        print(f"  first batch after {begun:.1f} s, all after {first:.1f} s; ", end="")
        print(f"second run on unchanged input {second:.2f} s ({second / first:.1%})")
        worker = DrawBatch(
            SourceFolder(str(folder / "csv")),
            FolderFiles(folder / "store" / "shards", made=False),
            recipe_of("series", style, SIZE, None),
            (*SIZE, 3),
        )
        worker.draw(paths[:BATCH])
        began = time.perf_counter()
        for start in range(0, 8 * BATCH, BATCH):
            worker.draw(paths[start : start + BATCH])
        single = 8 * BATCH / (time.perf_counter() - began)
        print(f"  one core alone: {single:.1f} pictures/s; ", end="")
        print(f"Ray Data reaches {rate / (cores * single):.0%} of {cores} × that")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 500, 5000])
    parser.add_argument("--end-to-end", action="store_true")
    parser.add_argument("--count", type=int, default=10_000, help="CSVs of the end-to-end run")
    parser.add_argument("--seeds-count", type=int, default=200, help="CSVs of the seeds' way in that run")
    parser.add_argument("--style", default="seed")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    if options.end_to_end:
        end_to_end(options.count, options.seeds_count, 500, options.style, options.workers)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    start_up()
    one_core(options.rounds, options.lengths)
    print("\nSteps of ours, one core; microseconds a picture and share")
    for style in ("plain", "seed"):
        for length in options.lengths:
            steps(style, length)


if __name__ == "__main__":
    main()

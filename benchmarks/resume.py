"""How long until the first trial of a run has ended: of a fresh run, and of one that goes on with many records.

    python benchmarks/resume.py --trials 1000 --rounds 3

A round starts a fresh run of one trial, then goes on with a run of so many trials for one trial more, each in a process
of its own. The figures are medians over the rounds, in seconds from the start of the process to the first new record.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml


def write_series(root: Path, count: int = 14) -> None:
    """`count` CSVs of 60 points for each of three classes."""
    random, line = np.random.default_rng(0), np.linspace(0, 1, 60)
    for name, shape in {"step": np.where(line > 0.5, 3.0, 0.0), "trend": 6 * line, "wave": np.sin(12 * line)}.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            values = shape + random.normal(0, 0.3, len(line))
            text = "\n".join(["value", *(f"{value:.6f}" for value in values)])
            (root / name / f"{number:03d}.csv").write_text(f"{text}\n", encoding="utf-8")


def sweep(file: Path, out: Path, trials: int) -> float:
    """Run the search up to so many trials; seconds until the first new record."""
    command = [sys.executable, "-m", "orchestrator.cli", "sweep", str(file), "--out", str(out), "--resume", "--quiet"]
    records = out / "records.jsonl"
    before = records.stat().st_size if records.exists() else 0
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--until", "search", "--set", f"budget.trials={trials}"], stdout=subprocess.DEVNULL
    ) as process:
        while not records.exists() or records.stat().st_size == before:
            assert process.poll() is None, "it ended without a record"
            time.sleep(0.01)
        seconds = time.perf_counter() - started
    assert process.returncode == 0
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_series(folder / "series")
        file = folder / "e.yaml"
        data = {"path": str(folder / "series"), "size": 32, "style": "plain", "store": str(folder / "store")}
        file.write_text(yaml.safe_dump({"data": data, "families": ["pca_logistic"]}), encoding="utf-8")
        sweep(file, folder / "warm", 1)  # renders, and fills the caches of this machine
        sweep(file, folder / "run", given.trials)
        fresh, resumed = [], []
        for number in range(given.rounds):
            fresh.append(sweep(file, folder / f"fresh{number}", 1))
            resumed.append(sweep(file, folder / "run", given.trials + 1 + number))
    first, again = statistics.median(fresh), statistics.median(resumed)
    print(f"first record of a fresh run: {first:.1f} s; with {given.trials} trials done: {again:.1f} s; "
          f"{again - first:+.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()

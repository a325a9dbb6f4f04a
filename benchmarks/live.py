"""How fast files and values are judged as they come: files a second of watch, windows a second and latency of stream.

    python benchmarks/live.py                      2,000 CSVs; windows of 500 values, 224 px, one thread
    python benchmarks/live.py --family plot_classifier

The rate of watch is that between the first lines and the last ones, so that torch's import stands in none. Stream is
given a file first, which is judged as fast as it can be; then values that come at half of that rate, one by one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
from predict import POINTS, keep
from rendering import write_csvs

HOP, SECONDS = 50, 15
COMMAND = [sys.executable, "-m", "orchestrator.cli"]


def watched(model: Path, folder: Path) -> float:
    """Files a second."""
    out = folder / "results.jsonl"
    command = [*COMMAND, "watch", str(model), str(folder / "csvs"), "--out", str(out), "--once", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    times = [datetime.fromisoformat(json.loads(line)["time"]).timestamp() for line in out.open(encoding="ascii")]
    half = len(times) // 2  # the second: in the first the fast renderer is made ready
    return (len(times) - half - 1) / (times[-1] - times[half])


def streamed(model: Path, folder: Path, values: list[str], rate: float) -> str:
    """What stream says of values that come at a rate, a second; 0: that lie in a file."""
    (folder / "values").write_text("".join(values), encoding="utf-8")
    command = [*COMMAND, "stream", str(model), "--window", str(POINTS), "--hop", str(HOP), "--quiet"]
    out = [*command, "--out", str(folder / "lines.jsonl"), "--overwrite"]
    if not rate:
        with (folder / "values").open(encoding="utf-8") as file:
            return subprocess.run(out, check=True, stdin=file, capture_output=True, text=True).stdout
    process = subprocess.Popen(out, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    time.sleep(15)  # until it is ready
    begun = time.monotonic()
    for number, value in enumerate(values):
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        process.stdin.write(value)
        process.stdin.flush()
    return process.communicate()[0]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=["pca_logistic", "plot_classifier"], default="pca_logistic")
    parser.add_argument("--files", type=int, default=2_000)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model"
        keep(model, options.family)
        write_csvs(folder / "csvs", options.files, POINTS)
        print(f"{options.family}: watch {watched(model, folder):.0f} files/s")
        values = [f"{value:.5f}\n" for value in np.random.default_rng(0).normal(size=1_000 * HOP).cumsum()]
        print(told := streamed(model, folder, values, 0))
        rate = float(told.split(" a second")[0].rpartition(" ")[2]) / 2 * HOP
        print(f"At {rate / HOP:.0f} windows a second: {streamed(model, folder, values[: int(SECONDS * rate)], rate)}")


if __name__ == "__main__":
    main()

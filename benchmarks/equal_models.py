"""How often the commands claim a difference between models of which none is better in truth.

    python benchmarks/equal_models.py --rounds 20

Every class's series are drawn from one distribution, so that every model's accuracy is that of guessing. A round draws
new series, then runs `sweep` (two variants against a baseline), `ablate` (three levels against theirs) and `compare`
(the same variants, searched and trained by other settings), each as a user would. Counted is in how many rounds a
command claims at least one difference by its objective after Holm's correction: .05 is what it may be.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray

from orchestrator import Experiment, ablate, compare_runs, results, run
from orchestrator.machine.progress import Reporter

QUIET = Reporter(quiet=True)
COMPONENTS = (1, 2, 3)


def write_series(root: Path, count: int, seed: int) -> None:
    """`count` CSVs of 40 points for each of two classes, which nothing tells apart."""
    random = np.random.default_rng(seed)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            values = random.normal(0, 1, 5)[np.arange(40) // 8] + random.normal(0, 0.3, 40)
            pd.DataFrame({"value": values}).to_csv(root / name / f"{number:03d}.csv", index=False)


def experiment(root: Path, split: dict[str, int], fixed: dict[str, Any]) -> Experiment:
    family = "pca_logistic"
    variants = [{"family": family, "name": f"n{n}", "fixed": {"components": n, **fixed}} for n in COMPONENTS]
    return Experiment.from_mapping(
        {
            "data": {"path": str(root), "size": 24, "style": "plain", "split": split, "store": str(root) + ".store"},
            "families": variants,
            "baseline": "n1",
            "objective": {"metric": "accuracy"},
            "budget": {"trials": 2, "epochs": 1},
            "seeds": [0, 1, 2],
            "ablation": {"baseline": "n2", "factors": {"components": [1, 3, 4]}},
        }
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=200, help="of both classes together")
    parser.add_argument("--folds", type=int, help="cross-validate instead of dividing once")
    asked = parser.parse_args()
    claims = dict.fromkeys(("sweep", "ablate", "compare"), 0)
    split = {"folds": asked.folds} if asked.folds else {}
    ray.init(include_dashboard=False, log_to_driver=False)
    for number in range(asked.rounds):
        with tempfile.TemporaryDirectory() as made:
            data = Path(made) / "data"
            write_series(data, asked.pictures // 2, number)
            first, second = (experiment(data, split, {"thumbnail": side}) for side in (16, 24))
            one = run(first, Path(made) / "one", reporter=QUIET)
            claims["sweep"] += any(row["outcome"].startswith("significantly") for row in results(one)["leaderboard"])
            ablate(first, one, reporter=QUIET)
            claims["ablate"] += any(
                row["significant"] for row in results(one)["ablation"] if row["metric"] == "accuracy"
            )
            two = run(second, Path(made) / "two", until="evaluate", reporter=QUIET)
            moved = compare_runs([one, two], metric=["accuracy"]).values["others"][0]["moves"]
            claims["compare"] += any(row["outcome"] == "moved significantly" for row in moved)
        print(f"after {number + 1} rounds: {claims}", flush=True)


if __name__ == "__main__":
    main()

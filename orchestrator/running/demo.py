"""The demonstration: nine classes of series from the BeTiSe generator, two families, one report."""

import random
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import Experiment
from orchestrator.machine.progress import Reporter
from orchestrator.running.run import run
from trainables.errors import InputError
from trainables.files import is_draft, whole_folder

SERIES_A_CLASS = 160
LENGTHS = (200, 400)
STATIONARY = ("ar", "ma", "arma", "white_noise")
PLACES: tuple[dict[str, Any], ...] = tuple({"location": place} for place in ("beginning", "middle", "end", "middle"))
SHIFTS: tuple[dict[str, Any], ...] = tuple(
    {"location": place, "direction": way}
    for place, way in (("beginning", "up"), ("middle", "down"), ("end", "up"), ("middle", "up"))
)
Recipe = tuple[str, dict[str, dict[str, Any]]]
CLASSES: dict[str, tuple[Recipe, ...]] = {
    "collective_anomaly": tuple(
        (base, {"collective_anomaly": place}) for base, place in zip(STATIONARY, PLACES, strict=True)
    ),
    # A point is odd in its context only where there is a season to be out of.
    "contextual_anomaly": (
        ("single_seasonality", {"contextual_anomaly": {"location": "middle"}}),
        ("multiple_seasonality", {"contextual_anomaly": {"location": "end"}}),
    ),
    "deterministic_trend": tuple(
        (base, {trend: {"direction": way}})
        for base, trend, way in zip(
            STATIONARY,
            ("linear_trend", "quadratic_trend", "exponential_trend", "linear_trend"),
            ("upward", "downward", "upward", "downward"),
            strict=True,
        )
    ),
    "mean_shift": tuple((base, {"mean_shift": shift}) for base, shift in zip(STATIONARY, SHIFTS, strict=True)),
    "point_anomaly": tuple((base, {"point_anomaly": place}) for base, place in zip(STATIONARY, PLACES, strict=True)),
    "stochastic_trend": (("random_walk", {}), ("random_walk_drift", {}), ("ari", {}), ("ima", {})),
    # A trend can shift only where there is one.
    "trend_shift": tuple(
        (base, {"linear_trend": {"direction": way}, "trend_shift": {"location": "middle"}})
        for base, way in zip(STATIONARY, ("upward", "downward", "upward", "downward"), strict=True)
    ),
    "variance_shift": tuple((base, {"variance_shift": shift}) for base, shift in zip(STATIONARY, SHIFTS, strict=True)),
    "volatility": (("arch", {}), ("garch", {}), ("egarch", {}), ("aparch", {})),
}
"""Class -> recipes that share its series equally: the generator's base series, and the features laid over it."""

EXPERIMENT: dict[str, Any] = {
    "data": {"size": 64, "style": "plain"},
    "families": [
        {"name": "pca_logistic", "family": "pca_logistic"},
        {
            "name": "plot_classifier",
            "family": "plot_classifier",
            # Small and quick; from random weights it needs larger and more steps than the family's own range has.
            "fixed": {"backbone": "shufflenet_v2_x0_5", "weights": "auto", "batch_size": 16},
            "space": {
                "learning_rate": {"low": 2.0e-3, "high": 5.0e-3},
                "dropout": {"low": 0.0, "high": 0.2},
                "augmentation": {"low": 0.0, "high": 0.2},
            },
        },
    ],
    "budget": {"trials": 4, "epochs": 8, "patience": 4},
    "seeds": [0, 1, 2, 3, 4],
}


def demo(out: str | Path = "demo-run", *, reporter: Reporter | None = None) -> RunFolder:
    """Write nine classes of series to `out`/series, and compare two families on them in `out`.

    A second call goes on or shows it. `reporter` says what happens; unset, on standard error. InputError where the
    folder holds something else, or the generator of series is not installed.
    """
    folder, reporter = Path(out).expanduser().absolute(), reporter or Reporter()
    series = folder / "series"
    if not series.is_dir():
        if folder.exists() and (not folder.is_dir() or not all(map(is_draft, folder.iterdir()))):
            raise InputError(f"{folder} is not empty and holds no demo. Give an --out that is absent or empty.")
        reporter.say(f"Making {len(CLASSES)} classes x {SERIES_A_CLASS} series with BeTiSe in {series}.")
        make_series(series, SERIES_A_CLASS)
    experiment = Experiment.from_mapping({**EXPERIMENT, "data": {**EXPERIMENT["data"], "path": str(series)}})
    return run(experiment, folder, resume=True, reporter=reporter)


def make_series(folder: Path, count: int, seed: int = 0) -> None:
    """Write `count` CSVs (column `value`) a class into `folder`; the same seed writes the same files."""
    if find_spec("betise") is None:
        raise InputError(
            "The demo's series come from the package betise, which is not installed. "
            "Install it: pip install 'anomaly-orchestrator[demo]', or use your own CSVs: orchestrate init FILE."
        )
    with whole_folder(folder) as draft:
        for number, name in enumerate(CLASSES):
            make_class(draft / name, count, seed + number)


def make_class(folder: Path, count: int, seed: int) -> None:
    """Write the CSVs of the class that the folder is named after."""
    # The generator's steps, without the columns of facts that its data frames carry: 40 ms a series against 3.
    from betise import TimeSeriesGenerator, load_config
    from betise.dataset_generation import apply_feature, generate_base_series

    folder.mkdir(parents=True, exist_ok=True)
    parameters = load_config()["params"]
    random.seed(seed)  # the generator draws from both global states
    np.random.seed(seed)
    recipes = CLASSES[folder.name]
    for number in range(count):
        base, features = recipes[number * len(recipes) // count]
        series = TimeSeriesGenerator(length=random.randint(*LENGTHS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the generator's own, about statistics that are not used here
            frame, facts = generate_base_series(series, base, parameters)
            state = {"seasonal_info": facts, "seasonal_period": None}
            for feature, options in features.items():
                frame, _ = apply_feature(series, frame, feature, options, parameters, state)
        lines = ["value", *(repr(float(value)) for value in frame["data"])]
        (folder / f"{number:04d}.csv").write_text("\n".join(lines) + "\n", encoding="ascii")

"""A small tree of CSVs whose classes are easily told."""

from pathlib import Path

import numpy as np

SHAPES = {
    "step": lambda time: np.where(time > 0.5, 3.0, 0.0),
    "trend": lambda time: 6.0 * time,
    "wave": lambda time: 2.0 * np.sin(12.0 * time),
}


def write_series(root: Path, count: int, seed: int = 7) -> Path:
    """`count` CSVs a class, of 60 noisy points each."""
    random = np.random.default_rng(seed)
    time = np.linspace(0, 1, 60)
    for name, shape in SHAPES.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            values = shape(time) * random.uniform(0.8, 1.2) + random.normal(0, 0.3, len(time))
            lines = ["value", *(f"{value:.6f}" for value in values)]
            (root / name / f"{number:03d}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root

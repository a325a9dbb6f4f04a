"""The kept test scores of evaluated cells, and the bootstrap over them."""

import os
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.report.run_data import RunData
from orchestrator.scoring.bootstrap import resample_metrics


@dataclass(frozen=True)
class VariantScores:
    """One variant's test scores, with the pictures in the order of their paths."""

    seeds: tuple[int, ...]
    scores: NDArray[np.float64]
    """(S, N, C)"""
    labels: NDArray[np.int64]
    paths: NDArray[np.bytes_]
    classes: tuple[str, ...]

    def resampled(self) -> dict[str, NDArray[np.float64]]:
        """Each metric on bootstrap draws of the pictures: (draws, S). Equal pictures get equal draws."""
        _, groups = np.unique(self.paths, return_inverse=True)
        return resample_metrics(self.scores, self.labels, self.classes, groups)

    def same_pictures(self, other: "VariantScores") -> bool:
        """Whether a draw means the same pictures for both."""
        return np.array_equal(self.paths, other.paths) and np.array_equal(self.labels, other.labels)


def read_scores(data: RunData, variant: str) -> tuple[VariantScores | None, str]:
    """The scores of a variant's completed cells; or None and the reason. Nothing is unpickled."""
    parts: list[VariantScores] = []
    for record in data.completed[variant]:
        path = data.run.predictions(variant, record.seed)
        try:
            with np.load(path, allow_pickle=False) as kept:
                names = [os.fsdecode(name) for name in kept["classes"]] if "classes" in kept.files else data.classes
                # Kept as bytes, since a path need not be text.
                paths = np.array([os.fsencode(path) for path in kept["paths"]])
                order = np.argsort(paths, kind="stable")
                part = VariantScores(
                    (record.seed,),
                    np.asarray(kept["scores"], dtype=np.float64)[None, order],
                    np.asarray(kept["labels"], dtype=np.int64)[order],
                    paths[order],
                    tuple(names),
                )
        except FileNotFoundError:
            return None, f"the test scores of seed {record.seed} are missing"
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
            return None, f"the test scores of seed {record.seed} can't be read ({error})"
        if parts and not (part.same_pictures(parts[0]) and part.classes == parts[0].classes):
            return None, f"the test pictures of seed {record.seed} differ from those of seed {parts[0].seeds[0]}"
        parts.append(part)
    if not parts:
        return None, "no cell was evaluated"
    seeds = tuple(seed for part in parts for seed in part.seeds)
    scores = np.concatenate([part.scores for part in parts])
    return VariantScores(seeds, scores, parts[0].labels, parts[0].paths, parts[0].classes), ""

"""Near-duplicates that stand in different parts, side by side as the models see them, for the report's audit."""

from pathlib import Path

import numpy as np

from orchestrator.artifacts.galleries import write_galleries
from orchestrator.data.layouts.names import visible
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.split.alike import error_text
from orchestrator.data.split.split import Split
from orchestrator.data.store.store import Store
from trainables.interface import Gallery

TITLE = "Pairs as the models see them, the nearest first"


def write_near_duplicates(folder: Path, split: Split, store: Store) -> None:
    """A strip of two pictures for each pair that the split keeps; an empty or absent folder where it keeps none."""
    rows = {path: row for row, path in enumerate(split.paths)}
    part_of = split.part_names()
    strips = []
    for pair in split.alike.pairs if split.alike is not None else ():
        both = np.array([rows[pair.one], rows[pair.other]])
        named = " | ".join(f"{visible(split.paths[row])} ({part_of[row]})" for row in both.tolist())
        apart = error_text(pair.error, not LAYOUTS[store.recipe.layout].plots)
        strips.append((f"{named}: {apart}", store.pictures[both]))
    write_galleries(folder, [Gallery(TITLE, tuple(strips))] if strips else [])

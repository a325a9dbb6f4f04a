"""A worker of the render pipeline, on folders that this process sees."""

from pathlib import Path

from orchestrator.data.files.source_files import SourceFolder
from orchestrator.data.fill.draw_batch import DrawBatch
from orchestrator.data.store.shards import Shape
from orchestrator.data.store.store import Recipe
from trainables.small_files import FolderFiles


def draw_batch(root: Path, shards: Path, recipe: Recipe, shape: Shape) -> DrawBatch:
    """It reads below `root`, and writes into the folder of `shards`."""
    return DrawBatch(SourceFolder(str(root)), FolderFiles(shards, made=False), recipe, shape)

"""What tests of detection share."""

from pathlib import Path

import pytest
from builders.tiles import write_tiles


@pytest.fixture(scope="session")
def tile_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MVTec's layout: 24 smooth good pictures to train, 8 good ones, 8 holes and 6 cracks to test, with masks."""
    return write_tiles(tmp_path_factory.mktemp("tile"))

"""A small tree of pictures with masks."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32


def write_tiles(root: Path) -> Path:
    """MVTec's layout: 24 smooth good pictures to train, 8 good ones, 8 holes and 6 cracks to test, with masks."""
    random = np.random.default_rng(0)

    def save(path: Path, picture: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)

    def surface() -> np.ndarray:
        rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
        picture = 120 + 40 * np.sin(4 * rows + random.uniform(0, 1)) + 20 * columns + random.normal(0, 3, (SIDE, SIDE))
        return picture.clip(0, 255).astype(np.uint8)

    for number in range(24):
        save(root / "train/good" / f"{number:03d}.png", surface())
    for kind, count in (("good", 8), ("hole", 8), ("crack", 6)):
        for number in range(count):
            picture, mask = surface(), np.zeros((SIDE, SIDE), np.uint8)
            row, column = random.integers(4, SIDE - 10, 2)
            if kind == "hole":
                mask[row : row + 6, column : column + 6] = 255
            elif kind == "crack":
                mask[row : row + 2, 2:-2] = 255
            picture[mask > 0] = 10
            save(root / "test" / kind / f"{number:03d}.png", picture)
            if kind != "good":
                save(root / "ground_truth" / kind / f"{number:03d}_mask.png", mask)
    return root

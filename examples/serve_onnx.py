"""What `orchestrate export` wrote, used with onnxruntime and NumPy alone: neither torch nor this package nor Pillow.

    pip install onnxruntime numpy
    python serve_onnx.py model.onnx picture.ppm pictures.npy [--threshold 0.7]

A line of JSON for each picture. Any other decoder does as well as the two here: what the model takes is uint8 RGB.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


class Served:
    """An exported model, ready to score."""

    def __init__(self, path: str) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        told = self.session.get_modelmeta().custom_metadata_map
        self.classes: list[str] = json.loads(told["classes"])
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, pictures: np.ndarray, threshold: float | None = None) -> list[dict[str, Any]]:
        """What is said of uint8 pictures (N, h, w, 3) of any size, of each. `threshold`: another than the model's."""
        given = {"pictures": pictures}
        if threshold is not None:
            given["threshold"] = np.array(threshold, dtype=np.float32)
        found = dict(zip(self.outputs, self.session.run(None, given), strict=True))
        rows = []
        for place in range(len(pictures)):
            row: dict[str, Any] = {"verdict": self.classes[int(found["verdict"][place])]}
            if "score" in found:
                row["score"] = float(found["score"][place])
            else:
                row["probabilities"] = dict(zip(self.classes, found["probabilities"][place].tolist(), strict=True))
            if "map" in found:
                height, width = found["map"][place].shape
                y, x = divmod(int(found["map"][place].argmax()), width)
                row["strangest"] = [(y + 0.5) / height, (x + 0.5) / width]  # shares of the picture's height and width
            rows.append(row)
        return rows


def read_pictures(path: Path) -> np.ndarray:
    """uint8 (N, h, w, 3) of a .npy of one or several pictures, or of a binary PPM (P6) of 8 bits."""
    if path.suffix == ".npy":
        pictures = np.load(path)
        return pictures if pictures.ndim == 4 else pictures[None]
    with path.open("rb") as file:
        words: list[bytes] = []
        while len(words) < 4:
            words += file.readline().partition(b"#")[0].split()
        if words[0] != b"P6" or words[3] != b"255":
            raise SystemExit(f"{path} is no binary PPM of 8 bits.")
        width, height = int(words[1]), int(words[2])
        return np.frombuffer(file.read(), dtype=np.uint8).reshape(1, height, width, 3)


def main() -> None:
    """A line of JSON for each picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--threshold", type=float)
    arguments = parser.parse_args()
    model = Served(arguments.model)
    for path in arguments.pictures:
        for number, row in enumerate(model(read_pictures(path), arguments.threshold)):
            print(json.dumps({"path": str(path), "picture": number, **row}))


if __name__ == "__main__":
    main()

"""Files -> rows: what a kept model says of each, or why it says nothing."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.artifacts.heat_maps import write_heat_maps
from orchestrator.scoring.drift import STATISTICS, picture_statistics, score_statistic
from orchestrator.using.loaded_model import LoadedModel
from orchestrator.using.prepared_pictures import PictureReader
from orchestrator.using.rows import Row, failed
from trainables.errors import InputError
from trainables.files import as_utf8
from trainables.interface import Prediction


class Scorer:
    """Scores files by a model. One a process."""

    def __init__(self, model: LoadedModel, threshold: float | None = None, heat_maps: Path | None = None) -> None:
        """`threshold`: of detection, instead of the kept one. `heat_maps`: where those of each file are written, by a
        model that has maps and whose scale is kept."""
        self.model, self.kept = model, model.kept
        self.threshold = self.kept.threshold if threshold is None else threshold
        self.reader = PictureReader(self.kept)
        self.heat_maps = heat_maps

    def start(self) -> None:
        """Get ready now what else the first files would wait for."""
        self.reader.drawer.start()
        blank = np.zeros((1, *self.kept.shape), dtype=np.uint8)
        flat = np.zeros((1, *self.kept.shape[:2]), np.float32) if self.model.needs_depth else None
        self.model.predict(blank, depth=flat)

    def rows(self, paths: Sequence[str]) -> list[Row]:
        """A row each, in the same order. What is wrong with one file costs no other."""
        return self._rows(paths, [partial(self.reader.picture, path) for path in paths])

    def rows_of_series(self, series: Sequence[NDArray[np.float64]]) -> list[Row]:
        """The same for the numbers of series (n,), NaN where one is missing, of a model of plots. Rows have no path."""
        return self._rows([""] * len(series), [partial(self.reader.plot, values) for values in series])

    def _rows(self, paths: Sequence[str], pictured: Sequence[Callable[[], NDArray[np.uint8]]]) -> list[Row]:
        """`pictured`: what makes the picture of each."""
        begun = time.perf_counter()
        found: dict[int, Row] = {}
        pictures = np.empty((len(paths), *self.kept.shape), dtype=np.uint8)
        depth = np.empty((len(paths), *self.kept.shape[:2]), np.float32) if self.model.needs_depth else None
        good: list[int] = []
        took = [0.0] * len(paths)
        for place, path in enumerate(paths):
            try:
                pictures[len(good)] = pictured[place]()
                if depth is not None:
                    depth[len(good)] = self.reader.depth_beside(path)
            except (InputError, MemoryError) as error:
                found[place] = failed(path, _reason(error, path), time.perf_counter() - begun)
            else:
                good.append(place)
            now = time.perf_counter()
            took[place], begun = now - begun, now
        if good:
            count = len(good)
            names = [paths[place] for place in good]
            try:
                prediction = self.model.predict(pictures[:count], depth=None if depth is None else depth[:count])
                if self.heat_maps is not None:
                    self._write_maps(names, pictures, prediction)
            except (InputError, OSError, MemoryError) as error:
                told = {place: failed(paths[place], _reason(error, ""), took[place]) for place in good}
                return [(found | told)[place] for place in range(len(paths))]
            share = (time.perf_counter() - begun) / count
            statistics = picture_statistics(pictures[:count])
            for row, place in enumerate(good):
                told_of = self._row(paths[place], prediction.scores[row], took[place] + share, statistics[row])
                found[place] = told_of
        return [found[place] for place in range(len(paths))]

    def _row(self, path: str, scores: NDArray[np.float64], seconds: float, statistics: NDArray[np.float32]) -> Row:
        detection = np.ndim(scores) == 0
        if detection:
            anomalous = self.threshold is not None and bool(scores > self.threshold)
            verdict = self.kept.classes[1] if anomalous else self.kept.classes[0]
        else:
            verdict = self.kept.classes[int(scores.argmax())]
        return Row(
            path=as_utf8(path),
            status="ok",
            verdict=verdict,
            score=float(scores) if detection else None,
            probabilities=[] if detection else [float(one) for one in scores],
            seconds=seconds,
            reason="",
            statistics=[float(one) for one in statistics],
        )

    def _write_maps(self, paths: Sequence[str], pictures: NDArray[np.uint8], prediction: Prediction) -> None:
        """Heat map, mask and overlay of each picture, at its own size."""
        scale, line, maps = self.kept.heat_scale, self.kept.pixel_threshold, prediction.maps
        assert self.heat_maps is not None
        assert scale is not None
        assert line is not None
        assert maps is not None
        for path, picture, anomaly_map in zip(paths, pictures, maps, strict=False):
            whole = self.reader.original(path, picture)
            height, width = whole.shape[:2]
            resized = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
            write_heat_maps(self.heat_maps, path, whole, np.asarray(resized), scale, line)


def drift_columns(rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
    """What is compared with validation, of rows with a result: (N,) by statistic."""
    good = [row for row in rows if row["status"] == "ok"]
    if not good:
        return {}
    statistics = np.array([row["statistics"] for row in good])
    scores = np.array([row["probabilities"] if row["score"] is None else row["score"] for row in good])
    name, values = score_statistic(scores)
    return {name: values, **dict(zip(STATISTICS, statistics.T, strict=True))}


def _reason(error: Exception, path: str) -> str:
    """What is wrong, without the path, which stands in the row anyway."""
    if isinstance(error, MemoryError):
        return "too large for this machine's memory"
    text = str(error)
    before = f"{path!r} can't be used: "
    return text.removeprefix(before).removesuffix(". Leave it out, or mend it.").rstrip(".")

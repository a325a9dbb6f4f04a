"""Files -> rows: what a model says of each, or why it says nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.artifacts.heat_maps import write_heat_maps
from orchestrator.artifacts.reference import STATISTICS
from orchestrator.families import family_row
from orchestrator.scoring.drift import picture_statistics, score_statistic
from orchestrator.scoring.ensembles import combined
from orchestrator.using.loaded_model import LoadedModel, load_model
from orchestrator.using.prepared_pictures import PictureReader
from orchestrator.using.rows import Row, failed
from orchestrator.using.subject import Subject, prepared_as
from trainables.errors import InputError
from trainables.files import as_utf8
from trainables.interface import Prediction, Task
from trainables.printing import printable


class Scorer:
    """Scores files by what answers: one model, or several together. One a process."""

    def __init__(
        self,
        subject: Subject,
        threshold: float | None,
        heat_maps: Path | None = None,
        *,
        device: str = "cpu",
        trust: Sequence[str] = (),
    ) -> None:
        """Loads the models. `threshold`: of detection. `heat_maps`: where those of each file are written, by one model
        that has maps and whose scale is kept."""
        self.subject, self.threshold, self.heat_maps = subject, threshold, heat_maps
        self.models = [load_model(folder, device, trust=trust) for folder in subject.folders]
        self._refuse_misfit()
        self._groups = _alike(self.models)

    def _refuse_misfit(self) -> None:
        """InputError where what is kept does not say what these families' scores mean: all would pass for normal."""
        detection = self.threshold is not None
        tasks = {family_row(one.kept.family).task for one in self.models}
        if tasks != {"detection" if detection else "classification"} or (detection and len(self.subject.classes) != 2):
            raise InputError(
                f"What is kept of {printable(self.subject.name)} does not fit together: its families do "
                f"{' and '.join(sorted(tasks))}, with {'a' if detection else 'no'} threshold and "
                f"classes {', '.join(map(printable, self.subject.classes))}. Evaluate the run again to make it anew."
            )

    def start(self) -> None:
        """Get ready now what else the first files would wait for."""
        for group in self._groups:
            group.reader.drawer.start()
            for one in (self.models[place] for place in group.models):
                blank = np.zeros((1, *one.kept.shape), dtype=np.uint8)
                one.predict(blank, depth=np.zeros(blank.shape[:3], np.float32) if group.with_depth else None)

    def rows(self, paths: Sequence[str]) -> list[Row]:
        """A row each, in the same order. What is wrong with one file costs no other."""
        return self._rows(paths, [partial(self._of_file, path) for path in paths])

    def rows_of_series(self, series: Sequence[NDArray[np.float64]]) -> list[Row]:
        """The same for the numbers of series (n,), NaN where one is missing, of models of plots. Rows have no path."""
        return self._rows([""] * len(series), [partial(self._of_series, values) for values in series])

    def _rows(self, paths: Sequence[str], prepare: "Sequence[Callable[[], _Prepared | str]]") -> list[Row]:
        """`prepare`: for each, what makes it ready for the models, or says why it is not."""
        begun = time.perf_counter()
        prepared: list[_Prepared | str] = []
        took: list[float] = []
        for one_of_them in prepare:
            prepared.append(one_of_them())
            now = time.perf_counter()
            took.append(now - begun)
            begun = now
        good = [place for place, one in enumerate(prepared) if not isinstance(one, str)]
        found = {
            place: failed(paths[place], one, took[place]) for place, one in enumerate(prepared) if isinstance(one, str)
        }
        if good:
            ready = [one for one in prepared if not isinstance(one, str)]
            try:
                scores, statistics = self._scored(ready, [paths[place] for place in good])
            except (InputError, MemoryError) as error:
                if len(paths) > 1:  # which of them it was, each one alone tells
                    return [row for path, one in zip(paths, prepare, strict=True) for row in self._rows([path], [one])]
                return [failed(paths[0], _reason(error, paths[0]), took[0])]
            share = (time.perf_counter() - begun) / len(good)
            for row, place in enumerate(good):
                if not np.isfinite(scores[row]).all():
                    found[place] = failed(
                        paths[place], "the model's score of it is no finite number", took[place] + share
                    )
                    continue
                answered = self._row(paths[place], scores[row], took[place] + share, statistics[row])
                found[place] = {**answered, "reason": ready[row].note}
        return [found[place] for place in range(len(paths))]

    def _of_series(self, values: NDArray[np.float64]) -> "_Prepared | str":
        """The plot of a series as each model takes it; or why there is none."""
        try:
            return _Prepared([group.reader.plot(values) for group in self._groups], [None] * len(self._groups), "")
        except (InputError, MemoryError) as error:
            return _reason(error, "")

    def _of_file(self, path: str) -> "_Prepared | str":
        """A file as each model takes it; or why there is none."""
        try:
            pictures = [group.reader.picture(path) for group in self._groups]
            note = self._groups[0].reader.note
            depth = [group.reader.depth_beside(path) if group.with_depth else None for group in self._groups]
        except (InputError, MemoryError) as error:
            return _reason(error, path)
        return _Prepared(pictures, depth, note)

    def _scored(
        self, ready: "Sequence[_Prepared]", paths: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """The scores (N,) or (N, C), and the pictures' statistics (N, 4)."""
        every: list[NDArray[np.float64]] = [np.empty(0)] * len(self.models)
        statistics = np.empty((len(ready), len(STATISTICS)), np.float32)
        for number, group in enumerate(self._groups):
            pictures = np.stack([one.pictures[number] for one in ready])
            maps = [one.depth[number] for one in ready]
            depth = np.stack([one for one in maps if one is not None]) if group.with_depth else None
            for place in group.models:
                prediction = self.models[place].predict(pictures, depth=depth)
                every[place] = prediction.scores
                if self.heat_maps is not None:
                    self._write_maps(self.heat_maps, paths, pictures, prediction)
            if number == 0:
                statistics = picture_statistics(pictures)
        shares = self.subject.shares
        task: Task = "classification" if self.threshold is None else "detection"
        return combined(every, shares, task) if shares else every[0], statistics

    def _row(self, path: str, scores: NDArray[np.float64], seconds: float, statistics: NDArray[np.float32]) -> Row:
        classes, detection = self.subject.classes, np.ndim(scores) == 0
        if detection:
            place = int(self.threshold is not None and bool(scores > self.threshold))
        else:
            place = int(scores.argmax())
        return Row(
            path=as_utf8(path),
            status="ok",
            verdict=classes[place],
            score=float(scores) if detection else None,
            probabilities=[] if detection else [float(one) for one in scores],
            seconds=seconds,
            reason="",
            statistics=[float(one) for one in statistics],
        )

    def _write_maps(
        self, folder: Path, paths: Sequence[str], pictures: NDArray[np.uint8], prediction: Prediction
    ) -> None:
        """Heat map, mask and overlay of each picture, at its own size."""
        kept = self.subject.kept[0]
        scale, line, maps = kept.heat_scale, kept.pixel_threshold, prediction.maps
        assert scale is not None
        assert line is not None
        assert maps is not None
        for path, picture, anomaly_map in zip(paths, pictures, maps, strict=True):
            whole = self._groups[0].reader.original(path, picture)
            height, width = whole.shape[:2]
            resized = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
            write_heat_maps(folder, path, whole, np.asarray(resized), scale, line)


@dataclass(frozen=True)
class _Prepared:
    """One file, as each group of models takes it."""

    pictures: list[NDArray[np.uint8]]
    depth: list[NDArray[np.float32] | None]
    note: str
    """What was left out or taken for granted in it."""


@dataclass(frozen=True)
class _Group:
    """Models that take the same pictures."""

    reader: PictureReader
    models: list[int]
    with_depth: bool


def _alike(models: Sequence[LoadedModel]) -> list[_Group]:
    """Models by what they take, so that each file is prepared once for all that take it alike."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, one in enumerate(models):
        groups.setdefault(prepared_as(one.kept), []).append(place)
    return [
        _Group(PictureReader(models[places[0]].kept), places, any(models[place].needs_depth for place in places))
        for places in groups.values()
    ]


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

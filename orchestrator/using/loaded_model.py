"""A kept model, loaded: it scores new pictures, prepared as those it was trained on were."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.artifacts.endings import first_line
from orchestrator.artifacts.models import NOTE, WEIGHTS, KeptModel
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.data.plotting.plot_style import style_code
from orchestrator.families import code_of, family_row
from orchestrator.using.prepared_pictures import AnyPath, PictureReader
from orchestrator.using.trusted_code import with_trusted_code
from trainables.errors import InputError
from trainables.files import file_sha256, is_file, read_regular
from trainables.interface import UNKNOWN, Model, Precision, Prediction, Problem, Samples
from trainables.own_code import read_anew
from trainables.printing import printable


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready to score."""

    model: Model
    kept: KeptModel
    """What it was built from: family, configuration, classes, thresholds, and how files become pictures."""

    def predict(
        self,
        pictures: NDArray[np.uint8] | Samples | AnyPath | Sequence[AnyPath] | Sequence[NDArray[np.uint8]],
        *,
        depth: NDArray[np.float32] | AnyPath | Sequence[AnyPath] | None = None,
    ) -> Prediction:
        """The scores of N pictures, of which nothing else is known.

        `pictures`: uint8 RGB (N, H, W, 3), 0 to 255, of `kept.shape`, one such picture (H, W, 3), or a list of them; or
        paths of pictures, or of CSVs where the model was trained on plots, which are prepared as `kept.preprocessing`
        says. `depth`: of a model of RGB-D pictures, float32 (N, H, W), or (H, W) for one, in the files' own units, NaN
        where unknown, or a path for each path of a picture; other models leave it alone.

        Gives class probabilities (N, C) in the order of `kept.classes`, or anomaly scores (N,), of which those above
        `kept.threshold` are anomalies, with maps (N, H, W) where the family has them. InputError for a file that can't
        be used, and for arrays of another shape or type.
        """
        pictures = _stacked(pictures)
        if isinstance(pictures, Samples):
            samples = pictures
        elif isinstance(pictures, np.ndarray):
            if pictures.ndim == 3 and pictures.shape == self.kept.shape:
                pictures = pictures[None]
                depth = depth[None] if isinstance(depth, np.ndarray) and depth.ndim == 2 else depth
            self._check(pictures.shape, pictures.dtype)
            if depth is not None and not isinstance(depth, np.ndarray):
                raise InputError("Pictures of an array take depth as an array: float32 (N, H, W).")
            samples = self._samples(pictures, tuple(map(str, range(len(pictures)))), depth)
        else:
            paths = _paths(pictures)
            read = self._read(paths)  # first: what is wrong with a picture is not its depth's fault
            maps = depth if depth is None or isinstance(depth, np.ndarray) else self._read_depth(_paths(depth), paths)
            samples = self._samples(read, tuple(map(str, paths)), maps)
        self._check(samples.pictures.shape, samples.pictures[np.arange(min(1, len(samples)))].dtype)
        return self.model.predict(samples)

    def _samples(
        self, pictures: NDArray[np.uint8], names: tuple[str, ...], depth: NDArray[np.float32] | None
    ) -> Samples:
        unknown = np.full(len(pictures), UNKNOWN, dtype=np.int64)
        if depth is not None and (depth.shape != pictures.shape[:3] or depth.dtype != np.float32):
            height, width = self.kept.shape[:2]
            raise InputError(
                f"There must be a depth map of {height}x{width}, float32, for each of the {len(pictures)} pictures; "
                f"got {depth.shape} of {depth.dtype}."
            )
        return Samples(pictures, unknown, self.kept.classes, names, depth=depth)

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """InputError for pictures that this model does not take."""
        if len(shape) != 4 or tuple(shape[1:]) != self.kept.shape:
            height, width, _ = self.kept.shape
            series = "; a model of plots takes no series as numbers" if "style" in self.kept.preprocessing else ""
            raise InputError(
                f"This model takes pictures as uint8 RGB (N, {height}, {width}, 3), or one as ({height}, {width}, 3); "
                f"this array is {tuple(shape)}{series}. Give the paths of files, which are prepared as the training's "
                f"were, or make the array so: {self.kept.preprocessing}."
            )
        if dtype != np.uint8:
            raise InputError(
                f"This model takes pictures of uint8, 0 to 255; these are {dtype}. Convert them: values from 0 to 1 by "
                "(pictures * 255).round().astype('uint8')."
            )

    def _read(self, paths: Sequence[AnyPath]) -> NDArray[np.uint8]:
        """The pictures of files, (N, H, W, 3)."""
        reader = PictureReader(self.kept)
        pictures = np.empty((len(paths), *self.kept.shape), dtype=np.uint8)
        for row, path in enumerate(paths):
            pictures[row] = reader.picture(path)
        for remark in reader.remarks:
            warnings.warn(remark, stacklevel=4)
        return pictures

    def _read_depth(self, paths: list[AnyPath], pictures: list[AnyPath]) -> NDArray[np.float32]:
        """The depth maps of files, (N, H, W), at the size of the pictures, of whose files they are the depth."""
        if len(paths) != len(pictures):
            raise InputError(f"There must be a depth map for each of the {len(pictures)} pictures; got {len(paths)}.")
        reader = PictureReader(self.kept)
        maps = np.empty((len(paths), *self.kept.shape[:2]), dtype=np.float32)
        for row, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
            maps[row] = reader.depth(path, picture)
        return maps

    @cached_property
    def needs_depth(self) -> bool:
        """Whether nothing can be scored without depth."""
        if not LAYOUTS[self.kept.preprocessing["layout"]].depth:
            return False
        try:
            self.model.predict(self._samples(np.zeros((1, *self.kept.shape), np.uint8), ("",), None))
        except InputError:
            return True
        return False


def load_model(folder: AnyPath, device: str = "cpu", *, trust: str | Sequence[str] = ()) -> LoadedModel:
    """A model kept by a run, from RUN/models/<variant>/<seed>, on a torch device.

    Nothing is trained. InputError where there is none, or its weights are not those whose SHA-256 was kept. `trust`:
    the `path/to/file.py:NAME` or `module:NAME` of one's own family, style or backbone that it names: they are run; a
    UserWarning says where a file has changed since. InputError where it names others: its folder may be a stranger's.
    """
    read_anew()
    folder = Path(folder)
    try:
        kept = KeptModel.model_validate_json(read_regular(folder / NOTE))
    except (OSError, ValueError) as error:
        reason = printable(first_line(str(error)))
        raise InputError(f"{folder} holds no kept model: {reason}. Give RUN/models/<variant>/<seed>.") from None
    kept = with_trusted_code(kept, trust, folder)
    path = folder / WEIGHTS
    if not is_file(path) or file_sha256(path) != kept.weights:
        raise InputError(f"{path} is missing or not what was kept. Evaluate the run again to make it anew.")
    style = kept.preprocessing.get("style") or ""
    for part, code in (("family", code_of(kept.family)), ("plot style", style_code(style))):
        if "(sha256 " in code and code not in kept.code:  # of code that is not there nothing can be said
            warnings.warn(
                f"{folder.name}'s {part} is {code} now, and it was trained with {kept.code}. Its scores may "
                "differ from those kept.",
                stacklevel=2,
            )
    family = family_row(kept.family).family
    try:
        # The others are for training.
        precision = replace(Precision(**kept.precision), compile=False, cuda_graphs=False, fused=False)
        problem = Problem(classes=kept.classes, shape=kept.shape, epochs=1, device=device, precision=precision)
        model = family.build(family.blank(family.config(**kept.config)), problem, kept.seed)
        model.load_weights(torch.load(path, map_location=device, weights_only=True))
    except Exception as error:  # whatever a family meets in a note that was changed
        raise InputError(
            f"The model in {folder} can't be built as its {NOTE} says ({type(error).__name__}: "
            f"{printable(first_line(str(error)))}). Evaluate the run again to make it anew."
        ) from error
    return LoadedModel(model, kept)


def _stacked(given: Any) -> Any:
    """A list of arrays as one array, an array of texts as paths; InputError for arrays of several shapes."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "OU":
        given = given.ravel().tolist()
    if not isinstance(given, list | tuple) or not given or not all(isinstance(one, np.ndarray) for one in given):
        return given
    shapes = sorted({one.shape for one in given})
    if len(shapes) > 1:
        raise InputError(f"All pictures of one call have one shape; these have {', '.join(map(str, shapes[:3]))}.")
    return np.stack(given)


def _paths(given: Any) -> list[AnyPath]:
    try:
        paths = [given] if isinstance(given, str | PathLike) else list(given)
    except TypeError:
        paths = [given]
    for path in paths:
        if not isinstance(path, str | PathLike):
            raise InputError(
                f"Paths of files, or uint8 arrays, are taken; got {type(path).__name__}. Of a PIL picture or a tensor, "
                "give numpy.asarray(picture): uint8 RGB, of the size that the model was trained at."
            )
    return paths

"""What answers: one kept model, or several together; all that is known of it without torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.models import ENSEMBLE, NOTE, KeptEnsemble, KeptMember, KeptModel
from orchestrator.artifacts.reference import STATISTICS, Reference
from orchestrator.data.layouts.listing import Layout
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.scoring.ensembles import combined, own_scale
from orchestrator.scoring.thresholds import parse_strategy
from orchestrator.using.chosen_model import Chosen
from trainables.errors import InputError
from trainables.files import json_sha256, read_regular
from trainables.printing import printable

SCORES = "test_scores.npz"
"""In a kept model's folder, as `RunFolder.predictions` calls it."""
HELD_OUT = "validation_scores.npz"
"""Instead of it, of a model that no test part was shown to (see `orchestrator.running.refit`)."""


@dataclass(frozen=True)
class Subject:
    """What answers."""

    name: str
    seed: int
    kept: tuple[KeptModel, ...]
    """Of each model that takes part, what stands beside its weights."""
    folders: tuple[Path, ...]
    """And where it lies."""
    shares: tuple[KeptMember, ...]
    """How each one's scores count; empty where one model answers alone."""
    classes: tuple[str, ...]
    threshold: float | None
    """Detection only: scores above it are anomalies."""
    reference: Reference | None
    """What validation was like; None where that is not known."""
    weights: str
    """A hash of all that answers."""

    @property
    def layout(self) -> Layout:
        """How the data lay that it was trained on."""
        return LAYOUTS[self.kept[0].preprocessing["layout"]]

    @property
    def family(self) -> str:
        """The family, or the families."""
        return "+".join(dict.fromkeys(one.family for one in self.kept))


def prepared_as(kept: KeptModel) -> tuple[object, ...]:
    """By what two models take the same pictures of one file: how it is read and drawn, and at which size. How values
    become numbers is each network's own matter."""
    how = kept.preprocessing
    read = (how["column"], how.get("gaps", "drop"), how.get("decimal", "auto"), how.get("bits"), how.get("upright"))
    return how["layout"], how.get("style"), kept.shape, *read


def subject_of(chosen: Chosen, together: bool = False, line: float | str | None = None) -> Subject:
    """The model or the ensemble that was chosen; `together`: all models of its variant, one a seed, with equal shares.

    `line`: where those draw theirs, or by which strategy, where what is kept of them does not say so. InputError where
    what is kept of it can't be read, or an ensemble's member is another than it was made of.
    """
    if (chosen.folder / ENSEMBLE).is_file():
        if together:
            raise InputError(f"{chosen.folder} is an ensemble already. Leave --ensemble out.")
        return _ensemble(chosen.folder)
    if together:
        return _all_seeds(chosen, line)
    kept = read_kept(chosen.folder)
    return Subject(
        name=kept.variant,
        seed=kept.seed,
        kept=(kept,),
        folders=(chosen.folder,),
        shares=(),
        classes=kept.classes,
        threshold=kept.threshold,
        reference=kept.reference,
        weights=kept.weights,
    )


def _told(error: Exception) -> str:
    """What is wrong with a note: what the disk says, or of which kind the fault is."""
    return error.strerror or "" if isinstance(error, OSError) else type(error).__name__


def read_kept(folder: Path) -> KeptModel:
    """What model.json says. InputError where it says nothing."""
    try:
        kept = KeptModel.model_validate_json(read_regular(folder / NOTE))
        hash((LAYOUTS[kept.preprocessing["layout"]], kept.preprocessing["style"], prepared_as(kept)))
        return kept
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} holds no kept model that this version reads ({_told(error)}). Give a run, RUN:VARIANT, "
            "or RUN/models/VARIANT/SEED."
        ) from None


def validation_scores(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A kept model's scores of the validation part and its labels. InputError where they do not lie beside it."""
    path = next((folder / name for name in (SCORES, HELD_OUT) if (folder / name).is_file()), folder / SCORES)
    try:
        with np.load(path, allow_pickle=False) as kept:
            return kept["validation_scores"].astype(np.float64), kept["validation_labels"].astype(np.int64)
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"{path} does not hold the model's validation scores, which this needs. Copy it along with the model."
        ) from None


def line_of(subject: Subject, threshold: float | None, strategy: str | None) -> float | None:
    """Where a detector draws the line. InputError for a classifier, and without the scores to fit a strategy to."""
    if threshold is None and strategy is None:
        return subject.threshold
    if subject.threshold is None:
        raise InputError(
            f"{printable(subject.name)} classifies: it has no threshold. Leave --threshold and --strategy out."
        )
    if threshold is not None and strategy is not None:
        raise InputError("--threshold and --strategy both draw the line. Give one of them.")
    if threshold is not None:
        if not np.isfinite(threshold):
            raise InputError(f"--threshold {threshold} is no finite number.")
        return threshold
    return _fitted(strategy or "", subject.folders, subject.shares)


def _fitted(strategy: str, folders: Sequence[Path], shares: Sequence[KeptMember]) -> float:
    rule = parse_strategy(strategy)
    every = [validation_scores(folder) for folder in folders]
    scores = [one for one, _ in every]
    return rule.fit(combined(scores, shares, "detection") if shares else scores[0], every[0][1])


def _all_seeds(chosen: Chosen, line: float | str | None) -> Subject:
    """The models of one variant, each on its own scale, with equal shares. `line`: as `subject_of` has it."""
    folders = chosen.members
    if len(folders) < 2:
        raise InputError(f"{chosen.folder} is the only model of its variant. Leave --ensemble out.")
    kept = [read_kept(folder) for folder in folders]
    detection = kept[0].threshold is not None
    scales = [_scale_of(folder) if detection else (0.0, 1.0) for folder in folders]
    shares = tuple(
        KeptMember(
            variant=one.variant, seed=one.seed, folder=str(folder), weights=one.weights, weight=1 / len(kept),
            center=center, scale=scale,
        )
        for one, folder, (center, scale) in zip(kept, folders, scales, strict=True)
    )  # fmt: skip
    line = next((one.strategy for one in kept if one.strategy), line)
    if detection and line is None:
        raise InputError(
            f"The models of {printable(kept[0].variant)} were kept by an older version, which did not keep the "
            "threshold strategy. `predict`, `watch` and `stream` take one: --strategy; a sweep anew keeps it."
        )
    if not detection:
        line = None
    elif isinstance(line, str):
        line = _fitted(line, folders, shares)
    return _of_members(f"{kept[0].variant}, {len(kept)} seeds", kept[0].seed, kept, folders, shares, line)


def _scale_of(folder: Path) -> tuple[float, float]:
    try:
        return own_scale(*validation_scores(folder))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{folder} can't answer together with others: {error}. Leave --ensemble out.") from None


def _ensemble(folder: Path) -> Subject:
    try:
        ensemble = KeptEnsemble.model_validate_json(read_regular(folder / ENSEMBLE))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} holds no ensemble that this version reads ({type(error).__name__}). Evaluate the run again to "
            "make it anew."
        ) from None
    folders = [_member(folder, one) for one in ensemble.members]
    kept = [read_kept(one) for one in folders]
    for one, model, place in zip(ensemble.members, kept, folders, strict=True):
        if model.weights != one.weights:
            raise InputError(
                f"{place} holds another model than the ensemble {printable(ensemble.variant)} was made of. Evaluate "
                "the run again to make the ensemble anew."
            )
    return _of_members(ensemble.variant, ensemble.seed, kept, folders, ensemble.members, ensemble.threshold)


def _member(folder: Path, member: KeptMember) -> Path:
    """The folder of a member: RUN/models/VARIANT/SEED, as the ensemble's own is. InputError for any other, so that a
    stranger's note leads to nothing beyond what came with it."""
    models = folder.absolute().parent.parent
    place = Path(os.path.normpath(folder.absolute() / member.folder)) if "\0" not in member.folder else models
    if place.parent.parent != models:
        raise InputError(
            f"{folder} names a member that is none of its run: {printable(member.folder)}. Evaluate the run again to "
            "make the ensemble anew."
        )
    return place


def _of_members(
    name: str,
    seed: int,
    kept: Sequence[KeptModel],
    folders: Sequence[Path],
    shares: Sequence[KeptMember],
    threshold: float | None,
) -> Subject:
    first = kept[0].reference
    # Of the pictures validation is known; of the scores that they have together it is not.
    pictures = None if first is None else {key: one for key, one in first.values.items() if key in STATISTICS}
    counts = [[one.weights, one.weight, one.center, one.scale] for one in shares]
    return Subject(
        name=name,
        seed=seed,
        kept=tuple(kept),
        folders=tuple(folders),
        shares=tuple(shares),
        classes=kept[0].classes,
        threshold=threshold,
        reference=None if first is None or not pictures else first.model_copy(update={"values": pictures}),
        weights=json_sha256(counts),
    )

"""Ensembles judged on the scores that are kept of their members: nothing is trained, and no model runs."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.endings import why
from orchestrator.artifacts.galleries import confused_gallery, write_galleries
from orchestrator.artifacts.models import KeptEnsemble, KeptMember, KeptModel, keep_ensemble
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.records import TRAINING, Provenance, ThresholdChoice, TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.evaluation.evaluate_cell import (
    OfCell,
    OnTest,
    classified,
    detected,
    judged_of,
    write_own_draws,
    write_scores,
)
from orchestrator.evaluation.kept_cells import Unusable, kept_whole
from orchestrator.experiment.ensemble_settings import Ensemble
from orchestrator.experiment.goal import Goal
from orchestrator.experiment.settings import digest
from orchestrator.families import ENSEMBLE_FAMILY
from orchestrator.scoring.ensembles import by_log_loss, by_selection, combined, own_scale
from orchestrator.scoring.judge import Judge
from orchestrator.scoring.judged import Detected
from orchestrator.scoring.metric_table import METRICS
from orchestrator.scoring.metrics import check_scores
from trainables.files import file_sha256
from trainables.interface import Prediction, Samples
from trainables.speed import Speed, one_after_another

Floats = NDArray[np.float64]
SCALE = (
    "(score - median) / (1.4826 MAD) of each member's normal validation scores; their standard deviation where the MAD "
    "is 0"
)
"""How `own_scale` is told."""


@dataclass(frozen=True)
class Member:
    """One cell that an ensemble is made of."""

    variant: str
    seed: int
    record: TrialRecord | None
    """Of the cell; None where it gave none that completed."""
    missing: str = ""
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class EnsembleCell:
    """One row of an ensemble: its definition, and the cells that it is made of."""

    ensemble: Ensemble
    seed: int
    members: tuple[Member, ...]

    @cached_property
    def key(self) -> str:
        """Of all that decides the result, its members' own scores included: it is judged anew where one was trained
        again."""
        made = [
            [one.variant, one.seed, *([] if one.record is None else [one.record.cell, one.record.files])]
            for one in self.members
        ]
        return digest([ENSEMBLE_FAMILY, self.ensemble.over, self.ensemble.weights, made])


@dataclass(frozen=True)
class Parts:
    """The pictures that an ensemble is judged on, and by what."""

    validation: Samples
    test: Samples
    log: ReadingLog
    judge: Judge
    goal: Goal


@dataclass(frozen=True)
class _Kept:
    """What is kept of one member."""

    member: Member
    model: KeptModel
    parameters: int | None
    seconds_a_picture: float | None
    validation: Floats


def judge_ensemble(cell: EnsembleCell, run: RunFolder, parts: Parts, origin: Provenance) -> TrialRecord:
    """The record of an ensemble: put together and frozen on validation scores, and only then shown the test scores.

    Where a member is missing, or what is kept of one is spoiled, it is failed with the reason. Raises OSError where
    its own files or the log can't be written.
    """
    started = time.perf_counter()
    try:
        kept = [_kept(member, run, parts.validation) for member in cell.members]
        frozen, choice, validation, facts = _frozen(cell, kept, parts, origin)
    except (Unusable, ValueError) as error:
        status, reason = why(error)
        seconds = time.perf_counter() - started
        return TrialRecord(**_of(cell, origin), status=status, reason=reason, seconds=seconds, trained=False)
    folder, place = run.model(cell.ensemble.name, cell.seed), (cell.ensemble.name, cell.seed)
    reading = parts.log.add(*place, keep_ensemble(folder, frozen), now())
    try:
        scores = [_scores(one.member, run, parts.test, "scores", "labels", "paths") for one in kept]
        prediction = Prediction(combined(scores, frozen.members, parts.goal.task))
        found = _judged(prediction, parts, choice)
    except (OSError, ValueError, KeyError) as error:
        status, reason = why(error)
        seconds = time.perf_counter() - started
        return TrialRecord(
            **_of(cell, origin), status=status, reason=reason, seconds=seconds, trained=False, reading=reading
        )
    write_scores(run.predictions(*place), prediction, parts.test, Prediction(validation), parts.validation)
    write_galleries(run.gallery(*place), confused_gallery(parts.test, prediction) if choice is None else ())
    if own := parts.judge.own:
        sources = np.array([os.fsencode(one) for one in parts.test.groups or parts.test.paths])
        write_own_draws(run.draws(*place), judged_of(prediction.scores, parts.test, choice), sources, own)
    return TrialRecord(
        **_of(cell, origin),
        **found,
        facts=facts,
        reading=reading,
        files={path.name: file_sha256(path) for path in run.score_files(*place) if path.exists()},
        status="completed",
        trained=False,
        seconds=time.perf_counter() - started,
        speed=_speed([one.member.record for one in kept]),
        seconds_a_picture=_all_known([one.seconds_a_picture for one in kept]),
        parameters=None if (size := _all_known([one.parameters for one in kept])) is None else int(size),
    )


def _of(cell: EnsembleCell, origin: Provenance) -> OfCell:
    return OfCell(
        stage="evaluation",
        cell=cell.key,
        family=ENSEMBLE_FAMILY,
        variant=cell.ensemble.name,
        trial=0,
        seed=cell.seed,
        split="test",
        config=cell.ensemble.model_dump(mode="json", exclude={"name"}),
        provenance=origin,
    )


def _kept(member: Member, run: RunFolder, validation: Samples) -> _Kept:
    """What is kept of a member, with its validation scores. Raises Unusable."""
    record = member.record
    if record is None:
        raise Unusable(f"{member.variant}, seed {member.seed}, is missing: {member.missing}")
    try:
        model = kept_whole(run, record)
        scores = _scores(member, run, validation, "validation_scores", "validation_labels")
    except (Unusable, ValueError, KeyError, OSError) as error:
        raise Unusable(
            f"what is kept of {member.variant}, seed {member.seed}, can't be used ({error}); put it back from a copy"
        ) from None
    return _Kept(member, model, record.parameters, record.seconds_a_picture, scores)


def _scores(member: Member, run: RunFolder, samples: Samples, name: str, *described: str) -> Floats:
    """A member's kept scores of some samples, in their order. ValueError where they are of other pictures."""
    known = {"labels": samples.labels, "validation_labels": samples.labels}
    known["paths"] = np.array([os.fsencode(path) for path in samples.paths])
    with np.load(run.predictions(member.variant, member.seed), allow_pickle=False) as kept:
        scores = np.asarray(kept[name], dtype=np.float64)
        if any(not np.array_equal(kept[one], known[one]) for one in described):
            raise ValueError(f"the kept scores of {member.variant}, seed {member.seed}, are of other pictures")
    if len(scores) != len(samples) or not np.isfinite(scores).all():
        raise ValueError(f"the kept scores of {member.variant}, seed {member.seed}, are not one finite score a picture")
    return scores


def _frozen(
    cell: EnsembleCell, kept: Sequence[_Kept], parts: Parts, origin: Provenance
) -> tuple[KeptEnsemble, ThresholdChoice | None, Floats, dict[str, str]]:
    """The ensemble with all that validation decides of it: scales, weights and threshold; its validation scores; and
    what a record should say of it."""
    detection, samples = parts.goal.task == "detection", parts.validation
    scales = [_scale(one, samples) if detection else (0.0, 1.0) for one in kept]
    scores = [(one.validation - center) / scale for one, (center, scale) in zip(kept, scales, strict=True)]
    weights, how = _weights(cell.ensemble, scores, parts)
    members = tuple(
        KeptMember(
            variant=one.member.variant,
            seed=one.member.seed,
            folder=f"../../{one.member.variant}/{one.member.seed}",
            weights=one.model.weights,
            weight=float(weight),
            center=center,
            scale=scale,
        )
        for one, weight, (center, scale) in zip(kept, weights, scales, strict=True)
    )
    validation = combined([one.validation for one in kept], members, parts.goal.task)
    choice = parts.judge.threshold(validation, samples)
    facts = {TRAINING: "none: kept scores are combined", "ensemble shares": f"{how}: {_shares(members)}"}
    if detection:
        facts["ensemble scale"] = SCALE
    if any(one.model.pixel_threshold is not None for one in kept):
        facts["ensemble maps"] = "none: scores of whole pictures are combined"
    frozen = KeptEnsemble(
        variant=cell.ensemble.name,
        seed=cell.seed,
        task=parts.goal.task,
        classes=tuple(samples.classes),
        members=members,
        threshold=None if choice is None else choice.value,
        code=origin.code,
    )
    return frozen, choice, validation, facts


def _scale(one: _Kept, samples: Samples) -> tuple[float, float]:
    try:
        return own_scale(one.validation, samples.labels)
    except ValueError as error:
        raise ValueError(f"{one.member.variant}, seed {one.member.seed}: {error}") from None


def _weights(ensemble: Ensemble, scores: Sequence[Floats], parts: Parts) -> tuple[Floats, str]:
    """Of each member, and how they came about. `scores`: of validation, each on its own scale."""
    samples = parts.validation
    if ensemble.weights == "uniform":
        return np.full(len(scores), 1 / len(scores)), "uniform"
    if parts.goal.task == "classification":
        sound = [check_scores(one, samples.labels, samples.classes) for one in scores]
        return by_log_loss(sound, samples.labels), "least log loss on validation"
    row = parts.goal.row(parts.goal.metric)
    if row is None or row.needs != "scores" or row.value is None:
        row = METRICS["roc_auc"]
    sign = 1 if row.mode == "max" else -1

    def value(mean: Floats) -> float:
        found = row.value(Detected(mean, samples.labels)) if row.value is not None else None
        return -np.inf if found is None or not np.isfinite(found) else sign * found

    return by_selection(scores, value), f"selected by {row.name} on validation"


def _shares(members: Sequence[KeptMember]) -> str:
    """The weight of each variant's models: those of several seeds together."""
    shares: dict[str, list[float]] = {}
    for one in members:
        shares.setdefault(one.variant, []).append(one.weight)
    return ", ".join(
        f"{variant} {sum(found):.3f}" + (f" over {len(found)} seeds" if len(found) > 1 else "")
        for variant, found in shares.items()
    )


def _judged(prediction: Prediction, parts: Parts, choice: ThresholdChoice | None) -> OnTest:
    if choice is None:
        return classified(prediction, parts.test, parts.judge.own)
    return detected(prediction, parts.test, choice, [one for one in parts.judge.own if not one.pixel])


def _speed(members: Sequence[TrialRecord | None]) -> Speed | None:
    """Of the members together; None where that of one is not known."""
    speeds = [one.speed for one in members if one is not None and one.speed is not None]
    return one_after_another(speeds) if len(speeds) == len(members) else None


def _all_known(values: Sequence[float | None]) -> float | None:
    """What all members have together; None where that of one is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None

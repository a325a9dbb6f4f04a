"""What is kept of a refit: the model's note, which says of what it came and what is not known of it."""

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.artifacts.heat_maps import scale_of
from orchestrator.artifacts.models import KeptModel
from orchestrator.artifacts.provenance import code_version, now
from orchestrator.machine.progress import duration
from trainables.files import whole
from trainables.interface import Precision

if TYPE_CHECKING:  # these import torch, which bad input should not wait for
    from orchestrator.evaluation.trained import Trained
    from orchestrator.running.refit_training import Held, Refitting


@dataclass(frozen=True)
class Refitted:
    """What became of a refit."""

    out: Path
    kept: KeptModel
    seconds: float

    @property
    def about(self) -> dict[str, Any]:
        """What its note says of it."""
        assert self.kept.refit is not None
        return self.kept.refit

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        kept = self.kept
        told = {"family": kept.family, "variant": kept.variant, "seed": kept.seed, "threshold": kept.threshold}
        return {"model": str(self.out), **told, "epoch": kept.epoch, **self.about, "seconds": round(self.seconds, 3)}

    def text(self) -> str:
        """For a person."""
        about, kept = self.about, self.kept
        counted = ", ".join(f"{count} of {part}" for part, count in about["pictures"].items() if count)
        before, after = about["validation_before"], about["validation"]
        return "\n".join(
            [
                f"{kept.variant}, seed {kept.seed}: trained on {counted} pictures in {duration(self.seconds)}.",
                *(f"{name.capitalize()}: {rule}." for name, rule in about["rules"].items()),
                *(
                    f"Validation {name}: {after[name]:.4f}, before {before[name]:.4f}."
                    for name in after
                    if name in before
                ),
                *about["notes"],
                f"Model: {self.out}",
            ]
        )


def kept_of(refitting: "Refitting", trained: "Trained", held: "Held | None") -> KeptModel:
    """What stands beside the new weights. `held`: scores of validation by models that did not train on it; None: what
    was fitted to validation before is kept as it is."""
    from orchestrator.evaluation.evaluate_cell import pixel_line, validation_reference
    from orchestrator.stages.finish_cells import preprocessing_of

    source, job = refitting.source, refitting.job
    experiment, recipe = source.experiment, refitting.data.store.recipe
    update: dict[str, Any] = {
        "seed": source.seed,
        "preprocessing": preprocessing_of(experiment.data, recipe, job, source.setting),
        "precision": {} if job.problem.precision == Precision() else asdict(job.problem.precision),
        "code": code_version(experiment.own_code),
        "speed": None,  # it was measured of another model
        "refit": _about(refitting, trained, held),
    }
    if held is not None:
        scores, samples = held.prediction.scores, held.samples
        choice = refitting.judge.threshold(scores, samples, source.setting.strategy)
        line = pixel_line(held.prediction, samples, experiment.threshold.pixel_percentile)
        update |= {
            "threshold": None if choice is None else choice.value,
            "strategy": None if choice is None else choice.strategy,
            "pixel_threshold": None if line is None else line.threshold,
            "heat_scale": None if line is None else scale_of(line.low, line.threshold),
            "reference": validation_reference(scores, samples, job.family.task),
        }
    return source.kept.model_copy(update=update)


def write_held(path: Path, held: "Held") -> None:
    """Keep what the threshold was fitted to, so that another strategy can be."""
    with whole(path, wait=True) as file:
        np.savez_compressed(
            file,
            validation_scores=held.prediction.scores,
            validation_labels=held.samples.labels,
            validation_paths=np.array([os.fsencode(name) for name in held.samples.paths], dtype=np.bytes_),
        )


def _about(refitting: "Refitting", trained: "Trained", held: "Held | None") -> dict[str, Any]:
    source, data = refitting.source, refitting.data
    parts = {
        "train": len(source.split.train),
        "validation": len(data.trainable(source.split.validation)) if refitting.everything else 0,
        "test": len(data.trainable(source.split.test)) if refitting.with_test else 0,
        "new data": 0 if data.more is None else len(data.more.rows),
    }
    before = {} if held is None else source.validation
    return {
        "source": source.about(),
        "pictures": parts,
        "more": None if data.more is None else {"fingerprint": data.more.store.fingerprint, "known": data.more.known},
        "pictures_seen": refitting.data.fingerprint(
            *(2 * [data.validation] if refitting.everything else [np.empty(0, np.int64), data.validation])
        ),
        "rules": _rules(refitting, trained, held),
        "validation": {} if held is None else {key: value for key, value in held.metrics.items() if key in before},
        "validation_before": {} if held is None else {key: before[key] for key in held.metrics if key in before},
        "last_known": {"of": source.cells, "test": source.figures},
        "notes": _notes(refitting, held),
        "facts": trained.facts,
        "finished": now(),
    }


def _rules(refitting: "Refitting", trained: "Trained", held: "Held | None") -> dict[str, str]:
    """How the epoch, the threshold and what new pictures are compared with came about, a phrase each."""
    source, folds = refitting.source, refitting.folds
    if not refitting.everything:
        told = {"epoch": f"{trained.epoch}, chosen by validation, which is held out"}
        fitted = "the scores of validation, which is held out"
    else:
        schedule = "" if refitting.job.family.single_epoch else "; learning rates follow its validation losses"
        if not source.losses and schedule:
            schedule = "; learning rates follow the loss of validation, which is trained on"
        told = {"epoch": f"{trained.epoch}, as validation chose for the evaluated seed {source.record.seed}{schedule}"}
        fitted = (
            f"cross-fitted scores: {folds} models, each trained as this one but without its fold of validation, score "
            f"that fold"
        )
    if held is None:
        fitted = f"as of the evaluated seed {source.record.seed}: nothing is held out that would tell otherwise"
    if source.normal is not None:
        told["threshold"] = fitted if held is None else f"{source.setting.strategy} of {fitted}"
    told["reference"] = fitted
    return told


def _notes(refitting: "Refitting", held: "Held | None") -> list[str]:
    """What is not known of the model, a sentence each."""
    source = refitting.source
    figures = ", ".join(f"{name} {value:.4f}" for name, value in source.figures.items() if math.isfinite(value))
    seeds = f"the mean of {source.cells} seeds" if source.cells > 1 else "of one seed"
    last = f" The last known is that of the evaluated models, trained on less: {figures}, {seeds}." if figures else ""
    if not refitting.everything:
        return [f"The test part was not read: no figure on it is this model's.{last}"]
    notes = [f"It has trained on validation{' and test' if refitting.with_test else ''}: no figure is its own.{last}"]
    if refitting.with_test:
        notes.append("No test figure of this run says anything of it, and none can be had from these data any more.")
    if held is not None:
        notes.append("Figures on validation are of the models that scored their folds, not of this one.")
    elif source.normal is not None:
        notes.append(
            "The threshold is another model's: with more data the scale of scores may move, and with it false alarms. "
            "--folds 3 fits it to this configuration on these data."
        )
    return notes

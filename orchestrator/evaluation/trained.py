"""A frozen model before it meets the test part; and one whose weights were trained for another cell."""

from dataclasses import dataclass

import torch
from torch import Tensor

from orchestrator.artifacts.records import TAKEN_OVER, TRAINING, TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.kept_cells import Unusable, kept_weights
from orchestrator.experiment.settings import full_config
from trainables.interface import Model, Prediction
from trainables.training.precision import use_tf32
from trainables.training.trial import Job

LOSSES = ("train_loss", "validation_loss", "anomaly_loss")


@dataclass(frozen=True)
class Trained:
    """A model with the weights of its best epoch, and what is known of its training."""

    model: Model
    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    epoch: int
    """The best one, from 1."""
    validation: Prediction
    """The scores of the validation part, and maps where there are any."""
    facts: dict[str, str]
    peak_memory: int | None = None
    own_memory: int | None = None
    available_memory: int | None = None
    energy: float | None = None


def taken_over(cell: Cell, job: Job, run: RunFolder, source: TrialRecord) -> Trained:
    """A cell's model with the weights of a completed cell. Raises Unusable where these are not whole.

    Of its epochs it has the losses where there are several, and the validation metrics of the best one.
    """
    epoch, weights = source.epoch, kept_weights(run, source)
    if epoch is None:
        raise Unusable("its record names no epoch")
    torch.set_num_threads(job.threads)
    use_tf32(job.problem.precision)
    family, config = job.family, cell.setting.config
    model: Model = family.build(family.blank(family.config(**config)), job.problem, cell.seed)
    model.load_weights(weights)
    validation = model.predict(job.validation)
    metrics = job.grade(validation, job.validation, cell.setting.strategy)
    same = {"epoch", *(() if family.single_epoch else LOSSES)}  # the loss of one epoch may be that of its scores
    history = [
        {name: value for name, value in row.items() if name in same} | (metrics if row["epoch"] == epoch else {})
        for row in source.history
    ]
    there = full_config(source.family, source.config)
    ours = full_config(cell.setting.family, config)
    keys = ", ".join(key for key in family.scoring_keys if ours.get(key) != there.get(key))
    training = f"same as {source.variant}, seed {source.seed}: {keys} changes no weights"
    facts = {name: value for name, value in source.facts.items() if name != TAKEN_OVER}
    return Trained(model, weights, history, epoch, validation, {**facts, TRAINING: training})

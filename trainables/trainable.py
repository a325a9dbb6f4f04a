"""What Ray Tune runs: one trial, reporting after every epoch. The only import of Ray among the families."""

from typing import Any

from ray import tune

from trainables.trial import Job, epochs


def run_trial(config: dict[str, Any], job: Job) -> None:
    """Train `config["config"]` with `config["seed"]` and report each epoch to Tune.

    A report holds `objective` (the best validation value so far), `epoch`, `row` (this epoch's losses and metrics),
    `best_epoch`, `best`, `finished`, `seconds`, `peak_memory`, `parameters` and `facts`.
    """
    model = job.build(config["config"], config["seed"])
    for graded in epochs(model, job):
        tune.report(
            {
                "objective": graded.best[job.metric],
                "epoch": graded.epoch,
                "row": graded.row,
                "best_epoch": graded.best_epoch,
                "best": graded.best,
                "finished": graded.finished,
                "seconds": graded.seconds,
                "peak_memory": graded.peak_memory,
                "parameters": model.parameters,
                "facts": model.facts(),
            }
        )

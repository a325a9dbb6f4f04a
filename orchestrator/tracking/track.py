"""A run that is there, sent to trackers afterwards: from its records, nothing twice."""

from pathlib import Path

from pydantic import ValidationError

from orchestrator.artifacts.events import Outcome
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.messages import explain
from orchestrator.experiment.of_a_run import check_run, experiment_of
from orchestrator.experiment.sections import Tracking
from orchestrator.machine.progress import Reporter
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.sent import Sent
from orchestrator.tracking.trackers import check_tracking, destinations
from trainables.credentials import masked
from trainables.errors import InputError


def track(
    run_folder: str | Path,
    *,
    tensorboard: bool = False,
    mlflow: str | None = None,
    wandb: str | None = None,
    reporter: Reporter | None = None,
) -> dict[str, int]:
    """Send the run in `run_folder` to TensorBoard's files, an MLflow server or database, a wandb project.

    With none named, to those that its experiment names. What was sent there before is not sent again. Returns how many
    trainings were sent now, by tracker. InputError where the folder holds no run, nothing is named, or a tracker can't
    be reached: what was sent until then is sent, and the next call goes on.
    """
    folder = _whole(RunFolder(Path(run_folder).expanduser().absolute()))
    check_run(folder)
    asked = _asked(folder, tensorboard, mlflow, wandb)
    check_tracking(asked)
    reporter = reporter or Reporter()
    reported = (folder.report / "index.html").exists()
    outcome: Outcome = "finished" if reported else "stopped"
    total = sum(1 for _ in read_records(folder.records))
    sent_now: dict[str, int] = {}
    for name, destination in destinations(asked).items():
        told = folder.tensorboard if name == "tensorboard" else destination
        reporter.say(f"{name}: what was not sent yet of {folder.root} ({total} records) goes to {told} …")
        with Sent(folder, name, destination) as sent:
            delivery = Delivery(name, destination, folder, sent)
            try:
                sent_now[name] = delivery.catch_up()
                delivery.finish(outcome)
            except InputError:
                raise
            except Exception as error:  # of whatever package it is
                lines = masked(str(error)).strip().splitlines() or [""]
                raise InputError(
                    f"{name} is down ({type(error).__name__}: {lines[0][:500]}); {delivery.missing()} trainings are "
                    "not sent. Call it again when it is back: what was sent is not sent twice."
                ) from error
    return sent_now


def _whole(folder: RunFolder) -> RunFolder:
    """The run that a folder is of, which may be that of one of its splits."""
    above = RunFolder(folder.root.parent.parent)
    return above if folder.root.parent.name == "splits" and above.experiment.is_file() else folder


def _asked(folder: RunFolder, tensorboard: bool, mlflow: str | None, wandb: str | None) -> Tracking:
    try:
        named = Tracking(tensorboard=tensorboard, mlflow=mlflow, wandb=wandb)
    except ValidationError as error:
        raise InputError(explain(error, Tracking, "What to send to")) from None
    named = named if named.asked else experiment_of(folder).tracking
    if not named.asked:
        raise InputError(
            f"Nothing says where to send {folder.root}: give --tensorboard, --mlflow URI or --wandb PROJECT, or name "
            f"some in {folder.experiment}, under tracking."
        )
    return named

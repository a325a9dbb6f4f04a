"""The ledger of one search: every trial that ended becomes a record, as soon as it has."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ray import tune
from ray.tune.experiment import Trial

from orchestrator.memory import kernel_kills
from orchestrator.records import Status, TrialRecord
from orchestrator.search.optuna_search import OptunaSearcher, tell
from trainables.trial import Job

if TYPE_CHECKING:
    from orchestrator.search.study import Study

RETRIES = 2
"""How often a trial whose worker or node died is tried again; it goes on from its last state."""
FRUITLESS = 5
"""A study whose first trials all failed, so many of them, stops itself."""
TIME_USED_UP = "the search's time was used up"
NO_MEMORY = "the machine ran out of memory, and its worker was killed for it"


class Ledger(tune.Callback):
    """Turns what Tune says of its trials into records, each as soon as its trial has ended."""

    def __init__(self, study: "Study", job: Job) -> None:
        self._study = study
        self._job = job
        self.searcher: OptunaSearcher | None = None
        """Whose study is told how trials ended."""
        self.records: list[TrialRecord] = []
        """Of the trials that ended here."""
        self.unwritable: OSError | None = None
        """What kept a record from being written, after which no more trials begin."""
        self.given_back = 0
        """How many trials were given back to the searcher, for another try."""
        self._given_back: Counter[int] = Counter()
        self._open: dict[str, OpenTrial] = {}
        self.deadline = math.inf if study.seconds is None else time.monotonic() + study.seconds
        """The moment of the monotonic clock at which the search's time is used up."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        opened = self._open.setdefault(trial.trial_id, OpenTrial(trial.config, time.monotonic()))
        actor = trial.temporary_state.ray_actor
        opened.starts += 1
        opened.actor = "" if actor is None else actor._actor_id.hex()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        opened = self._open[trial.trial_id]
        opened.state, opened.leaving = result["state"], result.get("leaving", False)
        if "error" in result:
            opened.error, opened.unsaved = result["error"], result["storage"] is not None
            if opened.unsaved:
                self.unwritable = self.unwritable or OSError(*result["storage"])
            return
        if not result["epoch"]:
            return
        # A trial that was tried again reports its earlier epochs once more.
        del opened.history[result["epoch"] - 1 :]
        opened.history.append({"epoch": float(result["epoch"]), **result["row"]})
        opened.memory = max(opened.memory, result["peak_memory"])
        opened.last = result
        opened.scores = result["scores"] or opened.scores

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        opened = self._open.get(trial.trial_id)
        if opened is None:
            return
        finished = bool(opened.last.get("finished"))
        if opened.unsaved:
            del self._open[trial.trial_id]  # a disk failed it: a resume runs it again
        elif opened.error:
            self._end(trial.trial_id, *why(opened.error))
        elif not finished and self._job.stopping():
            del self._open[trial.trial_id]  # its state is saved: a resume goes on with it
        elif not finished and opened.leaving:
            # Its node still saw the mark of the stop before this resume, as shared folders may show it.
            del self._open[trial.trial_id]
            self._suggest_again(opened.config["number"])
        elif not finished and self.time_used_up:
            self._end(trial.trial_id, "timed-out", TIME_USED_UP)
        else:
            reason = "" if finished else f"stopped by the scheduler after epoch {opened.last.get('epoch', 0)}"
            self._end(trial.trial_id, "completed" if finished else "pruned", reason)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        # Tune's own get_error reads the copy in the storage, which is not there yet at this moment.
        path = Path(trial.error_file or "")
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        status, reason = why(text.partition("\n")[2] if text.startswith("Failure #") else text)
        opened = self._open.get(trial.trial_id)
        if opened is None or opened.starts <= RETRIES:
            # A worker that is used again and dies in between takes a trial with it that Tune has not begun, and which
            # Tune gives up at once, however often it is told to try.
            if self._give_back(trial.config["number"]):
                self._open.pop(trial.trial_id, None)
                return
            opened = opened or self._open.setdefault(trial.trial_id, OpenTrial(trial.config, time.monotonic()))
        if "died" in reason and kernel_kills() > opened.kernel_kills:
            status, reason = "out-of-memory", NO_MEMORY
        self._end(trial.trial_id, status, reason)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore from its own state, which is never done here."""
        return {}

    def end_open(self, status: Status, reason: str) -> None:
        """Give every trial that Tune left open its record."""
        for trial_id, opened in list(self._open.items()):
            if opened.last.get("finished") and not opened.error:
                self._end(trial_id, "completed", "")  # only Tune had not heard that it was done
            else:
                self._end(trial_id, status, reason)

    def end_killed(self, message: str) -> bool:
        """End the trials whose workers Ray's memory monitor says it killed; the other open ones run again.

        False where it names none.
        """
        killed = set(re.findall(r"Selected to kill: \(Actor\(([0-9a-f]+)\)", message))
        ended = [trial_id for trial_id, opened in self._open.items() if opened.actor in killed]
        for trial_id in ended:
            self._end(trial_id, "out-of-memory", NO_MEMORY)
        if ended:
            self._open.clear()
        return bool(ended)

    def _give_back(self, number: int) -> bool:
        """Have the searcher suggest a trial again; False where it did so often enough."""
        if self._given_back[number] >= RETRIES:
            return False
        self._given_back[number] += 1
        self._suggest_again(number)
        return True

    def _suggest_again(self, number: int) -> None:
        assert self.searcher is not None
        self.given_back += 1
        self.searcher.again(number)

    def _end(self, trial_id: str, status: Status, reason: str) -> None:
        opened = self._open.pop(trial_id, None)
        if opened is None:
            return
        last = opened.last
        record = TrialRecord(
            stage=self._study.stage,
            family=self._study.variant.family,
            variant=self._study.variant.name,
            trial=opened.config["number"],
            seed=opened.config["seed"],
            split="validation",
            config=opened.config["config"],
            metrics=last.get("best", {}),
            epoch=last.get("best_epoch"),
            history=opened.history,
            status=status,
            reason=reason,
            seconds=time.monotonic() - opened.started,
            gpus=self._study.experiment.resources.gpus,
            parameters=last.get("parameters"),
            peak_memory=opened.memory or None,
            energy=last.get("energy"),
            facts=last.get("facts", {}),
            provenance=self._study.provenance(),
        )
        scores = np.frombuffer(opened.scores, dtype=np.float64) if opened.scores else None
        try:
            record = self._study.on_record(record, opened.config["strategy"], scores)
            assert self.searcher is not None
            tell(self.searcher.study, record, self._job.metric)
        except OSError as error:
            # No room, say. Without its record the trial has not ended: a resume runs it again.
            self.unwritable = self.unwritable or error
            return
        self.records.append(record)
        if self._job.states is not None and opened.state:
            (self._job.states / opened.state).unlink(missing_ok=True)

    @property
    def time_used_up(self) -> bool:
        """Whether the search's time is."""
        return time.monotonic() >= self.deadline

    @property
    def fruitless(self) -> bool:
        """Whether the first trials of this study all failed, so that no more are worth their time."""
        return all_failed(record.status for record in chain(self._study.earlier, self.records))


class OpenTrial:
    """A trial that runs."""

    def __init__(self, config: dict[str, Any], started: float) -> None:
        self.config = config
        self.started = started
        self.history: list[dict[str, float]] = []
        self.last: dict[str, Any] = {}
        self.scores = b""
        self.memory = 0
        self.error = ""
        self.state = ""
        self.actor = ""
        self.starts = 0
        self.leaving = False
        """Whether its worker broke it off because the run is asked to stop."""
        self.unsaved = False
        """Whether a disk failed it."""
        self.kernel_kills = kernel_kills()


def all_failed(statuses: Iterable[Status]) -> bool:
    """Whether a study's first trials, FRUITLESS or more of them, all failed."""
    tried = 0
    for status in statuses:
        if status not in ("failed", "out-of-memory"):
            return False
        tried += 1
    return tried >= FRUITLESS


def why(error: BaseException | str | None) -> tuple[Status, str]:
    """The status and a one-line reason for what ended a trial."""
    text = str(error or "no reason was given")
    reason = first_line(text)
    memory = ("outofmemory", "out of memory", "memoryerror")
    if any(word in f"{type(error).__name__} {text}".lower() for word in memory):
        return "out-of-memory", reason
    return "failed", reason


def first_line(text: str) -> str:
    """The last line of a traceback, or the first of a message: what a table has room for."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason was given"
    return (lines[-1] if any(line.startswith("Traceback") or "ray::" in line for line in lines) else lines[0])[:500]

"""The ledger of one search: every trial that ended becomes a record, as soon as it has."""

import math
import re
import time
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
from ray import tune
from ray.tune.experiment import Trial

from orchestrator.artifacts.at_work import EVERY, AtWork
from orchestrator.artifacts.endings import NO_MEMORY, RETRIES, TIME_USED_UP, Status, all_failed, kernel_kills, why
from orchestrator.artifacts.records import TRAINING, TrialRecord
from orchestrator.experiment.packing import worker_memory
from orchestrator.machine.alive import lacking
from orchestrator.machine.lives import Lives, lost_node
from orchestrator.search.searcher import OptunaSearcher, report, tell
from orchestrator.search.study import Study
from trainables.speed import Speed
from trainables.training.reports import EpochReport, Suggestion, TrialReport
from trainables.training.trial import Job

FAILURE = re.compile(r"^Failure # \d+.*\n", re.MULTILINE)
"""What stands before each of the deaths in the file in which Tune keeps those of a trial."""


class Ledger(tune.Callback):
    """Turns what Tune says of its trials into records, each as soon as its trial has ended."""

    searcher: OptunaSearcher
    """Whose study is told how trials ended; to be set before a trial begins."""

    def __init__(self, study: Study, job: Job) -> None:
        self._study = study
        self._job = job
        self.placement = study.placement
        """Of the trials that run now."""
        self.records: list[TrialRecord] = []
        """Of the trials that ended here."""
        self.crowded: dict[int, OpenTrial] = {}
        """Those that found no memory beside others, by their number: each runs once more, alone."""
        self.held = worker_memory(study.earlier)
        """Bytes that a worker of this study has held at most, on CPUs."""
        self._alone: set[int] = set()
        """The numbers of those that had their run alone."""
        self.unwritable: OSError | None = None
        """What kept a record from being written, after which no more trials begin."""
        self.given_back = 0
        """How many trials were given back to the searcher, for another try."""
        self._given_back: Counter[int] = Counter()
        self._lives: defaultdict[int, Lives] = defaultdict(lambda: Lives(RETRIES))
        """Of the trials under which nodes were lost, by their number."""
        self._open: dict[str, OpenTrial] = {}
        self.first_epoch: float | None = None
        """The seconds from here to the first epoch of any trial."""
        self._began = self._told = time.monotonic()
        self.deadline = math.inf if study.seconds is None else time.monotonic() + study.seconds
        """The moment of the monotonic clock at which the search's time is used up."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        opened = self._open.setdefault(trial.trial_id, OpenTrial(trial))
        actor = trial.temporary_state.ray_actor
        opened.starts += 1
        opened.actor = "" if actor is None else actor._actor_id.hex()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        opened, told = self._open[trial.trial_id], cast(TrialReport, result)
        opened.state = told["state"]
        if "error" in told:
            opened.error, opened.unsaved = told["error"], told["storage"] is not None
            if told["storage"] is not None:
                self.unwritable = self.unwritable or OSError(*told["storage"])
            return
        opened.leaving = told["leaving"]
        if "row" in told:
            self.first_epoch = self.first_epoch or time.monotonic() - self._began
            opened.add(told)
            self.held = max(self.held, opened.memory)
            self._hear(opened.asked["number"], opened.history[-1])

    def _hear(self, number: int, row: dict[str, float]) -> None:
        """Tell the study, and who watches, of an epoch."""
        with suppress(OSError):  # no room, say: the study hears of it when the trial has ended
            report(self.searcher.study, number, int(row["epoch"]), row.get(self._job.metric, math.nan))
        self._study.on_epoch(number, row)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        # Of what Tune does without end, not of reports: a first epoch may take an hour.
        if time.monotonic() - self._told < EVERY:
            return
        self._told = time.monotonic()
        if self._study.now is not None:
            now = self._study.now()
            self._study.waits(lacking(now, self.placement.cpus, self.placement.gpus, self.placement.workers))
        epochs = self._study.experiment.epochs_of(self._study.variant)
        self._study.at_work(
            [one.at_work(self._study.variant.name, epochs, self._job.metric) for one in self._open.values()]
        )

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        _forget_metrics(trial)
        opened = self._open.get(trial.trial_id)
        if opened is None:
            return
        if opened.unsaved:
            del self._open[trial.trial_id]  # a disk failed it: a resume runs it again
        elif opened.error:
            self._end(trial.trial_id, *why(opened.error))
        elif opened.finished:
            self._end(trial.trial_id, "completed", "")
        elif self._job.stopping():
            del self._open[trial.trial_id]  # its state is saved: a resume goes on with it
        elif opened.leaving:
            # Its node still saw the mark of the stop before this resume, as shared folders may show it.
            del self._open[trial.trial_id]
            self._suggest_again(opened.asked["number"])
        elif self.time_used_up:
            self._end(trial.trial_id, "timed-out", TIME_USED_UP)
        else:
            self._end(trial.trial_id, "pruned", f"stopped by the scheduler after epoch {len(opened.history)}")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        # Tune's own get_error reads the copy in the storage, which is not there yet at this moment.
        path = Path(trial.error_file or "")
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        opened = self._open.get(trial.trial_id)
        number, deaths = trial.config["number"], FAILURE.split(text)[1:]
        if any(map(lost_node, deaths)) and all(self._lives[number].again(one) for one in deaths):
            # Tune counts the loss of a node as it does the death of a worker, which may be the trial's own fault.
            self._open.pop(trial.trial_id, None)
            self._suggest_again(number)
            return
        if opened is None or opened.starts <= RETRIES:
            # A worker that is used again and dies in between takes a trial with it that Tune has not begun, and which
            # Tune gives up at once, however often it is told to try.
            if self._give_back(number):
                self._open.pop(trial.trial_id, None)
                return
            opened = self._open.setdefault(trial.trial_id, OpenTrial(trial))
        told = text.partition("\n")[2] if text.startswith("Failure #") else text
        self._end(trial.trial_id, *why(told, kills=opened.kernel_kills))

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore from its own state, which is never done here."""
        return {}

    def end_open(self, status: Status, reason: str) -> None:
        """Give every trial that Tune left open its record."""
        for trial_id, opened in list(self._open.items()):
            if opened.finished and not opened.error:
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

    def stranded(self) -> bool:
        """Whether the node that the trials are to run on is there no more."""
        node, now = self.placement.node, self._study.now
        return bool(node) and now is not None and node not in {room.address for room in now().rooms}

    def crowd_open(self) -> None:
        """Have each trial that Tune left open run alone once more, elsewhere."""
        for opened in self._open.values():
            self.crowded[opened.asked["number"]] = opened
        self._open.clear()

    def no_more(self) -> bool:
        """Whether the search is over before all its trials have run."""
        return self.fruitless or self.unwritable is not None or self._job.stopping()

    @property
    def time_used_up(self) -> bool:
        """Whether the search's time is."""
        return time.monotonic() >= self.deadline

    @property
    def fruitless(self) -> bool:
        """Whether the first trials of this study all failed, so that no more are worth their time."""
        return all_failed(record.status for record in chain(self._study.earlier, self.records))

    def _give_back(self, number: int) -> bool:
        """Have the searcher suggest a trial again; False where it did so often enough."""
        if self._given_back[number] >= RETRIES:
            return False
        self._given_back[number] += 1
        self._suggest_again(number)
        return True

    def _suggest_again(self, number: int) -> None:
        self.given_back += 1
        self.searcher.again(number)

    def _end(self, trial_id: str, status: Status, reason: str) -> None:
        opened = self._open.pop(trial_id, None)
        if opened is None:
            return
        number = opened.asked["number"]
        now = self._study.now
        crowded = self.placement.at_once > 1 or (now is not None and now().roomiest)
        if status == "out-of-memory" and crowded and number not in self._alone:
            opened.reason = reason
            self.crowded[number] = opened
            return
        self._keep(opened, status, reason)

    def take_crowded(self) -> list[int]:
        """The numbers of the trials that are to run alone now."""
        found = list(self.crowded)
        self._alone |= self.crowded.keys()
        self.crowded.clear()
        return found

    def end_crowded(self) -> None:
        """Give those for whose run alone there was no time their record."""
        for opened in self.crowded.values():
            self._keep(opened, "out-of-memory", opened.reason)
        self.crowded.clear()

    def _keep(self, opened: "OpenTrial", status: Status, reason: str) -> None:
        record = self._record(opened, status, reason)
        scores = np.frombuffer(opened.scores, dtype=np.float64) if opened.scores else None
        try:
            record = self._study.on_record(record, opened.asked["strategy"], scores)
            tell(self.searcher.study, record, self._job.metric, self._job.limits)
        except OSError as error:
            # No room, say. Without its record the trial has not ended: a resume runs it again.
            self.unwritable = self.unwritable or error
            return
        self.records.append(record)
        if self._job.states is not None and opened.state:
            self._job.states.remove(opened.state)

    def _record(self, opened: "OpenTrial", status: Status, reason: str) -> TrialRecord:
        study, last, origin = self._study, opened.last, self._study.provenance()
        same_as = None if last is None else last["same_as"]
        facts = {} if last is None else last["facts"]
        if same_as is not None:
            of = "" if same_as[0] == study.variant.name else f" of {same_as[0]}"
            facts = {**facts, TRAINING: f"same training as trial {same_as[1]}{of}"}
        if opened.asked["number"] in self._alone:
            facts = {**facts, "memory": "none was left beside others; trained alone"}
        return TrialRecord(
            stage=study.stage,
            family=study.variant.family,
            variant=study.variant.name,
            trial=opened.asked["number"],
            seed=opened.asked["seed"],
            split="validation",
            config=opened.asked["config"],
            metrics={} if last is None else last["best"],
            epoch=None if last is None else last["best_epoch"],
            history=opened.history,
            status=status,
            reason=reason,
            trained=same_as is None,
            seconds=time.monotonic() - opened.started,
            speed=None
            if last is None or last["speed"] is None
            else Speed(**last["speed"], beside=self.placement.at_once - 1),
            device=self.placement.device,
            cpus=self.placement.cpus,
            gpus=self.placement.gpus,
            workers=self.placement.workers,
            parameters=None if last is None else last["parameters"],
            peak_memory=opened.memory or None,
            own_memory=opened.own_memory if opened.memory else None,
            available_memory=(last and last["available_memory"]) or None,
            energy=None if last is None else last["energy"],
            facts=facts,
            provenance=origin.model_copy(update={"device": last["gpu"]}) if last and last["gpu"] else origin,
        )


def _forget_metrics(trial: Trial) -> None:
    """Free what Tune keeps of an ended trial's metrics until the search ends: three quarters of its 80 KiB."""
    trial.run_metadata.metric_analysis.clear()
    trial.run_metadata.metric_n_steps.clear()


class OpenTrial:
    """A trial that runs."""

    def __init__(self, trial: Trial) -> None:
        self.asked = cast(Suggestion, trial.config)
        self.started = time.monotonic()
        self.history: list[dict[str, float]] = []
        self.last: EpochReport | None = None
        self.scores = b""
        """Of the best epoch so far."""
        self.memory = 0
        self.own_memory = 0
        self.error = ""
        self.reason = ""
        """Why it is to run again."""
        self.state = ""
        self.actor = ""
        self.starts = 0
        self.leaving = False
        """Whether its worker broke it off because the run is asked to stop."""
        self.unsaved = False
        """Whether a disk failed it."""
        self.kernel_kills = kernel_kills()

    @property
    def finished(self) -> bool:
        """Whether its training ended by itself."""
        return self.last is not None and self.last["finished"]

    def at_work(self, variant: str, epochs: int, metric: str) -> AtWork:
        """How far it is."""
        had, last = time.monotonic() - self.started, self.last
        if last is None:
            return AtWork(variant, "trial", self.asked["number"], epochs, had)
        each, best = last["seconds"] / last["epoch"], last["best"].get(metric)
        return AtWork(variant, "trial", self.asked["number"], epochs, had, last["epoch"], each, best)

    def add(self, report: EpochReport) -> None:
        """Take in an epoch."""
        # A trial that was tried again reports its earlier epochs once more.
        del self.history[report["epoch"] - 1 :]
        self.history.append({"epoch": float(report["epoch"]), **report["row"]})
        self.memory = max(self.memory, report["peak_memory"])
        self.own_memory = max(self.own_memory, report["own_memory"])
        self.last = report
        self.scores = report["scores"] or self.scores

"""Optuna behind Ray Tune's Searcher, on a journal that outlives a crash."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState
from ray.tune.search import Searcher

from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.search_methods import SAMPLERS, SamplerName
from orchestrator.search.default_trial import DEFAULT_TRIAL, AtDefaults, drawn_defaults
from orchestrator.search.sampler import Seeded
from search_spaces.overrides import Suggest, draw_config
from trainables.interface import FamilyConfig
from trainables.speed import NO_LIMITS, Limits
from trainables.training.reports import Suggestion

STATE_OF: dict[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "out-of-memory": TrialState.FAIL,
    "timed-out": TrialState.FAIL,
}

THRESHOLD = "threshold.strategy"
"""The parameter's name in a study: with a dot, as no family's key has one."""


class OptunaSearcher(Searcher):
    """Suggests configurations from one study. The study is told how a trial ended by `tell`."""

    def __init__(
        self,
        study: optuna.Study,
        suggest: Suggest,
        config: type[FamilyConfig],
        fixed: dict[str, Any],
        space: dict[str, Any],
        seed: int,
        training_seed: int,
        sampler: SamplerName = "tpe",
        strategies: tuple[str, ...] = (),
        ended: Callable[[], bool] = lambda: False,
        default_first: bool = False,
        full: Callable[[int], bool] = lambda running: False,
        shared: bool = False,
    ) -> None:
        """`strategies`: threshold strategies to draw from as a hyperparameter; none: none is drawn.

        `ended` says whether the search is over before all its trials have run. `default_first`: trial DEFAULT_TRIAL is
        the family's default configuration, with `fixed` and the first of the strategies. `full` says whether no trial
        should begin beside so many that run. `shared`: whether other searches of the run may ask for the same
        trainings.
        """
        super().__init__(metric="objective", mode="max")
        self.study = study
        study.sampler = Seeded(SAMPLERS[sampler].make, seed)
        self._suggest = suggest
        self._config = config
        self._fixed = fixed
        self._space = {name: _as_kept(config, name, choices) for name, choices in space.items()}
        self._training_seed = training_seed
        self._strategies = strategies
        self._ended = ended
        self._default_first = default_first
        self._full = full
        self._running: set[str] = set()
        self._shared = shared
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._unfinished = [trial.number for trial in running]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial, as `run_trial` takes it; or that there is none; None: that there is none yet."""
        if self._ended():
            finished: str = Searcher.FINISHED
            return finished
        if self._running and self._full(len(self._running)):
            return None
        self._running.add(trial_id)
        trial, drawn, strategy = self.ask()
        # As the family understands it here: a relative path means another file in a worker's folder.
        config = self._config(**drawn).model_dump(mode="json", include=set(drawn))
        return dict(
            Suggestion(
                number=trial.number,
                study=self.study.study_name,
                config=config,
                seed=self._training_seed,
                strategy=strategy,
                repeatable=self._shared or not any(map(_continuous, trial.distributions.values())),
            )
        )

    def again(self, number: int) -> None:
        """Suggest this running trial next, with what it has drawn."""
        self._unfinished = [number, *(one for one in self._unfinished if one != number)]

    def ask(self) -> tuple[optuna.Trial, dict[str, Any], str | None]:
        """A trial, its configuration and, where strategies are searched, its threshold strategy."""
        trial = self._next()
        default = self._default_first and trial.number == DEFAULT_TRIAL
        asked = AtDefaults(trial, self._defaults) if default else trial
        drawn = draw_config(self._suggest, asked, self._fixed, self._space)
        strategy = trial.suggest_categorical(THRESHOLD, self._strategies) if self._strategies else None
        return trial, drawn, strategy

    def _next(self) -> optuna.Trial:
        """A trial that a crash left running or that was given back, under its old number and with what it had drawn;
        else a new one."""
        if self._unfinished:
            number = self._unfinished.pop(0)
            return optuna.Trial(self.study, self.study.get_trials(deepcopy=False)[number]._trial_id)
        if self._default_first and not self.study.get_trials(deepcopy=False):
            known = drawn_defaults(self._suggest, self._fixed, self._space, self._defaults)
            self.study.enqueue_trial(known | ({THRESHOLD: self._strategies[0]} if self._strategies else {}))
        return self.study.ask()

    @property
    def _defaults(self) -> dict[str, Any]:
        """What the family has for each key that `fixed` does not set, as records hold it."""
        return self._config(**self._fixed).model_dump(mode="json")

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The study is told by `tell`, once the record is on the disk."""
        self._running.discard(trial_id)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore from its own state, which is never done here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the state."""


def _continuous(space: BaseDistribution) -> bool:
    """Whether hardly any value is drawn twice."""
    return isinstance(space, FloatDistribution) and space.step is None and not space.single()


def _as_kept(config: type[FamilyConfig], name: str, choices: Any) -> Any:
    """Choices as records hold them, from which a study can be rebuilt: a family may write `3+2` as `2+3`."""
    if not isinstance(choices, (list, tuple)):
        return choices
    kept = []
    for choice in choices:
        try:
            kept.append(config(**{name: choice}).model_dump(mode="json")[name])
        except ValueError:  # it is valid only beside others
            kept.append(choice)
    return list(dict.fromkeys(kept))


def agrees(study: optuna.Study, records: Iterable[TrialRecord]) -> bool:
    """Whether a study and these records tell of the same trials: each record's has the same values, each ended one has
    a record. A record may be ahead of the study, never behind: it is written first."""
    trials = study.get_trials(deepcopy=False)
    if any(trial.state is TrialState.WAITING for trial in trials):
        return False  # a rebuilding that was broken off
    by_number = {record.trial: record for record in records}
    ended = (trial.number for trial in trials if trial.state.is_finished())
    return by_number.keys() >= set(ended) and all(
        number < len(trials)
        and all(
            record.config.get(name, value) == value
            for name, value in trials[number].params.items()
            if name != THRESHOLD
        )
        for number, record in by_number.items()
    )


def rebuild(
    study: optuna.Study, records: Iterable[TrialRecord], asker: OptunaSearcher, metric: str, limits: Limits = NO_LIMITS
) -> None:
    """Fill an empty study from the records: the same trials under the same numbers, told as they ended.

    A number without a record is left running, with what the sampler draws for it: it runs first.
    """
    by_number = {record.trial: record for record in records}
    for number in range(max(by_number, default=-1) + 1):
        record = by_number.get(number)
        if record is not None:
            strategy = {} if record.threshold is None else {THRESHOLD: record.threshold.strategy}
            study.enqueue_trial({**record.config, **strategy})
        asker.ask()
        if record is not None:
            tell(study, record, metric, limits)


def reconcile(study: optuna.Study, records: Iterable[TrialRecord], metric: str, limits: Limits = NO_LIMITS) -> None:
    """After a crash: what has a record is told to the study. What was running without one, runs again first."""
    by_number = {record.trial: record for record in records}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number in by_number:
            tell(study, by_number[trial.number], metric, limits)


def report(study: optuna.Study, number: int, epoch: int, value: float) -> None:
    """Tell a study what the objective is after an epoch of a trial that runs; what it knows it is not told again.

    By its storage: Optuna's own `Trial.report` reads the whole trial before, at many times the price.
    """
    trial = study.get_trials(deepcopy=False)[number]
    if math.isfinite(value) and trial.intermediate_values.get(epoch) != value and not trial.state.is_finished():
        study._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)


def tell(study: optuna.Study, record: TrialRecord, metric: str, limits: Limits = NO_LIMITS) -> None:
    """Tell a study how a trial ended, and by how much it is beyond each of the `limits`, of which TPE then draws fewer;
    a completed one without a finite value counts as failed. The epochs it has not heard of come first: by these TPE
    ranks trials that were pruned."""
    for row in record.history:
        report(study, record.trial, int(row["epoch"]), row.get(metric, math.nan))
    value = record.metrics.get(metric, math.nan)
    state = STATE_OF[record.status]
    if state is TrialState.COMPLETE and not math.isfinite(value):
        state = TrialState.FAIL
    found = study.get_trials(deepcopy=False)[record.trial] if limits.given else None
    if found is not None and state is not TrialState.FAIL and not found.state.is_finished():
        asked = optuna.Trial(study, found._trial_id)
        for name, excess in limits.excess(record.speed).items():
            if name not in found.constraints:  # a crash may have come between this and the next line
                asked.set_constraint(name, excess)
    study.tell(record.trial, values=value if state is TrialState.COMPLETE else None, state=state, skip_if_finished=True)

"""How long a sweep will take, said once, as soon as what has ended tells it: before the work, not after."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from orchestrator.artifacts.durations import Durations, Unit
from orchestrator.artifacts.endings import RUN_AGAIN
from orchestrator.artifacts.records import TrialRecord
from orchestrator.experiment.experiment import Experiment
from orchestrator.families import family_row
from orchestrator.machine.progress import duration

WORTH_SAYING = 600.0
"""Seconds: of less nobody need be told."""


class Forecast:
    """What is left of a sweep's trials and cells, by what of each variant has ended."""

    def __init__(
        self,
        experiment: Experiment,
        records: Iterable[TrialRecord],
        at_once: int,
        say: Callable[[str], object],
        later: Sequence[Iterable[TrialRecord]] = (),
    ) -> None:
        """`records`: those that the run's split has; `at_once`: trials, or cells, that run beside each other; `later`:
        the records of each split that comes after this one."""
        self._experiment, self._at_once, self._say = experiment, at_once, say
        self._durations = Durations()
        searches = len(later) if experiment.budget.searches == "each" else 0
        self._open, self._later = Counter[Unit](), Counter[Unit]()
        for one in experiment.families:
            cells = len(experiment.seeds) if family_row(one.family).family.seeded else 1  # trained once for all
            self._open[one.name, False] = experiment.budget.trials
            self._open[one.name, True] = cells
            self._later[one.name, False] = searches * experiment.budget.trials
            self._later[one.name, True] = len(later) * cells
        self._told = False
        for record in records:
            self._count(record, self._open)
        for record in chain.from_iterable(later):
            self._count(record, self._later)

    def add(self, record: TrialRecord) -> None:
        """Count one that has ended, and tell what is left where that is known now, much, and was not told."""
        self._count(record, self._open)
        self.tell()

    def searched(self) -> None:
        """No trial comes any more on this split: a search that ended short of them, for want of time, has ended."""
        self._open = Counter({unit: count for unit, count in self._open.items() if unit[1]})

    def tell(self) -> None:
        """Say, once, how long what is left takes, what of it is the dearest, and what makes it shorter."""
        units = {*self._open, *self._later}
        counts = {unit: max(0, self._open[unit]) + max(0, self._later[unit]) for unit in units}
        left = {unit: count for unit, count in sorted(counts.items()) if count}
        known = {unit: count for unit, count in left.items() if self._durations.known(unit[0])}
        takes = {unit: count * (self._durations.expected(unit) or 0.0) / self._at_once for unit, count in known.items()}
        shares: dict[str, float] = {}
        for (variant, _), seconds in takes.items():
            shares[variant] = shares.get(variant, 0.0) + seconds
        searching = sum(seconds for (_, cell), seconds in takes.items() if not cell)
        minutes = self._experiment.budget.minutes
        if minutes is not None and searching > minutes * 60:
            return  # the search ends by the clock
        total = sum(shares.values())
        if self._told or total <= WORTH_SAYING:
            return
        self._told = True
        dearest, seconds = max(shares.items(), key=lambda one: one[1])
        share = f", of which {dearest} takes {duration(seconds)}" if len(shares) > 1 else ""
        unknown = sorted({variant for variant, _ in left} - set(shares))
        without = f", and what {', '.join(unknown)} will take" if unknown else ""
        keys = ["budget.trials=…"] * (self._experiment.budget.trials > 1)
        keys += ["seeds=[0, 1]"] * (len(self._experiment.seeds) > 2)
        keys += ["budget.searches=first"] * any(count > 0 for (_, cell), count in self._later.items() if not cell)
        self._say(
            f"About {duration(total)} of work are left{share}{without}. Shorter, in another --out: --set "
            f"{' or '.join([*keys, 'data.size=…'])}"
        )

    def _count(self, record: TrialRecord, units: Counter[Unit]) -> None:
        self._durations.add(record)
        if record.stage == "search" and record.status not in RUN_AGAIN:
            units[record.variant, False] -= 1
        elif record.stage == "evaluation" and record.status == "completed" and record.trained:
            units[record.variant, True] -= 1

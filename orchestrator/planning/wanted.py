"""What a sweep or an ablation trains: its searches and its cells, by the variants that they are of."""

from dataclasses import dataclass

from orchestrator.artifacts.cost_plan import PlannedStage
from orchestrator.experiment.ablation_rows import AskedAblation, given_baseline, known_values, rows, tuned_variant
from orchestrator.experiment.ablation_settings import RUN_KEYS
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import Settled


@dataclass(frozen=True)
class Line:
    """One line of the plan that trainings stand behind."""

    stage: PlannedStage
    variant: str
    """Of the experiment whose families are all that is trained."""
    name: str
    """As the run's records, or its ablation's table, call it."""
    trials: int = 0
    """Of a search."""


@dataclass(frozen=True)
class Wanted:
    """All of them."""

    experiment: Experiment
    """With what is trained as its families."""
    searches: tuple[Line, ...]
    cells: tuple[Line, ...]
    again: tuple[str, ...] = ()
    """Rows of an ablation that only another row's scores are judged again for."""


def of_a_sweep(settled: Settled) -> Wanted:
    """Every family is searched, and its winner trained with every seed."""
    experiment = settled.experiment
    names, trials = [one.name for one in experiment.families], experiment.budget.trials
    return Wanted(
        experiment,
        tuple(Line("search", name, name, trials) for name in names),
        tuple(Line("evaluation", name, name) for name in names),
    )


def of_an_ablation(settled: Settled) -> Wanted:
    """The baseline, searched unless it is given, and the rows, as far as they are known before that search."""
    experiment, goal = settled.experiment, settled.goal
    asked = AskedAblation.of(experiment)
    given = given_baseline(asked, goal.strategies)
    changes = rows(asked.ablation, asked.variant.family, known_values(asked, goal.strategies))
    base = asked.variant
    searches, cells, again = [], [Line("evaluation", base.name, base.name)], []
    if given is None:
        searches.append(Line("search", base.name, base.name, experiment.budget.trials))
    else:
        fixed = {key: value for key, value in given.config.items() if key not in RUN_KEYS}
        update = {"fixed": fixed, "space": {}, "size": given.size, "epochs": given.epochs}
        base = base.model_copy(update=update)
        cells = [Line("ablation", base.name, asked.name)]
    families = [base]
    for number, change in enumerate(changes, start=1):
        tuned = tuned_variant(asked, change)
        if asked.ablation.tune is None and not goal.thresholded and set(change.changes) == {"threshold"}:
            again.append(change.name)
            continue
        name = f"row-{number}"  # the run's own name for it is none that an experiment may have
        families.append(tuned.model_copy(update={"name": name}))
        if asked.ablation.tune is not None:
            searches.append(Line("tuning", name, tuned.name, asked.ablation.tune))
        cells.append(Line("ablation", name, change.name))
    trained = experiment.model_copy(update={"families": tuple(families), "baseline": base.name, "ablation": None})
    return Wanted(trained, tuple(searches), tuple(cells), tuple(again))

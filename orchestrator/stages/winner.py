"""The trial of a search that is evaluated, or that an ablation goes out from."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.validation_scores import Scores, read_scores
from orchestrator.evaluation.winner_choice import choose
from orchestrator.experiment.sections import Variant
from orchestrator.stages.context import Context, Prepared
from trainables.errors import InputError


def winner_of(
    context: Context, prepared: Prepared, variant: Variant, records: Iterable[TrialRecord], best: TrialRecord
) -> TrialRecord:
    """The trial that `objective.winner` chooses: `best`, the best of all, or the default configuration's.

    `records`: any, of which those of the search of `best` count. What was found is said, once, and kept beside the
    study for the report. A split that is given another one's winners has what was chosen there.
    """
    if not context.experiment.objective.default_first:
        return best
    trials = {one.trial: one for one in records if (one.stage, one.variant) == (best.stage, best.variant)}
    if context.searched is not None:
        inherited = _before(context.searched.choice(best.variant))
        return best if inherited is None else trials[inherited.chosen]
    folder, goal = context.folder, context.goal
    samples = prepared.samples(context.experiment.size_of(variant), prepared.split.validation)
    choice = choose(list(trials.values()), _kept_scores(folder.validation_scores(best.variant)), samples, goal)
    path = folder.choice(best.variant)
    if choice != _before(path):
        choice.save(path)
        context.reporter.say(f"{variant.name}: {choice.told(goal.metric)}.")
    return trials[choice.chosen]


def _kept_scores(path: Path) -> dict[int, Scores]:
    """None of them where the file is broken: the choice says whose are not there."""
    try:
        return read_scores(path)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _before(path: Path) -> Choice | None:
    """What was chosen last time; None where that is not known."""
    try:
        return Choice.load(path)
    except InputError:
        return None  # it is written anew

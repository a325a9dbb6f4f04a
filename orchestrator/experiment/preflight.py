"""All that is checked of an experiment before any work starts, each thing once, the cheapest first."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.data.files.series_remarks import early_remarks
from orchestrator.data.files.strict_reading import refuse_unreadable_series
from orchestrator.data.layouts.table import find_files
from orchestrator.data.plotting.plot_style import style_row
from orchestrator.data.split.source_names import group_suggestion
from orchestrator.experiment.ablation_checks import check_ablation
from orchestrator.experiment.ablation_rows import AskedAblation
from orchestrator.experiment.checks import check_division, check_variants, frame_of
from orchestrator.experiment.ensemble_checks import check_ensembles, refuse_alike
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.goal import Goal, check_names, check_task, goal_of
from orchestrator.experiment.placement import Before, check_asked, device_of
from orchestrator.machine.offered import Offered
from trainables.own_code import read_anew

BETWEEN = 6
"""Files that are drawn by chance, to know the data by on other machines."""


@dataclass(frozen=True)
class Settled:
    """An experiment that can be run as it stands."""

    experiment: Experiment
    """With what was unset written out."""
    goal: Goal
    classes: tuple[str, ...]
    """That labels index."""
    remarks: tuple[str, ...]
    """To be said aloud, a sentence each."""
    of_data: tuple[str, ...]
    """Those of them that are of the data's files, which the report says too."""
    some_files: tuple[str, ...] = ()
    """A few of the data's files, relative to their folder: what another machine must see there, too."""


def settle(
    experiment: Experiment,
    *,
    ablation: bool = False,
    resources: Offered | None = None,
    strict: bool = False,
    claim: Callable[[Experiment], object] = bool,
    before: Callable[[], Before] = dict,
) -> Settled:
    """Check a sweep, or an `ablation`; InputError names the first thing that can't be used. No picture is opened.

    `strict`: also of series that can't be read, so far as a few seconds show them.
    `resources`: what there is, where that is known before Ray runs. `claim` is called with the settled experiment
    before its families are looked at, which takes seconds: it may refuse it, too. `before` is called after it: what the
    run has trained so far.
    """
    read_anew()
    task, own = check_names(experiment)
    style_row(experiment.data.style)
    if resources is not None:
        check_asked(experiment, resources)
    listing = find_files(experiment.data.path, experiment.data.layout)
    check_task(experiment, task, listing)
    goal, said = goal_of(experiment, listing, task, own)
    experiment = goal.settle(experiment)
    frame = frame_of(goal, listing, device_of(experiment, resources, before))
    said += check_division(experiment, goal, listing)
    claim(experiment)
    if strict:
        refuse_unreadable_series(listing, experiment.data.column, experiment.data.decimal)
    if ablation:
        said += check_ablation(AskedAblation.of(experiment), frame)
    else:
        said += check_ensembles(experiment, goal)
        said += check_variants(experiment, experiment.families, frame)
        refuse_alike(experiment)
    early = early_remarks(listing, experiment.data.column, experiment.data.decimal)
    suggested = group_suggestion(listing.files) if experiment.data.split.group is None else []
    of_data = (*listing.remarks, *suggested)
    some = _some_of([file.path for file in listing.files])
    return Settled(experiment, goal, frame.classes, (*early, *of_data, *said), of_data, some)


def _some_of(paths: Sequence[str]) -> tuple[str, ...]:
    """The first, the last, and a few between them."""
    between = random.Random(0).sample(paths[1:-1], min(BETWEEN, len(paths) - 2)) if len(paths) > 2 else []
    return tuple(dict.fromkeys([*paths[:1], *between, *paths[-1:]]))

"""The evaluation stage of a run: the winner of every study, trained with every seed, each shown the test part once."""

from orchestrator.artifacts.records import beyond_limits, read_records
from orchestrator.evaluation.cells import setting_of, standing, winners
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.ensembles import judge_ensembles
from orchestrator.stages.finish_cells import finish_cells
from orchestrator.stages.handed_to_workers import cell_of
from orchestrator.stages.winner import winner_of


def evaluate(context: Context, prepared: Prepared) -> None:
    """Train the winner of every study with every seed, and score each on the test part; then the ensembles of them."""
    experiment, goal = context.experiment, context.goal
    records, searched = (list(read_records(one.records)) for one in (context.folder, context.winners_in))
    chosen = winners(experiment, searched, goal.metric, goal.mode)
    cells = []
    for variant in experiment.families:
        if variant.name not in chosen:
            trials = [one for one in searched if (one.stage, one.variant) == ("search", variant.name)]
            why = beyond_limits(trials, goal.metric, goal.limits) or "no trial gave a result"
            context.reporter.say(f"{variant.name}: {why}, so there is nothing to evaluate.")
            continue
        winner = winner_of(context, prepared, variant, searched, chosen[variant.name])
        setting = setting_of(experiment, variant, winner)
        cells += [cell_of(context, prepared, setting, variant=variant.name, seed=seed) for seed in experiment.seeds]
    here = {(variant, seed): key for (variant, seed), (key, _) in standing(experiment, records).items()}
    waiting = [cell for cell in cells if here.get((cell.variant, cell.seed)) != cell.key]
    context.forecast.searched()
    finish_cells(context, prepared, "evaluate", waiting, len(cells), context.forecast)
    if not context.folder.stop.exists():
        judge_ensembles(context, prepared, cells)

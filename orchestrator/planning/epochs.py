"""How many epochs a training has, before it is known when it stops: patience and ASHA as arithmetic."""

from orchestrator.artifacts.cost_plan import Range
from orchestrator.experiment.search_methods import GRACE_SHARE, REDUCTION


def epochs_alone(epochs: int, patience: int | None) -> Range:
    """Of a training that no scheduler stops, such as a cell's: at best its first epoch stays the best.

    The likely number lies in the middle: when a training tires is not known before.
    """
    least = epochs if patience is None else min(epochs, patience + 1)
    return Range.of(least, (least + epochs) / 2, epochs)


def epochs_of_trials(epochs: int, patience: int | None, scheduler: str, trials: int) -> Range:
    """Of the mean trial of a search of so many: what `scheduler` stops has no further epochs."""
    alone = epochs_alone(epochs, patience)
    if scheduler != "asha" or epochs < 2:
        return alone
    least, likely = (asha_mean(trials, epochs, cap) for cap in (alone.low, alone.likely))
    return Range.of(least, likely, alone.high)


def asha_mean(trials: int, epochs: int, cap: float) -> float:
    """The mean epochs of ASHA's trials, whose values come in any order; those that go on end after `cap` epochs."""
    last = min(cap, epochs)
    rungs, rung = [], max(1, epochs // GRACE_SHARE)
    while rung < epochs:
        rungs.append(rung)
        rung *= REDUCTION
    spent, before, alive = 0.0, 0.0, float(trials)
    for rung in rungs:
        if rung >= last:
            break
        spent += alive * (rung - before)
        before, alive = rung, promoted(alive)
    return (spent + alive * (last - before)) / trials


def promoted(arrived: float) -> float:
    """How many of those that arrive at a rung go on, on average.

    Each is measured by those that came before it: the first goes on, and the j-th where it is above the 2/3 quantile of
    j - 1 values in random order, which has a chance of (j + 1) / 3j (Ray's ASHA with a reduction of 3).
    """
    whole = int(arrived)
    going = sum(1.0 if j == 1 else (j + 1) / (REDUCTION * j) for j in range(1, whole + 1))
    return going + (arrived - whole) * ((whole + 2) / (REDUCTION * (whole + 1)) if whole else 1.0)

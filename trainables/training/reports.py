"""What the driver of a search and its workers tell each other, through Ray Tune."""

from typing import Any, TypedDict, final


class Suggestion(TypedDict):
    """What a worker is to train: the `config` of a Tune trial."""

    number: int
    """Of the trial in its study."""
    study: str
    config: dict[str, Any]
    """The keys of the family's configuration that were drawn or fixed."""
    seed: int
    strategy: str | None
    """Detection: the threshold strategy to judge by; None: the best one."""
    repeatable: bool
    """Whether another trial may ask for the same training, so that it is worth keeping until then."""


class _Report(TypedDict):
    objective: float
    """The best validation value so far; NaN where there is none. Tune's own name for what it seeks."""
    epoch: int
    """From 1; 0 where no epoch has ended."""
    state: str
    """The name of the file that a broken-off training goes on from; empty: there is none."""


@final
class EpochReport(_Report):
    """One epoch. Those of an earlier process come first, as they were reported then."""

    row: dict[str, float]
    """This epoch's losses and validation metrics by name."""
    best_epoch: int
    best: dict[str, float]
    """The validation metrics of the best epoch."""
    scores: bytes
    """The validation scores as float64 where this epoch is the best so far, else none."""
    finished: bool
    """Whether training ends here by itself."""
    leaving: bool
    """Whether it breaks off here, since the run is asked to stop."""
    seconds: float
    peak_memory: int
    """Bytes: of the whole worker, or what torch allocated on a GPU."""
    own_memory: int
    """Bytes that the training itself took."""
    available_memory: int
    """Bytes that were free on the machine, or on the GPU, when it began."""
    energy: float | None
    """Joules; None where they are not known."""
    gpu: str
    """The name of the GPU that it trains on; empty: none."""
    parameters: int
    facts: dict[str, str]
    speed: dict[str, Any] | None
    """Of its model, as `Speed` has it, but for what ran beside it; None: it was not to be measured, or could not be."""
    same_as: tuple[str, int] | None
    """The study and the number of the trial whose training this was; None: its own."""


@final
class LeavingReport(_Report):
    """The run was asked to stop before an epoch had ended."""

    leaving: bool


@final
class ErrorReport(_Report):
    """The training raised. Told, not raised: that would cost the worker, and be tried again to the same end."""

    error: str
    """The traceback."""
    storage: tuple[int | None, str | None, str | None] | None
    """What a disk said: errno, text, file; None where it was none."""


TrialReport = EpochReport | LeavingReport | ErrorReport
"""Told apart by their keys: only one has `error`, only one has `row`."""

"""Trainings that came to their end, kept while a run works, so that the same one is not done again."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.small_files import NamedFile
from trainables.training.past import Past
from trainables.training.trial import Job
from trainables.training.trial_state import TrialState, state_key

SUFFIX = ".ended"
"""How the names of their files end, beside the states of broken-off trainings."""


class EndedState(TrialState):
    """One finished training's file: found again by all that decides the training, and by nothing that judges it."""

    @property
    def file(self) -> NamedFile:
        """Where it lies."""
        return self.beside(SUFFIX)


@dataclass(frozen=True)
class Ended:
    """A training that is done, and the trial that did it."""

    past: Past
    study: str
    trial: int
    parameters: int
    facts: dict[str, str]
    speed: dict[str, Any] | None = None
    """Of its model, where that was to be measured."""

    def keep(self, state: EndedState) -> None:
        """Write it down, where there is room. What a crash cuts short is trained again."""
        about = {
            "study": self.study,
            "trial": self.trial,
            "parameters": self.parameters,
            "facts": self.facts,
            "speed": self.speed,
        }
        with suppress(OSError):
            state.save({**self.past.content(), "about": json.dumps(about)}, wait=False)


def ended_state(job: Job, config: Mapping[str, Any], seed: int) -> EndedState | None:
    """Where the training of a configuration is kept once it is done; None where a job keeps nothing."""
    if job.states is None:
        return None
    full = job.family.config(**config).model_dump(mode="json")
    return EndedState(job.states, state_key(job.identity(full, seed) | {"stage": "ended"}))


def read_ended(state: EndedState) -> Ended | None:
    """The training that is kept there; None where it is not done, or what is there is not whole."""
    saved = state.load()
    if saved is None:
        return None
    try:
        return Ended(past=Past.of(saved), **json.loads(saved["about"]))
    except Exception:  # whole, and none of this version's
        state.set_aside()
        return None


def remove_ended(states: Path) -> None:
    """Forget the finished trainings in a folder of states: the run has ended."""
    for path in states.glob(f"*{SUFFIX}"):
        path.unlink(missing_ok=True)

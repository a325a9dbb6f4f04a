"""What is launched: one experiment file, as the machines that run it will be told."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from orchestrator.experiment.experiment import Experiment


@dataclass(frozen=True)
class Work:
    """A sweep or an ablation that other machines are to run."""

    experiment: Path
    """The experiment file here."""
    out: str
    """RUN, as the machine that drives the run will see it."""
    overrides: tuple[str, ...] = ()
    """KEY=VALUE, as `--set` takes them."""
    ablate: bool = False
    """Whether it is an ablation, and not a sweep."""

    def load(self) -> Experiment:
        """The experiment with its overrides; InputError where it can't be used, before anything is written."""
        return Experiment.load(self.experiment, self.overrides)

    def command(self, experiment: str, program: str = "orchestrate") -> str:
        """The shell's line that runs it, and goes on with it where it was begun: `experiment` is the file's path there.

        `program`: the words of the command. An ablation goes on by itself.
        """
        words = [*shlex.split(program), "ablate" if self.ablate else "sweep", experiment, "--out", self.out]
        words += [] if self.ablate else ["--resume"]
        return shlex.join([*words, *(word for one in self.overrides for word in ("--set", one))])

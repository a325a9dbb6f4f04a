"""Where a run can be launched to, and what can be asked of one that was: how it stands, its log, its end."""

from importlib import import_module
from pathlib import Path
from typing import cast

from orchestrator.launching.launched import JobStatus, Launched, Target, TargetName, launched_at
from trainables.errors import InputError

MODULES: dict[TargetName, str] = {
    "ray": "orchestrator.launching.ray_job",
    "ssh": "orchestrator.launching.ssh",
    "slurm": "orchestrator.launching.slurm",
    "kubernetes": "orchestrator.launching.kubernetes",
}
"""Each target's module, imported when it is asked for."""


def launch_status(folder: str | Path) -> JobStatus:
    """How what was launched with the files of a folder stands. InputError where its target can't be asked."""
    launched, target = _started(folder)
    return target.status(launched)


def launch_log(folder: str | Path, *, follow: bool = False) -> int:
    """Print the log of what was launched so far, or, with `follow`, until it has ended; the exit code of the run.

    InputError where its target can't be asked.
    """
    launched, target = _started(folder)
    return target.log(launched, follow)


def launch_stop(folder: str | Path) -> str:
    """Ask what was launched to stop once its running epochs are saved; what to say. InputError where it can't be."""
    launched, target = _started(folder)
    return target.stop(launched)


def _started(folder: str | Path) -> tuple[Launched, Target]:
    """What was started with a folder's files, and its target; InputError where nothing was."""
    launched = launched_at(folder)
    if not launched.job:
        raise InputError(f"{str(launched.folder)!r} was written by --dry-run: nothing was started with its files.")
    if launched.target not in MODULES:
        raise InputError(
            f"{str(launched.folder)!r} names the target {launched.target!r}. Targets: {', '.join(MODULES)}."
        )
    return launched, cast(Target, import_module(MODULES[launched.target]))

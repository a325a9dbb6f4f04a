"""Slurm: a batch script around `ray symmetric-run`, which goes on exactly after a time limit or a preemption."""

import re
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.launching.launched import Launched, claimed_folder, new_folder
from orchestrator.launching.programs import said_by
from orchestrator.launching.slurm_job import MISSING, log, refuse_running, status, stop
from orchestrator.launching.template import filled
from orchestrator.launching.work import Work
from trainables.errors import InputError
from trainables.files import write_whole

__all__ = ["launch_slurm", "log", "status", "stop"]
SCRIPT, EXPERIMENT = "job.sh", "experiment.yaml"
GRACE, LEAST_GRACE = 120, 45
"""Seconds before the end of its time at which a run is told to stop: a quarter of a short time, within these."""
SHORTEST = 120
"""Seconds of time below which nothing could be done between a start and a stop."""
OURS = {
    *("--array", "-a", "--chdir", "-D", "--cpus-per-task", "-c", "--error", "-e", "--export", "--no-requeue"),
    *("--nodes", "-N", "--ntasks", "-n", "--ntasks-per-node", "--open-mode", "--output", "-o", "--requeue"),
    *("--parsable", "--signal", "--test-only", "--wait", "-W", "--wrap"),
}
"""What the script depends on, and `--sbatch` may not change."""


@dataclass(frozen=True)
class Allocation:
    """What a job asks Slurm for."""

    nodes: int = 1
    cpus_per_node: int = 1
    gpus_per_node: int = 0
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    memory: str | None = None
    sbatch: tuple[str, ...] = ()

    @property
    def grace(self) -> int:
        """Seconds before the end of its time at which a run is told to stop."""
        seconds = seconds_of(self.time)
        return GRACE if seconds is None else max(LEAST_GRACE, min(GRACE, seconds // 4))

    def check(self) -> None:
        """InputError for what can't be asked for."""
        for name, value, least in (
            ("--nodes", self.nodes, 1),
            ("--cpus-per-node", self.cpus_per_node, 1),
            ("--gpus-per-node", self.gpus_per_node, 0),
        ):
            if value < least:
                raise InputError(f"{name} is {value}; it must be {least} or more.")
        seconds = seconds_of(self.time)
        if seconds is not None and seconds < SHORTEST:
            raise InputError(
                f"--time is {self.time!r}; it must be 2 minutes or more, for a run is told to stop "
                f"{LEAST_GRACE} s or more before its time is up."
            )
        for extra in self.sbatch:
            name = extra.partition("=")[0]
            name = name if name.startswith("--") else name[:2]
            if not extra.startswith("-") or extra in ("-", "--"):
                raise InputError(f"--sbatch is {extra!r}; give one of sbatch's options, such as --sbatch=--qos=long.")
            if name in OURS:
                raise InputError(
                    f"--sbatch is {extra!r}, and {name} is what the script depends on to stop and go on. Of sbatch's "
                    "options others can be given: --qos, --constraint, --reservation, --mail-type, …"
                )
        for text in (self.time, self.partition, self.account, self.memory, *self.sbatch):
            if text is not None and not text.isprintable():
                raise InputError(f"{text!r} holds a character that no line of a batch script can hold.")


def launch_slurm(
    experiment: str | Path,
    out: str | Path,
    *,
    nodes: int = 1,
    cpus_per_node: int = 1,
    gpus_per_node: int = 0,
    time: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    memory: str | None = None,
    sbatch: tuple[str, ...] = (),
    setup: str | Path | None = None,
    overrides: tuple[str, ...] = (),
    ablate: bool = False,
    files: str | Path | None = None,
    dry_run: bool = False,
) -> Launched:
    """Write a batch script for a sweep (or, with `ablate`, an ablation), and submit it unless `dry_run`.

    RUN and the experiment's data are what the first node of the job sees under the same paths as this machine.
    InputError for an experiment that can't be used, what Slurm refuses, and a folder that holds another launch's files.
    """
    run = Path(out).expanduser().absolute()
    work = Work(Path(experiment), str(run), tuple(overrides), ablate)
    settled = work.load()
    asked_for = Allocation(nodes, cpus_per_node, gpus_per_node, time, partition, account, memory, tuple(sbatch))
    asked_for.check()
    lines = _setup_lines(setup)
    folder = new_folder(files, str(run), "slurm")
    for path in (folder, run, Path.cwd()):
        if not str(path).isprintable():
            raise InputError(f"The path {str(path)!r} holds a character that no line of a batch script can hold.")
    refuse_running(claimed_folder(folder, "slurm", str(run)))
    folder.mkdir(parents=True, exist_ok=True)
    frozen = Work(folder / EXPERIMENT, str(run), (), ablate)  # what is changed here later does not reach the run
    store = settled.data.store
    script = filled(
        "job.sh.j2",
        script=folder / SCRIPT,
        options=[directive(one) for one in _options(asked_for, folder, run)],
        setup=lines,
        setup_file=None if setup is None else shlex.quote(str(setup)),
        grace=asked_for.grace,
        python=sys.executable,
        out=run,
        store="" if store is None else f" {shlex.quote(str(Path(store).absolute()))}",
        nodes=nodes,
        cpus=cpus_per_node,
        gpus=gpus_per_node,
        command=frozen.command(str(frozen.experiment), f"{shlex.quote(sys.executable)} -P -m orchestrator.cli"),
    )
    write_whole(folder / EXPERIMENT, settled.to_yaml(), wait=False)
    write_whole(folder / SCRIPT, script, wait=True)
    launched = Launched(folder, "slurm", str(run))
    launched.keep()
    if not dry_run:
        return _submit(launched)
    place = shlex.quote(str(folder / SCRIPT))
    print(f"Nothing was started. Read {folder}. To check it: sbatch --test-only {place}; to start it: sbatch {place}")
    return launched


def seconds_of(time: str | None) -> int | None:
    """A limit of time as Slurm writes it: MINUTES, M:S, H:M:S, D-H, D-H:M or D-H:M:S; None: without one."""
    if time is None or time.upper() in ("UNLIMITED", "INFINITE"):
        return None
    matched = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", time, re.ASCII)
    if matched is None:
        raise InputError(
            f"--time is {time!r}; it must be MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS, "
            "DAYS-HOURS:MINUTES or DAYS-HOURS:MINUTES:SECONDS."
        )
    days, *parts = (int(part) if part is not None else None for part in matched.groups())
    first, second, third = parts[0] or 0, parts[1], parts[2]
    if days is not None:
        return days * 86_400 + first * 3_600 + (second or 0) * 60 + (third or 0)
    if third is not None:
        return first * 3_600 + (second or 0) * 60 + third
    return first * 60 + (second or 0)


def directive(option: str) -> str:
    """An option as a line of a batch script holds it: sbatch reads double quotes and backslashes there as a shell does,
    and nothing else."""
    if re.fullmatch(r"[\w./:=,@%+-]+", option, re.ASCII):
        return option
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _submit(launched: Launched) -> Launched:
    """Have Slurm check the script and take it; InputError in its words where it refuses."""
    script = str(launched.folder / SCRIPT)
    said_by(["sbatch", "--test-only", script], MISSING)
    job, _, cluster = said_by(["sbatch", "--parsable", script], MISSING).strip().partition(";")
    started = replace(launched, job=job, where={"cluster": cluster} if cluster else {})
    started.keep()
    print(f"Submitted to Slurm as job {job}.", flush=True)
    return started


def _options(asked_for: Allocation, folder: Path, run: Path) -> list[str]:
    """What the script asks of sbatch."""
    output = str(folder).replace("%", "%%")
    given = {
        "gpus-per-node": asked_for.gpus_per_node or None,
        "time": asked_for.time,
        "partition": asked_for.partition,
        "account": asked_for.account,
        "mem": asked_for.memory,
    }
    return [
        f"--job-name={re.sub(r'[^A-Za-z0-9._-]', '_', run.name) or 'run'}",
        f"--nodes={asked_for.nodes}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={asked_for.cpus_per_node}",
        *(f"--{name}={value}" for name, value in given.items() if value is not None),
        f"--output={output}/slurm-%j.out",
        "--open-mode=append",
        f"--chdir={Path.cwd()}",
        "--requeue",
        f"--signal=B:TERM@{asked_for.grace}",
        "--no-kill",
        *asked_for.sbatch,
    ]


def _setup_lines(setup: str | Path | None) -> str:
    """The lines of the user's own that make a node ready; InputError where the file can't be read."""
    if setup is None:
        return ""
    try:
        return Path(setup).expanduser().read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"--setup is {str(setup)!r}, which can't be read: {why}.") from None

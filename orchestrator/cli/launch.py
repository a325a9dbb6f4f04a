"""The commands that run an experiment on other machines, by what schedules them there; and `status`, `log`, `stop`."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Json, Set
from trainables.printing import printable_lines

if TYPE_CHECKING:
    from orchestrator.launching.launched import Launched

launch = typer.Typer(
    help="Run an experiment on other machines: what is written for them can be read first (--dry-run).",
    short_help="Run an experiment on other machines.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
ExperimentArgument = Annotated[Path, typer.Argument(metavar="EXPERIMENT.yaml", help="The experiment file.")]
There = Annotated[str, typer.Option("--out", metavar="RUN", help="The run's folder, as the driving machine sees it.")]
Here = Annotated[str, typer.Option("--out", metavar="RUN", help="The folder of this run; made if absent.")]
Ablate = Annotated[bool, typer.Option("--ablate", help="Run the experiment's ablation instead of a sweep.")]
Files = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the launch's own files go; unset: beside you, named after RUN."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write the files, say how to start by hand, start nothing.")]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and return, instead of following its log.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that the launch wrote to.")]


@launch.command()
def ray(
    experiment: ExperimentArgument,
    out: There,
    address: Annotated[
        str,
        typer.Option(metavar="http://HEAD:8265", help="The job server of the head: its dashboard's port."),
    ],
    overrides: Set = None,
    ablate: Ablate = False,
    python: Annotated[str, typer.Option(help="The command on the head that has the packages.")] = "python3",
    files: Files = None,
    dry_run: DryRun = False,
    detach: Detach = False,
) -> None:
    """Submit a run to a Ray cluster that stands.

    It is driven on the head; the log is followed. The same launch goes on with a run that was stopped.
    """
    from orchestrator.launching.ray_job import launch_ray

    chosen = tuple(overrides or ())
    started = launch_ray(
        experiment, out, address=address, overrides=chosen, ablate=ablate, python=python, files=files, dry_run=dry_run
    )
    _follow(started, dry_run or detach)


@launch.command()
def ssh(
    experiment: ExperimentArgument,
    out: Here,
    hosts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with a host a line: [USER@]HOST [cpus=N] [gpus=N]."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="'[USER@]HOST [cpus=N] [gpus=N]'", help="A host. Repeatable."),
    ] = None,
    overrides: Set = None,
    ablate: Ablate = False,
    python: Annotated[
        str | None, typer.Option(metavar="PATH", help="The Python of the hosts; unset: the path of this one.")
    ] = None,
    ssh: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="How a host is reached; unset: ssh without any question.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="By which hosts reach this machine; unset: guessed, and said."),
    ] = None,
    files: Files = None,
    dry_run: DryRun = False,
) -> None:
    """Run on hosts that ssh reaches.

    This machine drives: a Ray of this run alone is started here and on the hosts, and stopped afterwards.
    """
    from orchestrator.launching.ssh import launch_ssh

    ended = launch_ssh(
        experiment, out, hosts=hosts, host=tuple(host or ()), overrides=tuple(overrides or ()), ablate=ablate,
        python=python, ssh=ssh, address=address, files=files, dry_run=dry_run,
    )  # fmt: skip
    raise typer.Exit(ended.where.get("code", 0))


@launch.command()
def slurm(
    experiment: ExperimentArgument,
    out: Here,
    nodes: Annotated[int, typer.Option(metavar="N", help="How many nodes.")] = 1,
    cpus_per_node: Annotated[int, typer.Option(metavar="C", help="CPUs of each node.")] = 1,
    gpus_per_node: Annotated[int, typer.Option(metavar="G", help="GPUs of each node.")] = 0,
    time: Annotated[
        str | None, typer.Option(metavar="[D-]H:M:S", help="After which the job goes back into the queue, and on.")
    ] = None,
    partition: Annotated[
        str | None, typer.Option(metavar="NAME", help="Slurm's partition; unset: the default.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="The account that pays; unset: your own.")] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Memory of each node, such as 64G.")] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="Any other of sbatch's, such as --qos=long. Repeatable.")
    ] = None,
    setup: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Lines of bash that make a node ready, such as module load.")
    ] = None,
    overrides: Set = None,
    ablate: Ablate = False,
    files: Files = None,
    dry_run: DryRun = False,
    detach: Detach = False,
) -> None:
    """Submit a run to Slurm, as one job over several nodes.

    Where its time is up or it is preempted, the job goes back into the queue, and the run goes on where it was.
    """
    from orchestrator.launching.slurm import launch_slurm

    started = launch_slurm(
        experiment, out, nodes=nodes, cpus_per_node=cpus_per_node, gpus_per_node=gpus_per_node, time=time,
        partition=partition, account=account, memory=memory, sbatch=tuple(sbatch or ()), setup=setup,
        overrides=tuple(overrides or ()), ablate=ablate, files=files, dry_run=dry_run,
    )  # fmt: skip
    _follow(started, dry_run or detach)


@launch.command()
def kubernetes(
    experiment: ExperimentArgument,
    out: There,
    image: Annotated[str, typer.Option(metavar="NAME", help="The image of head and workers, built by its Dockerfile.")],
    workers: Annotated[int, typer.Option(metavar="N", help="How many workers, beside the head that drives.")] = 1,
    cpus: Annotated[int, typer.Option(metavar="C", help="CPUs of each worker.")] = 1,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Memory of each pod, such as 16Gi.")] = "8Gi",
    gpus: Annotated[int, typer.Option(metavar="G", help="GPUs of each worker.")] = 0,
    most_workers: Annotated[
        int | None, typer.Option(metavar="M", help="Up to how many workers an autoscaler brings; unset: no autoscaler.")
    ] = None,
    namespace: Annotated[str, typer.Option(metavar="NS", help="The namespace.")] = "default",
    volume: Annotated[
        str | None,
        typer.Option(metavar="CLAIM:/path", help="A claim of storage that all pods mount, for RUN."),
    ] = None,
    retries: Annotated[
        int, typer.Option(metavar="N", help="How often a run that fails is gone on with; without a volume: never.")
    ] = 3,
    nothing_kept: Annotated[
        bool, typer.Option("--nothing-kept", help="Run even where no result would outlive the pods.")
    ] = False,
    overrides: Set = None,
    ablate: Ablate = False,
    files: Files = None,
    dry_run: DryRun = False,
    detach: Detach = False,
) -> None:
    """Apply a run to Kubernetes, as a RayJob of KubeRay.

    Its image's Dockerfile is written too; build and push it before.
    """
    from orchestrator.launching.kubernetes import launch_kubernetes

    started = launch_kubernetes(
        experiment, out, image=image, workers=workers, cpus=cpus, memory=memory, gpus=gpus, most_workers=most_workers,
        namespace=namespace, volume=volume, retries=retries, nothing_kept=nothing_kept,
        overrides=tuple(overrides or ()), ablate=ablate, files=files, dry_run=dry_run,
    )  # fmt: skip
    _follow(started, dry_run or detach)


@launch.command()
def status(folder: FolderArgument, as_json: Json = False) -> None:
    """Say how what was launched stands."""
    from orchestrator.launching.targets import launch_status

    found = launch_status(folder)
    typer.echo(json.dumps(asdict(found), indent=2) if as_json else printable_lines(f"{found.state}: {found.said}"))


@launch.command()
def log(
    folder: FolderArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run has ended; exit as it did.")] = False,
) -> None:
    """Print the log of what was launched."""
    from orchestrator.launching.targets import launch_log

    try:
        raise typer.Exit(launch_log(folder, follow=follow))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@launch.command()
def stop(folder: FolderArgument) -> None:
    """Stop what was launched, once its running epochs are saved."""
    from orchestrator.launching.targets import launch_stop

    typer.echo(launch_stop(folder))


def _follow(launched: "Launched", detached: bool) -> None:
    """Follow what was started, and exit as it does; Ctrl-C leaves it at work."""
    from orchestrator.launching.targets import launch_log

    if not launched.job:
        return
    place = shlex.quote(str(launched.folder))
    how = f"Look: orchestrate launch status {place}; follow: launch log --follow {place}; stop: launch stop {place}."
    if detached:
        typer.echo(how)
        return
    try:
        raise typer.Exit(launch_log(launched.folder, follow=True))
    except KeyboardInterrupt:
        typer.echo(f"\nThe run goes on. {how}", err=True)
        raise typer.Exit(130) from None

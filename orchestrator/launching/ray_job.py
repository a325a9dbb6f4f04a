"""The target `ray`: a run as a job of a cluster that stands, driven on its head."""

import secrets
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.experiment.yaml_text import write_yaml
from orchestrator.launching import job_server
from orchestrator.launching.launched import JobStatus, Launched, claimed_folder, new_folder
from orchestrator.launching.shipped import EXPERIMENT, FILES, Shipped, write_shipped
from orchestrator.launching.work import Work
from orchestrator.machine.progress import Reporter
from orchestrator.machine.shipped_modules import package_folders
from trainables.errors import InputError
from trainables.files import write_whole
from trainables.printing import printable_lines

SCRIPT, ENVIRONMENT, BY_HAND = "run.sh", "runtime_env.yaml", "submit.sh"
SENT = "sent"
"""The folder that becomes the job's working folder on the head."""
STOPPING = 3600
"""Seconds that the head gives a run to save its running epochs once it is asked to stop; Ray's own are 3."""
STATES: dict[str, Any] = {
    "PENDING": "waiting", "RUNNING": "running", "SUCCEEDED": "succeeded", "FAILED": "failed", "STOPPED": "stopped",
}  # fmt: skip
BY_SIGTERM = 143


def launch_ray(
    experiment: str | Path,
    out: str,
    *,
    address: str,
    overrides: tuple[str, ...] = (),
    ablate: bool = False,
    python: str = "python3",
    files: str | Path | None = None,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Launched:
    """Submit a sweep, or an ablation, to the job server of a cluster's head; what was launched.

    The run is driven on the head: `out` and the data's path are as it sees them. `python`: the command there that has
    the packages. `launch_log` follows it, `launch_stop` stops it. InputError where it can't be launched.
    """
    say = (reporter or Reporter()).say
    work = Work(Path(experiment), str(out), tuple(overrides), ablate)
    work.load()
    server = job_server.http_address(address)
    folder = new_folder(files, work.out, "ray")
    earlier = claimed_folder(folder, "ray", work.out)
    if not dry_run:
        job_server.need_packages()
        job_server.check_server(server)
        _refuse_at_work(earlier)
    shipped = _write(work, folder, server, python)
    launched = Launched(folder, "ray", work.out, where={"address": server})
    launched.keep()
    say(f"What goes along: {shipped.told}.")
    if dry_run:
        say(f"Nothing was started. Read {folder}, and start it by hand: sh {shlex.quote(str(folder / BY_HAND))}")
        return launched
    job = f"{Path(work.out).name}-{secrets.token_hex(4)}"
    client = job_server.client_of(server)
    job_server.submit(client, server, entrypoint=_entrypoint(), submission_id=job, runtime_env=_environment(folder))
    launched = Launched(folder, "ray", work.out, job, {"address": server})
    launched.keep()
    say(f"Submitted to {server} as {job}.")
    return launched


def status(launched: Launched) -> JobStatus:
    """What the job server says; InputError where it does not answer."""
    found = _info(launched)
    if found is None:
        return JobStatus("unknown", f"the job server knows no {launched.job}: its cluster was started anew")
    said = " ".join(part for part in (found.status.value, found.message or "") if part)
    return JobStatus(STATES[found.status.value], said.strip().splitlines()[0])


def log(launched: Launched, follow: bool) -> int:
    """Print the log so far, or until the job has ended; the exit code of the run, 0 where it goes on."""
    address = launched.where["address"]
    client = job_server.client_of(address)
    found = job_server.info(client, address, launched.job)
    if found is not None and follow:
        found = job_server.follow(client, address, launched.job, _print)
    elif found is not None:
        _print(job_server.whole_log(client, address, launched.job))
    if found is None:
        raise InputError(
            f"The job server at {address} knows no {launched.job}: its cluster was started anew. What was written "
            "is safe: launch it again, and it goes on."
        )
    state = found.status.value
    if state == "FAILED" and found.driver_exit_code is None:
        Reporter().say(f"The job failed: {found.message}")
    return {"FAILED": found.driver_exit_code or 1, "STOPPED": BY_SIGTERM}.get(state, 0)


def stop(launched: Launched) -> str:
    """Have the head send SIGTERM to the run."""
    address = launched.where["address"]
    client = job_server.client_of(address)
    found = job_server.info(client, address, launched.job)
    if found is None or found.status.value in job_server.ENDED:
        return f"{launched.job} is not at work: it has ended, or its cluster was started anew."
    job_server.ask_to_stop(client, address, launched.job)
    return (
        f"{launched.job} was asked to stop: it ends once the running epochs are saved (after {STOPPING // 60} minutes "
        "the head ends it at once). The same launch goes on with it."
    )


def _write(work: Work, folder: Path, address: str, python: str) -> Shipped:
    """Write the launch's files: what goes along, what the head runs, and how to submit it by hand."""
    sent = folder / SENT
    shipped = write_shipped(work, sent)
    kept = f"{work.out.rstrip('/')}.ray"
    told = replace(work, overrides=())  # the experiment that goes along has them
    command = told.command(f"{kept}/{FILES}/{EXPERIMENT}", f"{shlex.quote(python)} -P -m orchestrator.cli")
    write_whole(
        sent / SCRIPT,
        "# What the head runs. The files are put beside RUN first: there they have the same path in every cluster, so\n"
        "# that a run with code of your own goes on. -P: no module is looked for in the current folder.\n"
        f"set -e\nmkdir -p {shlex.quote(kept)}\ncp -R {FILES} {shlex.quote(kept)}/\nexec {command}\n",
        wait=False,
    )
    write_whole(folder / ENVIRONMENT, write_yaml(_environment(folder)), wait=False)
    quoted = shlex.quote(str(folder / ENVIRONMENT))
    write_whole(
        folder / BY_HAND,
        "# Submits the run by Ray's own command. The token is read as Ray does: RAY_AUTH_MODE=token, and\n"
        "# RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.\n"
        f"ray job submit --address {shlex.quote(address)} --runtime-env {quoted} -- {_entrypoint()}\n",
        wait=False,
    )
    return shipped


def _entrypoint() -> str:
    return f"exec sh {SCRIPT}"


def _environment(folder: Path) -> dict[str, Any]:
    """The job's runtime_env. Its variables are the server's own too: it waits so long for the end of what it stops."""
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOPPING)}
    return {"working_dir": str(folder / SENT), "py_modules": package_folders(), "env_vars": variables}


def _refuse_at_work(earlier: Launched | None) -> None:
    """InputError where the same launch is at work already: two would quarrel over one RUN."""
    if earlier is None or not earlier.job:
        return
    found = _info(earlier)
    if found is not None and found.status.value not in job_server.ENDED:
        raise InputError(
            f"{earlier.job} is at work on {earlier.out} ({found.status.value}). Follow it: orchestrate launch log "
            f"--follow {earlier.folder}; stop it: orchestrate launch stop {earlier.folder}."
        )


def _info(launched: Launched) -> Any:
    address = launched.where["address"]
    return job_server.info(job_server.client_of(address), address, launched.job)


def _print(text: str) -> None:
    sys.stdout.write(printable_lines(text.expandtabs()))
    sys.stdout.flush()

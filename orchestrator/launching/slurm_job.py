"""A job of Slurm, once it is submitted: how it stands, its log, its end."""

import re
import shlex
import shutil
import sys
import time
from pathlib import Path

from orchestrator.launching.launched import JobStatus, Launched, State
from orchestrator.launching.programs import asked, said_by
from trainables.errors import InputError
from trainables.printing import printable_lines

MISSING = "Run this where Slurm's commands are, such as its login node, or add --dry-run, which only writes the files."
POLL = 2.0
"""Seconds between two looks at a log that is followed."""
STOPPED = 143
"""The exit code of a run that SIGTERM ended."""
STATES: dict[str, State] = {
    "PENDING": "waiting", "CONFIGURING": "waiting", "REQUEUED": "waiting", "REQUEUE_HOLD": "waiting",
    "REQUEUE_FED": "waiting", "RUNNING": "running", "COMPLETING": "running", "SUSPENDED": "running",
    "STOPPED": "running", "RESIZING": "running", "SIGNALING": "running", "STAGE_OUT": "running",
    "COMPLETED": "succeeded", "CANCELLED": "stopped",
}  # fmt: skip
"""Slurm's states; all others are failures."""


def status(launched: Launched) -> JobStatus:
    """What scontrol says, or sacct of a job that Slurm's controller has forgotten, or else the end of its log."""
    found = _shown(launched)
    if found is not None:
        state = found["JobState"]
        reason = found.get("Reason", "None")
        why = "" if reason in ("None", "") else f" ({reason})"
        again = int(found.get("Restarts", "0"))
        code = _exit_code(found.get("ExitCode", ""))
        said = f"{state}{why}{f', started {again + 1} times' if again else ''}"
        return JobStatus(_state(state, code), said)
    kept = _accounted(launched)
    if kept is not None:
        state, code = kept
        return JobStatus(_state(state, code), state)
    code = _logged_code(launched)
    if code is None:
        return JobStatus("unknown", f"Slurm knows no job {launched.job} any more, and its log names no end")
    return JobStatus(_state("COMPLETED" if code == 0 else "FAILED", code), f"its log ends with exit code {code}")


def log(launched: Launched, follow: bool) -> int:
    """Print the job's output so far, or until the job has ended; the exit code of the run, 0 where it goes on."""
    shown = 0
    waited = ""
    while True:
        found = status(launched)  # before the output: what was written before the end is then read
        shown = _print_from(_output(launched), shown)
        if found.state not in ("waiting", "running"):
            return _code_of(launched, found)
        if not follow:
            return 0
        if found.state == "waiting" and found.said != waited:
            print(f"Slurm: job {launched.job} {found.said}", flush=True)
            waited = found.said
        time.sleep(POLL)


def stop(launched: Launched) -> str:
    """Ask the run to stop, for good: it is not put back into the queue."""
    found = status(launched)
    if found.state not in ("waiting", "running"):
        return f"Job {launched.job} is not at work: {found.said}."
    cluster = _cluster(launched)
    said_by(["scontrol", *cluster, "update", f"JobId={launched.job}", "Requeue=0"], MISSING)
    if found.state == "waiting":
        said_by(["scancel", *cluster, launched.job], MISSING)
        return f"Job {launched.job} was waiting, and was taken out of the queue."
    said_by(["scancel", *cluster, "--signal=TERM", "--batch", launched.job], MISSING)
    return (
        f"Job {launched.job} was asked to stop: it ends once the running epochs are saved, and is not requeued. "
        "The same launch goes on with it."
    )


def refuse_running(earlier: Launched | None) -> None:
    """InputError where the same launch is at work already: two would quarrel over one RUN."""
    if earlier is None or not earlier.job or shutil.which("scontrol") is None:
        return
    found = status(earlier)
    if found.state in ("waiting", "running"):
        place = shlex.quote(str(earlier.folder))
        raise InputError(
            f"Job {earlier.job} works on {earlier.out} already: {found.said}. Follow it: orchestrate launch log "
            f"--follow {place}; stop it: orchestrate launch stop {place}."
        )


def _output(launched: Launched) -> Path:
    return launched.folder / f"slurm-{launched.job}.out"


def _cluster(launched: Launched) -> list[str]:
    """The option that names one of several clusters, where the job was sent to one."""
    name = launched.where.get("cluster")
    return [] if not name else ["--clusters", str(name)]


def _shown(launched: Launched) -> dict[str, str] | None:
    """What scontrol tells of the job; None of one that it does not know any more."""
    code, out, err = asked(["scontrol", *_cluster(launched), "show", "job", "--oneliner", launched.job], MISSING)
    if code == 0:
        return dict(re.findall(r"(\w+)=(\S*)", out))
    if "Invalid job id" in err + out:
        return None
    raise InputError(f"Slurm does not answer: {printable_lines(err.strip() or out.strip())}")


def _accounted(launched: Launched) -> tuple[str, int | None] | None:
    """State and exit code of a job that is over, where Slurm keeps accounts."""
    command = ["sacct", *_cluster(launched), "-j", launched.job, "-X", "-n", "-P", "-o", "State,ExitCode"]
    if shutil.which("sacct") is None:
        return None
    code, out, _ = asked(command, MISSING)
    lines = [line for line in out.splitlines() if "|" in line]
    if code != 0 or not lines:
        return None
    state, _, ended = lines[-1].partition("|")
    return state.split()[0], _exit_code(ended)


def _exit_code(text: str) -> int | None:
    """The code of CODE:SIGNAL."""
    code, _, number = text.partition(":")
    if not code.isdecimal():
        return None
    return 128 + int(number) if number.isdecimal() and int(number) else int(code)


def _logged_code(launched: Launched) -> int | None:
    """The exit code that the script's last line names."""
    try:
        told = _output(launched).read_bytes().decode(errors="replace").splitlines()
    except OSError:
        return None
    mark = f" job {launched.job}: "
    ours = [line for line in told if mark in line]
    found = re.search(r"ended with exit code (\d+)", ours[-1]) if ours else None
    return None if found is None else int(found[1])


def _state(state: str, code: int | None) -> State:
    """Slurm's state as ours: a run that was stopped gently ends with the exit code that says so."""
    if code == STOPPED and state in ("FAILED", "CANCELLED"):
        return "stopped"
    return STATES.get(state, "failed")


def _code_of(launched: Launched, found: JobStatus) -> int:
    """The exit code of a run that has ended."""
    if found.state == "succeeded":
        return 0
    if found.state == "stopped":
        return STOPPED
    code = _logged_code(launched)
    return code or 1


def _print_from(path: Path, shown: int) -> int:
    """Print what was added to a file; how many bytes are shown by now."""
    try:
        with path.open("rb") as file:
            file.seek(shown)
            new = file.read()
    except FileNotFoundError:
        return shown
    sys.stdout.write(new.decode(errors="replace"))
    sys.stdout.flush()
    return shown + len(new)

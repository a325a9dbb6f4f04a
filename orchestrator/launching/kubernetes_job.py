"""A RayJob, once it is applied: how it stands, its log, its end."""

import json
import shlex
import shutil
import subprocess
import sys
import time
from typing import Any

from orchestrator.launching.launched import JobStatus, Launched, State
from orchestrator.launching.programs import asked, said_by
from trainables.errors import InputError
from trainables.printing import printable_lines

MISSING = "Run this where kubectl is set to your cluster, or add --dry-run, which only writes the files."
POLL = 3.0
"""Seconds between two looks at a job that waits or whose log broke off."""
STOPPED = 143
DEPLOYMENTS: dict[str, State] = {
    "": "waiting", "Initializing": "waiting", "Waiting": "waiting", "Retrying": "waiting", "ValidationFailed": "failed",
    "Running": "running", "Complete": "succeeded", "Failed": "failed", "Suspending": "running", "Suspended": "stopped",
}  # fmt: skip
"""KubeRay's jobDeploymentStatus; of one that is complete the Ray job's own status says how it ended."""


def status(launched: Launched) -> JobStatus:
    """What KubeRay says."""
    found = _shown(launched)
    if found is None:
        return JobStatus("unknown", f"there is no RayJob {launched.job} in {launched.where['namespace']} any more")
    told = found.get("status") or {}
    deployment, job = told.get("jobDeploymentStatus") or "", told.get("jobStatus") or ""
    state = DEPLOYMENTS.get(deployment, "unknown")
    if deployment == "Complete":
        state = {"FAILED": "failed", "STOPPED": "stopped"}.get(job, "succeeded")  # type: ignore[assignment]
    words = [deployment or "not seen by KubeRay yet", job, told.get("reason") or "", told.get("message") or ""]
    said = " ".join(word for word in words if word)
    return JobStatus(state, " ".join(said.split())[:500])


def log(launched: Launched, follow: bool) -> int:
    """Print the log of the pod that submitted the run, or follow it until the run has ended; the exit code."""
    waited = ""
    while True:
        found = status(launched)
        if found.state == "waiting" and follow:
            if found.said != waited:
                print(f"Kubernetes: {launched.job} {found.said}", flush=True)
                waited = found.said
            time.sleep(POLL)
            continue
        if found.state == "unknown":
            raise InputError(f"The log can't be read: {found.said}.")
        command = [*_kubectl(launched), "logs", *(["--follow"] if follow else ["--tail=-1"]), f"job/{launched.job}"]
        code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        found = status(launched)
        if not follow or found.state not in ("waiting", "running"):
            if code != 0:
                print("Its pods are gone, or not there yet: what they said is not kept.", file=sys.stderr)
            return {"failed": 1, "stopped": STOPPED}.get(found.state, 0)
        time.sleep(POLL)


def stop(launched: Launched) -> str:
    """Have Ray, in the head's pod, send SIGTERM to the run; a cluster that is not there yet is not made."""
    found = status(launched)
    if found.state not in ("waiting", "running"):
        return f"RayJob {launched.job} is not at work: {found.said}."
    told = (_shown(launched) or {}).get("status") or {}
    job, cluster = told.get("jobId") or "", told.get("rayClusterName") or ""
    pod = _head(launched, cluster) if found.state == "running" else ""
    if not job or not pod:
        said_by([*_kubectl(launched), "patch", "rayjob", launched.job, "--type=merge", "--patch", SUSPEND], MISSING)
        return f"RayJob {launched.job} was waiting, and is suspended: its cluster is not made."
    inside = ["ray", "job", "stop", "--no-wait", "--address", "http://127.0.0.1:8265", job]
    said_by([*_kubectl(launched), "exec", pod, "--container=ray-head", "--", *inside], MISSING)
    return f"RayJob {launched.job} was asked to stop: it ends once the running epochs are saved, and is not retried."


SUSPEND = '{"spec": {"suspend": true}}'


def refuse_running(earlier: Launched | None) -> None:
    """InputError where the same launch is at work already: two would quarrel over one RUN."""
    if earlier is None or not earlier.job or shutil.which("kubectl") is None:
        return
    found = status(earlier)
    if found.state in ("waiting", "running"):
        place = shlex.quote(str(earlier.folder))
        raise InputError(
            f"RayJob {earlier.job} works on {earlier.out} already: {found.said}. Follow it: orchestrate launch log "
            f"--follow {place}; stop it: orchestrate launch stop {place}."
        )


def _kubectl(launched: Launched) -> list[str]:
    """kubectl, set to the cluster that the run was launched to."""
    return ["kubectl", f"--context={launched.where['context']}", f"--namespace={launched.where['namespace']}"]


def _shown(launched: Launched) -> dict[str, Any] | None:
    """The RayJob; None where there is none of its name."""
    code, out, err = asked([*_kubectl(launched), "get", "rayjob", launched.job, "--output=json"], MISSING)
    if code == 0:
        return dict(json.loads(out))
    if "NotFound" in err:
        return None
    raise InputError(f"The cluster does not answer: {printable_lines(err.strip() or out.strip())}")


def _head(launched: Launched, cluster: str) -> str:
    """The head's pod; empty where there is none."""
    chosen = f"--selector=ray.io/cluster={cluster},ray.io/node-type=head"
    names = "--output=jsonpath={.items[*].metadata.name}"
    return said_by([*_kubectl(launched), "get", "pods", chosen, names], MISSING).partition(" ")[0].strip()

"""The manifest of a run on Kubernetes: a ConfigMap of what goes along, and a RayJob of KubeRay."""

import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import yaml

from orchestrator.launching.kubernetes_pods import Pods
from orchestrator.machine.engine import QUIET
from trainables.errors import InputError

THERE = "/opt/run"
"""Where the files that go along lie in each pod."""
DRIVER_CPUS = 2
"""CPUs of the head's pod, which drives the run and trains nothing."""
USER = 1000
"""The image's user."""
LARGEST = 1_000_000
"""Bytes of a ConfigMap: etcd takes 1 MiB with all that stands around them."""
GRACE = 300
"""Seconds that a pod which must go gives a run to save its running epochs."""
KEPT = 600
"""Seconds after the end in which the log can still be read."""
IDLE = 300
"""Seconds after which the autoscaler takes an idle worker away."""
STOP_DRIVER = (
    "pid=$(cat /tmp/driver.pid 2>/dev/null) && kill -TERM $pid && "
    "while kill -0 $pid 2>/dev/null; do sleep 1; done; true"
)


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as such, for whoever reads the manifest."""


_Blocks.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def manifest(*objects: dict[str, Any]) -> str:
    """The objects as one file of YAML."""
    return yaml.dump_all(objects, Dumper=_Blocks, sort_keys=False, allow_unicode=True, explicit_start=True, width=120)


def config_map(name: str, namespace: str, texts: dict[str, str]) -> dict[str, Any]:
    """The files that go along; InputError where they are too large for a ConfigMap."""
    size = sum(len(text.encode()) for text in texts.values())
    if size > LARGEST:
        largest = max(texts, key=lambda place: len(texts[place]))
        raise InputError(
            f"What goes along has {size:,} bytes, and a ConfigMap holds {LARGEST:,}; the largest is {largest}. Shorten "
            "it, or put code of your own into the image as a package and name it as module:NAME."
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {_key(number, place): text for number, (place, text) in enumerate(texts.items())},
    }


def ray_job(name: str, pods: Pods, places: Sequence[str]) -> dict[str, Any]:
    """The RayJob: a head that drives the run, and workers that do its work."""
    group: dict[str, Any] = {
        "groupName": "workers",
        "replicas": pods.workers,
        "minReplicas": pods.workers,
        "maxReplicas": pods.most_workers,
        "rayStartParams": {},
        "template": _template(name, pods, places, head=False),
    }
    cluster: dict[str, Any] = {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            # No CPU to train on: a trial that takes all memory would take the driver along.
            "rayStartParams": {"num-cpus": "0", "num-gpus": "0"},
            "template": _template(name, pods, places, head=True),
        },
        "workerGroupSpecs": [group],
    }
    if pods.most_workers > pods.workers:
        cluster |= {"enableInTreeAutoscaling": True, "autoscalerOptions": {"idleTimeoutSeconds": IDLE}}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": name, "namespace": pods.namespace},
        "spec": {
            "entrypoint": f"sh {THERE}/run.sh",  # no word of it needs quotes: KubeRay splits it and joins it again
            "submissionMode": "K8sJobMode",
            "backoffLimit": pods.retries,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": KEPT,
            "rayClusterSpec": cluster,
        },
    }


def _template(name: str, pods: Pods, places: Sequence[str], head: bool) -> dict[str, Any]:
    """One pod: it asks for what it may use, no more and no less."""
    amounts = {"cpu": str(DRIVER_CPUS if head else pods.cpus), "memory": pods.memory}
    if pods.gpus and not head:
        amounts["nvidia.com/gpu"] = str(pods.gpus)
    shared = math.ceil(0.3 * pods.memory_bytes / 2**20)
    mounts = [
        {"name": "shm", "mountPath": "/dev/shm"},
        # Each by its own subPath: a whole ConfigMap's files are links whose targets differ from pod to pod.
        *(
            {"name": "files", "mountPath": f"{THERE}/{place}", "subPath": _key(number, place), "readOnly": True}
            for number, place in enumerate(places)
        ),
    ]
    volumes: list[dict[str, Any]] = [
        # Memory of the pod's own, for Ray's store of objects: a container has 64 MiB otherwise.
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{shared}Mi"}},
        {"name": "files", "configMap": {"name": name}},
    ]
    if pods.claim:
        mounts.append({"name": "run", "mountPath": pods.mount})
        volumes.append({"name": "run", "persistentVolumeClaim": {"claimName": pods.claim}})
    container: dict[str, Any] = {
        "name": "ray-head" if head else "ray-worker",
        "image": pods.image,
        "env": [
            # KubeRay from 1.5.1 on adds the token; an older one knows no authOptions, and starts no open cluster.
            {"name": "RAY_AUTH_MODE", "value": "token"},
            {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": str(GRACE)},
            *({"name": one, "value": value} for one, value in QUIET.items()),
        ],
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }
    if head:
        container["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", STOP_DRIVER]}}}
    return {
        "spec": {
            "containers": [container],
            "volumes": volumes,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE if head else 30,
            "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        }
    }


def _key(number: int, place: str) -> str:
    """The key of a file in the ConfigMap, which takes few letters."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in place)
    return f"{number}-{plain[-200:]}"

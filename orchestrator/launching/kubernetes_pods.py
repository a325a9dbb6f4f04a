"""What a run on Kubernetes asks of the cluster: pods, their resources, a volume."""

import re
from dataclasses import dataclass

from trainables.errors import InputError

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
QUANTITY = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True)
class Pods:
    """What a run asks of the cluster."""

    image: str
    workers: int
    most_workers: int
    cpus: int
    gpus: int
    memory: str
    namespace: str
    claim: str
    """The PersistentVolumeClaim; empty: none."""
    mount: str
    """Where it is mounted."""
    retries: int

    @property
    def memory_bytes(self) -> int:
        """Memory of a pod."""
        return bytes_of(self.memory)

    def check(self) -> None:
        """InputError for what can't be asked for."""
        for name, value, least in (
            ("--workers", self.workers, 1),
            ("--cpus", self.cpus, 1),
            ("--gpus", self.gpus, 0),
            ("--retries", self.retries, 0),
            ("--most-workers", self.most_workers, self.workers),
        ):
            if value < least:
                raise InputError(f"{name} is {value}; it must be {least} or more.")
        if self.memory_bytes < UNITS["Gi"]:
            raise InputError(f"--memory is {self.memory!r}; a pod of a run needs 1Gi or more, as a rule 8Gi.")
        for name, label in (("--namespace", self.namespace), ("--volume", self.claim)):
            if label and (re.fullmatch(LABEL, label, re.ASCII) is None or len(label) > 63):
                raise InputError(f"{name} names {label!r}; Kubernetes takes small letters, digits and hyphens.")
        if not self.image or not self.image.isprintable() or " " in self.image or self.image.startswith("-"):
            raise InputError(f"--image is {self.image!r}; give the name of an image, such as registry/team/runs:1.")


def bytes_of(quantity: str) -> int:
    """Bytes of an amount as Kubernetes writes it, such as 16Gi; InputError for anything else."""
    matched = QUANTITY.fullmatch(quantity)
    if matched is None:
        raise InputError(f"--memory is {quantity!r}; write it as Kubernetes does, such as 16Gi or 16000M.")
    return int(matched[1]) * UNITS[matched[2] or ""]

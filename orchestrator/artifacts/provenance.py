"""Where a figure came from: code, packages, device, host, time."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestrator.artifacts.records import Provenance
from trainables.speed import processor_name

DISTRIBUTION = "anomaly-orchestrator"
RECORDED = ("ray", "torch", "torchvision", "optuna", "scikit-learn", "numpy", "pandas", "matplotlib", "pillow")


def code_version(own_code: Sequence[str] = ()) -> str:
    """The package's version, and what of the code is the user's own."""
    return ", ".join([package_version(), *own_code])


@cache
def package_version() -> str:
    """The package's version; with the commit, and `+changes`, where it runs from a git checkout."""
    release = version(DISTRIBUTION)
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return release
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=10, check=True).stdout
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return release
    return f"{release} ({commit.strip()}{'+changes' if changes.strip() else ''})"


@cache
def package_versions() -> dict[str, str]:
    """The versions of the packages that figures depend on, and of Python."""
    versions = {"python": platform.python_version()}
    for name in RECORDED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@cache
def device_name(device: str) -> str:
    """The processor's name, or that of the GPU of a process that trains on one: CUDA is started for it."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name()
    return processor_name()


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(experiment: str, data: str, split: str, device: str, own_code: Sequence[str] = ()) -> Provenance:
    """All of it, at this moment, on this host.

    `device`: the name of what was trained on; `own_code`: what of the code is the user's, as records say it.
    """
    return Provenance(
        experiment=experiment,
        data=data,
        split=split,
        code=code_version(own_code),
        packages=package_versions(),
        device=device,
        host=platform.node(),
        finished=now(),
    )

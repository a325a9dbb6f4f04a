"""The image of a run on Kubernetes: what its Dockerfile copies and installs, as it is installed here."""

import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from orchestrator.artifacts.provenance import DISTRIBUTION
from orchestrator.launching.kubernetes_manifest import USER
from orchestrator.launching.template import filled
from orchestrator.machine.shipped_modules import package_folders
from trainables.files import whole_folder, write_whole

JOB_SERVER = "ray[default]"
"""What a RayJob needs of Ray beside what a run does."""


def write_image(folder: Path) -> list[str]:
    """Write the folder that an image is built of; the names of packages whose version is not known here."""
    wanted = [one for one in map(Requirement, distribution(DISTRIBUTION).requires or ()) if one.marker is None]
    pins, missing = pinned([*wanted, Requirement(JOB_SERVER)])
    with whole_folder(folder) as draft:
        packages = draft / "packages"
        for package in map(Path, package_folders()):
            shutil.copytree(package, packages / package.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        _write_metadata(packages)
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        write_whole(draft / "Dockerfile", filled("Dockerfile.j2", python=python, user=USER), wait=False)
        write_whole(draft / ".dockerignore", "**/__pycache__\n**/*.pyc\n", wait=False)
        write_whole(draft / "requirements.txt", "".join(f"{one}\n" for one in [*wanted, JOB_SERVER]), wait=False)
        write_whole(draft / "constraints.txt", "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)), wait=False)
    return missing


def pinned(wanted: list[Requirement]) -> tuple[dict[str, str], list[str]]:
    """The versions that are installed here of what is wanted and of all that it needs; what is not installed."""
    pins: dict[str, str] = {}
    missing: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(one.name, extra) for one in wanted for extra in ("", *one.extras)]
    while waiting:
        name, extra = waiting.pop()
        name = re.sub(r"[-_.]+", "-", name).lower()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        pins[name] = found.version.partition("+")[0]  # +cpu or +cu128 says where it came from, not what it is
        for one in map(Requirement, found.requires or ()):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(one.name, further) for further in ("", *one.extras)]
    return pins, sorted(missing)


def _write_metadata(packages: Path) -> None:
    """What makes the copied packages the distribution that records name."""
    own = distribution(DISTRIBUTION)
    place = packages / f"{DISTRIBUTION.replace('-', '_')}-{own.version}.dist-info"
    place.mkdir()
    # An installation from source may be found by its .egg-info, where the file has another name.
    write_whole(place / "METADATA", own.read_text("METADATA") or own.read_text("PKG-INFO") or "", wait=False)
    write_whole(place / "entry_points.txt", own.read_text("entry_points.txt") or "", wait=False)

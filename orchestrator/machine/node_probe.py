"""What one machine of a cluster says of itself, to a worker that runs there. It needs nothing beyond Python itself:
what is missing there is what it is to tell."""

import errno
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from orchestrator.machine.shipped_modules import PACKAGES

HEAD = 65_536
"""Bytes of a file by which it is known again, with its size."""
PATIENCE = 3.0
"""Seconds for a new file to be seen: file systems between machines keep old listings for a while."""
SHARED = Path("/dev/shm")


@dataclass(frozen=True)
class Question:
    """What is asked of every machine, and of the driver's own process, whose answers are the measure."""

    packages: tuple[str, ...] = ()
    """Distributions whose versions are told."""
    markers: Mapping[str, str] = field(default_factory=dict)
    """Files that the driver has just written, by their content, in folders that all may share."""
    files: tuple[str, ...] = ()
    """Of the data: paths that must hold the same."""
    weights: tuple[tuple[str, ...], ...] = ()
    """Of each backbone the files that may hold its weights, the first that is there: paths, or names in the folder
    where torch keeps what was downloaded, which is elsewhere on each machine."""


class Known(NamedTuple):
    """One file, as far as it is looked at."""

    name: str
    size: int
    head: str
    """SHA-256 of its beginning."""


Sight = Literal["same", "absent", "other", "closed"]
"""Of a folder: other, where one without our marker lies there; closed, where it can't be read or written."""


class Disk(NamedTuple):
    """The file system of one folder."""

    folder: str
    size: int
    free: int


class Graphics(NamedTuple):
    """One GPU, as NVIDIA's driver tells of it."""

    name: str
    memory: int
    free: int


@dataclass(frozen=True)
class Seen:
    """What one machine says."""

    python: str
    versions: Mapping[str, str]
    """Of the packages that are there."""
    code: str
    """A hash of our own packages, as they are imported there."""
    code_folder: str
    cpus: int
    """That its kernel leaves to Ray's workers."""
    memory: int | None
    """Bytes free; None: not known."""
    gpus: tuple[Graphics, ...]
    shared_memory: Disk | None
    temporary: Disk | None
    """Where Ray keeps sockets, logs and what it spills; None: not known."""
    cache: Disk | None
    """Where trainings keep what they share; None: it can't be written."""
    markers: Mapping[str, Sight]
    files: Mapping[str, Known | None]
    weights: tuple[Known | None, ...]
    clock: float
    """Seconds since the epoch, read last."""


def look(question: Question, temporary: str = "") -> Seen:
    """What this machine is. `temporary`: Ray's folder for temporary files there, where it is known."""
    markers = _sights(question.markers)
    return Seen(
        python=platform.python_version(),
        versions={name: found for name in question.packages if (found := _version(name)) is not None},
        code=code_hash(),
        code_folder=str(_package_folder("orchestrator")),
        cpus=_cpus(),
        memory=_memory(),
        gpus=_gpus(),
        shared_memory=_disk(SHARED),
        temporary=_disk(Path(temporary)) if temporary else None,
        cache=_cache(),
        markers=markers,
        files={path: _known(Path(path)) for path in question.files},
        weights=tuple(_first(paths) for paths in question.weights),
        clock=time.time(),
    )


def code_hash() -> str:
    """A hash of the sources of our packages, as this process imports them; empty where one of them is not there."""
    hashed = hashlib.sha256()
    for name in PACKAGES:
        folder = _package_folder(name)
        if folder is None:
            return ""
        for path in sorted(folder.rglob("*.py")):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            hashed.update(f"{name}/{path.relative_to(folder).as_posix()} {content}\n".encode())
    return hashed.hexdigest()


def _package_folder(name: str) -> Path | None:
    found = find_spec(name)
    return Path(found.origin).parent if found is not None and found.origin else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpus() -> int:
    from orchestrator.machine.cpu_quota import usable_cpus

    return usable_cpus()


def _memory() -> int | None:
    with suppress(ImportError):
        from trainables.memory import available_memory  # psutil may be missing

        return available_memory()
    return None


def _gpus() -> tuple[Graphics, ...]:
    from orchestrator.machine.nvml import read_driver

    driver = read_driver()
    return () if driver is None else tuple(Graphics(card.name, card.memory, card.free) for _, card in driver.cards)


def _disk(folder: Path) -> Disk | None:
    with suppress(OSError):
        there = shutil.disk_usage(folder)
        return Disk(str(folder), there.total, there.free)
    return None


def _cache() -> Disk | None:
    with suppress(ImportError, OSError, ValueError):
        from trainables.cache import own_cache, why_unwritable  # numpy may be missing

        cache = own_cache()
        return None if why_unwritable(cache) else _disk(cache.folder)
    return None


def _sights(markers: Mapping[str, str]) -> dict[str, Sight]:
    """How each marker is seen: what is absent is looked for again until there is no more patience."""
    deadline = time.monotonic() + PATIENCE
    found = {path: _sight(Path(path), content) for path, content in markers.items()}
    while "absent" in found.values() and time.monotonic() < deadline:
        time.sleep(0.25)
        found = {path: _sight(Path(path), content) for path, content in markers.items()}
    folders = {path for path, sight in found.items() if sight == "absent" and Path(path).parent.is_dir()}
    return {path: "other" if path in folders else sight for path, sight in found.items()}


def _sight(marker: Path, content: str) -> Sight:
    try:
        os.listdir(marker.parent)  # noqa: PTH208 - has NFS ask its server for what is there
        text = marker.read_text(encoding="ascii")
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except (OSError, UnicodeDecodeError):
        return "closed"
    if text != content:
        return "other"
    return "same" if os.access(marker.parent, os.W_OK | os.X_OK) else "closed"


def _known(path: Path) -> Known | None:
    try:
        with path.open("rb") as file:
            return Known(path.name, os.fstat(file.fileno()).st_size, hashlib.sha256(file.read(HEAD)).hexdigest())
    except (OSError, ValueError) as error:
        closed = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM)
        return Known(path.name, -1, "can't be read") if closed else None


def _first(paths: tuple[str, ...]) -> Known | None:
    return next((found for path in paths if (found := _known(_hub() / path)) is not None), None)


def _hub() -> Path:
    """Where torch.hub keeps weights, by its own rule; importing torch takes seconds."""
    base = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")  # noqa: PTH118
    return Path(os.path.expanduser(base)) / "hub" / "checkpoints"  # noqa: PTH111 - a user may have no home

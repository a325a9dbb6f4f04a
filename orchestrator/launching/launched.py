"""The folder of one launch: the files that a target was given, and what was started with them."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from trainables.errors import InputError
from trainables.files import write_whole

NOTE = "launch.json"
TargetName = Literal["ray", "slurm", "kubernetes", "ssh"]
State = Literal["waiting", "running", "succeeded", "failed", "stopped", "unknown"]


@dataclass(frozen=True)
class Launched:
    """What was written, and, unless that was all, started."""

    folder: Path
    """Where the files lie, here."""
    target: TargetName
    out: str
    """RUN, as the machine that drives the run sees it."""
    job: str = ""
    """By which the target knows it; empty: nothing was started."""
    where: dict[str, Any] = field(default_factory=dict)
    """What the target needs to find it again: an address, a namespace. No secret is in it."""

    def keep(self) -> None:
        """Write it down in its folder."""
        values = asdict(self) | {"folder": None}
        write_whole(self.folder / NOTE, json.dumps(values, indent=2), wait=True)


def launched_at(folder: str | Path) -> Launched:
    """What was launched with the files of a folder. InputError where it holds none."""
    place = Path(folder).expanduser().absolute()
    try:
        values = json.loads((place / NOTE).read_bytes())
        return Launched(**values | {"folder": place})
    except FileNotFoundError:
        raise InputError(
            f"{str(place)!r} holds no {NOTE}: nothing was launched from there. Give the folder that `orchestrate "
            "launch` said it wrote to."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{str(place / NOTE)!r} can't be read ({error}): it was changed or cut off.") from None


def new_folder(files: str | Path | None, out: str, target: str) -> Path:
    """Where a launch's files go: `files`, else beside where this command runs, named after RUN and the target."""
    name = Path(out.rstrip("/")).name or "run"
    return Path(files if files is not None else f"{name}.{target}").expanduser().absolute()


def claimed_folder(folder: Path, target: TargetName, out: str) -> Launched | None:
    """What was launched with a folder before: the same target and RUN, or nothing. InputError for anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not (folder / NOTE).is_file():
        raise InputError(f"{str(folder)!r} is not empty, and no launch wrote it. Give another folder with --files.")
    earlier = launched_at(folder)
    if (earlier.target, earlier.out) != (target, out):
        raise InputError(
            f"{str(folder)!r} holds the files of a launch of {earlier.out} with the target {earlier.target}, and this "
            f"is {out} with {target}. Give another folder with --files."
        )
    return earlier


@dataclass(frozen=True)
class JobStatus:
    """How what was launched stands."""

    state: State
    said: str
    """The target's own words on it, such as PENDING (Resources)."""


class Target(Protocol):
    """What each target's module offers beside its launch."""

    def status(self, launched: Launched) -> JobStatus:
        """How it stands; InputError where the target does not answer."""
        ...

    def log(self, launched: Launched, follow: bool) -> int:
        """Print the log so far, or, with `follow`, until its end; the exit code of the run, 0 where it goes on."""
        ...

    def stop(self, launched: Launched) -> str:
        """Ask it to stop gently, so that a resume goes on exactly; what to say."""
        ...

"""Folders of runs, and files of other tools, to what they hold, or a clear word why they can't stand side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.comparing.foreign import ForeignData
from orchestrator.comparing.foreign_reading import read_foreign
from orchestrator.comparing.foreign_table import may_be_foreign
from orchestrator.report.document.formatting import printable, words
from orchestrator.report.numbers.run_data import RunData, read_run
from trainables.errors import InputError


@dataclass(frozen=True)
class NamedRun:
    """One run, and what it is called beside the others."""

    name: str
    """Its folder's name, with as much of the path as tells it from the others; printable."""
    data: RunData

    @property
    def foreign(self) -> ForeignData | None:
        """The same where it is no run but the file of another tool."""
        return self.data if isinstance(self.data, ForeignData) else None

    @property
    def data_name(self) -> str:
        """What its data are called: their folder's name; printable."""
        data = self.data.experiment.get("data")
        path = str(data.get("path") or "") if isinstance(data, dict) else ""
        # The run may come from another machine: its path may have either kind of slash.
        return printable(PureWindowsPath(path).name) or f"data {printable(self.data.distinct('data')[0])[:8]}"

    @property
    def notices(self) -> list[str]:
        """What its files leave open, a sentence each."""
        return [f"{self.name}: {printable(remark)}" for remark in (*self.data.marks, *self.data.remarks)]


def read_all(paths: Sequence[Path]) -> list[NamedRun]:
    """Every run, in the order given; files of other tools stand beside the first.

    InputError where one can't be read, is there twice, or has no evaluated cell.
    """
    if len(paths) < 2:
        raise InputError(
            f"A comparison needs at least two runs; {len(paths)} is given. "
            "Example: orchestrate compare runs/first runs/second"
        )
    if may_be_foreign(paths[0]):
        raise InputError(
            f"{printable(paths[0])} is a file of another tool; the first must be a run, which the others stand "
            f"against. Example: orchestrate compare runs/first {printable(paths[0].name)}"
        )
    runs: list[NamedRun] = []
    for path, name in zip(paths, names_of(paths), strict=True):
        run = read_beside(path, name, runs[0]) if may_be_foreign(path) else _read(path, name)
        reason = _unusable(run)
        if reason:
            raise InputError(
                f"{printable(path)} {reason}, so there is nothing to compare. "
                f"Go on with it: orchestrate evaluate {printable(path)}"
            )
        for other in runs:
            if run.data.run.root.resolve() == other.data.run.root.resolve():
                raise InputError(
                    f"{printable(path)} is the same {'file' if run.foreign else 'folder'} as {other.name}. Give each "
                    "run once."
                )
            if run.data.records == other.data.records:
                raise InputError(
                    f"{printable(path)} is a copy of {other.name}: it has the same records, so nothing can have moved. "
                    "Give two different runs."
                )
        runs.append(run)
    tasks = {run.name: run.data.task for run in runs}
    if len(set(tasks.values())) > 1:
        listed = words([f"{name} is {task}" for name, task in tasks.items()], 20)
        raise InputError(f"The runs do different tasks: {listed}. Only runs of one task can be compared.")
    return runs


def read_usable(paths: Sequence[Path]) -> tuple[list[NamedRun], list[str]]:
    """The runs that have figures, in the order given, and of the others why they are left out.

    So that `runs/*` may hold other things too. InputError where a run's records can't be read or none has figures.
    """
    runs: list[NamedRun] = []
    left: list[str] = []
    for path, name in zip(paths, names_of(paths), strict=True):
        records = RunFolder(path.expanduser().absolute()).records
        if not records.is_file():
            left.append(f"{printable(path)} is left out: it holds no records.jsonl, so it is no run with results.")
            continue
        if not records.stat().st_size:
            left.append(f"{printable(path)} is left out: it holds no record yet.")
            continue
        run = _read(path, name)
        reason = _unusable(run)
        twin = next((other for other in runs if other.data.records == run.data.records), None)
        if reason:
            left.append(f"{name} is left out: it {reason}.")
        elif twin is not None:
            left.append(f"{name} is left out: it is {twin.name}, or a copy of it with the same records.")
        else:
            runs.append(run)
    if not runs:
        raise InputError(
            "None of the folders is a run with an evaluated cell. "
            + " ".join(left)
            + " Give the folders that `orchestrate sweep --out` wrote."
        )
    return runs, left


def read_beside(path: Path, name: str, *runs: NamedRun, label: str = "") -> NamedRun:
    """The file of another tool beside the first of some runs that were judged on the same pictures; they, their data or
    `label` are what it may call its data set."""
    called = [label, *(one for run in runs for one in (run.name, run.data_name))]
    return NamedRun(name, read_foreign(path, name, runs[0].data, called))


def _read(path: Path, name: str) -> NamedRun:
    folder = RunFolder(path.expanduser().absolute())
    if not folder.records.is_file():
        raise InputError(
            f"{printable(path)} is no run with results: it holds no records.jsonl. Give a folder that "
            "`orchestrate sweep --out` wrote."
        )
    return NamedRun(name, read_run(folder))


def _unusable(run: NamedRun) -> str:
    """Why a run has no figures; empty where it has some."""
    if any(run.data.completed.values()):
        return ""
    failed = sum(len(cells) for cells in run.data.evaluation.values())
    return f"has no evaluated cell that completed ({failed} failed)" if failed else "has no evaluated cell"


def names_of(paths: Sequence[Path]) -> list[str]:
    """Each folder's or file's name, with its parents' where two are called the same."""
    full = [path.expanduser().absolute().parts for path in paths]
    names = []
    for parts in full:
        others = [other for other in full if other != parts]
        length = 1
        while length < len(parts) and any(other[-length:] == parts[-length:] for other in others):
            length += 1
        names.append(printable("/".join(parts[-length:])))
    return names


def letter(place: int) -> str:
    """A, B, ... Z, then R27, R28, ..."""
    return chr(ord("A") + place) if place < 26 else f"R{place + 1}"

"""What goes along with a run to machines that do not see this one's disk: its experiment, and the code it names."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.experiment.experiment import Experiment, read_experiment
from orchestrator.experiment.set_key import set_key
from orchestrator.experiment.yaml_text import write_yaml
from orchestrator.launching.work import Work
from trainables.errors import InputError
from trainables.files import is_file, text_sha256, whole_folder, write_whole
from trainables.own_code import code_named_in, expanded, names_code

FILES = "files"
"""The folder of what goes along, within a launch's own."""
EXPERIMENT = "experiment.yaml"
OWN = "own_code"


@dataclass(frozen=True)
class Shipped:
    """The files that go along."""

    folder: Path
    own: tuple[Path, ...]
    """The files of the user's own code, where they lie here."""

    @property
    def told(self) -> str:
        """What goes along, in words."""
        own = f", and of your own code {', '.join(map(str, self.own))}" if self.own else ""
        return f"the packages orchestrator, trainables and search_spaces, {self.folder / EXPERIMENT}{own}"


def write_shipped(work: Work, folder: Path) -> Shipped:
    """Write what goes along into FILES in a launch's folder: the experiment with its overrides, one's own code beside.

    InputError for what the machines could not find: a path of data that is not absolute, a RUN that is not.
    """
    work.load()
    values = read_experiment(work.experiment)
    for override in work.overrides:
        set_key(values, override, Experiment)
    _check_places(work, values)
    own = {name: _file_of(name, work.experiment.resolve().parent) for name in code_named_in(values)}
    files = sorted({path for path in own.values() if path is not None})
    called = _names(files)
    told = {name: f"{OWN}/{called[path]}:{name.rpartition(':')[2]}" for name, path in own.items() if path is not None}
    place = folder / FILES
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(place) as draft:
        write_whole(draft / EXPERIMENT, write_yaml(_renamed(values, told)), wait=False)
        for path in files:
            (draft / OWN).mkdir(exist_ok=True)
            write_whole(draft / OWN / called[path], path.read_bytes(), wait=False)
    return Shipped(place, tuple(files))


def _check_places(work: Work, values: dict[str, Any]) -> None:
    """InputError where a path means another place there than here."""
    data = values["data"]
    data = data if isinstance(data, dict) else {"path": data}
    places = {"--out": work.out, "data.path": data.get("path"), "data.store": data.get("store")}
    for name, place in places.items():
        if place is not None and not PurePosixPath(str(place)).is_absolute():
            how = f"{name} /…" if name == "--out" else f"--set {name}=/…"
            raise InputError(
                f"{name} is {str(place)!r}, and the run is driven on another machine, where a relative path leads "
                f"elsewhere. Give the whole path as that machine sees it: {how}."
            )


def _file_of(name: str, beside: Path) -> Path | None:
    """The .py file that one's own code is named in, looked for as an experiment does; None for a module's name."""
    place = name.rpartition(":")[0]
    if not place.endswith(".py"):
        return None
    path = next((one for one in (beside / expanded(place), expanded(place)) if is_file(one)), None)
    if path is None:
        raise InputError(f"There is no file {place} for {name!r}, to go along with the run. Give the path of a file.")
    return path.resolve()


def _names(files: list[Path]) -> dict[Path, str]:
    """A name for each file in one folder: its own, or, where two have the same, with a part of its path's hash."""
    names = [path.name for path in files]
    return {
        path: path.name if names.count(path.name) == 1 else f"{path.stem}_{text_sha256(str(path))[:8]}.py"
        for path in files
    }


def _renamed(values: Any, told: dict[str, str]) -> Any:
    """Plain values in which one's own code is named as it lies there."""
    if isinstance(values, dict):
        return {key: _renamed(value, told) for key, value in values.items()}
    if isinstance(values, list):
        return [_renamed(value, told) for value in values]
    return told.get(values, values) if isinstance(values, str) and names_code(values) else values

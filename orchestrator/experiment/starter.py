"""The commented experiment file that `orchestrate init` writes."""

from importlib.resources import files
from pathlib import Path

from trainables.errors import InputError


def starter_text() -> str:
    """The starter file's text; it runs as it stands on a folder of CSVs, without a network or a GPU."""
    return (files("orchestrator.experiment") / "starter.yaml").read_text(encoding="utf-8")


def write_starter(file: str | Path) -> None:
    """Write the starter file; InputError where something is there already or can't be written."""
    try:
        with Path(file).open("x", encoding="utf-8") as opened:
            opened.write(starter_text())
    except FileExistsError:
        raise InputError(f"{file} exists, and nothing is overwritten. Give another name, or remove it.") from None
    except OSError as error:
        raise InputError(f"{file} can't be written: {error.strerror}. Give a path in a folder that exists.") from None

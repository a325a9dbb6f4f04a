"""The commented experiment file that `orchestrate init` writes."""

from importlib.resources import files
from pathlib import Path

from orchestrator.data.layouts.table import LayoutName
from trainables.errors import InputError


def starter_text() -> str:
    """The starter file's text; it runs as it stands on a folder of CSVs, without a network or a GPU."""
    return (files("orchestrator.experiment") / "starter.yaml").read_text(encoding="utf-8")


def write_starter(
    file: str | Path,
    *,
    data: str | Path | None = None,
    layout: LayoutName | None = None,
    normal: str | None = None,
) -> list[str]:
    """Write the starter file; with `data`, a folder, the one that fits what `inspect` sees there.

    `layout` and `normal` as `inspect` takes them. Returns what was seen and chosen, in sentences. InputError where
    something is there already or can't be written, and for data of which no experiment can be made.
    """
    file = Path(file)
    if file.exists():
        raise _exists(file)
    if data is None:
        if layout is not None or normal is not None:
            raise InputError("--layout and --normal say how the folder of --data lies: give that, too.")
        text, said = starter_text(), list[str]()
    else:
        from orchestrator.experiment.fitted_starter import entries, fit, fitted_text, summary

        chosen = fit(Path(data).expanduser(), layout, normal)
        text = fitted_text(chosen, _tail(chosen.detection))
        said = [*summary(chosen), f"Compared: {', '.join(one.name for one in entries(chosen))}."]
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise InputError(f"{file} can't be written: {error.strerror}. Give a path in a folder that exists.") from None
    return said


def _exists(file: Path) -> InputError:
    return InputError(f"{file} exists, and nothing is overwritten. Give another name, or remove it.")


def _tail(detection: bool) -> str:
    """What of the plain starter fits any data: from the resources on."""
    tail = "resources:" + starter_text().partition("\nresources:")[2]
    classifies, _, rest = tail.partition("# ensembles:")
    if not detection:
        return tail
    return classifies + rest.partition("\n\n")[2]

"""Where a run's data and its store of pictures lay before they were moved."""

import json
from pathlib import Path
from typing import NamedTuple

from orchestrator.artifacts.run_folder import RunFolder
from trainables.errors import InputError
from trainables.files import write_whole


class Place(NamedTuple):
    """Where a run's data lie."""

    path: Path
    store: Path | None
    """None: the pictures lie in the run."""


def places_before(folder: RunFolder) -> list[Place]:
    """The places where they lay before, the first first; none where they never were moved.

    InputError where the file can't be read.
    """
    try:
        read = json.loads(folder.places.read_bytes())
        return [Place(Path(path), None if store is None else Path(store)) for path, store in read]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder.places} can't be read: {str(error).rstrip('.')}. Put it back from a copy, or remove it: only "
            "records of earlier versions need it."
        ) from None


def keep_place(folder: RunFolder, place: Place) -> None:
    """Write down that the data lay there until now."""
    places = places_before(folder)
    if place not in places:
        rows = [(str(path), None if store is None else str(store)) for path, store in (*places, place)]
        write_whole(folder.places, json.dumps(rows, indent=1), wait=True)


def where_they_lay(folder: RunFolder, now: Path) -> list[str]:
    """What the report says of data that were moved."""
    before = dict.fromkeys(str(place.path) for place in places_before(folder) if place.path != now)
    if not before:
        return []
    return [f"The data lie in {now} now and lay in {', '.join(before)} before: the same files, by their fingerprint."]

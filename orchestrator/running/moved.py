"""Data that lie elsewhere than when their run was begun: proven the same by their fingerprint, before anything else."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.data.files.content_hashes import read_sources
from orchestrator.data.fill.store_entries import identified
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import find_files
from orchestrator.data.split.split import Split
from orchestrator.data.store.index import fingerprint, read_index
from orchestrator.experiment.experiment import Experiment
from trainables.errors import InputError

NAMED = 3
"""How many files an error names."""


def prove_same(old: Experiment, new: Experiment, folder: RunFolder, say: Callable[[str], object]) -> None:
    """InputError where the data of `new` lie elsewhere than those of the run, and are not the same. Writes nothing.

    Every file is read where they lie elsewhere. Before a run has a split, nothing is made of its data, and any will do.
    """
    there, here = old.data.path, new.data.path
    begun = folder.split.exists() or (folder.records.exists() and folder.records.stat().st_size > 0)
    if not begun or _same_place(there, here):
        return
    if not folder.split.exists():
        raise InputError(
            f"data.path is {str(there)!r} in {folder.root} and {str(here)!r} here, and without its "
            f"{folder.split.name} nothing proves that these are the same data. Put that file back from a copy."
        )
    split, listing = Split.load(folder.split), find_files(here, new.data.layout)
    say(f"The run's data lay in {there}: reading {len(listing.files)} files in {here} to see if they are the same …")
    listed, expected = {file.path for file in listing.files}, set(split.paths)
    lost, added = sorted(expected - listed), sorted(listed - expected - _known_to_fail((old, new), folder, split.data))
    faults = [f"missing files: {len(lost)}, such as {_names(lost)}"] if lost else []
    faults += [f"new files: {len(added)}, such as {_names(added)}"] if added else []
    if not faults and fingerprint(_identities(listing, expected)) != split.data:
        faults = ["files hold other bytes"]
    if faults:
        raise InputError(
            f"The data in {here} are not those that {folder.root} was started with, which lay in {there}: "
            f"{'; '.join(faults)}. Give where those lie now (data.path), or give another --out."
        )
    say(f"The run's data were found in {here}, not in {there} as before: the same files, byte for byte, so it goes on.")


def _same_place(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _known_to_fail(experiments: tuple[Experiment, ...], folder: RunFolder, data: str) -> set[str]:
    """The files that gave no picture when the run was begun, where a store of it still tells."""
    roots = {folder.stores, *(one.data.store for one in experiments if one.data.store is not None)}
    stores = [place for root in roots if root.is_dir() for place in root.iterdir() if place.is_dir()]
    indexes = [index for index in map(read_index, stores) if index is not None and index.fingerprint == data]
    return {row.path for index in indexes for row in index.failed}


def _identities(listing: Listing, paths: set[str]) -> list[tuple[str, str]]:
    """Path and identity of each listed file among `paths`; InputError where one can't be read."""
    found = []
    for file in listing.files:
        if file.path not in paths:
            continue
        try:
            sources = read_sources(str(listing.root), file)
        except OSError as error:
            raise InputError(f"{file.path!r} in {listing.root} can't be read: {error.strerror}.") from None
        name = listing.layout.name
        found.append((file.path, identified(name, sources.content, sources.mask_hash, file.class_name)))
    return found


def _names(paths: list[str]) -> str:
    return ", ".join(map(repr, paths[:NAMED]))

"""One number of bits for all pictures of a data set, found once and kept in the store."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.data.files.content_hashes import Look, digest
from orchestrator.data.files.image_files import MOST_BITS
from orchestrator.data.files.picture_facts import UNKNOWN, Facts, bits_for, facts_of
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.store.index import Index, read_index
from orchestrator.data.store.store import read_recipe
from trainables.errors import InputError
from trainables.files import read_regular


def look_into(listing: Listing, looks: Sequence[Look | None], folder: Path) -> dict[str, Facts]:
    """What each picture says beside its pixels, by path; read only where the store in `folder` does not know it."""
    if listing.layout.plots:
        return {}
    index = read_index(folder)
    known = _known(index) if index is not None and index.root == str(listing.root.resolve()) else {}
    if index is not None and index.seen == digest(listing, looks) and len(known) == len(index.rows):
        return {path: facts for path, (_, facts) in known.items()}  # what failed before is not read again
    found = {}
    for file, look in zip(listing.files, looks, strict=True):
        before = known.get(file.path)
        if before is not None and before[0] == look:
            found[file.path] = before[1]
            continue
        try:
            found[file.path] = facts_of(read_regular(listing.root / file.path))
        except (OSError, MemoryError):
            continue  # told where it is drawn
    return found


def settled_bits(facts: dict[str, Facts], asked: int | None, folder: Path, resumed: bool) -> int | None:
    """How many bits deep pictures use, None for 16: as `asked`, else as the largest of all values needs.

    A run that is `resumed` goes on with what its store was made with. InputError names a file with a value above what
    is asked for.
    """
    if asked is not None:
        for path, one in facts.items():
            if one.top >= 2**asked:
                raise InputError(
                    f"data.bits is {asked}, which ends at {2**asked - 1}, and {path!r} has a value of {one.top}. "
                    f"Set data.bits to {bits_for([one.top]) or MOST_BITS}, or leave it out: it is then chosen."
                )
        return asked if asked < MOST_BITS and any(one.top for one in facts.values()) else None
    before = read_recipe(folder) if resumed else None
    return before.bits if before is not None else bits_for(one.top for one in facts.values())


def knows_facts(index: Index, listing: Listing) -> bool:
    """Whether a store's index says what `look_into` finds, which one of an older release does not."""
    return listing.layout.plots or UNKNOWN not in index.rows.top


def _known(index: Index) -> dict[str, tuple[Look, Facts]]:
    rows = index.rows
    looks = zip(rows.size, rows.mtime_ns, rows.inode, strict=True)
    facts = map(Facts, rows.turn, rows.top)
    return {path: (look, one) for path, look, one in zip(rows.path, looks, facts, strict=True) if one.top != UNKNOWN}

"""What the listings of all detection layouts share."""

from pathlib import Path

from orchestrator.data.layouts.listing import Layout, ListedFile, Listing, Skipped
from orchestrator.data.layouts.names import class_names
from orchestrator.data.layouts.walking import in_order
from trainables.errors import InputError


def without_ending(name: str, ending: str) -> str:
    """A name without an ending such as `_mask`, whatever its capitals."""
    return name[: -len(ending)] if name.lower().endswith(ending) else name


def counted(what: str, why: str, count: int) -> list[str]:
    """A remark on files that are left out; none where there are none."""
    return [f"{count} {what} left out: {why}."] if count else []


def finished(
    root: Path,
    layout: Layout,
    files: list[ListedFile],
    skipped: list[Skipped],
    remarks: list[str],
    read: tuple[str, ...] = (),
) -> Listing:
    """The listing of a detection layout. InputError where no normal picture trains, or there is no anomaly at all.

    A file's `class_name` is its folder's name: what is to be said of these names is added to the remarks.
    """
    kinds, said = class_names(file.class_name for file in files)
    files = [file._replace(class_name=kinds[file.class_name]) for file in files]
    listing = Listing(root, layout, in_order(files), in_order(skipped), tuple(remarks))
    normal = listing.normal
    if not files:
        raise InputError(
            f"None of the files in {str(root)!r} lies as the layout {layout.name} has it: {layout.shape}. "
            "Check the path (data.path), or data.layout: orchestrate inspect says what a tree looks like."
        )
    trained = {file.part or "train" for file in files if file.class_name == normal}
    if "train" not in trained:
        raise InputError(
            f"Detection trains on normal pictures, and {str(root)!r} holds none in {layout.trains} "
            f"(layout: {layout.name}: {layout.shape}). Put normal pictures there."
        )
    if all(file.class_name == normal for file in files) and not layout.partial:
        raise InputError(
            f"All {len(files)} pictures in {str(root)!r} are normal, so no figure can say what a model finds "
            f"(layout: {layout.name}: {layout.shape}). Add anomalies to test."
        )
    remark = f"Every picture in {layout.trains} is taken as normal, which can't be checked."
    return Listing(root, layout, listing.files, listing.skipped, (remark, *remarks, *said), read)

"""The layout `spill` (seeds 003 and 004): normal pictures train, spills validate, an annotation says what is tested."""

from pathlib import Path

from orchestrator.data.layouts.detection_listing import counted, finished
from orchestrator.data.layouts.left_out import refuse_lost_folders
from orchestrator.data.layouts.listing import Layout, ListedFile, Listing, Part, Skipped, Walk
from orchestrator.data.layouts.names import folded
from orchestrator.data.layouts.spill_annotation import TEST, annotation_in, read_annotation

OUTSIDE = "they lie outside the layout's folders"
FOLDERS: dict[str, tuple[Part, str]] = {"train": ("train", "normal"), "proliv": ("validation", "spill")}


def find_spill(root: Path, layout: Layout, tree: Walk) -> Listing:
    """List `train/` (normal), `proliv/` (spills, for validation) and `test/imgs/`, whose classes an annotation gives.

    InputError where the annotation is missing or no line of it can be used, and for what `finished` refuses.
    """
    found, skipped = tree.found, list(tree.skipped)
    refuse_lost_folders(tree, layout, [place for place in map(_place, tree.others) if place])
    files: list[ListedFile] = []
    tested: list[str] = []
    strays = []
    for folder, names in found.items():
        paths = [f"{folder}/{name}" if folder else name for name in names]
        top = folded(folder.split("/", 1)[0])
        if top in FOLDERS:
            part, kind = FOLDERS[top]
            files += [ListedFile(path, kind, part) for path in paths]
        elif _place(folder):
            tested += paths
        else:
            strays += paths
    skipped += [Skipped(path, f"outside {layout.shape}") for path in strays]
    if layout.partial and not tested:
        return finished(root, layout, files, skipped, counted("pictures", OUTSIDE, len(strays)))
    annotation = annotation_in(root)
    annotated = read_annotation(root, annotation, tested)
    files += [ListedFile(path, kind, "test") for path, kind in annotated.classes.items()]
    remarks = [*counted("pictures", OUTSIDE, len(strays)), *annotated.remarks]
    return finished(root, layout, files, [*skipped, *annotated.skipped], remarks, (annotation,))


def _place(folder: str) -> str:
    """The folder of the layout that a folder is or lies in; empty where it is in none."""
    parts = folder.split("/")
    if folded(parts[0]) in FOLDERS:
        return parts[0]
    return "/".join(parts[:2]) if folded("/".join(parts[:2])) == TEST else ""


def spill_clue(root: Path, tree: Walk) -> str:
    """The annotation, or the two folders of its names."""
    annotation = annotation_in(root)
    if (root / annotation).is_file():
        return f"there is a file {annotation}"
    if set(FOLDERS) <= {folded(folder.split("/", 1)[0]) for folder in tree.found}:
        return f"there are folders {' and '.join(FOLDERS)}"
    return ""

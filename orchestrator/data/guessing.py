"""Which layout a tree has, by the names of its folders and files."""

from pathlib import Path

from orchestrator.data.annotations import ANNOTATION
from orchestrator.data.listing import SUFFIXES, Layout
from orchestrator.data.walking import checked_root, nothing_found, walk


def guess_layout(root: Path) -> tuple[Layout, str]:
    """The layout, and what in the tree says so. InputError where it holds neither CSV files nor pictures."""
    found, others, _ = walk(checked_root(root), (*SUFFIXES["series"], *SUFFIXES["images"]))
    if not found:
        raise nothing_found(root, "images", others)
    if (root / ANNOTATION).is_file():
        return "spill", f"there is a file {ANNOTATION}"
    if {"train", "proliv"} <= {folder.split("/", 1)[0] for folder in found}:
        return "spill", "there are folders train and proliv"
    for folder, names in sorted(found.items()):
        above, _, last = folder.rpartition("/")
        if last == "xyz" and f"{above}/rgb" in found:
            return "mvtec3d", f"there are folders {above}/rgb and xyz"
        if last == "depth" and f"{above}/rgb" in found:
            return "rgbd", f"there are folders {above}/rgb and depth"
        if any(name.rpartition(".")[0].endswith("_depth") for name in names):
            return "rgbd", f"there are files in {folder or 'the root'} whose names end in _depth"
    for folder in sorted(found):
        above, _, last = folder.rpartition("/")
        if last == "mask" and f"{above}/rgb" in found:
            return "rgbd", f"there are folders {above}/rgb and mask"
    trained = {folder.split("/")[1] for folder in found if folder.startswith("train/")}
    if trained == {"good"}:
        return "mvtec", "train holds one folder, good"
    if any(folder.split("/", 1)[0] == "ground_truth" for folder in found):
        return "mvtec", "there is a folder ground_truth"
    series = sum(name.lower().endswith(SUFFIXES["series"]) for names in found.values() for name in names)
    total = sum(map(len, found.values()))
    if series > total - series:
        return "series", f"{series} of {total} files are CSV"
    return "images", f"{total - series} of {total} files are pictures, and no folder is of another layout"

"""The layout `mvtec` (MVTec AD): good pictures train, a test part holds good ones and each kind of defect.

Bergmann, Fauser, Sattlegger, Steger, "MVTec AD: A comprehensive real-world dataset for unsupervised anomaly detection",
CVPR 2019.
"""

from collections import Counter
from pathlib import Path

from orchestrator.data.layouts.detection_listing import counted, finished, stem
from orchestrator.data.layouts.listing import PART_FOLDERS, Layout, ListedFile, Listing, Skipped, Walk


def find_mvtec(root: Path, layout: Layout, tree: Walk) -> Listing:
    """List `train/good`, `test/<kind>`, where there is one `validation/<kind>`, and the masks in `ground_truth/<kind>`.

    A mask is called as its picture, with or without `_mask` at the end. InputError for what `finished` refuses.
    """
    found, skipped = tree.found, list(tree.skipped)
    masks = _mvtec_masks(found)
    files: list[ListedFile] = []
    reasons: Counter[str] = Counter()
    used: set[str] = set()
    # Test pictures come first: where a validation picture of the same kind has the same name, the mask is theirs.
    for folder in sorted(found, key=lambda folder: (not folder.lower().startswith("test"), folder)):
        top, _, below = folder.partition("/")
        kind = below.split("/", 1)[0]
        part = PART_FOLDERS.get(top.lower())
        paths = [f"{folder}/{name}" if folder else name for name in found[folder]]
        if top == "ground_truth":
            continue
        if part is None or not kind or (part == "train" and kind != "good"):
            why = f"outside {layout.shape}" if part is None or not kind else "in train, and only train/good trains"
            skipped += [Skipped(path, why) for path in paths]
            reasons[why] += len(paths)
            continue
        for path in paths:
            mask = None if kind == "good" else masks.get(stem(path.split("/", 1)[1]))
            if mask in used:
                mask = None
            if mask is not None:
                used.add(mask)
            files.append(ListedFile(path, kind, part, mask=mask))
    lonely = sorted(set(masks.values()) - used)
    skipped += [Skipped(path, "a mask without its picture") for path in lonely]
    reasons["a mask without its picture"] += len(lonely)
    remarks = [line for why, count in reasons.items() for line in counted("files", why, count)]
    return finished(root, layout, files, skipped, remarks)


def _mvtec_masks(found: dict[str, list[str]]) -> dict[str, str]:
    """Each mask by `<kind>/<stem of its picture>`; `<stem>_mask` goes before `<stem>`."""
    masks: dict[str, str] = {}
    for folder, names in found.items():
        top, _, kind = folder.partition("/")
        if top != "ground_truth" or not kind:
            continue
        for name in sorted(names, key=lambda name: (not stem(name).endswith("_mask"), name)):
            masks.setdefault(f"{kind}/{stem(name).removesuffix('_mask')}", f"{folder}/{name}")
    return masks


def mvtec_clue(root: Path, tree: Walk) -> str:
    """One folder of good pictures to train on, or a folder of masks."""
    if {folder.split("/")[1] for folder in tree.found if folder.startswith("train/")} == {"good"}:
        return "train holds one folder, good"
    if any(folder.split("/", 1)[0] == "ground_truth" for folder in tree.found):
        return "there is a folder ground_truth"
    return ""

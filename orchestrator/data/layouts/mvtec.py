"""The layout `mvtec` (MVTec AD): good pictures train, a test part holds good ones and each kind of defect.

Bergmann, Fauser, Sattlegger, Steger, "MVTec AD: A comprehensive real-world dataset for unsupervised anomaly detection",
CVPR 2019.
"""

from collections import Counter
from pathlib import Path

from orchestrator.data.layouts.detection_listing import counted, finished, without_ending
from orchestrator.data.layouts.left_out import refuse_lost_folders
from orchestrator.data.layouts.listing import (
    PART_FOLDERS,
    Layout,
    ListedFile,
    Listing,
    Part,
    Skipped,
    Walk,
    without_suffix,
)
from orchestrator.data.layouts.names import folded, paired

MASKS = "ground_truth"
GOOD = "good"


def find_mvtec(root: Path, layout: Layout, tree: Walk) -> Listing:
    """List `train/good`, `test/<kind>`, where there is one `validation/<kind>`, and the masks in `ground_truth/<kind>`.

    A mask is called as its picture, with or without `_mask` at the end. Capitals in these names make no difference.
    InputError for what `finished` refuses, and where such a folder loses all its files for their suffix.
    """
    places = ["/".join(folder.split("/")[:2]) for folder in tree.others]
    refuse_lost_folders(tree, layout, [place for place in places if _is_ours(place.split("/")[0])])
    found, skipped = tree.found, list(tree.skipped)
    pictures: list[tuple[str, str, Part]] = []
    reasons: Counter[str] = Counter()
    # Test pictures come first: where a validation picture of the same kind has the same name, the mask is theirs.
    for folder in sorted(found, key=lambda folder: (not folder.lower().startswith("test"), folder)):
        top, _, below = folder.partition("/")
        kind = below.split("/", 1)[0]
        part = PART_FOLDERS.get(folded(top))
        paths = [f"{folder}/{name}" if folder else name for name in found[folder]]
        if folded(top) == MASKS:
            if not kind:
                why = f"directly in {top}, and masks lie in the folder of their kind"
                skipped += [Skipped(path, why) for path in paths]
                reasons[why] += len(paths)
            continue
        if part is None or not kind or (part == "train" and folded(kind) != GOOD):
            why = f"outside {layout.shape}" if part is None or not kind else "in train, and only train/good trains"
            skipped += [Skipped(path, why) for path in paths]
            reasons[why] += len(paths)
            continue
        pictures += [(path, GOOD if folded(kind) == GOOD else kind, part) for path in paths]
    masks, every = _masks(found)
    keys = {path: without_suffix(path.split("/", 1)[1]) for path, kind, _ in pictures if kind != GOOD}
    mask_of = paired(keys.values(), masks)
    files: list[ListedFile] = []
    used: set[str] = set()
    for path, kind, part in pictures:
        mask = mask_of.get(keys.get(path, ""))
        if mask in used:
            mask = None
        if mask is not None:
            used.add(mask)
        files.append(ListedFile(path, kind, part, mask=mask))
    lonely = sorted(every - used)
    skipped += [Skipped(path, "a mask without its picture") for path in lonely]
    reasons["a mask without its picture"] += len(lonely)
    remarks = [line for why, count in reasons.items() for line in counted("files", why, count)]
    return finished(root, layout, files, skipped, remarks)


def _masks(found: dict[str, list[str]]) -> tuple[dict[str, str], set[str]]:
    """Each mask by `<kind>/<stem of its picture>`, where `<stem>_mask` goes before `<stem>`; and all of them."""
    masks: dict[str, str] = {}
    every: set[str] = set()
    for folder, names in found.items():
        top, _, kind = folder.partition("/")
        if folded(top) != MASKS or not kind:
            continue
        bare = {name: without_suffix(name) for name in names}
        for name in sorted(names, key=lambda name: (not bare[name].lower().endswith("_mask"), name)):
            masks.setdefault(f"{kind}/{without_ending(bare[name], '_mask')}", f"{folder}/{name}")
            every.add(f"{folder}/{name}")
    return masks, every


def _is_ours(top: str) -> bool:
    return folded(top) in PART_FOLDERS or folded(top) == MASKS


def mvtec_clue(root: Path, tree: Walk) -> str:
    """One folder of good pictures to train on, or a folder of masks."""
    tops = {folder: folder.split("/") for folder in tree.found}
    if {folded(parts[1]) for parts in tops.values() if len(parts) > 1 and folded(parts[0]) == "train"} == {GOOD}:
        return "train holds one folder, good"
    if any(folded(parts[0]) == MASKS for parts in tops.values()):
        return "there is a folder ground_truth"
    return ""

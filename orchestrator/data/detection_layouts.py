"""The layouts `spill` (seeds 003 and 004) and `mvtec` (MVTec AD): normal pictures train, a test part holds both.

MVTec AD: Bergmann, Fauser, Sattlegger, Steger, "MVTec AD: A comprehensive real-world dataset for unsupervised anomaly
detection", CVPR 2019.
"""

from collections import Counter
from pathlib import Path

from orchestrator.data.annotations import ANNOTATION, read_annotation
from orchestrator.data.listing import PART_FOLDERS, SUFFIXES, Layout, ListedFile, Listing, Part, Skipped
from orchestrator.data.walking import checked_root, in_order, nothing_found, walk
from trainables.errors import InputError

SPILL_PARTS: dict[str, tuple[Part, str]] = {"train": ("train", "normal"), "proliv": ("validation", "spill")}
SPILL_TEST = "test/imgs"
SHAPES: dict[Layout, str] = {
    "spill": f"train/, proliv/, {SPILL_TEST}/ and {ANNOTATION}",
    "mvtec": "train/good/, test/<kind>/ and ground_truth/<kind>/",
    "rgbd": "train/normal/rgb/ and depth/, test/normal/ and test/anomaly/ with rgb/, depth/ and mask/",
    "mvtec3d": "train/good/rgb/ and xyz/, test/<kind>/ with rgb/, xyz/ and gt/",
}
"""How the tree of each layout looks, for errors."""


def find_spill(root: Path) -> Listing:
    """List `train/` (normal), `proliv/` (spills, for validation) and `test/imgs/`, whose classes an annotation gives.

    InputError where the annotation is missing or no line of it can be used, and for what `finished` refuses.
    """
    found, others, skipped = walk(checked_root(root, SHAPES["spill"]), SUFFIXES["spill"])
    if not found:
        raise nothing_found(root, "spill", others)
    files: list[ListedFile] = []
    tested: list[str] = []
    strays = []
    for folder, names in found.items():
        paths = [f"{folder}/{name}" if folder else name for name in names]
        top = folder.split("/", 1)[0]
        if top in SPILL_PARTS:
            part, kind = SPILL_PARTS[top]
            files += [ListedFile(path, kind, part) for path in paths]
        elif f"{folder}/".startswith(f"{SPILL_TEST}/"):
            tested += paths
        else:
            strays += paths
    skipped += [Skipped(path, f"outside {SHAPES['spill']}") for path in strays]
    annotated = read_annotation(root, SPILL_TEST, tested)
    files += [ListedFile(path, kind, "test") for path, kind in annotated.classes.items()]
    remarks = [*counted("pictures", "they lie outside the layout's folders", len(strays)), *annotated.remarks]
    return finished(root, "spill", files, [*skipped, *annotated.skipped], remarks)


def find_mvtec(root: Path) -> Listing:
    """List `train/good`, `test/<kind>`, where there is one `validation/<kind>`, and the masks in `ground_truth/<kind>`.

    A mask is called as its picture, with or without `_mask` at the end. InputError for what `finished` refuses.
    """
    found, others, skipped = walk(checked_root(root, SHAPES["mvtec"]), SUFFIXES["mvtec"])
    if not found:
        raise nothing_found(root, "mvtec", others)
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
            why = f"outside {SHAPES['mvtec']}" if part is None or not kind else "in train, and only train/good trains"
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
    return finished(root, "mvtec", files, skipped, remarks)


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


def stem(path: str) -> str:
    """A path without its suffix, which every listed file has."""
    return path[: path.rindex(".")]


def counted(what: str, why: str, count: int) -> list[str]:
    """A remark on files that are left out; none where there are none."""
    return [f"{count} {what} left out: {why}."] if count else []


def finished(
    root: Path, layout: Layout, files: list[ListedFile], skipped: list[Skipped], remarks: list[str]
) -> Listing:
    """The listing of a detection layout. InputError where no normal picture trains, or there is no anomaly at all."""
    listing = Listing(root, layout, in_order(files), in_order(skipped), tuple(remarks))
    normal = listing.normal
    if not files:
        raise InputError(
            f"None of the files in {str(root)!r} lies as the layout {layout} has it: {SHAPES[layout]}. "
            "Check the path (data.path), or data.layout: orchestrate inspect says what a tree looks like."
        )
    trained = {file.part or "train" for file in files if file.class_name == normal}
    if "train" not in trained:
        raise InputError(
            f"Detection trains on normal pictures, and {str(root)!r} holds none in train/{_folder(layout)} "
            f"(layout: {layout}: {SHAPES[layout]}). Put normal pictures there."
        )
    if all(file.class_name == normal for file in files):
        raise InputError(
            f"All {len(files)} pictures in {str(root)!r} are normal, so no figure can say what a model finds "
            f"(layout: {layout}: {SHAPES[layout]}). Add anomalies to test."
        )
    remark = f"Every picture in train/{_folder(layout)} is taken as normal, which can't be checked."
    return Listing(root, layout, listing.files, listing.skipped, (remark, *remarks))


def _folder(layout: Layout) -> str:
    return {"spill": "", "mvtec": "good", "rgbd": "normal", "mvtec3d": "good"}[layout]

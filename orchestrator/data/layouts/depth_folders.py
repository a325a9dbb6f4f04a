"""The layouts `rgbd` (seed 002) and `mvtec3d` (MVTec 3D-AD): each picture has its depth, anomalies mostly a mask.

MVTec 3D-AD: Bergmann, Jin, Sattlegger, Steger, "The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and
Localization", VISAPP 2022.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.detection_listing import counted, finished, stem
from orchestrator.data.layouts.listing import PART_FOLDERS, Layout, ListedFile, Listing, Skipped, Walk
from orchestrator.data.layouts.walking import in_order
from trainables.errors import InputError


@dataclass(frozen=True)
class DepthFolders:
    """What the folders of one layout are called."""

    picture: str
    depth: str
    mask: str
    beside: bool
    """Whether depth and mask may also lie beside the picture, as `x_depth` and `x_mask`, and say by that how the tree
    lies."""

    def find(self, root: Path, layout: Layout, tree: Walk) -> Listing:
        """List `<part>/<class>/rgb/x.*` with `depth/x.*` and `mask/x.*` beside (mvtec3d: `rgb`, `xyz` and `gt`).

        Or, without these folders, `<part>/<class>/x.*` with `x_depth.*` and `x_mask.*`. A picture without depth is
        skipped. InputError where none has depth, and for what `finished` refuses.
        """
        found, skipped = tree.found, list(tree.skipped)
        pictures, depths, masks = _sorted_out(found, self)
        files: list[ListedFile] = []
        reasons: Counter[str] = Counter()
        used: set[str] = set()

        def skip(path: str, why: str) -> None:
            skipped.append(Skipped(path, why))
            reasons[why] += 1

        for key, path in pictures:
            part = PART_FOLDERS.get(key.split("/", 1)[0].lower())
            # <part>/<class>/<stem>
            folders = key.split("/")[1:-1]
            if part is None or not folders:
                skip(path, f"outside {layout.shape}")
                continue
            depth, mask = depths.get(key), masks.get(key)
            used |= {one for one in (depth, mask) if one is not None}
            if depth is None:
                skip(path, "no depth")
            else:
                normal = folders[0] == layout.normal
                files.append(ListedFile(path, folders[0], part, depth, None if normal else mask))
        if not files and reasons["no depth"]:
            raise InputError(
                f"None of the {reasons['no depth']} pictures in {str(root)!r} has its depth (layout: {layout.name}: "
                f"{layout.shape}). Name each depth as its picture, or use another layout (data.layout)."
            )
        for lonely in in_order([Skipped(path, "") for path in {*depths.values(), *masks.values()} - used]):
            skip(lonely.path, "a depth or mask without its picture")
        remarks = [line for why, count in reasons.items() for line in counted("files", why, count)]
        return finished(root, layout, files, skipped, remarks)

    def clue(self, root: Path, tree: Walk) -> str:
        """Folders of depth, or of masks, beside one of pictures."""
        for folder, names in sorted(tree.found.items()):
            above, _, last = folder.rpartition("/")
            if last == self.depth and f"{above}/{self.picture}" in tree.found:
                return f"there are folders {above}/{self.picture} and {self.depth}"
            if self.beside and any(name.rpartition(".")[0].endswith("_depth") for name in names):
                return f"there are files in {folder or 'the root'} whose names end in _depth"
        for folder in sorted(tree.found) if self.beside else ():
            above, _, last = folder.rpartition("/")
            if last == self.mask and f"{above}/{self.picture}" in tree.found:
                return f"there are folders {above}/{self.picture} and {self.mask}"
        return ""


RGBD = DepthFolders("rgb", "depth", "mask", beside=True)
MVTEC3D = DepthFolders("rgb", "xyz", "gt", beside=False)


def _sorted_out(
    found: dict[str, list[str]], names: DepthFolders
) -> tuple[list[tuple[str, str]], dict[str, str], dict[str, str]]:
    """Pictures as (key, path), depths and masks as path by key; the key is the picture's place without `rgb/`."""
    pictures: list[tuple[str, str]] = []
    depths: dict[str, str] = {}
    masks: dict[str, str] = {}
    for folder, files in found.items():
        above, _, last = folder.rpartition("/")
        for name in files:
            path, bare = f"{folder}/{name}" if folder else name, stem(name)
            inside = last in (names.picture, names.depth, names.mask)
            place = above if inside else folder
            if last == names.depth or (last != names.mask and bare.endswith("_depth")):
                depths.setdefault(f"{place}/{bare.removesuffix('_depth')}", path)
            elif last == names.mask or bare.endswith("_mask"):
                masks.setdefault(f"{place}/{bare.removesuffix('_mask')}", path)
            else:
                pictures.append((f"{place}/{bare}", path))
    return pictures, depths, masks

"""The layouts `rgbd` (seed 002) and `mvtec3d` (MVTec 3D-AD): each picture has its depth, anomalies mostly a mask.

MVTec 3D-AD: Bergmann, Jin, Sattlegger, Steger, "The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and
Localization", VISAPP 2022.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data.layouts.detection_listing import counted, finished, without_ending
from orchestrator.data.layouts.left_out import of_other_suffix, refuse_lost_folders
from orchestrator.data.layouts.listing import (
    PART_FOLDERS,
    PICTURE_SUFFIXES,
    Layout,
    ListedFile,
    Listing,
    Skipped,
    Walk,
    without_suffix,
)
from orchestrator.data.layouts.names import folded, paired
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
        self._refuse_lost(layout, tree)
        skipped = list(tree.skipped)
        pictures, depths, masks = _sorted_out(tree.found, self)
        keys = [key for key, _ in pictures]
        depth_of, mask_of = (paired(keys, {key: paths[0] for key, paths in one.items()}) for one in (depths, masks))
        files: list[ListedFile] = []
        reasons: Counter[str] = Counter()
        used: set[str] = set()

        def skip(path: str, why: str) -> None:
            skipped.append(Skipped(path, why))
            reasons[why] += 1

        for key, path in pictures:
            part = PART_FOLDERS.get(folded(key.split("/", 1)[0]))
            # <part>/<class>/<stem>
            folders = key.split("/")[1:-1]
            if part is None or not folders:
                skip(path, f"outside {layout.shape}")
                continue
            depth, mask = depth_of.get(key), mask_of.get(key)
            used |= {one for one in (depth, mask) if one is not None}
            if depth is None:
                skip(path, "no depth")
            else:
                normal = folded(folders[0]) == layout.normal
                kind = layout.normal if normal and layout.normal else folders[0]
                files.append(ListedFile(path, kind, part, depth, None if normal else mask))
        if not files and reasons["no depth"]:
            raise InputError(
                f"None of the {reasons['no depth']} pictures in {str(root)!r} has its depth (layout: {layout.name}: "
                f"{layout.shape}). Name each depth as its picture, or use another layout (data.layout). "
                + of_other_suffix(tree)
            )
        every = {path for paths in (*depths.values(), *masks.values()) for path in paths}
        for lonely in in_order(Skipped(path, "") for path in every - used):
            skip(lonely.path, "a depth or mask without its picture")
        remarks = [line for why, count in reasons.items() for line in counted("files", why, count)]
        return finished(root, layout, files, skipped, remarks)

    def depth_of(self, picture: Path) -> Path | None:
        """The depth of a picture anywhere: in the folder beside its own, or beside the picture; None: there is none."""
        stem = without_suffix(picture.name)
        places = [(picture.parent.parent / self.depth, stem)] if folded(picture.parent.name) == self.picture else []
        places += [(picture.parent, f"{stem}_depth")] if self.beside else []
        for folder, wanted in places:
            for suffix in PICTURE_SUFFIXES:
                if (folder / f"{wanted}{suffix}").is_file():
                    return folder / f"{wanted}{suffix}"
        return None

    def is_picture(self, path: Path) -> bool:
        """Whether a file is no depth and no mask, by its folder and its name."""
        ending = without_suffix(path.name).lower()
        belongs = folded(path.parent.name) in (self.depth, self.mask)
        return not belongs and not (self.beside and ending.endswith(("_depth", "_mask")))

    def _refuse_lost(self, layout: Layout, tree: Walk) -> None:
        """InputError where a class's folder, or one of pictures, depth or masks, loses all its files for the suffix."""
        inside = {folder: folder.split("/") for folder in tree.others}
        ours = {folder: parts for folder, parts in inside.items() if folded(parts[0]) in PART_FOLDERS}
        names = (self.picture, self.depth, self.mask)
        places = ["/".join(parts[:2]) for parts in ours.values()]
        refuse_lost_folders(
            tree, layout, [*places, *(one for one, parts in ours.items() if folded(parts[-1]) in names)]
        )

    def clue(self, root: Path, tree: Walk) -> str:
        """Folders of depth, or of masks, beside one of pictures."""
        folders = {tuple(folder.rpartition("/")[::2]): folder for folder in sorted(tree.found)}
        plain = {(above, folded(last)) for above, last in folders}
        for (above, last), folder in folders.items():
            if folded(last) == self.depth and (above, self.picture) in plain:
                return f"there are folders {above}/{self.picture} and {last}"
            names = tree.found[folder] if self.beside else ()
            if any(without_suffix(name).lower().endswith("_depth") for name in names):
                return f"there are files in {folder or 'the root'} whose names end in _depth"
        for above, last in folders if self.beside else ():
            if folded(last) == self.mask and (above, self.picture) in plain:
                return f"there are folders {above}/{self.picture} and {last}"
        return ""


RGBD = DepthFolders("rgb", "depth", "mask", beside=True)
MVTEC3D = DepthFolders("rgb", "xyz", "gt", beside=False)
DEPTH_FOLDERS = {"rgbd": RGBD, "mvtec3d": MVTEC3D}
"""By the layout's name."""


def _sorted_out(
    found: dict[str, list[str]], names: DepthFolders
) -> tuple[list[tuple[str, str]], dict[str, list[str]], dict[str, list[str]]]:
    """Pictures as (key, path), depths and masks as paths by key; the key is the picture's place without `rgb/`."""
    pictures: list[tuple[str, str]] = []
    depths: dict[str, list[str]] = defaultdict(list)
    masks: dict[str, list[str]] = defaultdict(list)
    for folder, files in found.items():
        above, _, last = folder.rpartition("/")
        kind = folded(last)
        place = above if kind in (names.picture, names.depth, names.mask) else folder
        for name in files:
            path, bare = f"{folder}/{name}" if folder else name, without_suffix(name)
            ending = bare.lower()
            if kind == names.depth or (kind != names.mask and ending.endswith("_depth")):
                depths[f"{place}/{without_ending(bare, '_depth')}"].append(path)
            elif kind == names.mask or ending.endswith("_mask"):
                masks[f"{place}/{without_ending(bare, '_mask')}"].append(path)
            else:
                pictures.append((f"{place}/{bare}", path))
    return pictures, depths, masks

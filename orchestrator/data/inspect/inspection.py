"""What a folder of data is understood as, before anything is made of it: from names, headers, series and hashes."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from orchestrator.data.files.content_hashes import Sources, read_sources
from orchestrator.data.files.csv_table import SeriesError
from orchestrator.data.files.image_files import ImageError, opened_picture, picture_size
from orchestrator.data.files.links import leads_out, without_quotes
from orchestrator.data.files.mask_reading import MaskState, settled_states
from orchestrator.data.files.mask_remarks import mask_remarks
from orchestrator.data.files.picture_facts import Facts, bits_for, facts_of, picture_remarks
from orchestrator.data.files.picture_layers import is_upright, mask_state, planes_of
from orchestrator.data.files.series import Reading, parse_series
from orchestrator.data.files.series_remarks import series_remarks
from orchestrator.data.layouts.listing import ListedFile, Listing, Skipped
from orchestrator.data.layouts.names import same_name
from orchestrator.data.layouts.table import LayoutName, find_files, guess_layout
from orchestrator.data.split.grouped_division import content_numbers, mixed
from orchestrator.data.split.make_split import SplitSettings, UndrawnFiles, make_split
from orchestrator.data.split.split import Split
from trainables.errors import InputError

MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "RGB": "RGB",
    "RGBA": "RGB with transparency",
    "CMYK": "CMYK",
    "F": "fractions",
}


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was understood of a folder."""

    listing: Listing
    why: str
    """What says that this is the layout."""
    normal: str | None
    found: UndrawnFiles
    sizes: Counter[tuple[int, int]]
    """How many pictures have each (height, width)."""
    modes: Counter[str]
    """How many are grey, RGB, 16-bit, ..."""
    masks: tuple[MaskState, ...]
    """Of each anomaly, where any has a mask."""
    depths: int
    """Pictures with depth."""
    skipped: tuple[Skipped, ...]
    duplicates: int
    """Pictures beyond the first of their content."""
    across: int
    """Pictures with a copy in another of the parts that the folders supply."""
    conflicting: int
    """Pictures with a copy in another class; where a normal class is known, on the other side."""
    split: Split | None
    """By the default settings; None where it can't be made."""
    refusal: str
    """Why not."""
    remarks: tuple[str, ...]
    grouped: bool = False
    """Whether an expression for source pictures was given."""


def inspect(
    data: str | Path,
    *,
    layout: LayoutName | None = None,
    normal: str | None = None,
    group: str | None = None,
    sheet: str | Path | None = None,
) -> Inspection:
    """What is understood of the data in a folder, reading each file once; of pictures, the headers only.

    `layout` is guessed where it is None. `normal` names the normal class of class folders, for detection; `group` is
    the expression for source pictures; `sheet` a .png file that gets a contact sheet. InputError for what can't be
    listed, for a wrong `normal` or `group`, and where the sheet can't be written.
    """
    root = Path(data)
    try:
        settings = SplitSettings(group=group)
    except ValidationError as error:
        raise InputError(f"--group is {group!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
    guessed, why = (layout, "as asked") if layout is not None else guess_layout(root)
    listing = find_files(root, guessed)
    normal = _normal(listing, normal)
    look = _Look(listing, normal)
    found = UndrawnFiles.of(look.files, look.content)
    if not look.files:
        what = "read as a series" if listing.layout.plots else "opened as a picture"
        first = f" The first, {look.skipped[0].path!r}: {look.skipped[0].reason}." if look.skipped else ""
        raise InputError(f"None of the {len(listing.files)} files in {str(root)!r} can be {what}.{first}")
    split, refusal = None, ""
    try:
        split = make_split(found, settings, normal)
    except InputError as error:
        refusal = str(error)
    contents = content_numbers(found.content)
    sides = found.labels if normal is None else (found.labels != found.classes.index(normal)).astype(np.int64)
    parts = np.array([str(part) for part in found.parts])
    if sheet is not None:
        from orchestrator.data.inspect.contact_sheet import write_contact_sheet  # it draws, which takes long to import

        write_contact_sheet(listing, Path(sheet), normal, bits=look.bits)
    states = settled_states(look.masks, look.values)
    return Inspection(
        listing=listing,
        why=why,
        normal=normal,
        found=found,
        sizes=look.sizes,
        modes=look.modes,
        masks=tuple(states) if any(states) else (),
        depths=sum(file.depth is not None for file in look.files),
        skipped=(*listing.skipped, *look.skipped),
        duplicates=len(contents) - len(np.unique(contents)),
        across=int(mixed(contents, np.unique(parts, return_inverse=True)[1]).sum()),
        conflicting=int(mixed(contents, sides).sum()),
        split=split,
        refusal=refusal,
        remarks=(
            *listing.remarks,
            *picture_remarks(look.facts, look.bits, look.upright),
            *(mask_remarks(zip(states, look.values, strict=True)) if any(states) else []),
            *(series_remarks(look.readings, None, "drop") if look.readings else []),
        ),
        grouped=group is not None,
    )


class _Look:
    """What the files' headers and bytes say."""

    def __init__(self, listing: Listing, normal: str | None) -> None:
        self.files: list[ListedFile] = []
        self.content: list[str] = []
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.modes: Counter[str] = Counter()
        self.masks: list[MaskState] = []
        self.values: list[str] = []
        self.facts: list[Facts] = []
        self.upright = is_upright(planes_of(listing.files))
        self.skipped: list[Skipped] = []
        self.readings: dict[str, Reading] = {}
        for file in listing.files:
            try:
                sources = read_sources(str(listing.root), file)
                if listing.layout.plots:
                    self.readings[file.path] = parse_series(sources.picture).reading
                else:
                    self._header(file, sources, normal)
            except OSError as error:
                self.skipped.append(Skipped(file.path, f"can't be read: {error.strerror}"))
            except (ImageError, SeriesError) as error:
                out = leads_out(str(listing.root), file.path)
                self.skipped.append(Skipped(file.path, without_quotes(str(error)) if out else str(error)))
            else:
                self.files.append(file)
                self.content.append(sources.content)

    def _header(self, file: ListedFile, sources: Sources, normal: str | None) -> None:
        with opened_picture(sources.picture) as image:
            mode = image.mode
        size = picture_size(sources.picture, self.upright)
        self.facts.append(facts_of(sources.picture))
        self.sizes[size] += 1
        self.modes["16-bit grey" if mode.startswith("I") else MODES.get(mode, mode)] += 1
        if file.class_name != normal:
            mask = sources.mask
            told: tuple[MaskState, str] = ("", "") if mask is None else mask_state(mask, size, None)
            self.masks.append(told[0])
            self.values.append(told[1])

    @property
    def bits(self) -> int | None:
        """What pictures of more than 8 bits would be read as."""
        return bits_for(one.top for one in self.facts)


def _normal(listing: Listing, given: str | None) -> str | None:
    if given is None:
        return listing.normal
    classes = sorted({file.class_name for file in listing.files})
    if listing.normal not in (None, given):
        raise InputError(
            f"--normal is {given!r}, and in the layout {listing.layout.name} the normal class is {listing.normal!r}. "
            "Leave it out."
        )
    known = same_name(given, classes)
    if known is None:
        raise InputError(f"--normal is {given!r}; it must be one of the classes: {', '.join(classes[:20])}.")
    return known

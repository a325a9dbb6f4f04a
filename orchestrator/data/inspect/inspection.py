"""What a folder of data is understood as, before anything is made of it: from names, headers, series and pixels."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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
from orchestrator.data.files.sight import Sight, series_sight
from orchestrator.data.inspect.content_look import Seen, bound_remarks, look_into_pictures
from orchestrator.data.layouts.listing import ListedFile, Listing, Skipped
from orchestrator.data.layouts.names import same_name
from orchestrator.data.layouts.table import LayoutName, find_files, guess_layout
from orchestrator.data.split.alike import alike_remarks
from orchestrator.data.split.grouped_division import content_numbers, mixed
from orchestrator.data.split.make_split import SplitSettings, UndrawnFiles, make_split
from orchestrator.data.split.source_names import group_suggestion
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
    """Pictures beyond the first of their content: of what is seen, as far as it was looked at, else of their bytes."""
    by_bytes: int
    """Those of them beyond the first of their bytes."""
    across: int
    """Pictures with a copy in another of the parts that the folders supply."""
    conflicting: int
    """Pictures with a copy in another class; where a normal class is known, on the other side."""
    split: Split | None
    """By the default settings; None where it can't be made."""
    refusal: str
    """Why not."""
    near: NDArray[np.int64]
    """The size of each group of near-duplicates."""
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
    """What is understood of the data in a folder: of all files the bytes, and of as many pictures as a bound allows the
    pixels. What was not looked at is said.

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
    seen = look.seen()
    found = replace(found, sights=seen.names, views=seen.whole)
    split, refusal = _default_split(found, seen, settings, normal)
    contents = content_numbers(found.content, found.sights)
    sides = found.labels if normal is None else (found.labels != found.classes.index(normal)).astype(np.int64)
    parts = np.array([str(part) for part in found.parts])
    if sheet is not None:
        from orchestrator.data.inspect.contact_sheet import write_contact_sheet  # it draws, which takes long to import

        pairs = split.alike.pairs if split is not None and split.alike is not None else ()
        write_contact_sheet(listing, Path(sheet), normal, bits=look.bits, pairs=pairs)
    states = settled_states(look.masks, look.values)
    return Inspection(
        listing=listing,
        why=why,
        normal=normal,
        found=found,
        sizes=Counter(look.size_of),
        modes=look.modes,
        masks=tuple(states) if any(states) else (),
        depths=sum(file.depth is not None for file in look.files),
        skipped=(*listing.skipped, *look.skipped),
        duplicates=len(contents) - len(np.unique(contents)),
        by_bytes=len(contents) - len(set(found.content)),
        across=int(mixed(contents, np.unique(parts, return_inverse=True)[1]).sum()),
        conflicting=int(mixed(contents, sides).sum()),
        split=split,
        refusal=refusal,
        near=seen.groups(found.content),
        remarks=(
            *listing.remarks,
            *bound_remarks(seen, listing.layout.plots),
            *picture_remarks(look.facts, look.bits, look.upright),
            *(mask_remarks(zip(states, look.values, strict=True)) if any(states) else []),
            *(series_remarks(look.readings, None, "drop") if look.readings else []),
            *(group_suggestion(look.files) if group is None else []),
        ),
        grouped=group is not None,
    )


def _default_split(
    found: UndrawnFiles, seen: Seen, settings: SplitSettings, normal: str | None
) -> tuple[Split | None, str]:
    """The split that default settings give, with the near-duplicates in it; or None, and why there is none."""
    try:
        split = make_split(found, settings, normal)
    except InputError as error:
        return None, str(error)
    if split.alike is None and len(seen.rows) > 1:
        alike = seen.alike(found.content, split)
        numbers = split.numbers()[seen.rows]
        split = replace(split, alike=alike, remarks=(*split.remarks, *alike_remarks(alike, numbers, settings.grouped)))
    return split, ""


class _Look:
    """What the files' headers and bytes say."""

    def __init__(self, listing: Listing, normal: str | None) -> None:
        self.listing = listing
        self.files: list[ListedFile] = []
        self.content: list[str] = []
        self.size_of: list[tuple[int, int]] = []
        self.series: list[Sight] = []
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
                    series = parse_series(sources.picture)
                    self.readings[file.path] = series.reading
                    self.series.append(series_sight(series.values))
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
        self.size_of.append(size)
        self.modes["16-bit grey" if mode.startswith("I") else MODES.get(mode, mode)] += 1
        if file.class_name != normal:
            mask = sources.mask
            told: tuple[MaskState, str] = ("", "") if mask is None else mask_state(mask, size, None)
            self.masks.append(told[0])
            self.values.append(told[1])

    def seen(self) -> Seen:
        """What is seen in the files, as far as a bound allows."""
        if self.listing.layout.plots:
            return Seen.of(self.series)
        return Seen.of(look_into_pictures(self.listing, self.files, self.size_of, self.bits, self.upright))

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

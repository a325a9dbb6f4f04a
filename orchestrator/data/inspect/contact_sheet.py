"""A contact sheet: some pictures of each class, with the outlines of defects and the depth below, as one PNG."""

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from orchestrator.data.files.content_hashes import Sources, read_sources
from orchestrator.data.files.depth_files import decode_depth
from orchestrator.data.files.image_files import ImageError, decode_picture
from orchestrator.data.files.mask_reading import read_mask
from orchestrator.data.files.picture_layers import is_upright, planes_of
from orchestrator.data.layouts.listing import ListedFile, Listing
from orchestrator.data.split.alike import Pair
from trainables.errors import InputError
from trainables.files import as_utf8, write_whole

COLUMNS = 8
MOST_ROWS = 40
CELL = 128
GAP = 6
LABEL_WIDTH, LABEL_HEIGHT = 190, 78
HEAD = 44
PAPER, INK, GREY, MISSING = (255, 255, 255), (20, 20, 20), (110, 110, 110), (235, 235, 235)
OUTLINE = (255, 0, 80)
UNKNOWN = (60, 60, 160)
"""Where the depth is not known."""
FONT = 15

Picture = NDArray[np.uint8]
Place = tuple[int, int]


def write_contact_sheet(
    listing: Listing,
    file: Path,
    normal: str | None = None,
    seed: int = 0,
    bits: int | None = None,
    pairs: Sequence[Pair] = (),
) -> None:
    """Draw the sheet and write it to `file`. InputError where that is no .png, or can't be written."""
    if file.suffix.lower() != ".png":
        raise InputError(f"--sheet is {str(file)!r}; it must end in .png.")
    encoded = io.BytesIO()
    contact_sheet(listing, normal, seed, bits, pairs).save(encoded, format="png")
    try:
        write_whole(file, encoded.getvalue(), wait=True, shared=True)
    except OSError as error:
        raise InputError(f"The contact sheet {str(file)!r} can't be written: {error.strerror}.") from error


def contact_sheet(
    listing: Listing,
    normal: str | None = None,
    seed: int = 0,
    bits: int | None = None,
    pairs: Sequence[Pair] = (),
) -> Image.Image:
    """A row a class, the normal class first, of up to 8 pictures drawn at random; at most 40 classes.

    `bits`: what pictures of more than 8 bits use of them. `pairs`: near-duplicates in different parts, which come last,
    side by side.
    """
    chosen = _chosen(listing, seed)
    names = sorted(chosen, key=lambda name: (name != (normal or listing.normal), name))
    shown = names[:MOST_ROWS]
    decode = _decoder(listing, bits)
    cells = {name: [_cells(listing, file, decode) for file in chosen[name]] for name in shown}
    heights = {name: _row_heights(cells[name]) for name in shown}
    rows = [pairs[start : start + COLUMNS // 2] for start in range(0, len(pairs), COLUMNS // 2)]
    height = HEAD + sum(sum(lines) + GAP * (len(lines) + 1) for lines in heights.values())
    height += len(rows) * (CELL + 2 * GAP)
    sheet = Image.new("RGB", (LABEL_WIDTH + COLUMNS * (CELL + GAP) + GAP, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    more = f", {len(names) - MOST_ROWS} more classes" if len(names) > MOST_ROWS else ""
    outlined = "; red: outline of the mask" if any(file.mask is not None for file in listing.files) else ""
    below = (
        "; below: depth, dark is low, blue is unknown" if any(file.depth is not None for file in listing.files) else ""
    )
    title = f"{listing.root.name}: {len(listing.files)} files, layout {listing.layout.name}{more}{outlined}{below}"
    _write(pen, (GAP, 13), title, FONT, INK)
    top = HEAD
    for name in shown:
        pen.line((GAP, top - GAP, sheet.width - GAP, top - GAP), fill=MISSING)
        _label(pen, top, name, Counter(file.part or "" for file in listing.files if file.class_name == name))
        for line, height in enumerate(heights[name]):
            for column, stack in enumerate(cells[name]):
                if line < len(stack):
                    _paste(sheet, stack[line], (LABEL_WIDTH + column * (CELL + GAP), top), height)
            top += height + GAP
        top += GAP
    files = {file.path: file for file in listing.files}
    for number, row in enumerate(rows):
        pen.line((GAP, top - GAP, sheet.width - GAP, top - GAP), fill=MISSING)
        if not number:
            _write(pen, (GAP, top), "near-duplicates", FONT, INK)
            for line, text in enumerate(("in different parts,", "side by side")):
                _write(pen, (GAP, top + 24 + 18 * line), text, FONT - 2, GREY)
        for place, pair in enumerate(row):
            for side, path in enumerate((pair.one, pair.other)):
                left = LABEL_WIDTH + (2 * place + side) * (CELL + GAP) - side * GAP
                _paste(sheet, _cells(listing, files[path], decode)[0], (left, top), CELL)
        top += CELL + 2 * GAP
    return sheet


def _row_heights(cells: list[list[Image.Image | None]]) -> list[int]:
    """How high each line of a class's row is: as its highest cell, and the first at least as its label."""
    lines = range(max(map(len, cells)))
    columns = [[stack[line] for stack in cells if line < len(stack)] for line in lines]
    heights = [max(CELL if cell is None else cell.height for cell in column) for column in columns]
    return [max(heights[0], LABEL_HEIGHT), *heights[1:]]


def _chosen(listing: Listing, seed: int) -> dict[str, list[ListedFile]]:
    """Up to 8 files of each class, those with a mask before others."""
    by_class: dict[str, list[ListedFile]] = defaultdict(list)
    for file in listing.files:
        by_class[file.class_name].append(file)
    generator = np.random.default_rng(seed)
    chosen = {}
    for name in sorted(by_class):
        files = by_class[name]
        order = generator.permutation(len(files)).tolist()
        order.sort(key=lambda row: files[row].mask is None)
        chosen[name] = [files[row] for row in sorted(order[:COLUMNS])]
    return chosen


def _decoder(listing: Listing, bits: int | None) -> Callable[[Sources], Picture]:
    """From the bytes of a file to its picture; ImageError or another ValueError where it has none."""
    upright = is_upright(planes_of(listing.files))
    if not listing.layout.plots:
        return lambda sources: decode_picture(sources.picture, None, bits=bits, upright=upright)
    from orchestrator.data.files.series import parse_series
    from orchestrator.data.plotting.renderer import Renderer  # matplotlib, which pictures do not need

    renderer = Renderer("seed", (CELL * 3 // 4 * 2, CELL * 2))
    return lambda sources: renderer.picture(parse_series(sources.picture, None).values)


def _cells(listing: Listing, file: ListedFile, decode: Callable[[Sources], Picture]) -> list[Image.Image | None]:
    """The picture with its defects outlined and, where there is one, its depth; None for what can't be read."""
    try:
        sources = read_sources(str(listing.root), file)
        picture = Image.fromarray(decode(sources))
    except (OSError, ValueError):
        return [None]
    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = np.array(picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC))
    if sources.mask is not None:
        small = _outlined(small, sources.mask, picture.size)
    cells: list[Image.Image | None] = [Image.fromarray(small)]
    if sources.depth is not None:
        cells.append(_depth(sources.depth, size))
    return cells


def _outlined(small: Picture, mask: bytes, size: tuple[int, int]) -> Picture:
    """A line around the defects, outside them, so that even one pixel stays to be seen."""
    try:
        drawn = Image.fromarray(read_mask(mask, upright=True).plane)
    except ImageError:
        return small
    if drawn.size != size:
        return small
    # BOX and not nearest: a defect that is thinner than a pixel here must not vanish.
    inside = np.asarray(drawn.resize((small.shape[1], small.shape[0]), Image.Resampling.BOX)) > 0
    outlined = small.copy()
    outlined[binary_dilation(inside, np.ones((3, 3), dtype=np.bool_)) & ~inside] = OUTLINE
    return outlined


def _depth(depth: bytes, size: tuple[int, int]) -> Image.Image | None:
    """The depth in greys from its 2nd to its 98th percentile."""
    try:
        values = decode_depth(depth, upright=True)
    except ImageError:
        return None
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2, 98])
    grey = np.nan_to_num((values - low) / max(float(high - low), 1e-12)).clip(0, 1)
    colours = np.repeat((40 + 215 * grey).astype(np.uint8)[..., None], 3, axis=2)
    colours[~np.isfinite(values)] = UNKNOWN
    return Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)


def _paste(sheet: Image.Image, cell: Image.Image | None, place: Place, height: int) -> None:
    left, top = place
    if cell is None:
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((left, top, left + CELL - 1, top + height - 1), fill=MISSING)
        _write(pen, (left + 28, top + height // 2 - 8), "unreadable", FONT - 2, GREY)
        return
    sheet.paste(cell, (left + (CELL - cell.width) // 2, top + (height - cell.height) // 2))


def _label(pen: ImageDraw.ImageDraw, top: int, name: str, parts: Counter[str]) -> None:
    font = ImageFont.load_default(FONT)
    while len(name) > 1 and pen.textlength(_printable(name), font) > LABEL_WIDTH - 2 * GAP:
        name = name.rstrip("…")[:-1] + "…"
    _write(pen, (GAP, top), name, FONT, INK)
    for line, (part, count) in enumerate(sorted(parts.items(), key=lambda item: "train validation test".find(item[0]))):
        _write(pen, (GAP, top + 24 + 18 * line), f"{count} {part}".strip(), FONT - 2, GREY)


def _write(pen: ImageDraw.ImageDraw, place: Place, text: str, size: int, colour: tuple[int, int, int]) -> None:
    pen.text(place, _printable(text), fill=colour, font=ImageFont.load_default(size))


def _printable(text: str) -> str:
    """The text without what would break the line or can't be encoded."""
    return as_utf8(text).replace("\n", " ")

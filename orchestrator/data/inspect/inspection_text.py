"""An inspection for a person, and for other programs."""

from collections import Counter
from typing import Any

from orchestrator.data.inspect.inspection import Inspection
from orchestrator.data.layouts.listing import PARTS
from orchestrator.data.layouts.names import times, visible
from orchestrator.data.split.alike import error_text
from orchestrator.data.split.split import Split
from trainables.files import as_utf8

MOST = 5
MOST_CLASSES = 40


def inspection_text(seen: Inspection) -> str:
    """What was understood, as lines."""
    listing, found = seen.listing, seen.found
    normal = f" The normal class is {seen.normal!r}." if seen.normal is not None else ""
    what = "series" if listing.layout.plots else "pictures"
    lines = [
        f"{visible(str(listing.root))}: layout {listing.layout.name} ({seen.why}).{normal}",
        "",
        *_table(class_counts(seen), f"{len(found.paths)} {what}"),
        "",
    ]
    if seen.sizes:
        lines += [f"Sizes:       {_sizes(seen.sizes)}", f"Colours:     {_counts(seen.modes)}"]
    if seen.depths:
        lines.append(f"Depth:       of all {seen.depths}")
    if seen.masks:
        usable = seen.masks.count("known")
        lines.append(f"Masks:       {usable} of {len(seen.masks)} anomalies have one that can be used")
    elif seen.normal is not None:
        lines.append("Masks:       none, so there will be no figures of pixels")
    lines += [f"Duplicates:  {_duplicates(seen)}", f"Near-dupl.:  {_near(seen)}"]
    lines += [f"  - {line}" for line in pair_lines(seen)]
    if seen.split is not None and seen.grouped:
        lines.append(f"Sources:     {len(set(seen.split.groups))} different source pictures")
    reasons = Counter(one.reason for one in seen.skipped)
    others = sum(seen.listing.others.values())
    left_out = f"{len(seen.skipped)} files or lines" if reasons else ""
    left_out += f"{' and ' if reasons else ''}{others} for the suffix" if others else ""
    lines.append(f"Left out:    {left_out or 'nothing'}")
    for reason, count in reasons.most_common():
        example = next(one.path for one in seen.skipped if one.reason == reason)
        lines.append(f"  - {times(count)}: {reason}, such as '{visible(example)}'")
    lines += [f"  - {remark}" for remark in seen.remarks]
    lines.append("")
    if seen.split is None:
        lines += ["No split can be made with the default settings:", f"  {seen.refusal}"]
    else:
        lines += _table(split_counts(seen, seen.split), "The split by default settings")
        lines += [f"  - {remark}" for remark in seen.split.remarks]
    return "\n".join(map(as_utf8, lines))


def inspection_json(seen: Inspection) -> dict[str, Any]:
    """The same, as what JSON holds."""
    return {
        "path": str(seen.listing.root),
        "layout": seen.listing.layout.name,
        "why": seen.why,
        "normal": seen.normal,
        "pictures": len(seen.found.paths),
        "classes": class_counts(seen),
        "sizes": [[*size, count] for size, count in seen.sizes.most_common()],
        "colours": dict(seen.modes),
        "depths": seen.depths,
        "masks": {state or "missing": count for state, count in Counter(seen.masks).items()},
        "duplicates": seen.duplicates,
        "by_bytes": seen.by_bytes,
        "across": seen.across,
        "conflicting": seen.conflicting,
        "near_duplicates": {"pictures": int(seen.near.sum()), "groups": len(seen.near), **_apart(seen)},
        "skipped": [{"path": one.path, "reason": one.reason} for one in seen.skipped],
        "other_suffixes": seen.listing.others,
        "remarks": list(seen.remarks),
        "split": None if seen.split is None else split_counts(seen, seen.split),
        "split_remarks": [] if seen.split is None else list(seen.split.remarks),
        "split_refused": seen.refusal,
        "source_pictures": None if seen.split is None else len(set(seen.split.groups)),
    }


def class_counts(seen: Inspection) -> dict[str, dict[str, int]]:
    """How many pictures each class has in each part that the folders supply, the normal class first."""
    found = seen.found
    counts: Counter[tuple[int, str]] = Counter(
        zip(found.labels.tolist(), (part or "" for part in found.parts), strict=True)
    )
    parts = [part for part in (*PARTS, "") if any(part == there for _, there in counts)]
    order = sorted(range(len(found.classes)), key=lambda label: (found.classes[label] != seen.normal, label))
    return {found.classes[label]: {part or "pictures": counts[label, part] for part in parts} for label in order}


def split_counts(seen: Inspection, split: Split) -> dict[str, dict[str, int]]:
    """How many pictures of each class the default settings put in each part, the normal class first."""
    counts = {part: Counter(seen.found.labels[getattr(split, part)].tolist()) for part in PARTS}
    labels = {name: label for label, name in enumerate(seen.found.classes)}
    return {name: {part: counts[part][labels[name]] for part in PARTS} for name in class_counts(seen)}


def _table(counts: dict[str, dict[str, int]], title: str) -> list[str]:
    columns = list(next(iter(counts.values())))
    names = list(counts)[:MOST_CLASSES]
    width = max(len(title), *(len(name) + 2 for name in names))
    lines = [title.ljust(width) + "".join(column.rjust(12) for column in columns)]
    for name in names:
        lines.append(f"  {name}".ljust(width) + "".join(str(counts[name][column]).rjust(12) for column in columns))
    if len(counts) > MOST_CLASSES:
        lines.append(f"  and {len(counts) - MOST_CLASSES} more classes")
    return lines


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    if len(sizes) <= MOST:
        return ", ".join(f"{height}x{width} ({count})" for (height, width), count in sizes.most_common())
    heights, widths = [height for height, _ in sizes], [width for _, width in sizes]
    common = ", ".join(f"{height}x{width} ({count})" for (height, width), count in sizes.most_common(3))
    return (
        f"{len(sizes)} different, {min(heights)} to {max(heights)} high and {min(widths)} to {max(widths)} wide; "
        f"most often {common}"
    )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _duplicates(seen: Inspection) -> str:
    if not seen.duplicates:
        return "none"
    sides = "both as normal and as an anomaly" if seen.normal is not None else "under several classes"
    shown = "numbers" if seen.listing.layout.plots else "pixels"
    others = seen.duplicates - seen.by_bytes
    repeat = f"bytes, {others} its {shown} in other bytes" if others else "bytes"
    return (
        f"{seen.by_bytes} files repeat another one's {repeat}; {seen.across} have a copy in another part, "
        f"{seen.conflicting} stand {sides}"
    )


def _near(seen: Inspection) -> str:
    if not len(seen.near):
        return "none"
    held = f"{int(seen.near.sum())} files, in {len(seen.near)} groups of up to {int(seen.near.max())}"
    if seen.split is None:
        return held
    total = _apart(seen)["apart"]
    return f"{held}; {total} have one in another part of the split below{', such as' if total else ''}"


def _apart(seen: Inspection) -> dict[str, Any]:
    """How many have a near-duplicate in another part, and some pairs."""
    alike = None if seen.split is None else seen.split.alike
    return {
        "apart": 0 if alike is None else alike.total,
        "by_part": {} if alike is None else alike.counts,
        "pairs": [] if alike is None else [list(pair) for pair in alike.pairs],
    }


def pair_lines(seen: Inspection) -> list[str]:
    """Some near-duplicates in different parts, a line each."""
    if seen.split is None or seen.split.alike is None:
        return []
    part_of = dict(zip(seen.split.paths, seen.split.part_names(), strict=True))
    return [
        f"'{visible(pair.one)}' ({part_of[pair.one]}) and '{visible(pair.other)}' ({part_of[pair.other]}): "
        + error_text(pair.error, not seen.listing.layout.plots)
        for pair in seen.split.alike.pairs
    ]

"""What a walk did not take: said each time, and an error where a folder loses all that it holds by it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.data.layouts.listing import HIDDEN, Layout, ListedFile, Walk
from orchestrator.data.layouts.names import MASKS, plain, quoted, visible
from trainables.errors import InputError
from trainables.files import as_utf8

MOST = 6
"""Suffixes that a sentence names."""
ABOUT_DATA = frozenset(
    (
        ".md", ".rst", ".pdf", ".doc", ".docx", ".odt", ".html", ".htm", ".css", ".js", ".py", ".pyc", ".ipynb", ".m",
        ".r", ".sh", ".bat", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".lock", ".tex", ".bib",
    )
)  # fmt: skip
"""Suffixes of texts and programs, which are about data and hold none: a folder of them is no class that got lost."""


def remarks_on(tree: Walk, layout: Layout) -> list[str]:
    """What was left out for its suffix or for its place, and folders that hold nothing; a sentence each."""
    remarks = []
    if tree.others:
        remarks.append(f"{of_other_suffix(tree)} Only {listed_suffixes(layout)} files are taken.")
    apart = +tree.apart
    if apart:
        hidden = apart.pop(HIDDEN, 0)
        parts = [f"{count} in '{visible(folder)}'" for folder, count in apart.most_common(MOST)]
        parts += [f"{count} with {HIDDEN}"] if hidden and (count := hidden) else []
        more = f" and {len(apart) - MOST} more folders" if len(apart) > MOST else ""
        remarks.append(
            f"{plural(apart.total() + hidden, 'file')} left alone, since hidden or in a system's folder: "
            f"{', '.join(parts)}{more}."
        )
    if empty := [folder for folder in tree.empty if folder]:  # of the root itself other sentences say it
        verb = "holds" if len(empty) == 1 else "hold"
        remarks.append(f"{plural(len(empty), 'folder')} {verb} nothing: {quoted(empty)}.")
    return remarks


def of_other_suffix(tree: Walk) -> str:
    """A sentence on the files that have another suffix; empty where there are none."""
    suffixes = tree.suffixes
    if not suffixes:
        return ""
    return f"{plural(suffixes.total(), 'file')} left out for the suffix: {_listed(suffixes, tree.examples)}."


def refuse_lost_folders(tree: Walk, layout: Layout, places: Iterable[str]) -> None:
    """InputError where a folder of `places` (relative paths) holds files, in it or below, and none is taken."""
    kept: set[str] = set()
    for folder in tree.found:
        parts = folder.split("/")
        kept.update("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    lost = {place: Counter[str]() for place in sorted(set(places)) if place and place not in kept}
    for folder, counts in tree.others.items():
        parts = folder.split("/")
        for end in range(1, len(parts) + 1):
            if "/".join(parts[:end]) in lost:
                lost["/".join(parts[:end])].update(counts)
    named = {place: counts for place, counts in lost.items() if not ABOUT_DATA.issuperset(counts)}
    if named:
        labels = [place for place in named if plain(place.rpartition("/")[2]) in MASKS]
        hint = f" By the name {quoted(labels)} holds labels or masks: class folders take none." if labels else ""
        found = sum(named.values(), Counter[str]())
        raise InputError(
            f"None of the files in {_folders(len(named))} {quoted(named)} has a suffix that is taken. Found: "
            f"{_listed(found, tree.examples)}; the layout {layout.name} takes {listed_suffixes(layout)}. Convert these "
            f"files, or move what is not of the data out of its folder.{hint if layout.normal is None else ''}"
        )


def nothing_found(root: object, layout: Layout, tree: Walk, every: Iterable[Layout]) -> InputError:
    """What to say where no file has one of a layout's suffixes; `every` layout may be the one that was meant."""
    message = f"No {listed_suffixes(layout)} files in {str(root)!r} or the folders below it (layout: {layout.name}). "
    others = tree.suffixes
    if tree.skipped:
        first = tree.skipped[0]
        message += f"{plural(len(tree.skipped), 'entry')} left out, such as '{visible(first.path)}': {first.reason}. "
    message += "".join(f"{remark} " for remark in remarks_on(tree._replace(others={}), layout))
    if not others:
        return InputError(message + "There are no other files either. Check the path (data.path).")
    counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in others.most_common(5))
    message += f"Found instead: {counts}. "
    for other in every:
        if other.suffixes != layout.suffixes and any(suffix in other.suffixes for suffix in others):
            return InputError(message + f"Use layout: {other.name} (data.layout), or check the path (data.path).")
    return InputError(message + "Check the path (data.path).")


def name_remarks(files: Iterable[ListedFile]) -> list[str]:
    """A remark on files whose names are no UTF-8."""
    odd = [file.path for file in files if as_utf8(file.path) != file.path]
    if not odd:
        return []
    which = "The path of 1 file holds" if len(odd) == 1 else f"The paths of {len(odd)} files hold"
    return [f"{which} bytes that are no UTF-8, which are written out where it is shown: {quoted(odd, 1)}."]


def listed_suffixes(layout: Layout) -> str:
    """The suffixes that a layout takes, in words."""
    return in_words(layout.suffixes)


def in_words(names: Sequence[str]) -> str:
    """`.csv`, `.csv or .tsv`, `.csv, .tsv or .csv.gz`."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]


def plural(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def _listed(suffixes: Counter[str], examples: dict[str, str]) -> str:
    """How many files have each suffix, with an example: those of most files, and how many others."""
    most = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    parts = [
        f"{count} {visible(suffix) or 'without one'} (such as '{visible(examples[suffix])}')"
        for suffix, count in most[:MOST]
    ]
    if len(most) > MOST:
        parts.append(f"{sum(count for _, count in most[MOST:])} with {len(most) - MOST} others")
    return ", ".join(parts)


def _folders(count: int) -> str:
    return "the folder" if count == 1 else f"the {count} folders"

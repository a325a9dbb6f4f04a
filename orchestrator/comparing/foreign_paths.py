"""Paths as another tool has them -> the pictures of a split, where that leaves no doubt."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SEVERAL = -1
"""Stands for a path's end that several pictures share."""


@dataclass(frozen=True)
class Joined:
    """Which picture each path names."""

    places: tuple[int | None, ...]
    """By row, the place of the picture; None: the path names none, or it can't be told which."""
    how: str = ""
    """What was taken for granted, in words; empty where the paths are the pictures' own."""


def join_paths(paths: Sequence[str], pictures: Sequence[str], wanted: Collection[int]) -> Joined:
    """Match paths with pictures, so that as many as can be of the `wanted` places are named.

    Paths may begin at another folder than those of the pictures: the folder that is left out on either side is one for
    the whole file, that which the longest ends that the paths share with just one picture name most often. Where names
    alone tell pictures apart, a path that is the whole end of just one picture's, or the other way round, names it.
    """
    keys, known = [_key(path) for path in paths], [_key(path) for path in pictures]
    exact = {key: place for place, key in enumerate(known)}
    ends: dict[str, int] = {}
    for place, key in enumerate(known):
        for end in _ends(key):
            ends[end] = SEVERAL if end in ends else place
    rules = Counter(rule for key in keys if (rule := _rule(key, exact, ends, known)) is not None)
    ways = [_by_rule(keys, exact, *rule) for rule, _ in rules.most_common(1)]
    ways.append(_by_whole_end(keys, exact, ends))
    needed = set(wanted)
    return max(ways, key=lambda way: len(needed.intersection(way.places)))


def _key(path: str) -> str:
    """A path with slashes of one kind and without what says nothing of where it leads."""
    return "/".join(part for part in path.strip().replace("\\", "/").split("/") if part not in ("", "."))


def _ends(key: str) -> list[str]:
    """The path, and what is left of it from each further folder on: the longest first."""
    parts = key.split("/")
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _rule(key: str, exact: dict[str, int], ends: dict[str, int], known: Sequence[str]) -> tuple[str, str] | None:
    """The folders left out before the longest end that the path shares with one picture; None: there is none."""
    if key in exact:
        return "", ""
    end = next((end for end in _ends(key) if end in ends), None)
    if end is None or ends[end] == SEVERAL:
        return None
    return key.removesuffix(end), known[ends[end]].removesuffix(end)


def _by_rule(keys: Sequence[str], exact: dict[str, int], theirs: str, ours: str) -> Joined:
    places = tuple(exact.get(ours + key[len(theirs) :]) if key.startswith(theirs) else None for key in keys)
    left = [f"`{theirs}` before each of its paths is left out"] if theirs else []
    left += [f"`{ours}` stands before each of the run's"] if ours else []
    return Joined(places, " and ".join(left))


def _by_whole_end(keys: Sequence[str], exact: dict[str, int], ends: dict[str, int]) -> Joined:
    places: list[int | None] = []
    for key in keys:
        inside = next((exact[end] for end in _ends(key) if end in exact), None)
        place = inside if inside is not None else ends.get(key, SEVERAL)
        places.append(None if place == SEVERAL else place)
    return Joined(tuple(places), "its paths are matched by their ends, each of which one picture alone has")

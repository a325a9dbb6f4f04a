"""Names that look as if files were of one source lead to a value that works; other names lead to none."""

import re
from collections.abc import Iterable

import pytest

from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.split.grouped_division import content_numbers, group_pictures
from orchestrator.data.split.settings import SplitSettings
from orchestrator.data.split.source_names import group_suggestion


def files(stems: Iterable[tuple[str, str]]) -> list[ListedFile]:
    return [ListedFile(f"{name}/{stem}.png", name, None) for name, stem in stems]


SOURCES = {
    "patches": [("ab"[source % 2], f"img{source:02}_p{patch}") for source in range(8) for patch in range(4)],
    "windows": [("ab"[source % 2], f"rec{source}-{window:03}") for source in range(6) for window in range(30)],
    "tiles": [("ab"[(road + at) % 2], f"road_{road}_{160 * at}_0") for road in range(30) for at in range(5)],
    "slices": [("ab"[source % 2], f"s{source:02}e{part:02}") for source in range(8) for part in range(3)],
    "days": [("ab"[day % 2], f"2026-01-{day:02}_{run}") for day in range(1, 20) for run in range(1, 4)],
    "with strays": [*[("ab"[source % 2], f"img{source}_{patch}") for source in range(9) for patch in range(9)],
                    ("a", "cover"), ("b", "last")],
}  # fmt: skip
OTHERS = {
    "running numbers": [("ab"[number % 2], f"img_{number:04}") for number in range(60)],
    "a kind a class": [(name, f"{name}1_{number}") for name in "abc" for number in range(30)],
    "kinds without a number": [
        ("ab"[kind == "arma"], f"{kind}_{n}") for kind in ("ar", "ma", "arma") for n in range(9)
    ],
    "settings that mix classes": [("ab"[n % 2], f"exp{n % 5}_num_{1000 + n}") for n in range(90)],
    "hashes": [("ab"[n % 2], f"{n * 7919:08x}-ad40-{n * 104729:012x}") for n in range(60)],
    "each alone": [("ab"[n % 2], f"img{n}_1") for n in range(40)],
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_seen_and_the_value_groups_them(name: str) -> None:
    given = files(SOURCES[name])
    (said,) = group_suggestion(given)
    found = re.search(r"data\.split\.group: '(.*?)' in the file, or --set 'data\.split\.group=(.*?)'\.$", said)
    assert found is not None
    assert found[1] == found[2]
    expression = SplitSettings(group=found[1]).group
    paths = [file.path for file in given]
    groups = group_pictures(paths, content_numbers(paths), expression)
    count = int(re.search(r"one source: (\d+) such as", said)[1])  # type: ignore[index]
    assert len(set(groups.names)) == count + groups.unmatched


def test_the_sentence_names_an_example() -> None:
    (said,) = group_suggestion(files(SOURCES["patches"]))
    assert "8 such as 'img07' (img07_p0, img07_p1, img07_p2, …) hold 32 of 32 files" in said


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_suggest_nothing(name: str) -> None:
    assert group_suggestion(files(OTHERS[name])) == []


def test_few_classes_need_few_files() -> None:
    assert group_suggestion([]) == []
    assert group_suggestion(files([("a", "img1_1")])) == []

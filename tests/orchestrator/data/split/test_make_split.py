"""Three parts: stratified, seeded, duplicates together, supplied parts kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from orchestrator.data.files.picture_layers import FullPicture
from orchestrator.data.files.sight import picture_sight
from orchestrator.data.layouts.listing import Part
from orchestrator.data.split.grouped_division import divided
from orchestrator.data.split.make_split import Split, SplitSettings, make_split
from orchestrator.data.split.near_duplicates import Packed
from trainables.errors import InputError


@dataclass
class Data:
    """What a split needs to know, without pictures."""

    labels: NDArray[np.int64]
    classes: Sequence[str]
    content: Sequence[str]
    parts: Sequence[Part | None]
    fingerprint: str = "data"
    sights: Sequence[str] = ()
    views: Packed | None = None
    paths: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        self.paths = tuple(f"{self.classes[label]}/{row}.csv" for row, label in enumerate(self.labels))


def data(
    counts: Sequence[int], content: Sequence[object] | None = None, parts: Sequence[Part | None] | None = None
) -> Data:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple("abcdefghij"[: len(counts)])
    contents = tuple(map(str, content if content is not None else range(len(labels))))
    return Data(labels, names, contents, tuple(parts) if parts else (None,) * len(labels))


def counts_of(split: Split, labels: NDArray[np.int64], classes: int) -> list[list[int]]:
    return [
        np.bincount(labels[rows], minlength=classes).tolist() for rows in (split.train, split.validation, split.test)
    ]


def test_every_row_is_in_one_part_and_classes_keep_their_shares() -> None:
    given = data([100, 20, 7, 3])
    split = make_split(given, SplitSettings())
    rows = np.concatenate([split.train, split.validation, split.test])
    assert sorted(rows.tolist()) == list(range(130))
    assert counts_of(split, given.labels, 4) == [[70, 14, 5, 1], [15, 3, 1, 1], [15, 3, 1, 1]]
    for part in (split.train, split.validation, split.test):
        assert part.dtype == np.int64
        assert np.array_equal(part, np.sort(part))
    assert split.remarks == ()


@pytest.mark.parametrize("shares", [(0.5, 0.25, 0.25), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33)])
def test_shares_are_settings(shares: tuple[float, float, float]) -> None:
    given = data([200, 40])
    split = make_split(given, SplitSettings(train=shares[0], validation=shares[1], test=shares[2]))
    for part, share in zip((split.train, split.validation, split.test), shares, strict=True):
        assert abs(np.sum(given.labels[part] == 0) - 200 * share) < 1
        assert abs(np.sum(given.labels[part] == 1) - 40 * share) < 1


def test_the_seed_divides_and_only_the_seed() -> None:
    given = data([50, 50])
    first, same = make_split(given, SplitSettings()), make_split(given, SplitSettings())
    other = make_split(given, SplitSettings(seed=1))
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert np.array_equal(first.test, same.test)
    assert not np.array_equal(first.test, other.test)
    given.fingerprint = "other data"
    assert make_split(given, SplitSettings()).fingerprint != first.fingerprint


def test_the_split_does_not_go_by_the_order_of_files() -> None:
    given = data([300, 300])
    split = make_split(given, SplitSettings())
    assert abs(split.train[split.train < 300].mean() - 150) < 30
    assert abs(split.test[split.test < 300].mean() - 150) < 50


def test_duplicates_stay_together_and_are_counted() -> None:
    generator = np.random.default_rng(0)
    content = [f"a{number}" for number in generator.integers(0, 40, 100)] + list(range(50))
    given = data([100, 50], content)
    split = make_split(given, SplitSettings())
    parts = [{given.content[row] for row in rows} for rows in (split.train, split.validation, split.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert split.duplicates == 150 - len(set(map(str, content)))
    assert (split.conflicting, split.across) == (0, 0)
    assert [remark for remark in split.remarks if "repeat another one's bytes" in remark]
    for rows, share in zip((split.train, split.validation, split.test), (0.7, 0.15, 0.15), strict=True):
        assert abs(np.sum(given.labels[rows] == 0) - 100 * share) <= 5


def test_one_large_group_of_duplicates_leaves_something_for_every_part() -> None:
    given = data([12, 3], ["same"] * 10 + ["x", "y"] + [1, 2, 3])
    split = make_split(given, SplitSettings())
    assert counts_of(split, given.labels, 2) == [[10, 1], [1, 1], [1, 1]]


def test_a_content_under_two_classes_is_reported_and_stays_together() -> None:
    given = data([10, 10], [*range(10), 0, 1, 1000, *range(11, 18)])
    split = make_split(given, SplitSettings())
    assert split.conflicting == 4
    assert "4 pictures with the same bytes stand under different classes" in split.remarks[-1]
    part = {row: number for number, rows in enumerate((split.train, split.validation, split.test)) for row in rows}
    assert part[0] == part[10]
    assert part[1] == part[11]


def supplied(*parts: tuple[Part, int]) -> list[Part | None]:
    return [part for part, count in parts for _ in range(count)]


def test_supplied_parts_are_kept() -> None:
    parts = supplied(("train", 4), ("validation", 3), ("test", 3)) * 2
    split = make_split(data([10, 10], parts=parts), SplitSettings(seed=5))
    for name in ("train", "validation", "test"):
        assert getattr(split, name).tolist() == [row for row, part in enumerate(parts) if part == name]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (supplied(("train", 85), ("test", 15)), (70, 15, 15)),
        (supplied(("train", 85), ("validation", 15)), (70, 15, 15)),
        (supplied(("train", 100)), (70, 15, 15)),
    ],
)
def test_parts_that_are_not_supplied_are_cut_from_train(
    parts: list[Part | None], expected: tuple[int, int, int]
) -> None:
    given = data([100, 100], parts=parts * 2)
    split = make_split(given, SplitSettings())
    assert counts_of(split, given.labels, 2) == [[count] * 2 for count in expected]
    for name in set(parts) - {"train"}:
        assert getattr(split, str(name)).tolist() == [row for row, part in enumerate(given.parts) if part == name]


def test_duplicates_across_supplied_parts_are_reported_not_moved() -> None:
    parts = supplied(("train", 4), ("validation", 3), ("test", 3)) * 2
    content = list(range(20))
    content[7] = content[0]
    split = make_split(data([10, 10], content, parts), SplitSettings())
    assert 0 in split.train
    assert 7 in split.test
    assert (split.across, split.duplicates) == (2, 1)
    assert [remark for remark in split.remarks if "2 pictures have a copy in another part" in remark]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (data([10, 2]), r"Class 'b' has too few .*: 2, and each of train, validation, test .* makes 3"),
        (data([10, 5], [*range(10), 1, 1, 1, 1, 1]), r"Class 'b' has too few .*: 1,"),
        (data([10, 5], [*range(10), 11, 11, 11, 11, 12]), r"Class 'b' has too few .*: 2,"),
        (data([4, 4], parts=supplied(("test", 8))), "no train"),
        (
            data([4, 4], parts=[*supplied(("train", 4)), *supplied(("train", 3), ("test", 1))]),
            "Class 'a' has 4 pictures and none of them is in test.*folder test",
        ),
        (
            data([4, 4], parts=[*supplied(("test", 4)), *supplied(("train", 3), ("test", 1))]),
            r"Class 'a' has too few .*: 0, and each of train, validation",
        ),
    ],
)
def test_a_class_that_is_too_small_is_named(given: Data, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_split(given, SplitSettings())


def test_shares_must_make_one() -> None:
    with pytest.raises(ValidationError, match="must make 1"):
        SplitSettings(train=0.7, validation=0.2, test=0.2)
    for wrong in ({"train": 0.0}, {"train": 1.2}, {"seed": -1}, {"tests": 0.1}):
        with pytest.raises(ValidationError):
            SplitSettings(**wrong)


def test_a_split_survives_its_file(tmp_path: Path) -> None:
    given = data([10, 10], [*range(10), 0, *range(11, 20)])
    given.paths = ("a/\udcff\n.csv", *given.paths[1:])
    split = make_split(given, SplitSettings())
    split.save(tmp_path / "split.json")
    loaded = Split.load(tmp_path / "split.json")
    for name in ("paths", "data", "fingerprint", "remarks", "duplicates", "conflicting", "across"):
        assert getattr(loaded, name) == getattr(split, name)
    for name in ("train", "validation", "test"):
        assert np.array_equal(getattr(loaded, name), getattr(split, name))


def test_a_split_that_was_changed_or_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    make_split(data([10, 10]), SplitSettings()).save(path)
    saved = json.loads(path.read_text())
    saved["pictures"][0][1] = "test" if saved["pictures"][0][1] != "test" else "train"
    path.write_text(json.dumps(saved))
    with pytest.raises(InputError, match="was changed"):
        Split.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        Split.load(path)
    with pytest.raises(InputError, match="can't be read"):
        Split.load(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8], r"too .*: 1, .*5 of its 5 files are copies of one another: 1 different"),
        ([1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 9], r"too .*: 2, .*5 of its 5 files are copies of one another: 2 different"),
        ([1, 1, 2, 2, 3, 3, 4, 1, 2, 2, 3, 3], r"too few .*: 0, .*5 of its 5 files are copies of other classes'"),
        ([1, 1, 2, 2, 3, 3, 4, 1, 2, 2, 8, 8], r"too .*3 of its 5 files are copies of other .*; 2 of .*: 1 different"),
        ([1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 8, 9], r"too few .*: 2, .*\. 3 of its 5 files are copies of other classes'"),
    ],
)  # fmt: skip
def test_a_class_of_copies_is_refused_with_that_reason(content: list[int], words: str) -> None:
    with pytest.raises(InputError, match=f"Class 'b' has {words}"):
        make_split(data([7, 5], content), SplitSettings())


def test_a_class_of_few_files_is_not_said_to_hold_copies() -> None:
    with pytest.raises(InputError, match="Class 'b' has too few") as caught:
        make_split(data([7, 2]), SplitSettings())
    assert "cop" not in str(caught.value)


def test_patches_are_named_only_where_they_are_grouped() -> None:
    given = data([7, 5])
    given.paths = tuple(f"{'ab'[row > 6]}/{'x' if row > 6 else row}_{row}.csv" for row in range(12))
    with pytest.raises(InputError, match="5 files are copies, or patches of the same source pictures, of one another"):
        make_split(given, SplitSettings(group=r"^(.*)_\d+$"))


def copies_of(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Each moved by a pixel, and 5 % darker."""
    return [(np.roll(one, 1, axis=1) * 0.95).astype(np.uint8) for one in pictures]


def with_views(
    pictures: list[NDArray[np.uint8]], labels: Sequence[int], parts: list[Part | None] | None = None
) -> Data:
    """The pictures with all that is seen in them."""
    given = data([len(pictures)], parts=parts)
    given.labels, given.classes = np.array(labels), tuple("abc"[: max(labels) + 1])
    sights = [picture_sight(FullPicture(Image.fromarray(one), None)) for one in pictures]
    given.sights, given.views = [one.name for one in sights], np.stack([one.views for one in sights])
    return given


def noisy(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8))


def test_what_is_seen_decides_where_it_is_known() -> None:
    bytes_alone = data([30, 30])
    given = data([30, 30], [*range(60)])
    given.sights = [f"seen {row % 20}" for row in range(60)]  # three each, some under both classes
    split, before = make_split(given, SplitSettings()), make_split(bytes_alone, SplitSettings())
    parts = split.part_names()
    assert parts[:20] == parts[20:40] == parts[40:]
    assert (split.duplicates, split.by_bytes, split.conflicting, before.duplicates) == (40, 0, 60, 0)
    assert "40 of 60 pictures repeat another one's content (0 its bytes, 40 in others)" in split.remarks[0]
    assert "60 pictures with the same content stand under different classes" in split.remarks[1]
    given = data([30, 30])
    given.sights = [f"seen {row}" for row in range(60)]
    same = make_split(given, SplitSettings())
    assert (same.fingerprint, same.by_bytes) == (before.fingerprint, 0), "where nothing shows the same, nothing changes"


def test_near_duplicates_are_counted_and_fall_apart() -> None:
    first = noisy(40)
    split = make_split(with_views([*first, *copies_of(first)], [0, 1] * 40), SplitSettings())
    parts = split.part_names()
    apart = [row for row in range(40) if parts[row] != parts[40 + row]]
    assert split.alike is not None
    assert 10 < len(apart) == split.alike.total / 2
    assert sum(split.alike.counts.values()) == 2 * len(apart)
    assert len(split.alike.pairs) == 6
    for one, other, error in split.alike.pairs:
        rows = [split.paths.index(one), split.paths.index(other)]
        assert rows[0] % 40 == rows[1] % 40
        assert parts[rows[0]] in ("validation", "test")
        assert parts[rows[0]] != parts[rows[1]]
        assert error < 1
    assert f"{2 * len(apart)} pictures have a near-duplicate in another part" in split.remarks[-1]
    assert "data.split.near_duplicates: group keeps those on one side" in split.remarks[-1]


def test_one_key_keeps_near_duplicates_together() -> None:
    first = noisy(40)
    split = make_split(with_views([*first, *copies_of(first)], [0, 1] * 40), SplitSettings(near_duplicates="group"))
    parts = split.part_names()
    assert parts[:40] == parts[40:]
    assert split.groups[40:] == split.groups[:40]
    assert split.alike is not None
    assert (split.alike.total, split.alike.pairs) == (0, ())
    assert "80 of 80 pictures are near-duplicates, in 40 groups of up to 2; each group" in split.remarks[0]


def test_where_there_are_none_the_key_changes_nothing_and_says_so() -> None:
    given = with_views(noisy(40), [0, 1] * 20)
    grouped, counted = (make_split(given, SplitSettings(near_duplicates=how)) for how in ("group", "count"))
    assert grouped.remarks == (
        "No two pictures are near-duplicates, so data.split.near_duplicates: group changes nothing.",
    )
    assert counted.remarks == ()


def test_near_duplicates_in_supplied_parts_are_kept_and_counted() -> None:
    first = noisy(12)
    parts = supplied(("train", 6), ("validation", 3), ("test", 3)) * 2
    moved = copies_of(first)
    others = noisy(24)[12:]
    # The first class's six in train have their copies in the second one's validation and test.
    given = with_views([*first[:6], *others, *moved[:6]], [0] * 12 + [1] * 12, parts)
    split = make_split(given, SplitSettings(near_duplicates="group"))
    assert split.part_names() == parts
    assert split.alike is not None
    assert split.alike.counts == {"train": 6, "validation": 3, "test": 3}
    (said,) = [remark for remark in split.remarks if "near-duplicate in another part" in remark]
    assert said.startswith("12 pictures have a near-duplicate in another part (3 of 6 in test, 3 of 6 in validation")
    assert "as the data's folders supply the parts" in said


def test_large_groups_go_to_each_part_in_proportion() -> None:
    """Ten videos of 10 frames and 900 single pictures: no part holds single ones alone."""
    groups = np.concatenate([np.repeat(np.arange(10), 10), np.arange(10, 910)])
    shares: dict[Part, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
    rows, drawn = np.arange(1000), np.random.default_rng(0)
    numbers = divided(rows, groups, shares, "a", drawn, alike=True)
    assert np.bincount(numbers).tolist() == [800, 100, 100]
    assert np.bincount(numbers[:100]).tolist() == [80, 10, 10]
    assert np.bincount(divided(rows, groups, shares, "a", drawn)).tolist() == [800, 100, 100]


def test_one_group_that_swallows_a_class_is_explained() -> None:
    (still,) = noisy(1)
    frames = [np.roll(still, frame % 2, axis=1) for frame in range(20)]
    other = noisy(21)[1:]
    given = with_views([*frames, *other], [0] * 20 + [1] * 20)
    with pytest.raises(InputError, match=r"Class 'a' has too few different pictures to divide: 1.*or near-duplicates,"):
        make_split(given, SplitSettings(near_duplicates="group"))
    given = with_views([*frames[:17], *noisy(30)[26:29], *other], [0] * 20 + [1] * 20)
    split = make_split(given, SplitSettings(near_duplicates="group"))
    (said,) = [remark for remark in split.remarks if "The largest group of near-duplicates holds 17" in remark]
    assert "where the smallest part that is cut was to hold 6" in said

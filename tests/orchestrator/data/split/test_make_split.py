"""Three parts: stratified, seeded, duplicates together, supplied parts kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from orchestrator.data.layouts.listing import Part
from orchestrator.data.split.make_split import Split, SplitSettings, make_split
from trainables.errors import InputError


@dataclass
class Data:
    """What a split needs to know, without pictures."""

    labels: NDArray[np.int64]
    classes: Sequence[str]
    content: Sequence[str]
    parts: Sequence[Part | None]
    fingerprint: str = "data"
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

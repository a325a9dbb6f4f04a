"""Repeated splits and folds: every picture is tested once a repeat, groups stay whole, what can't be is explained."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from orchestrator.data.layouts.listing import ListedFile, Part
from orchestrator.data.split.make_split import Split, SplitSettings, UndrawnFiles, make_split
from trainables.errors import InputError


def data(counts: dict[str, int], patches: int = 1, part: Part | None = None) -> UndrawnFiles:
    """So many files of each class, `patches` of one source each."""
    return UndrawnFiles.of(
        [
            ListedFile(f"{name}/{name}{number // patches}_{number % patches}.png", name, part)
            for name, count in counts.items()
            for number in range(count)
        ]
    )


def splits(given: UndrawnFiles, settings: SplitSettings, normal: str | None = None) -> list[Split]:
    return [
        make_split(given, settings.model_copy(update={"number": number}), normal)
        for number in range(1, settings.several + 1)
    ]


def of_classes(given: UndrawnFiles, rows: np.ndarray) -> Counter[str]:
    return Counter(given.classes[label] for label in given.labels[rows].tolist())


@pytest.mark.parametrize("patches", [1, 3])
def test_folds_test_every_picture_once_with_classes_and_sources_in_proportion(patches: int) -> None:
    given = data({"a": 100, "b": 31, "c": 15}, patches)
    settings = SplitSettings(folds=5, group=r"^(.*)_\d+$")
    found = splits(given, settings)
    assert Counter(row for split in found for row in split.test.tolist()) == Counter(range(146))
    for split in found:
        tested = of_classes(given, split.test)
        for name, count in (("a", 100), ("b", 31), ("c", 15)):
            assert abs(tested[name] - count / 5) <= patches
        assert abs(len(split.test) - 146 / 5) <= patches
        assert sorted([*split.train, *split.validation, *split.test]) == list(range(146))
        # train and validation share the rest in the proportion of .7 to .15
        assert abs(len(split.validation) - (146 - len(split.test)) * 0.15 / 0.85) <= 2 * patches
        assert set(of_classes(given, split.validation)) == {"a", "b", "c"}
        assert split.tested == pytest.approx(len(split.test) / 146)
        parts = dict(enumerate(split.part_names()))
        for source in set(split.groups):
            assert len({parts[row] for row, one in enumerate(split.groups) if one == source}) == 1
    assert len({split.fingerprint for split in found}) == 5
    assert len({tuple(split.validation.tolist()) for split in found}) == 5


def test_a_second_repeat_has_other_folds_and_asking_for_it_changes_none_of_the_first() -> None:
    given = data({"a": 60, "b": 40})
    once, twice = splits(given, SplitSettings(folds=4)), splits(given, SplitSettings(folds=4, repeats=2))
    assert [one.fingerprint for one in twice[:4]] == [one.fingerprint for one in once]
    assert Counter(row for split in twice[4:] for row in split.test.tolist()) == Counter(range(100))
    assert not {tuple(one.test.tolist()) for one in twice[4:]} & {tuple(one.test.tolist()) for one in once}


def test_repeats_without_folds_are_divisions_by_other_seeds_and_the_first_is_that_of_one() -> None:
    given = data({"a": 60, "b": 40})
    alone = make_split(given, SplitSettings(seed=7))
    found = splits(given, SplitSettings(seed=7, repeats=4))
    assert found[0].fingerprint == alone.fingerprint
    assert len({split.fingerprint for split in found}) == 4
    assert [split.fingerprint for split in splits(given, SplitSettings(seed=7, repeats=9))[:4]] == [
        split.fingerprint for split in found
    ]
    others = splits(given, SplitSettings(seed=8, repeats=4))
    assert not {split.fingerprint for split in found} & {split.fingerprint for split in others}
    assert {of_classes(given, split.test)["a"] for split in found} == {9}


def test_detection_tests_every_anomaly_once_and_none_trains() -> None:
    given = data({"good": 103, "hole": 14, "ink": 6}, 2)
    found = splits(given, SplitSettings(folds=5, group=r"^(.*)_\d+$"), "good")
    assert Counter(row for split in found for row in split.test.tolist()) == Counter(range(123))
    for split in found:
        assert set(of_classes(given, split.train)) == {"good"}
        tested, chosen = of_classes(given, split.test), of_classes(given, split.validation)
        assert abs(tested["good"] - 103 / 5) <= 2
        assert 2 <= tested["hole"] + tested["ink"] <= 6
        assert tested["hole"] + chosen["hole"] == 14
        assert tested["ink"] + chosen["ink"] == 6
        assert chosen["good"] == pytest.approx((103 - tested["good"]) * 0.15 / 0.85, abs=2)
        assert split.tested == pytest.approx(max(tested["good"] / 103, (tested["hole"] + tested["ink"]) / 20))
        assert "anomalies, are all in validation" in " ".join(split.remarks)
    repeated = splits(given, SplitSettings(repeats=3), "good")
    assert len({tuple(split.test.tolist()) for split in repeated}) == 3


def test_rare_kinds_are_spread_so_that_each_fold_has_an_anomaly() -> None:
    given = data({"good": 40, "hole": 3, "ink": 2, "cut": 1})
    tested = [of_classes(given, split.test) for split in splits(given, SplitSettings(folds=6), "good")]
    assert [one["hole"] + one["ink"] + one["cut"] for one in tested] == [1] * 6


@pytest.mark.parametrize(
    ("counts", "settings", "normal", "said"),
    [
        ({"a": 30, "b": 4}, {"folds": 5}, None, r"class 'b' has 4 different ones, 4 files"),
        ({"good": 30, "hole": 4}, {"folds": 5}, "good", r"needs anomalies in every fold, and there are 4"),
        ({"a": 30, "b": 6}, {"folds": 5}, None, None),
    ],
)
def test_too_few_pictures_for_the_folds_are_told(
    counts: dict[str, int], settings: dict[str, int], normal: str | None, said: str | None
) -> None:
    asked = SplitSettings(**settings)
    if said is None:
        assert len(splits(data(counts), asked)) == 5
        return
    with pytest.raises(InputError, match=said):
        make_split(data(counts), asked, normal)


@pytest.mark.parametrize("asked", [{"repeats": 2}, {"folds": 3}])
def test_parts_that_the_folders_supply_are_divided_once(asked: dict[str, int]) -> None:
    files = [
        ListedFile(f"{part}/{name}/{number}.png", name, part)
        for part in ("train", "test")
        for name in "ab"
        for number in range(20)
    ]
    with pytest.raises(InputError, match=rf"data.split.{next(iter(asked))}: the data's folders supply train and test"):
        make_split(UndrawnFiles.of(files), SplitSettings(**asked))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"folds": 1}, "folds"),
        ({"repeats": 0}, "repeats"),
        ({"folds": 3, "number": 4}, "number is 4, and repeats and folds make 3"),
        ({"number": 2}, "number is 2, and repeats and folds make 1"),
    ],
)
def test_numbers_that_are_none_are_refused(asked: dict[str, int], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SplitSettings(**asked)


def test_the_limit_of_training_pictures_holds_on_every_split() -> None:
    found: Sequence[Split] = splits(data({"a": 60, "b": 40}), SplitSettings(folds=4, train_limit=10))
    assert [len(split.train) for split in found] == [10] * 4
    assert [split.left_out for split in found] == [100 - 10 - len(one.validation) - len(one.test) for one in found]

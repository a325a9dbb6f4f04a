"""Detection splits: normals alone train, supplied parts stay, groups stay whole, what can't be is explained."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    paths: Sequence[str]
    labels: NDArray[np.int64]
    classes: Sequence[str]
    parts: Sequence[Part | None]
    content: Sequence[str]
    fingerprint: str = "data"
    sights: Sequence[str] = ()
    views: None = None


def data(*rows: tuple[str, Part | None, Sequence[str]], content: dict[str, str] | None = None) -> Data:
    """Rows are (kind, part, stems)."""
    listed = [(f"{part}/{kind}/{stem}.png", kind, part) for kind, part, stems in rows for stem in stems]
    classes = sorted({kind for _, kind, _ in listed})
    return Data(
        [path for path, _, _ in listed],
        np.array([classes.index(kind) for _, kind, _ in listed]),
        classes,
        [part for _, _, part in listed],
        [(content or {}).get(path, path) for path, _, _ in listed],
    )


def stems(count: int, start: int = 0) -> list[str]:
    return [f"{number:03}" for number in range(start, start + count)]


def patches(sources: Sequence[str], count: int) -> list[str]:
    return [f"{source}_{number}" for source in sources for number in range(count)]


def counts(given: Data, split: Split) -> dict[str, dict[str, int]]:
    return {
        part: dict(Counter(given.classes[label] for label in given.labels[getattr(split, part)].tolist()))
        for part in ("train", "validation", "test")
    }


def make(given: Data, normal: str = "good", **settings: Any) -> Split:
    return make_split(given, SplitSettings(**settings), normal)


MVTEC = data(
    ("good", "train", stems(85)), ("good", "test", stems(20)), ("crack", "test", stems(10)), ("hole", "test", stems(7))
)


def test_validation_normals_are_cut_from_train_where_the_folders_give_none() -> None:
    split = make(MVTEC)
    assert counts(MVTEC, split) == {
        "train": {"good": 70},
        "validation": {"good": 15},
        "test": {"good": 20, "crack": 10, "hole": 7},
    }
    cut, only = split.remarks
    assert "15 normal pictures of validation are taken from train" in cut
    assert "Validation holds normal pictures only" in only
    assert split.fingerprint == make(MVTEC).fingerprint != make(MVTEC, seed=1).fingerprint


def test_supplied_validation_anomalies_stay_and_get_normals_from_train() -> None:
    spill = data(
        ("good", "train", stems(85)),
        ("spill", "validation", stems(4)),
        ("good", "test", stems(9)),
        ("spill", "test", stems(2)),
    )
    split = make(spill)
    assert counts(spill, split) == {
        "train": {"good": 70},
        "validation": {"good": 15, "spill": 4},
        "test": {"good": 9, "spill": 2},
    }
    assert len(split.remarks) == 1
    with pytest.raises(InputError, match="validation already holds 4"):
        make(spill, anomalies_to_validation=0.3)


def test_supplied_parts_that_hold_all_are_kept() -> None:
    given = data(
        ("good", "train", stems(9)), ("good", "validation", stems(4)), ("good", "test", stems(4)), ("x", "test", ["9"])
    )
    assert counts(given, make(given)) == {
        "train": {"good": 9},
        "validation": {"good": 4},
        "test": {"good": 4, "x": 1},
    }


def test_class_folders_are_divided_with_anomalies_in_validation_and_test_alone() -> None:
    given = data(("good", None, stems(100)), ("a", None, stems(20)), ("b", None, stems(10)), ("c", None, stems(1)))
    split = make(given)
    assert counts(given, split) == {
        "train": {"good": 70},
        "validation": {"good": 15, "a": 10, "b": 5},
        "test": {"good": 15, "a": 10, "b": 5, "c": 1},
    }
    assert split.remarks == ()


def test_groups_with_an_anomaly_go_whole_to_validation_or_test() -> None:
    sources = [f"s{number}" for number in range(10)]
    given = data(
        ("good", None, [f"{one}_0" for one in sources] + patches([f"n{number}" for number in range(30)], 3)),
        ("bad", None, [f"{one}_{number}" for one in sources for number in (1, 2)]),
    )
    split = make(given, group=r"^(.*)_\d+$")
    assert counts(given, split) == {
        "train": {"good": 72},
        "validation": {"good": 14, "bad": 10},
        "test": {"good": 14, "bad": 10},
    }
    groups = np.array(split.groups)
    parts = [set(groups[rows]) for rows in (split.train, split.validation, split.test)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert groups[given.paths.index("None/bad/s3_1.png")] == "s3"


def test_moved_anomalies_take_their_source_pictures_along() -> None:
    sources = [f"t{number}" for number in range(10)]
    given = data(
        ("good", "train", stems(20)),
        ("good", "validation", stems(5, 20)),
        ("good", "test", [f"{one}_0" for one in sources] + ["alone_0"]),
        ("x", "test", [f"{one}_1" for one in sources[:6]]),
        ("y", "test", [f"{one}_1" for one in sources[6:]]),
    )
    split = make(given, group=r"^(.*)_\d+$", anomalies_to_validation=0.5)
    assert counts(given, split) == {
        "train": {"good": 20},
        "validation": {"good": 5 + 5, "x": 3, "y": 2},
        "test": {"good": 6, "x": 3, "y": 2},
    }
    moved, unmatched = split.remarks
    assert moved.startswith("5 of 10 test anomalies were moved to validation, and 5 normal pictures")
    assert "anomalies_to_validation: 0.5" in moved
    assert unmatched.startswith("25 pictures don't match data.split.group")
    groups = np.array(split.groups)
    assert not set(groups[split.validation]) & set(groups[split.test])
    other = make(given, group=r"^(.*)_\d+$", anomalies_to_validation=0.5, seed=3)
    assert other.fingerprint != split.fingerprint


def test_a_share_of_each_kind_moves() -> None:
    split = make(MVTEC, anomalies_to_validation=0.3)
    assert counts(MVTEC, split)["validation"] == {"good": 15, "crack": 3, "hole": 2}
    assert counts(MVTEC, split)["test"] == {"good": 20, "crack": 7, "hole": 5}
    assert not any("normal pictures only" in remark for remark in split.remarks)


def test_groups_that_the_folders_cut_are_counted() -> None:
    given = data(
        ("good", "train", patches(["a", "b", "c", "d"], 5)),
        ("good", "validation", patches(["e"], 2)),
        ("good", "test", ["a_9", "f_0"]),
        ("x", "test", ["b_9", "g_0"]),
    )
    (_, remark) = make(given, group=r"^(.*)_\d+$").remarks
    assert "2 source pictures have patches in several parts (12 pictures)" in remark


def test_copies_join_groups_and_conflicts_are_counted() -> None:
    same = {"None/good/a_0.png": "x", "None/good/b_0.png": "x", "None/good/c_0.png": "y", "None/bad/k_0.png": "y"}
    given = data(
        ("good", None, patches(["a", "b", "c", *"mnopqrst"], 2)),
        ("bad", None, patches(["k", "l", "u", "v"], 1)),
        content=same,
    )
    split = make(given, group=r"^(.*)_\d+$")
    group = dict(zip(given.paths, split.groups, strict=True))
    assert group["None/good/a_1.png"] == group["None/good/b_1.png"] == "a"
    assert group["None/good/c_1.png"] == group["None/bad/k_0.png"] == "c"
    assert (split.duplicates, split.conflicting, split.across) == (2, 2, 0)
    assert "stand both as normal and as an anomaly" in split.remarks[1]
    assert not set(np.array(split.groups)[split.train]) & {"c"}


def test_kinds_of_one_content_are_no_conflict_for_detection() -> None:
    given = data(
        ("good", None, stems(10)),
        ("a", None, stems(4)),
        ("b", None, stems(4)),
        content={"None/a/000.png": "x", "None/b/000.png": "x"},
    )
    assert make(given).conflicting == 0
    assert make_split(given, SplitSettings()).conflicting == 2


def test_train_may_be_limited_and_nothing_else_changes(tmp_path: Path) -> None:
    full, some, more = make(MVTEC), make(MVTEC, train_limit=10), make(MVTEC, train_limit=20)
    assert (len(some.train), some.left_out) == (10, 60)
    assert set(some.train) < set(more.train) < set(full.train)
    assert np.array_equal(some.test, full.test)
    assert np.array_equal(some.validation, full.validation)
    assert len({full.fingerprint, some.fingerprint, more.fingerprint}) == 3
    assert "60 of 70 training pictures are left out" in some.remarks[-1]
    assert make(MVTEC, train_limit=70).fingerprint == full.fingerprint
    some.save(tmp_path / "split.json")
    loaded = Split.load(tmp_path / "split.json")
    assert (loaded.fingerprint, loaded.left_out, loaded.groups) == (some.fingerprint, 60, some.groups)
    assert np.array_equal(loaded.train, some.train)


def test_a_limit_keeps_the_classes_shares() -> None:
    given = data(("a", None, stems(100)), ("b", None, stems(20)))
    split = make_split(given, SplitSettings(train_limit=12))
    assert counts(given, split)["train"] == {"a": 10, "b": 2}
    three = data(("a", None, stems(9)), ("b", None, stems(9)), ("c", None, stems(9)))
    with pytest.raises(InputError, match="train_limit is 2, and train has 3 classes"):
        make_split(three, SplitSettings(train_limit=2))


GOOD = ("good", "train", stems(20))


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (data(GOOD, ("x", "train", ["1", "2"]), ("x", "test", ["3"])), {}, r"put 2 anomalies in train \(x\)"),
        (data(GOOD, ("good", "test", ["1"]), ("x", "validation", ["3"])), {}, "There is no anomaly in test"),
        (data(("good", None, stems(9)), ("x", None, ["1"])), {}, "There are 1 anomalies of 1 different pictures"),
        (data(("good", None, ["1", "2"]), ("x", None, stems(4))), {}, "Class 'good' has too few different pictures"),
        (data(("good", "test", ["1"]), ("x", "test", ["1"])), {}, "and no train"),
        (
            data(GOOD, ("good", "test", ["1"]), ("x", "test", ["1"])),
            {"anomalies_to_validation": 0.3},
            "needs anomalies of at least two different pictures in test",
        ),
        (
            data(GOOD, ("good", "test", ["t_1"]), ("x", "test", ["t_2", "u_1"])),
            {"anomalies_to_validation": 0.7, "group": r"^(.)_\d$"},
            "would leave no normal picture in test",
        ),
        (MVTEC, {"group": "(z)"}, r"matches the stem of no picture, such as 'train/good/000.png'"),
    ],
)
def test_what_can_not_be_divided_is_explained(given: Data, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(given, **settings)


def test_the_normal_class_must_be_one_and_moving_is_for_detection() -> None:
    with pytest.raises(InputError, match="The normal class is 'ok', and the data have 'crack', 'good', 'hole'"):
        make(MVTEC, normal="ok")
    with pytest.raises(InputError, match="anomalies_to_validation is for detection"):
        make_split(MVTEC, SplitSettings(anomalies_to_validation=0.3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "("}, "no regular expression"),
        ({"group": r"^.*_\d+$"}, "and it holds 0"),
        ({"group": "(a)(b)"}, "and it holds 2"),
        ({"anomalies_to_validation": 1}, "less than 1"),
        ({"train_limit": 1}, "greater than or equal to 2"),
    ],
)
def test_settings_are_checked_when_they_are_read(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SplitSettings(**settings)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("good", "train", stems(2)), ("good", "test", ["90"]), ("crack", "test", ["91"])],
            r"There is 1 normal picture \('good'\) in train, and at least 2 are needed.*train 0\.7, validation 0\.15",
        ),
        (
            [("good", "train", stems(4)), ("good", "test", ["90"]), ("crack", "test", ["91"])],
            "There is 1 normal picture .* in validation",
        ),
        (
            [("good", "train", stems(4)), ("good", "validation", ["90"]), ("good", "test", ["91"]), ("x", "test", "y")],
            r"in validation.*Add normal pictures to the folder validation\.",
        ),
        ([("good", None, stems(5)), ("x", None, stems(2, 50))], "There is 1 normal picture .* in validation.*test"),
    ],
)
def test_one_normal_picture_trains_nothing_and_judges_nothing(
    rows: list[tuple[str, Part | None, Sequence[str]]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(data(*rows))


def test_two_normal_pictures_in_train_and_validation_are_enough() -> None:
    given = data(("good", "train", stems(4)), ("good", "test", ["90"]), ("crack", "test", ["91"]))
    split = make(given, train=0.5, validation=0.4, test=0.1)
    assert counts(given, split) == {"train": {"good": 2}, "validation": {"good": 2}, "test": {"good": 1, "crack": 1}}

"""What is drawn, what is not, and what becomes of files that give no picture; with real workers, without Ray."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from builders.drawing import draw_batch
from PIL import Image

from orchestrator.data.files.content_hashes import digest, look_at
from orchestrator.data.files.picture_layers import planes_of
from orchestrator.data.files.series import Gaps, read_series
from orchestrator.data.fill.drawing import recipe_of, shape_of
from orchestrator.data.fill.store_entries import Filling, refuse_failures
from orchestrator.data.layouts.table import LayoutName, find_files
from orchestrator.data.plotting.renderer import Renderer
from orchestrator.data.store.index import read_index
from orchestrator.data.store.store import Store, store_of
from orchestrator.data.store.upkeep import claimed, finish, is_current
from trainables.errors import InputError

SIZE = (12, 16)


def write_series(path: Path, seed: int, length: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(seed).normal(size=length)
    path.write_text("value\n" + "\n".join(map(repr, numbers.tolist())) + "\n")
    settle(path)


def settle(path: Path, age: float = 100.0) -> None:
    """Make a file old enough for its time to be trusted."""
    os.utime(path, (time.time() - age, time.time() - age))


def fill(
    root: Path,
    folder: Path,
    *,
    size: tuple[int, int] | None = SIZE,
    layout: LayoutName = "series",
    column: str | None = None,
    gaps: Gaps = "drop",
) -> tuple[Store, list[str]]:
    """The store and what had to be drawn, in this process."""
    listing = find_files(root, layout)
    recipe = recipe_of(layout, "plain", size, column, planes_of(listing.files), gaps)
    shape = shape_of(recipe, listing)
    with claimed(folder, recipe) as before:
        looks = look_at(listing)
        if before is not None and is_current(folder, before, recipe, shape, digest(listing, looks)):
            return store_of(folder, recipe, before), []
        filling = Filling(listing, looks, folder, recipe, shape, before)
        missing = filling.missing()
        if missing:
            worker = draw_batch(root, folder / "shards", recipe, shape)
            for start in range(0, len(missing), 4):
                filling.add(json.loads(json.dumps(worker.draw(missing[start : start + 4]))))
        index = filling.index()
        if index != before:
            index = finish(folder, recipe, index)
        assert filling.rendered <= len(missing)
        return store_of(folder, recipe, index), [path for path, _, _ in missing]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of three series; the stems repeat, one content too."""
    root = tmp_path / "tree"
    for number in range(3):
        write_series(root / f"a/{number}.csv", number)
        write_series(root / f"b/deep/{number}.csv", number + 10)
    write_series(root / "b/0.csv", 0)
    return root


def expected(store: Store, root: Path) -> np.ndarray:
    renderer = Renderer("plain", SIZE)
    return np.stack([renderer.picture(read_series(root / path).values) for path in store.paths])


def pictures(store: Store) -> np.ndarray:
    return store.pictures[np.arange(len(store.paths))]


def test_each_content_is_drawn_once_and_each_file_has_its_picture(tmp_path: Path, tree: Path) -> None:
    store, drawn = fill(tree, tmp_path / "store")
    assert store.paths == ("a/0.csv", "a/1.csv", "a/2.csv", "b/0.csv", "b/deep/0.csv", "b/deep/1.csv", "b/deep/2.csv")
    assert drawn == [path for path in store.paths if path != "b/0.csv"]
    assert np.array_equal(pictures(store), expected(store, tree))
    assert len({picture.tobytes() for picture in pictures(store)}) == 6


def test_the_bytes_to_read_are_those_of_the_jobs(tmp_path: Path, tree: Path) -> None:
    listing = find_files(tree, "series")
    recipe = recipe_of("series", "plain", SIZE, None, planes_of(listing.files))
    filling = Filling(listing, look_at(listing), tmp_path / "store", recipe, shape_of(recipe, listing), None)
    jobs = filling.missing()
    assert len(jobs) == 6
    assert filling.bytes_of(jobs) == sum((tree / path).stat().st_size for path, _, _ in jobs)
    assert filling.bytes_of(jobs[:1]) == (tree / jobs[0][0]).stat().st_size
    assert filling.bytes_of([]) == 0


def test_a_second_run_draws_nothing_and_writes_nothing(tmp_path: Path, tree: Path) -> None:
    first, _ = fill(tree, tmp_path / "store")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*") if path.is_file()}
    second, drawn = fill(tree, tmp_path / "store")
    assert drawn == []
    assert second.fingerprint == first.fingerprint
    index = read_index(tmp_path / "store")
    assert index is not None
    listing = find_files(tree, "series")
    assert index.seen == digest(listing, look_at(listing))
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*") if path.is_file()}


def test_one_changed_file_draws_one_picture(tmp_path: Path, tree: Path) -> None:
    before, _ = fill(tree, tmp_path / "store")
    write_series(tree / "a/1.csv", 99)
    after, drawn = fill(tree, tmp_path / "store")
    assert drawn == ["a/1.csv"]
    assert after.fingerprint != before.fingerprint
    assert np.array_equal(pictures(after), expected(after, tree))


def test_moved_removed_and_touched_files_draw_nothing(tmp_path: Path, tree: Path) -> None:
    fill(tree, tmp_path / "store")
    (tree / "a/1.csv").rename(tree / "b/moved.csv")
    (tree / "b/deep/2.csv").unlink()
    settle(tree / "a/2.csv", age=50)
    store, drawn = fill(tree, tmp_path / "store")
    assert drawn == []
    assert store.paths == ("a/0.csv", "a/2.csv", "b/0.csv", "b/deep/0.csv", "b/deep/1.csv", "b/moved.csv")
    assert store.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert np.array_equal(pictures(store), expected(store, tree))


def test_a_corrupt_shard_is_found_and_drawn_again(tmp_path: Path, tree: Path) -> None:
    before, _ = fill(tree, tmp_path / "store")
    shards = sorted((tmp_path / "store/shards").glob("*.npy"))
    assert len(shards) == 2
    damaged = shards[0].read_bytes()
    shards[0].write_bytes(damaged[:500] + bytes([damaged[500] ^ 255]) + damaged[501:])
    mended, drawn = fill(tree, tmp_path / "store")
    assert drawn in (["a/0.csv", "a/1.csv", "a/2.csv", "b/deep/0.csv"], ["b/deep/1.csv", "b/deep/2.csv"])
    assert mended.fingerprint == before.fingerprint
    assert np.array_equal(pictures(mended), expected(mended, tree))


def test_another_root_is_hashed_anew(tmp_path: Path, tree: Path) -> None:
    first, _ = fill(tree, tmp_path / "store")
    tree.rename(tmp_path / "elsewhere")
    second, drawn = fill(tmp_path / "elsewhere", tmp_path / "store")
    assert drawn == []
    assert second.fingerprint == first.fingerprint


def test_the_fingerprint_is_the_datas_not_the_sizes(tmp_path: Path, tree: Path) -> None:
    small, _ = fill(tree, tmp_path / "small")
    large, _ = fill(tree, tmp_path / "large", size=(20, 20))
    assert small.fingerprint == large.fingerprint
    assert large.pictures.shape == (7, 20, 20, 3)


BAD = {
    "a/empty.csv": (b"", "empty"),
    "a/binary.csv": (b"\x89PNG\0\0", "binary, not text"),
    "a/text.csv": (b"value\nx\ny\n", "no numbers in column 'value'"),
    "b/one.csv": (b"value\n1\n", "only one number in column 'value'"),
}


def test_bad_files_are_left_out_with_their_reasons_and_not_tried_again(tmp_path: Path, tree: Path) -> None:
    for name, (content, _) in BAD.items():
        (tree / name).write_bytes(content)
        settle(tree / name)
    (tree / "a/gone.csv").symlink_to(tmp_path / "nothing")
    (tree / "loose.csv").write_text("value\n1\n2\n")
    store, drawn = fill(tree, tmp_path / "store")
    assert len(store.paths) == 7
    assert len(drawn) == 6 + len(BAD)
    reasons = dict(store.skipped)
    assert list(reasons) == sorted([*BAD, "a/gone.csv", "loose.csv"])
    for name, (_, reason) in BAD.items():
        assert reasons[name].startswith(reason)
    again, drawn = fill(tree, tmp_path / "store")
    assert drawn == []
    assert again.skipped == store.skipped
    (tree / "a/empty.csv").write_text("value\n5\n6\n")
    mended, drawn = fill(tree, tmp_path / "store")
    assert drawn == ["a/empty.csv"]
    assert "a/empty.csv" in mended.paths


def test_series_that_are_hard_to_draw_are_drawn(tmp_path: Path) -> None:
    texts = {"constant": "5\n" * 30, "zero": "0\n" * 9, "huge": "1e12\n-1e12\n", "gaps": "1\nnan\ninf\n2\n3\n"}
    for name, text in texts.items():
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "1.csv").write_text("value\n" + text)
    store, _ = fill(tmp_path / "tree", tmp_path / "store")
    assert store.skipped == ()
    assert np.array_equal(pictures(store), expected(store, tmp_path / "tree"))


def test_where_no_file_can_be_used_the_common_reasons_are_named(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / f"tree/{'ab'[number % 2]}/{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if number else b"value\n1\n")
    with pytest.raises(InputError, match=r"no file gives a picture.*3 times: empty; once: only one number"):
        fill(tmp_path / "tree", tmp_path / "store")


def test_where_one_class_is_left_it_is_named(tmp_path: Path, tree: Path) -> None:
    for path in (tree / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"only class 'b' has files that give pictures.*3 times: empty"):
        fill(tree, tmp_path / "store")


def test_a_named_column_that_few_files_have_leaves_the_others_out(tmp_path: Path, tree: Path) -> None:
    for name in ("a/x.csv", "b/x.csv"):
        (tree / name).write_text("other,value\n1,2\n3,4\n")
    store, _ = fill(tree, tmp_path / "store", column="other")
    assert store.paths == ("a/x.csv", "b/x.csv")
    assert {reason for _, reason in store.skipped} == {"no column 'other'; the columns are 'value'"}


def test_refusing_failures_names_them(tmp_path: Path, tree: Path) -> None:
    for number in range(12):
        (tree / f"a/bad{number:02}.csv").write_bytes(b"")
    listing = find_files(tree, "series")
    recipe = recipe_of("series", "plain", SIZE, None)
    with claimed(tmp_path / "store", recipe) as before:
        filling = Filling(listing, look_at(listing), tmp_path / "store", recipe, (*SIZE, 3), before)
        worker = draw_batch(tree, tmp_path / "store/shards", recipe, (*SIZE, 3))
        filling.add(worker.draw(filling.missing()))
        with pytest.raises(InputError, match=r"12 files .* strict.*\n  'a/bad00.csv': empty\n(.*\n)+  and 2 more"):
            refuse_failures(filling.index(), tree)


def test_a_file_that_changes_while_it_is_drawn_has_the_newer_picture(tmp_path: Path, tree: Path) -> None:
    listing = find_files(tree, "series")
    recipe = recipe_of("series", "plain", SIZE, None)
    with claimed(tmp_path / "store", recipe) as before:
        filling = Filling(listing, look_at(listing), tmp_path / "store", recipe, (*SIZE, 3), before)
        missing = filling.missing()
        write_series(tree / "a/0.csv", 77)
        write_series(tree / "a/1.csv", 78)
        (tree / "a/2.csv").unlink()
        worker = draw_batch(tree, tmp_path / "store/shards", recipe, (*SIZE, 3))
        filling.add(worker.draw(missing))
        store = store_of(tmp_path / "store", recipe, finish(tmp_path / "store", recipe, filling.index()))
    reasons = dict(store.skipped)
    assert reasons["a/2.csv"] == "can't be read: No such file or directory"
    # Its twin a/0.csv was to be drawn for both, and is another now.
    assert reasons["b/0.csv"] == "it changed while it was read; run again"
    assert np.array_equal(pictures(store), expected(store, tree))
    again, drawn = fill(tree, tmp_path / "store")
    assert drawn == ["b/0.csv"]
    assert again.skipped == ()


def test_pictures_are_taken_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 10, 12, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        path = tmp_path / f"tree/{'train' if number < 2 else 'test'}/{'ab'[number % 2]}/x.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(picture).save(path)
    (tmp_path / "tree/train/a/bad.png").write_bytes(b"\x89PNG")
    store, _ = fill(tmp_path / "tree", tmp_path / "store", layout="images", size=None)
    assert store.parts == ("test", "test", "train", "train")
    assert np.array_equal(pictures(store), pixels[[2, 3, 0, 1]])
    assert store.skipped == (("train/a/bad.png", "no picture of a known format"),)

    Image.fromarray(pixels[0, :5]).save(tmp_path / "tree/test/a/y.png")
    with pytest.raises(
        InputError, match=r"'test/a/x.png' has 10x12 pixels where 'test/a/y.png' has 5x12 pixels.*Set a size"
    ):
        fill(tmp_path / "tree", tmp_path / "store", layout="images", size=None)


def test_pictures_at_their_own_size_lie_on_white(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_series(tmp_path / f"tree/{name}/1.csv", number)
    store, _ = fill(tmp_path / "tree", tmp_path / "store", size=None)
    assert store.pictures.shape == (2, 600, 800, 3)
    for row, (height, width) in enumerate(store.sizes.tolist()):
        picture = store.pictures[np.array([row])][0]
        full = Renderer("plain", None).picture(read_series(tmp_path / "tree" / store.paths[row]).values)
        assert np.array_equal(picture[:height, :width], full)
        assert np.all(picture[height:] == 255)
        assert np.all(picture[:, width:] == 255)


@pytest.fixture
def odd(tree: Path) -> Path:
    """A tree with gaps, cells that can't be read, lines above the table and decimal commas."""
    for name, text in {
        "a/gaps": "value\n1\n\n2\n\n\n3\n",
        "a/cells": "value\n1\nERR\n2\ninf\n5\n",
        "b/above": "# logger 7\ntime,value\n0,20.1\n1,20.4\n",
        "b/commas": 'time;value\n0;"20,1"\n1;20,4\n',
    }.items():
        (tree / f"{name}.csv").write_text(text)
        settle(tree / f"{name}.csv")
    return tree


def test_what_a_reading_left_out_is_said_and_stays_known(tmp_path: Path, odd: Path) -> None:
    store, _ = fill(odd, tmp_path / "store")
    gaps, cells, above, notations = store.remarks
    assert "3 rows without a value, in 1 of 11 files: 'a/gaps.csv' 3. Such rows are dropped" in gaps
    assert "2 cells neither empty nor a number that can be read without doubt, in 1 of 11 files" in cells
    assert "'a/cells.csv' 2, such as 'ERR'" in cells
    assert "'b/above.csv' 1, such as '# logger 7'" in above
    assert "by how many files have it: decimal commas (1)" in notations
    assert fill(odd, tmp_path / "store")[0].remarks == store.remarks
    # Another run, after this one was cut off before its index: the shards know it too.
    (tmp_path / "store/index.json").unlink()
    again, drawn = fill(odd, tmp_path / "store")
    assert (again.remarks, drawn) == (store.remarks, [])
    # And where the shards are packed anew, as most of what they hold is not needed any more.
    shards = {path.name for path in (tmp_path / "store/shards").iterdir()}
    for path in odd.rglob("[0-9].csv"):
        path.unlink()
    packed, drawn = fill(odd, tmp_path / "store")
    assert (len(packed.paths), drawn) == (4, [])
    assert shards.isdisjoint(path.name for path in (tmp_path / "store/shards").iterdir())
    assert [remark.replace("of 4 files", "of 11 files") for remark in packed.remarks] == list(store.remarks)


def test_strict_refuses_cells_that_can_not_be_read_but_no_gaps(tmp_path: Path, odd: Path) -> None:
    fill(odd, tmp_path / "store")
    index = read_index(tmp_path / "store")
    assert index is not None
    with pytest.raises(InputError, match=r"1 file .* strict") as refused:
        refuse_failures(index, odd)
    assert "'a/cells.csv': 2 cells can't be read without doubt, such as 'ERR'" in str(refused.value)
    (odd / "a/cells.csv").unlink()
    fill(odd, tmp_path / "store")
    index = read_index(tmp_path / "store")
    assert index is not None
    refuse_failures(index, odd)


def test_gaps_are_dropped_break_the_line_or_are_filled(tmp_path: Path, odd: Path) -> None:
    renderer = Renderer("plain", SIZE)
    nan = float("nan")
    wanted: dict[Gaps, list[float]] = {
        "drop": [1, 2, 3],
        "break": [1, nan, 2, nan, nan, 3],
        "interpolate": [1, 1.5, 2, 2 + 1 / 3, 2 + 2 / 3, 3],
    }
    for gaps, values in wanted.items():
        store, drawn = fill(odd, tmp_path / gaps, gaps=gaps)
        row = store.paths.index("a/gaps.csv")
        assert np.array_equal(pictures(store)[row], renderer.picture(np.array(values)))
        assert f"(data.gaps: {gaps}" in store.remarks[0]
        assert len(drawn) == 10
    with pytest.raises(InputError, match="gaps drop, not break"):
        fill(odd, tmp_path / "drop", gaps="break")


def test_nothing_is_quoted_from_a_file_that_a_link_out_of_the_tree_leads_to(tmp_path: Path, odd: Path) -> None:
    secrets = tmp_path / "passwd"
    secrets.write_text("root:x:0:0:root:/root:/bin/bash\nuser:x:1:1:it's me:/home:/bin/sh\n")
    (odd / "a/link.csv").symlink_to(secrets)
    (odd / "a/inside.csv").symlink_to(odd / "a/cells.csv")
    (tmp_path / "log").write_text("# made by root\nvalue\n1\nsecret\n2\n3\n")
    (odd / "b/linked.csv").symlink_to(tmp_path / "log")
    (odd / "b/bad.csv").write_text("told:x\nas:y\n")
    store, _ = fill(odd, tmp_path / "store")
    text = (tmp_path / "store/index.json").read_text() + " ".join(store.remarks)
    assert not [word for word in ("x:0:0", "bash", "made by", "secret", "it's me") if word in text]
    reasons = {one.path: one.reason for one in store.skipped}
    assert reasons["a/link.csv"].startswith("no numbers in column '…'")
    assert "'told:x'" in reasons["b/bad.csv"]
    assert store.readings["b/linked.csv"].unread == 1
    assert store.readings["a/inside.csv"].example == "ERR"

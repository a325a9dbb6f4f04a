"""The split of a run: made once by what is seen, shown, and taken up again as it is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.told import Told
from PIL import Image

from orchestrator import Experiment, InputError, RunFolder, run
from orchestrator.data.split.make_split import SplitSettings, make_split
from orchestrator.data.split.split import Split
from orchestrator.data.store.store import open_store
from orchestrator.stages import prepare

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """30 pictures of two classes named by five sources each, each with a copy that is moved by a pixel."""
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        for name, shown in ((0, pixels), (1, np.roll(pixels, 1, axis=1))):
            path = tmp_path / f"tree/{'ab'[number % 2]}/rec{number % 10}-{name}{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown).save(path)
    return tmp_path / "tree"


def rendered(tree: Path, out: Path, how: str = "count", **options: Any) -> tuple[RunFolder, Split, list[str]]:
    heard = Told()
    experiment = Experiment.from_mapping({
        "data": {"path": str(tree), "layout": "images", "size": 20, "split": {"near_duplicates": how}},
        "families": ["pca_logistic"],
    })  # fmt: skip
    folder = run(experiment, out, until="render", reporter=heard, **options)
    return folder, Split.load(folder.split), heard.lines


def apart(split: Split) -> int:
    parts = dict(zip(split.paths, split.part_names(), strict=True))
    return sum(parts[path] != parts[path.replace("-0", "-1")] for path in parts if "-0" in path)


def test_near_duplicates_are_counted_shown_and_grouped_by_one_key(tree: Path, tmp_path: Path) -> None:
    folder, split, said = rendered(tree, tmp_path / "run")
    assert split.alike is not None
    assert 0 < split.alike.total == 2 * apart(split)
    assert sum("have a near-duplicate in another part" in line for line in said) == 1
    gallery = json.loads((folder.near_duplicates / "gallery.json").read_text())["galleries"][0]
    assert len(gallery["rows"]) == len(split.alike.pairs) > 2
    first = split.alike.pairs[0]
    assert gallery["rows"][0]["label"].startswith(f"{first.one} (")
    strip = np.asarray(Image.open(folder.near_duplicates / gallery["rows"][0]["file"]))
    assert strip.shape == (20, 2 * (20 + 2), 3)
    named = [line for line in said if line.startswith("Names look as if several files were of one source: 10 such as")]
    assert len(named) == 1
    assert named[0] in split.remarks

    folder, split, said = rendered(tree, tmp_path / "grouped", "group")
    assert (apart(split), split.alike and split.alike.total) == (0, 0)
    assert any("60 of 60 pictures are near-duplicates, in 30 groups of up to 2" in line for line in said)
    assert not folder.near_duplicates.exists()


def test_a_run_goes_on_with_its_split_which_is_not_made_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, split, said = rendered(tree, tmp_path / "run")
    before = folder.split.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(prepare, "make_split", None)
        again, same, heard = rendered(tree, tmp_path / "run", resume=True)
    assert again.split.read_bytes() == before
    assert same.fingerprint == split.fingerprint
    assert [line for line in heard if "near-duplicate" in line] == [line for line in said if "near-duplicate" in line]
    with pytest.raises(InputError, match=r"data\.split\.near_duplicates: 'count' there, 'group' here"):
        rendered(tree, tmp_path / "run", "group", resume=True)
    Image.new("RGB", (24, 20)).save(tree / "a/more.png")
    with pytest.raises(InputError, match=r"are not those that .* was started with: files were added"):
        rendered(tree, tmp_path / "run", resume=True)


def test_a_split_that_an_older_release_made_stays_what_it_was(tree: Path, tmp_path: Path) -> None:
    """By bytes, copies in other bytes may stand in two parts; a run that was begun so goes on so."""
    for path in sorted(tree.rglob("*-1*.png")):
        Image.open(path.with_name(path.name.replace("-1", "-0"))).save(path, compress_level=0)
    folder, new, _ = rendered(tree, tmp_path / "run")
    assert (apart(new), new.duplicates, new.by_bytes) == (0, 30, 0)
    store = open_store(next(folder.stores.iterdir()))
    bare = make_split(replace(store, sights=(), views=None), SplitSettings())
    told = json.loads(folder.split.read_text())
    bare.save(folder.split)
    older = json.loads(folder.split.read_text())
    folder.split.write_text(json.dumps({name: older[name] for name in told if name not in LATER}))
    _, kept, said = rendered(tree, tmp_path / "run", resume=True)
    assert kept.fingerprint == bare.fingerprint != new.fingerprint
    assert apart(kept) > 3
    assert (kept.duplicates, kept.by_bytes, kept.alike, kept.said) == (0, None, None, None)
    assert not any("near-duplicate" in line for line in said)


LATER = ("said", "by_bytes", "near_duplicates")
"""What older releases did not write."""

"""A tree becomes a store through Ray Data; what is there is not drawn again; kills lose at most a batch a worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from orchestrator.data.files.image_files import decode_picture
from orchestrator.data.files.series import read_series
from orchestrator.data.files.source_files import kinds_for
from orchestrator.data.fill.pipeline import Filled, Progress, divided, fill_store
from orchestrator.data.layouts.table import find_files
from orchestrator.data.plotting.renderer import Renderer
from orchestrator.data.store.store import Store, open_store
from orchestrator.machine.shipping import Shipping
from trainables.errors import InputError

SIZE = (24, 32)


def write_series(path: Path, seed: int, length: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(seed).normal(size=length)
    path.write_text("value\n" + "\n".join(map(repr, numbers.tolist())) + "\n")


def no_engine() -> None:
    raise AssertionError("there is nothing to draw, so the engine must not be started")


def fill_series(root: Path, folder: Path, **options: object) -> Filled:
    return fill_store(root, folder, **({"layout": "series", "style": "plain", "size": SIZE} | options))  # type: ignore[arg-type]


def assert_shows(store: Store, root: Path, style: str = "plain") -> None:
    """Every picture is what the renderer draws of the file beside it."""
    renderer = Renderer(style, SIZE)
    for row, path in enumerate(store.paths):
        assert np.array_equal(store.pictures[np.array([row])][0], renderer.picture(read_series(root / path).values)), (
            path
        )


@pytest.mark.usefixtures("ray_session")
def test_a_tree_is_filled_and_filled_again(tmp_path: Path) -> None:
    root, folder, png = tmp_path / "tree", tmp_path / "store", tmp_path / "png"
    names = ["a/1.csv", "a/2 '\"\n.csv", "b/1.csv", "b/日本/2.csv", "b/\udcff.csv", "c/1.csv", "c/2.csv"]
    for seed, name in enumerate(names):
        write_series(root / name, seed)
    (root / "a/bad.csv").write_bytes(b"\0")
    told: list[Progress] = []

    first = fill_series(root, folder, png=png, on_progress=told.append)
    assert (first.rendered, first.reused) == (7, 0)
    assert first.store.paths == tuple(sorted(names, key=os.fsencode))
    assert first.store.skipped == (("a/bad.csv", "binary, not text"),)
    assert_shows(first.store, root)
    assert [(one.done, one.total, one.failed) for one in told if one.step == "render"][-1] == (8, 8, 1)
    assert [(one.done, one.total, one.failed) for one in told if one.step == "png"][-1] == (7, 7, 0)
    for row, path in enumerate(first.store.paths):
        exported = np.asarray(Image.open(png / path.replace(".csv", ".png")))
        assert np.array_equal(exported, first.store.pictures[np.array([row])][0])

    again = fill_series(root, folder, png=png, start_engine=no_engine, on_progress=pytest.fail)
    assert (again.rendered, again.reused) == (0, 7)
    assert again.store.fingerprint == first.store.fingerprint == open_store(folder).fingerprint

    with pytest.raises(InputError, match=r"1 file .* strict asks for none:\n  'a/bad.csv': binary"):
        fill_series(root, folder, strict=True)

    write_series(root / "b/1.csv", 99)
    changed = fill_series(root, folder, png=png)
    assert (changed.rendered, changed.reused) == (1, 6)
    assert changed.store.fingerprint != first.store.fingerprint
    assert_shows(changed.store, root)
    assert np.array_equal(np.asarray(Image.open(png / "b/1.png")), changed.store.pictures[np.array([2])][0])


@pytest.mark.usefixtures("ray_session")
def test_a_store_that_can_not_be_written_while_drawing_is_explained(tmp_path: Path) -> None:
    for name in ("a/1.csv", "b/1.csv"):
        write_series(tmp_path / "tree" / name, 0 if name == "a/1.csv" else 1)

    def remove_shards(progress: Progress) -> None:
        if progress.done == 0:
            (tmp_path / "store/shards").rmdir()

    with pytest.raises(InputError, match="can't be written: No such file or directory"):
        fill_series(tmp_path / "tree", tmp_path / "store", on_progress=remove_shards)


def test_bad_input_is_told_before_any_engine_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        fill_series(tmp_path / "nothing", tmp_path / "store", start_engine=no_engine)
    for name in ("a/1.csv", "b/1.csv"):
        write_series(tmp_path / "tree" / name, 0)
    with pytest.raises(InputError, match="Unknown plot style"):
        fill_series(tmp_path / "tree", tmp_path / "store", style="sead", start_engine=no_engine)
    with pytest.raises(InputError, match="no store of pictures"):
        fill_series(tmp_path / "tree", tmp_path / "tree", start_engine=no_engine)
    with pytest.raises(InputError, match=r"PNG folder .* with the store"):
        fill_series(tmp_path / "tree", tmp_path / "store", png=tmp_path / "store/png", start_engine=no_engine)
    with pytest.raises(InputError, match=r"PNG folder .* with the pictures they are made from"):
        fill_series(tmp_path / "tree", tmp_path / "store", png=tmp_path / "tree/png", layout="images")
    assert not (tmp_path / "store").exists()


def test_jobs_are_divided_evenly_and_never_into_more_batches_than_needed() -> None:
    assert [len(batch) for batch in divided(range(3), 256, 2)] == [3]
    assert [len(batch) for batch in divided(range(33), 256, 2)] == [11, 11, 11]
    assert [len(batch) for batch in divided(range(10), 4, 2)] == [3, 4, 3]
    many = divided(range(100_000), 256, 2)
    assert len(many) == 391
    assert [job for batch in many for job in batch] == list(range(100_000))
    assert max(map(len, many)) == 256


def slow_tree(root: Path, count: int = 96) -> Path:
    """Pictures that take tens of milliseconds each to decode, whatever the machine draws with."""
    ramp = np.arange(1800 * 1800 * 3, dtype=np.uint32).reshape(1800, 1800, 3)
    for number in range(count):
        path = root / f"{'abcd'[number % 4]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((ramp // (100 + number)).astype(np.uint8)).save(path, compress_level=1)
    return root


def assert_shows_pictures(store: Store, root: Path) -> None:
    assert store.paths == tuple(file.path for file in find_files(root, "images").files)
    for row, path in enumerate(store.paths):
        expected = decode_picture((root / path).read_bytes(), SIZE)
        assert np.array_equal(store.pictures[np.array([row])][0], expected), path


def workers_of(driver: int) -> list[psutil.Process]:
    """The processes that draw for a driver."""
    below = psutil.Process(driver).children(recursive=True)
    return [process for process in below if "DrawBatch" in " ".join(process.cmdline())]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_killed_workers_batch_is_drawn_again(tmp_path: Path) -> None:
    root = slow_tree(tmp_path / "tree")
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.done and not killed:
            worker = workers_of(os.getpid())[0]
            killed.append(worker.pid)
            worker.kill()

    filled = fill_store(root, tmp_path / "store", layout="images", size=SIZE, on_progress=kill_one)
    assert killed
    assert filled.rendered == 96
    assert_shows_pictures(filled.store, root)


DRIVER = """
import os, signal, sys
from pathlib import Path
from orchestrator.data.files.source_files import kinds_for
from orchestrator.data.fill.pipeline import fill_store
from orchestrator.machine.engine import Engine


def die(progress):
    if progress.done >= 32:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    fill_store(
        Path(sys.argv[1]), Path(sys.argv[2]), layout="images", size=(24, 32),
        start_engine=Engine(cpus=2).start, on_progress=die,
    )
"""


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_killed_driver_goes_on_from_its_whole_shards(tmp_path: Path) -> None:
    root, folder = slow_tree(tmp_path / "tree"), tmp_path / "store"
    program = [sys.executable, "-c", DRIVER, str(root), str(folder)]
    driver = subprocess.Popen(program, cwd=Path(__file__).parents[4], stderr=subprocess.DEVNULL)
    helpers: list[psutil.Process] = []
    while driver.poll() is None:
        helpers = psutil.Process(driver.pid).children(recursive=True) or helpers
        time.sleep(0.2)
    assert driver.returncode == -signal.SIGKILL
    # Two of Ray's agents outlive a driver that is killed.
    _, alive = psutil.wait_procs(helpers, timeout=10)
    for process in alive:
        process.kill()
    with pytest.raises(InputError, match="not finished"):
        open_store(folder)
    kept = sum(len(np.load(path, mmap_mode="r")) for path in (folder / "shards").glob("[!.]*.npy"))
    assert 32 <= kept < 96

    resumed = fill_store(root, folder, layout="images", size=SIZE)
    # A shard whose description was not written yet is drawn again: one a worker at most.
    assert kept - 2 * 16 <= 96 - resumed.rendered <= kept
    assert resumed.rendered + resumed.reused == 96
    assert_shows_pictures(resumed.store, root)
    assert not list((folder / "shards").glob(".*"))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for number in range(6000):
        path = tmp_path / f"tree/{'ab'[number % 2]}/{number}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels[0, 0] = (number % 256, number // 256, 0)
        Image.fromarray(pixels).save(path)
    held: dict[int, int] = {}

    def measure(progress: Progress) -> None:
        processes = [psutil.Process(), *workers_of(os.getpid())]
        held[progress.done] = sum(process.memory_info().rss for process in processes)

    size = (128, 128)
    filled = fill_store(tmp_path / "tree", tmp_path / "store", layout="images", size=size, on_progress=measure)
    assert filled.rendered == 6000
    early = min(rss for done, rss in held.items() if 1000 <= done < 3000)
    growth = max(rss for done, rss in held.items() if done >= 3000) - early
    # The second half's pictures are 147 MB.
    assert growth < 3000 * 3 * size[0] * size[1] / 4
    print(f"{growth / 2**20:.0f} MiB more from {early / 2**20:.0f}")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_where_workers_see_no_folder_the_same_comes_out(tmp_path: Path) -> None:
    root, linked = tmp_path / "tree", tmp_path / "elsewhere.csv"
    for seed, name in enumerate(["a/1.csv", "a/2 '\"\n.csv", "b/\udcff.csv", "c/1.csv"]):
        write_series(root / name, seed)
    (root / "a/bad.csv").write_bytes(b"\0")
    linked.write_text("value\nprivate\nwords\n")
    (root / "b/link.csv").symlink_to(linked)
    (root / "c/comma.csv").write_text("value\n" + "\n".join(f'"{number},5"' for number in range(9)))
    plain = fill_series(root, tmp_path / "plain", png=tmp_path / "plain-png")
    folder, png = tmp_path / "store", tmp_path / "png"
    shipping = Shipping(kinds_for(root, folder, png))
    filled = fill_series(root, folder, png=png, shipping=shipping)
    for one, other in ((tmp_path / "plain/shards", folder / "shards"), (tmp_path / "plain-png", png)):
        files = {path.relative_to(one): path.read_bytes() for path in one.rglob("*") if path.is_file()}
        assert files == {path.relative_to(other): path.read_bytes() for path in other.rglob("*") if path.is_file()}
        assert files
    assert filled.store.skipped == plain.store.skipped
    assert filled.store.readings == plain.store.readings
    assert filled.store.remarks == plain.store.remarks
    again = fill_series(root, folder, png=png, shipping=shipping, start_engine=no_engine, on_progress=pytest.fail)
    assert (again.rendered, again.reused) == (0, filled.rendered)

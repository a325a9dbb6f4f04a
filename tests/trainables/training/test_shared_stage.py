import errno
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainables.cache import Cache, Entry
from trainables.files import json_sha256
from trainables.interface import Problem, Samples
from trainables.parts.reconstruction import MeanSquaredError
from trainables.training import batches
from trainables.training import shared_stage as module
from trainables.training.loop import EpochLoop, TrainingConfig
from trainables.training.shared_stage import Stage, shared_stage, stage_key

EPOCHS = 4
PROBLEM = Problem(("a", "b"), (4, 4, 3), EPOCHS, data="these")
KEY = stage_key({"rate": 0.1}, 0, PROBLEM)


def entry_of(folder: Path, key: dict[str, Any] = KEY) -> Entry:
    return Cache(folder).entry("stages", key)


def stage_file(folder: Path, key: dict[str, Any] = KEY) -> Path:
    return entry_of(folder, key).folder / "stage.pt"


def progress_file(folder: Path) -> Path:
    return entry_of(folder).folder / "progress.pt"


class Counted:
    """Pictures that count their readings, and break off at one of them."""

    def __init__(self, seed: int, breaks_at: int | None = None, spread: int = 256) -> None:
        self.array = np.random.default_rng(seed).integers(0, spread, (6, 4, 4, 3), dtype=np.uint8)
        self.shape, self.readings, self.breaks_at = self.array.shape, 0, breaks_at

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.readings += 1
        if self.readings == self.breaks_at:
            raise KeyboardInterrupt
        return self.array[rows]


@pytest.fixture(autouse=True)
def every_epoch_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training keeps pictures at hand: how often they are read tells its epochs."""
    monkeypatch.setattr(batches, "GATHERED_BYTES", 0)


def samples(pictures: Counted) -> Samples:
    return Samples(pictures, np.zeros(6, dtype=np.int64), ("a", "b"), tuple("abcdef"))


def new_loop(rate: float = 0.02) -> EpochLoop:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
    return EpochLoop(network, MeanSquaredError(), TrainingConfig(learning_rate=rate, batch_size=6), PROBLEM, seed=0)


def trained(
    folder: Path | None,
    build: Callable[[], EpochLoop] = new_loop,
    patience: int | None = None,
    key: dict[str, Any] = KEY,
    train: Counted | None = None,
    validation: Counted | None = None,
) -> Stage:
    parts = samples(train or Counted(1)), samples(validation or Counted(2))
    return shared_stage(build, "0.", parts, patience, None if folder is None else entry_of(folder, key))


def never() -> EpochLoop:
    raise AssertionError("what is there must be found, not trained")


def assert_same(first: Stage, second: Stage) -> None:
    assert (first.best_epoch, first.epochs) == (second.best_epoch, second.epochs)
    assert first.validation_loss == second.validation_loss
    assert first.weights.keys() == second.weights.keys() == {"weight", "bias"}
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_it_is_trained_once_and_found_again(tmp_path: Path) -> None:
    in_memory = trained(None)
    assert in_memory.epochs == EPOCHS
    folder = tmp_path / "not" / "yet"
    assert_same(trained(folder), in_memory)
    assert_same(trained(folder, build=never), in_memory)
    (listed,) = Cache(folder).listed()
    assert (listed.kind, listed.about) == ("stages", KEY)


def test_the_best_epoch_is_kept_and_patience_counts_from_it() -> None:
    # Twelve pictures of pure noise: a high rate soon makes validation worse.
    loop = new_loop(rate=0.3)
    weights, losses = [], []
    for epoch in loop.fit(samples(Counted(1)), samples(Counted(2, spread=20))):
        weights.append({name: tensor.clone() for name, tensor in loop.network[0].state_dict().items()})  # type: ignore[index]
        losses.append(epoch.losses["validation_loss"])
    best = int(np.argmin(losses))
    assert best < EPOCHS - 1, "the test needs a best epoch that is not the last"
    stage = trained(None, build=lambda: new_loop(rate=0.3), validation=Counted(2, spread=20))
    assert (stage.best_epoch, stage.epochs, stage.validation_loss) == (best + 1, EPOCHS, losses[best])
    assert all(torch.equal(stage.weights[name], weights[best][name]) for name in stage.weights)
    impatient = trained(None, build=lambda: new_loop(rate=0.3), patience=1, validation=Counted(2, spread=20))
    worse = next(number for number in range(1, EPOCHS) if losses[number] >= min(losses[:number]))
    assert impatient.epochs == worse + 1


@pytest.mark.parametrize("stop", range(1, EPOCHS + 1))
def test_a_training_that_was_killed_goes_on(tmp_path: Path, stop: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, train=Counted(1, breaks_at=stop))
    assert progress_file(tmp_path).exists() is (stop > 1)
    train = Counted(1)
    resumed = trained(tmp_path, train=train)
    assert train.readings == EPOCHS - (stop - 1)
    assert_same(resumed, trained(None))
    assert not progress_file(tmp_path).exists()


@pytest.mark.parametrize("patience", [None, 1])
def test_one_killed_after_its_last_epoch_trains_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int | None
) -> None:
    replace = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if target.name == "stage.pt":
            raise KeyboardInterrupt
        return replace(self, target)

    keys: dict[str, Any] = {"build": lambda: new_loop(rate=0.3), "patience": patience}
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path, validation=Counted(2, spread=20), **keys)
    train = Counted(1)
    stage = trained(tmp_path, train=train, validation=Counted(2, spread=20), **keys)
    assert train.readings == 0
    assert_same(stage, trained(None, validation=Counted(2, spread=20), **keys))


def spoil(content: bytes, how: str) -> bytes:
    if how == "cut":
        return content[: len(content) // 2]
    if how == "empty":
        return b""
    if how == "text":
        return b"not a file of torch's"
    if how == "one bit":
        bias = trained(None).weights["bias"].numpy().tobytes()
        assert content.count(bias) == 1
        return content.replace(bias, bytes([bias[0] ^ 1]) + bias[1:])
    assert how == "another weight, in a sound file"
    found = torch.load(io.BytesIO(content), weights_only=True)
    found["content"]["weights"]["bias"][0] += 1
    written = io.BytesIO()
    torch.save(found, written)
    return written.getvalue()


@pytest.mark.parametrize("how", ["cut", "empty", "text", "one bit", "another weight, in a sound file"])
def test_a_damaged_file_is_trained_anew(tmp_path: Path, how: str) -> None:
    expected = trained(tmp_path)
    file = stage_file(tmp_path)
    file.write_bytes(spoil(file.read_bytes(), how))
    train = Counted(1)
    assert_same(trained(tmp_path, train=train), expected)
    assert train.readings == EPOCHS
    assert_same(trained(tmp_path, build=never), expected)


@pytest.mark.parametrize("content", [b"", b"not a file of torch's"])
def test_damaged_progress_starts_again(tmp_path: Path, content: bytes) -> None:
    entry_of(tmp_path).open()
    progress_file(tmp_path).write_bytes(content)
    assert_same(trained(tmp_path), trained(None))


def test_a_file_of_another_key_is_not_taken(tmp_path: Path) -> None:
    trained(tmp_path)
    other = stage_key({"rate": 0.2}, 0, PROBLEM)
    entry_of(tmp_path, other).open()
    stage_file(tmp_path).rename(stage_file(tmp_path, other))
    train = Counted(1)
    trained(tmp_path, key=other, train=train)
    assert train.readings == EPOCHS


def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    built: list[EpochLoop] = []
    results: list[Stage] = []

    def slow() -> EpochLoop:
        built.append(new_loop())
        time.sleep(0.3)
        return built[-1]

    threads = [threading.Thread(target=lambda: results.append(trained(tmp_path, build=slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert_same(*results)


PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainables.cache import Cache
from trainables.interface import Problem, Samples
from trainables.parts.reconstruction import MeanSquaredError
from trainables.training.shared_stage import shared_stage
from trainables.training.loop import EpochLoop, TrainingConfig

folder, name = Path(sys.argv[1]), sys.argv[2]
(folder / f"{name}.ready").touch()
while len(list(folder.glob("*.ready"))) < 2:
    pass


def build():
    (folder / f"{name}.built").touch()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1))
    config = TrainingConfig(learning_rate=0.02, batch_size=6)
    return EpochLoop(network, MeanSquaredError(), config, Problem(("a", "b"), (4, 4, 3), 30), seed=0)


pictures = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
part = Samples(pictures, np.zeros(6, dtype=np.int64), ("a", "b"), tuple("abcdef"))
stage = shared_stage(build, "", (part, part), None, Cache(folder / "cache").entry("stages", {"key": 1}))
print(stage.epochs, stage.validation_loss.hex())
"""


@pytest.mark.slow
def test_two_processes_that_want_one_key_train_it_once(tmp_path: Path) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    said = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0] == said[1] != ""
    assert len(list(tmp_path.glob("*.built"))) == 1


def test_another_key_does_not_wait(tmp_path: Path) -> None:
    with entry_of(tmp_path).locked("stage") as taken:
        assert taken
        assert trained(tmp_path, key=stage_key({"rate": 0.2}, 0, PROBLEM)).epochs == EPOCHS


def test_a_failed_training_frees_its_lock(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="found, not trained"):
        trained(tmp_path, build=never)
    assert trained(tmp_path).epochs == EPOCHS


def test_whatever_a_stage_depends_on_is_in_its_key() -> None:
    keys = [
        KEY,
        stage_key({"rate": 0.2}, 0, PROBLEM),
        stage_key({"rate": 0.1}, 1, PROBLEM),
        stage_key({"rate": 0.1}, 0, Problem(("a", "b"), (4, 4, 3), EPOCHS, data="others")),
        stage_key({"rate": 0.1}, 0, Problem(("a", "b"), (4, 8, 3), EPOCHS, data="these")),
    ]
    assert len({json_sha256(key) for key in keys}) == 5
    # Neither the labels' names nor the epochs of the later stage matter.
    assert stage_key({"rate": 0.1}, 0, Problem(("x",), (4, 4, 3), 99, data="these")) == KEY


def test_where_nothing_can_be_kept_it_is_trained_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the folder's place")
    assert_same(trained(tmp_path / "file"), trained(None))


def test_a_full_disk_costs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **keys: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "whole", full)
        assert_same(trained(tmp_path), trained(None))
    assert not stage_file(tmp_path).exists()

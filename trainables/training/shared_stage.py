"""A first stage of training that several trainings share: trained once, found again by its key."""

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.cache import Entry, NoFolderError
from trainables.files import whole
from trainables.interface import Precision, Problem, Samples
from trainables.training.loop import EpochLoop, snapshot

STAGES = "stages"
"""What the cache calls them."""
VERSION = 1
"""To be raised whenever the same key would give another result."""


@dataclass(frozen=True)
class Stage:
    """A finished first stage, as it was after its epoch of lowest validation loss."""

    weights: dict[str, Tensor]
    best_epoch: int
    """From 1."""
    epochs: int
    """How many were trained."""
    validation_loss: float
    """Of the best epoch."""


def stage_key(config: Mapping[str, Any], seed: int, problem: Problem) -> dict[str, Any]:
    """All that a first stage depends on. `config` holds what JSON can hold."""
    shape = list(problem.shape)
    # Other numbers come out of another precision; what was trained before there was a choice is found as it was.
    chosen: dict[str, Any] = {} if problem.precision == Precision() else {"precision": asdict(problem.precision)}
    if problem.span is not None:
        chosen["workers"] = problem.span.size
    return {"version": VERSION, "config": dict(config), "seed": seed, "data": problem.data, "shape": shape, **chosen}


def shared_stage(
    build: Callable[[], EpochLoop],
    keep: str,
    parts: tuple[Samples, Samples],
    patience: int | None,
    entry: Entry | None,
    pulse: Callable[[], object] = bool,
) -> Stage:
    """What stands in the cache's `entry`; where nothing usable does, it is trained and left there.

    `keep`: the prefix, then left out, of the weights that are kept. `parts`: train and validation. Training
    ends after `patience` epochs without a lower validation loss; None: never. Whoever wants an entry that another
    process on this host is training waits for it. A training that was killed goes on at its last epoch. Without an
    entry, or where it can't be written, all stays in memory. `pulse` is called after each epoch, once that is saved,
    and each second of waiting; what it raises ends this.
    """
    if entry is None:
        return _train(build(), keep, parts, patience, None, pulse)
    if (found := _read(_file(entry), entry.key)) is not None:
        with suppress(NoFolderError):
            entry.open()  # it is used now
        return Stage(**found)
    try:
        with entry.locked("stage", pulse):
            if (found := _read(_file(entry), entry.key)) is not None:
                return Stage(**found)
            stage = _train(build(), keep, parts, patience, entry, pulse)
            with suppress(OSError):  # no room: the next one trains it again
                _write(_file(entry), entry.key, asdict(stage))
            _progress(entry).unlink(missing_ok=True)
            return stage
    except NoFolderError:
        return _train(build(), keep, parts, patience, None, pulse)


def _file(entry: Entry) -> Path:
    return entry.folder / "stage.pt"


def _progress(entry: Entry) -> Path:
    return entry.folder / "progress.pt"


def _train(
    loop: EpochLoop,
    keep: str,
    parts: tuple[Samples, Samples],
    patience: int | None,
    entry: Entry | None,
    pulse: Callable[[], object],
) -> Stage:
    best = Stage({}, best_epoch=0, epochs=0, validation_loss=math.inf)
    if entry is not None and (begun := _read(_progress(entry), entry.key)) is not None:
        loop.load(begun["loop"])
        best = Stage(**begun["best"])
    training = loop.fit(*parts)
    while not best.best_epoch or patience is None or loop.epoch - best.best_epoch < patience:
        epoch = next(training, None)
        if epoch is None:
            break
        loss = epoch.losses["validation_loss"]
        if not best.best_epoch or loss < best.validation_loss:
            names = loop.network.state_dict()
            weights = {name.removeprefix(keep): names[name] for name in names if name.startswith(keep)}
            best = Stage(snapshot(weights), loop.epoch, loop.epoch, loss)
        if entry is not None:
            with suppress(OSError):  # without room for it, the training goes on all the same
                _write(_progress(entry), entry.key, {"loop": loop.state(), "best": asdict(best)})
        pulse()
    return Stage(best.weights, best.best_epoch, loop.epoch, best.validation_loss)


def _read(path: Path, key: str) -> Any:
    """The content written under `key`; None where there is none, or where it is damaged or another's."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        content = found["content"]
        return content if found["digest"] == _digest(key, content) else None
    except Exception:  # bytes that are no such file fail in as many ways as there are bytes
        return None


def _write(path: Path, key: str, content: dict[str, Any]) -> None:
    """Write whole or not at all."""
    # On a shared folder, where locks may not hold, two hosts must not write into one draft.
    with whole(path, wait=True, shared=True) as file:
        torch.save({"content": content, "digest": _digest(key, content)}, file)


def _digest(key: str, content: Any) -> str:
    """SHA-256 of the key and of nested dicts, lists, tensors and numbers."""
    hasher = hashlib.sha256(key.encode())

    def take(node: Any) -> None:
        if isinstance(node, Tensor):
            hasher.update(f"{node.dtype} {tuple(node.shape)}".encode())
            hasher.update(node.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(node, dict):
            hasher.update(f"dict {len(node)}".encode())
            for name, value in node.items():
                hasher.update(repr(name).encode())
                take(value)
        elif isinstance(node, list):
            hasher.update(f"list {len(node)}".encode())
            for value in node:
                take(value)
        else:
            hasher.update(repr(node).encode())

    take(content)
    return hasher.hexdigest()

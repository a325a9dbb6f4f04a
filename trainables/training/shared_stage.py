"""A first stage of training that several trainings share: trained once, found again by its key."""

import fcntl
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.files import json_sha256, whole
from trainables.interface import Problem, Samples
from trainables.training.loop import EpochLoop, snapshot

WAIT = 1.0
"""Seconds between two tries for a lock."""
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


def stage_key(config: Mapping[str, Any], seed: int, problem: Problem) -> str:
    """SHA-256 of all that a first stage depends on. `config` holds what JSON can hold."""
    parts = {"version": VERSION, "config": dict(config), "seed": seed, "data": problem.data, "shape": problem.shape}
    return json_sha256(parts)


def shared_stage(
    build: Callable[[], EpochLoop],
    keep: str,
    parts: tuple[Samples, Samples],
    patience: int | None,
    folder: Path | None,
    key: str,
    pulse: Callable[[], object] = bool,
) -> Stage:
    """What stands in `folder` under `key`; where nothing usable does, it is trained and left there.

    `keep`: the prefix, then left out, of the weights that are kept. `parts`: train and validation. Training
    ends after `patience` epochs without a lower validation loss; None: never. Whoever wants a key that another process
    on this host is training waits for it. A training that was killed goes on at its last epoch. Without a folder, all
    stays in memory. `pulse` is called after each epoch, once that is saved, and each second of waiting; what it raises
    ends this.
    """
    if folder is None:
        return _train(build(), keep, parts, patience, key, None, pulse)
    folder.mkdir(parents=True, exist_ok=True)
    file, progress = folder / f"{key}.pt", folder / f"{key}.part"
    if (found := _read(file, key)) is not None:
        return Stage(**found)
    with _locked(folder / f"{key}.lock", pulse):
        if (found := _read(file, key)) is not None:
            return Stage(**found)
        stage = _train(build(), keep, parts, patience, key, progress, pulse)
        _write(file, key, asdict(stage))
        progress.unlink(missing_ok=True)
        return stage


def _train(
    loop: EpochLoop,
    keep: str,
    parts: tuple[Samples, Samples],
    patience: int | None,
    key: str,
    progress: Path | None,
    pulse: Callable[[], object],
) -> Stage:
    best = Stage({}, best_epoch=0, epochs=0, validation_loss=math.inf)
    if progress is not None and (begun := _read(progress, key)) is not None:
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
        if progress is not None:
            _write(progress, key, {"loop": loop.state(), "best": asdict(best)})
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


@contextmanager
def _locked(path: Path, pulse: Callable[[], object]) -> Iterator[None]:
    """Alone with `path` on this host; waits for its turn. The end of a process, however it ends, frees its lock."""
    with path.open("ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pulse()
                time.sleep(WAIT)
            except OSError:  # a file system without locks: what two write at once, each writes whole
                break
        yield

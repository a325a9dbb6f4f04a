"""What a frozen network gives for pictures: computed once, in batches, kept in the cache, found picture by picture."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.cache import Entry
from trainables.errors import InputError
from trainables.files import text_sha256
from trainables.interface import Problem, Samples

FEATURES = "features"
"""What the cache calls them."""
VERSION = 1
"""To be raised whenever the same key would give other features."""
AT_A_TIME = {"cpu": 8, "cuda": 64}
"""Pictures of 224 x 224 pixels that one pass of a frozen network takes in: of larger ones fewer. On a CPU more gain
nothing (measured with ResNets and one thread: 1, 8 and 32 at a time within 1.4 of each other)."""
FIRST_PART = 32
"""Pictures of a part before it is known how large their features are."""
READ_AT_A_TIME = 64
PART_PICTURES, PART_BYTES = 256, 256 * 2**20
"""The most that one part of the cache holds: several processes compute them side by side, and a kill costs one."""
RESIDENT, RESIDENT_SHARE = 64 * 2**20, 0.3
"""Features of so many bytes, or of that share of a GPU's free memory, stay on the device; of more, each batch is
gathered from the files, which all processes of a host share in memory."""
MEGABYTE = 2**20
ID_BYTES = 16
LOOK = 0.5
"""Seconds between two looks for what other processes compute."""

Ids = NDArray[np.void]
"""(N,): of each picture 16 bytes of the SHA-256 of its values."""


class FrozenNetwork(Protocol):
    """A network that is not trained, and what it gives for pictures."""

    def features(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        """One tensor (B, ...) for each of its outputs, float32, on the device. Equal within rounding whatever the B."""
        ...

    def feature_key(self) -> Mapping[str, Any]:
        """All that decides the features beside the pictures; values that JSON can hold."""
        ...


@dataclass
class _Table:
    """Where the features of each of N pictures lie."""

    ids: Ids
    part: NDArray[np.int32]
    """(N,): the index into `parts`; -1: nowhere, they are computed whenever they are asked for."""
    row: NDArray[np.int64]
    parts: list[list[NDArray[np.float32]]] = field(default_factory=list)
    resident: list[Tensor] | None = None
    """(N, ...), on the device, where all fit."""


class KeptFeatures:
    """The features of the samples that are open: from the cache, else computed and left there.

    Without a cache, or where it has no room, they are kept in memory up to `megabytes`; what does not fit there either
    is computed each time. Features that are found again are those that were computed first: all that use them see the
    same numbers, to the last bit, while another computation of them may differ by rounding, depending on which pictures
    are computed together (on a CPU by 7e-7 of the largest output of a ResNet50, 5e-7 of a ResNet18).
    """

    def __init__(self, network: FrozenNetwork, problem: Problem, megabytes: int = 1024, depth: bool = False) -> None:
        """`depth`: whether the network sees depth, too."""
        self.network, self.problem, self.depth = network, problem, depth
        self.device = torch.device(problem.device)
        self.most = megabytes * MEGABYTE
        self.room = self.most
        self.trouble = ""
        """Why what was computed could not be kept."""
        self._open: list[tuple[Samples, _Table]] = []

    @contextmanager
    def opened(self, *parts: Samples) -> Iterator[None]:
        """While the block runs, the features of these samples are at hand; others are computed when asked for."""
        before = list(self._open)
        try:
            for samples in parts:
                if all(known is not samples for known, _ in self._open):
                    self._open.append((samples, self._table(samples)))
            yield
        finally:
            self._open = before
            if not before:
                self.room = self.most

    @contextmanager
    def opened_if_cached(self, *parts: Samples) -> Iterator[None]:
        """`opened`, where there is a cache: what is looked at once need not be kept in memory."""
        if self.problem.cache is None:
            yield
        else:
            with self.opened(*parts):
                yield

    def facts(self) -> dict[str, str]:
        """Why features could not be kept on the disk; nothing where they were."""
        return {"features": f"not kept on the disk: {self.trouble}"} if self.trouble else {}

    def __call__(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        """One tensor (B, ...) for each output of the network, float32, on the device."""
        table = next((table for known, table in self._open if known is samples), None)
        if table is None:
            return self._computed(samples, rows)
        if table.resident is not None:
            chosen = torch.from_numpy(rows).to(self.device)
            return [output.index_select(0, chosen) for output in table.resident]
        return [torch.from_numpy(output).to(self.device) for output in self._gathered(samples, table, rows)]

    def _table(self, samples: Samples) -> _Table:
        count, table = len(samples), self._new_table(samples)
        cache = self.problem.cache
        entry = None if cache is None else cache.entry(FEATURES, self._key())
        if entry is None or not self._filled(entry, table, samples):
            self._fill_memory(table, samples)
        if count and (table.part >= 0).all():
            first = table.parts[table.part[0]]
            if count * sum(output[0].nbytes for output in first) <= self._most_resident():
                whole = self._gathered(samples, table, np.arange(count))
                table.resident = [torch.from_numpy(output).to(self.device) for output in whole]
        return table

    def _new_table(self, samples: Samples) -> _Table:
        count, ids = len(samples), picture_ids(samples, self.problem.data, self.depth)
        return _Table(ids, np.full(count, -1, dtype=np.int32), np.zeros(count, dtype=np.int64))

    def _most_resident(self) -> int:
        if self.device.type != "cuda":
            return RESIDENT
        return int(RESIDENT_SHARE * torch.cuda.mem_get_info(self.device)[0])

    def _key(self) -> dict[str, Any]:
        """Of other devices and releases of torch features differ by more than rounding: each has its own.

        As have pictures of other shapes, whose values may be the same: a blank one's, say.
        """
        shape = list(self.problem.shape)
        computed = {"shape": shape, "device": self.device.type, "torch": torch.__version__, "version": VERSION}
        return {**self.network.feature_key(), **computed}

    def missing(self, samples: Samples) -> list[NDArray[np.int64]]:
        """The rows of `samples` whose features the cache lacks, in stretches for `fill`; none without a cache."""
        cache = self.problem.cache
        if cache is None:
            return []
        table = self._new_table(samples)
        _read_parts(cache.entry(FEATURES, self._key()), table, set())
        return [rows[table.part[rows] < 0] for rows in _stretches(len(samples)) if (table.part[rows] < 0).any()]

    def fill(self, samples: Samples, rows: NDArray[np.int64]) -> None:
        """Compute what the cache lacks of these rows; what another process is computing is left to that one.

        Raises OSError where there is no room.
        """
        assert self.problem.cache is not None
        chosen = samples.select(rows)
        entry = self.problem.cache.entry(FEATURES, self._key())
        self._fill_stretch(entry, self._new_table(chosen), chosen, np.arange(len(chosen)), set())

    def _filled(self, entry: Entry, table: _Table, samples: Samples) -> bool:
        """Fill a table from the cache, computing what lacks there, beside other processes. False: it has no room."""
        known = _read_parts(entry, table, set())
        while (table.part < 0).any():
            mine = False
            for rows in _stretches(len(samples)):
                if (table.part[rows] >= 0).all():
                    continue
                try:
                    mine |= self._fill_stretch(entry, table, samples, rows, known)
                except OSError as error:
                    self.trouble = str(error.strerror or error)
                    return False
            known |= _read_parts(entry, table, known)
            if not mine:
                self.problem.pulse()
                time.sleep(LOOK)
        return True

    def _fill_stretch(
        self, entry: Entry, table: _Table, samples: Samples, rows: NDArray[np.int64], known: set[str]
    ) -> bool:
        """Compute and keep what lacks of some rows; False where another process is at it."""
        with entry.locked(_name(table.ids[rows]), wait=False) as alone:
            if not alone:
                return False
            known |= _read_parts(entry, table, known)  # somebody may just have done it
            for part in _parts_of(rows[table.part[rows] < 0], self._bytes_a_picture(table)):
                known.add(_write_part(entry, table, part, self._to_keep(samples, part)))
                self.problem.pulse()
        return True

    def _fill_memory(self, table: _Table, samples: Samples) -> None:
        """Compute what a table lacks as far as it fits into memory."""
        missing = np.flatnonzero(table.part < 0)
        for start in range(0, len(missing), PART_PICTURES):
            if self.room <= 0:
                return
            rows = missing[start : start + PART_PICTURES]
            if size := self._bytes_a_picture(table):
                rows = rows[: self.room // size]
            outputs = self._to_keep(samples, rows) if len(rows) else []
            fitting = self.room // sum(output[0].nbytes for output in outputs) if outputs else 0
            if fitting < len(rows) or not fitting:
                rows, outputs = rows[:fitting], [output[:fitting] for output in outputs]
            self.room -= sum(output.nbytes for output in outputs)
            if not fitting:
                self.room = 0
                return
            _add(table, rows, outputs)
            self.problem.pulse()

    def _bytes_a_picture(self, table: _Table) -> int:
        """As far as it is known; 0 before the first."""
        return sum(output[0].nbytes for output in table.parts[0]) if table.parts else 0

    def _to_keep(self, samples: Samples, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        return [output.cpu().numpy() for output in self._computed(samples, rows)]

    def _computed(self, samples: Samples, rows: NDArray[np.int64]) -> list[Tensor]:
        most = AT_A_TIME.get(self.device.type, AT_A_TIME["cuda"])
        size = max(1, min(most, most * 224 * 224 // int(np.prod(samples.pictures.shape[1:3]))))
        batches = []
        for start in range(0, len(rows), size):
            batches.append(self.network.features(samples, rows[start : start + size]))
            self.problem.pulse()
        return [torch.cat(outputs) for outputs in zip(*batches, strict=True)]

    def _gathered(self, samples: Samples, table: _Table, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        where, within = table.part[rows], table.row[rows]
        nowhere = np.flatnonzero(where < 0)
        found: list[NDArray[np.float32]] = []
        if len(nowhere):
            computed = self._to_keep(samples, rows[nowhere])
            found = [np.empty((len(rows), *output.shape[1:]), dtype=np.float32) for output in computed]
            for target, output in zip(found, computed, strict=True):
                target[nowhere] = output
        for part in np.unique(where[where >= 0]):
            here = np.flatnonzero(where == part)
            outputs = table.parts[part]
            if not found:
                found = [np.empty((len(rows), *output.shape[1:]), dtype=np.float32) for output in outputs]
            for target, output in zip(found, outputs, strict=True):
                target[here] = output[within[here]]
        return found


def _stretches(count: int) -> Iterator[NDArray[np.int64]]:
    """All rows, in stretches that are the same for all processes that want the same samples."""
    for start in range(0, count, PART_PICTURES):
        yield np.arange(start, min(start + PART_PICTURES, count))


def _name(ids: Ids) -> str:
    return hashlib.sha256(ids.tobytes()).hexdigest()[:32]


def _parts_of(rows: NDArray[np.int64], bytes_a_picture: int) -> Iterator[NDArray[np.int64]]:
    """Rows in parts that are not too large to keep; the first part of unknown size is a small one."""
    size = FIRST_PART if not bytes_a_picture else max(1, min(PART_PICTURES, PART_BYTES // bytes_a_picture))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _write_part(entry: Entry, table: _Table, rows: NDArray[np.int64], outputs: Sequence[NDArray[np.float32]]) -> str:
    """Keep the features of some pictures, and know where they lie. Raises OSError where there is no room."""
    ids = table.ids[rows]
    name = f"{_name(ids)}.part"
    arrays = {"ids": ids.view(np.uint8).reshape(len(ids), ID_BYTES)}
    entry.write(name, {**arrays, **{f"output{number}": output for number, output in enumerate(outputs)}})
    # From the file, so that no process holds in memory what lies there.
    found = entry.read(name)
    kept = list(outputs) if found is None else [found[f"output{number}"] for number in range(len(outputs))]
    _add(table, rows, kept)
    return name


def _read_parts(entry: Entry, table: _Table, known: set[str]) -> set[str]:
    """Look in all parts but the known ones for the pictures that a table lacks; gives the names of the parts read."""
    names = set(entry.parts()) - known
    if not names:
        return names
    where = {each.tobytes(): row for row, each in enumerate(table.ids) if table.part[row] < 0}
    for name in sorted(names):
        found = entry.read(name)
        if found is None or "ids" not in found:
            continue
        ids = np.asarray(found["ids"])
        inside = [(place, where[key]) for place, key in enumerate(map(bytes, ids)) if key in where]
        if inside:
            outputs = [found[f"output{number}"] for number in range(len(found) - 1)]
            places, rows = (np.array(each, dtype=np.int64) for each in zip(*inside, strict=True))
            _add(table, rows, outputs, places)
    _copy_equals(table)
    return names


def _add(
    table: _Table, rows: NDArray[np.int64], outputs: list[NDArray[np.float32]], places: NDArray[np.int64] | None = None
) -> None:
    """Know that the features of `rows` lie in `outputs`, there at `places`; unset: in the same order."""
    table.parts.append(outputs)
    table.part[rows] = len(table.parts) - 1
    table.row[rows] = np.arange(len(rows)) if places is None else places


def _copy_equals(table: _Table) -> None:
    """Pictures that are equal have equal features: where one lies, the other does."""
    first: dict[bytes, int] = {}
    for row, each in enumerate(table.ids):
        if table.part[row] >= 0:
            first.setdefault(each.tobytes(), row)
    for row in map(int, np.flatnonzero(table.part < 0)):
        twin = first.get(table.ids[row].tobytes())
        if twin is not None:
            table.part[row], table.row[row] = table.part[twin], table.row[twin]


_ids_before: dict[tuple[str, str, bool], Ids] = {}
"""Of the samples that this process has seen, by the data's fingerprint and their paths."""
REMEMBERED = 32


def picture_ids(samples: Samples, data: str, depth: bool) -> Ids:
    """Of each picture, with its depth where `depth`, an identity by its values, whatever file they came from.

    `data`: a fingerprint by which paths mean the same pictures each time; empty: there is none.
    """
    key = (data, text_sha256("\0".join(samples.paths)), depth)
    if data and key in _ids_before:
        return _ids_before[key]
    found = np.empty((len(samples), ID_BYTES), dtype=np.uint8)
    for start in range(0, len(samples), READ_AT_A_TIME):
        rows = np.arange(start, min(start + READ_AT_A_TIME, len(samples)))
        pictures = samples.pictures[rows]
        depths = samples.depth[rows] if depth and samples.depth is not None else None
        for place, row in enumerate(rows):
            hashed = hashlib.sha256(np.ascontiguousarray(pictures[place]).data)
            if depths is not None:
                hashed.update(np.ascontiguousarray(depths[place]).data)
            found[row] = np.frombuffer(hashed.digest()[:ID_BYTES], dtype=np.uint8)
    ids: Ids = found.view(np.dtype((np.void, ID_BYTES))).reshape(len(samples))
    if data:
        if len(_ids_before) >= REMEMBERED:
            _ids_before.pop(next(iter(_ids_before)))
        _ids_before[key] = ids
    return ids


def network_digest(named: Mapping[str, Tensor]) -> str:
    """SHA-256 of a network's numbers by name."""
    whole = hashlib.sha256()
    for name, tensor in sorted(named.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        whole.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def check_frozen(before: str, now: str, backbone: str, origin: str) -> None:
    """Raise InputError where the frozen numbers of a broken-off training have another digest than those of now."""
    if before != now:
        raise InputError(
            f"This training began with other frozen weights of {backbone} than are there now ({origin}). Put the file "
            "back as it was, or start the run anew."
        )

"""Rows on the disk: a journal while there is work, from which a broken-off one goes on; then one file, in order."""

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from orchestrator.report.document.spreadsheet import harmless, quoting_of
from orchestrator.using.rows import Row
from trainables.errors import InputError
from trainables.files import append_line, is_folder, whole

Format = Literal["csv", "json", "parquet"]
SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
PARQUET_ROWS = 10_000
"""Rows of a Parquet file that are written at a time."""
STAMP = "stamp"
UNFINISHED = ".unfinished"
"""How the name of a journal ends."""
ABOUT = ".about.json"
"""What stands beside the results: which model, which threshold, and whether the pictures are like validation's."""


def format_of(out: Path | None, asked: Format | None) -> Format:
    """The format of the results: as asked for, else by the file's suffix, else CSV. InputError where they disagree."""
    by_name = None if out is None else SUFFIXES.get(out.suffix.lower())
    if asked is None:
        return by_name or "csv"
    if asked == "parquet" and out is None:
        raise InputError("Parquet is no text for standard output. Give a file: --out results.parquet.")
    if by_name is not None and by_name != asked:
        raise InputError(f"--{asked} does not fit the file's name {str(out)!r}, which says {by_name}. Change either.")
    return asked


def checked_out(out: Path, overwrite: bool, pipe: bool = False) -> Path:
    """A file that results may be written to; `pipe`: a device or a pipe too, which is never replaced. InputError for
    what can't be, before there is work."""
    folder = out.absolute().parent
    if not is_folder(folder):
        raise InputError(f"The folder of {out} does not exist. Make it, or give another --out.")
    if is_folder(out) or (os.path.lexists(out) and out.exists() and not out.is_file() and not pipe):
        raise InputError(f"{out} is no file. Give --out the path of a file.")
    if out.exists() and not overwrite:
        raise InputError(f"{out} is there already. Give another --out, or --overwrite to put the results there.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder} can't be written to. Give an --out elsewhere, or this user the right to write.")
    return out


class Table:
    """How rows are written out: the columns of one task."""

    def __init__(self, classes: Sequence[str], detection: bool, threshold: float | None) -> None:
        self._classes, self._detection, self._threshold = classes, detection, threshold
        scores = ["score", "threshold"] if detection else [f"probability_{name}" for name in classes]
        self.columns = ["path", "status", "verdict", *scores, "seconds", "reason"]

    def plain(self, row: Row) -> dict[str, Any]:
        """A row by column; what is not known is None."""
        if self._detection:
            scores = [row["score"], self._threshold]
        else:
            scores = list(row["probabilities"]) or [None] * len(self._classes)
        known = [row["path"], row["status"], row["verdict"] or None]
        values = [*known, *scores, round(row["seconds"], 6), row["reason"] or None]
        return dict(zip(self.columns, values, strict=True))

    def text(self, rows: Iterable[Row], form: Format, header: bool = True) -> Iterator[str]:
        """CSV or JSON lines, piece by piece."""
        if form == "json":
            for row in rows:
                yield json.dumps(self.plain(row), allow_nan=False) + "\n"
            return
        if header:
            yield _csv_line(self.columns)
        for row in rows:
            yield _csv_line(self.plain(row).values())

    def write(self, path: Path, rows: Iterable[Row], form: Format) -> None:
        """All rows as one file, whole or not at all."""
        with whole(path, wait=True) as file:
            if form == "parquet":
                self._parquet(file, rows)
            else:
                for piece in self.text(rows, form):
                    file.write(piece.encode("utf-8"))

    def _parquet(self, file: IO[bytes], rows: Iterable[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        texts = {"path", "status", "verdict", "reason"}
        schema = pa.schema([(name, pa.string() if name in texts else pa.float64()) for name in self.columns])
        with pq.ParquetWriter(file, schema) as writer:
            for part in _parts(rows, PARQUET_ROWS):
                writer.write_table(pa.Table.from_pylist([self.plain(row) for row in part], schema=schema))


def _csv_line(cells: Iterable[Any]) -> str:
    """One line, none of whose texts a spreadsheet runs: files and classes are called what strangers called them."""
    safe = [harmless(one) for one in cells]
    line = io.StringIO()
    csv.writer(line, lineterminator="\n", quoting=quoting_of(safe)).writerow(safe)
    return line.getvalue()


def _parts(rows: Iterable[Row], most: int) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == most:
            yield part
            part = []
    if part:
        yield part


class Journal:
    """The rows that are done, a line a batch, each on the disk before the next is begun.

    It lies beside the results until they are whole. What it holds of files that have changed since, and of files that
    failed, is done again.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], paths: Sequence[str]) -> None:
        """`identity`: all that decides the rows beside the files. InputError where the journal has another's."""
        self._path, self._paths = path, paths
        self._numbers = {name: number for number, name in enumerate(paths)}
        self._offsets = np.full(len(paths), -1, dtype=np.int64)
        self._places = np.zeros(len(paths), dtype=np.int32)
        head = {"format": 1, **identity}
        self._held = self._hold()
        try:
            if not self._read(head):
                append_line(path, json.dumps(head))
        except BaseException as error:
            self.close()
            if isinstance(error, InputError) or not isinstance(error, ValueError | KeyError | TypeError):
                raise
            raise InputError(
                f"{path} is not as it was written ({type(error).__name__}). Remove it: its files are then scored again."
            ) from None

    def _hold(self) -> IO[bytes]:
        """The journal, opened, made where it is not, and held until it is closed: two that append to it would take each
        other's rows. InputError where another process holds it."""
        if self._path.exists() and not self._path.is_file():
            raise InputError(f"{self._path} is no file. Remove it, or give another --out.")
        file = self._path.open("ab")
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:  # a file system without locks
            pass
        if not held or not self._in_place(file):  # who held it until just now may have ended, and removed it
            file.close()
            raise InputError(
                f"Another process puts its results where {self._path.name.removesuffix(UNFINISHED)} is to lie. Wait "
                "for it, or give another --out."
            )
        return file

    def _read(self, head: dict[str, Any]) -> bool:
        """Whether there was a journal to go on with."""
        with self._path.open("rb") as file:
            first = file.readline()
            if not first.endswith(b"\n"):  # new, or broken off at once
                return False
            if json.loads(first) != json.loads(json.dumps(head)):
                raise InputError(
                    f"{self._path} holds the rows of another model, threshold or place, whose scoring was broken off. "
                    "Go on with the same command, or remove that file, or give another --out."
                )
            while True:
                offset, line = file.tell(), file.readline()
                if not line.endswith(b"\n"):
                    return True
                for place, kept in enumerate(json.loads(line)):
                    number, good = self._numbers.get(kept["name"]), kept["row"]["status"] == "ok"
                    if number is not None and good and kept[STAMP] == stamp_of(kept["name"]):
                        self._offsets[number], self._places[number] = offset, place

    @property
    def done(self) -> int:
        """How many files have a row that stands."""
        return int((self._offsets >= 0).sum())

    def missing(self) -> list[str]:
        """The files without one, in order."""
        return [self._paths[number] for number in np.flatnonzero(self._offsets < 0).tolist()]

    def add(self, names: Sequence[str], stamps: Sequence[str], rows: Sequence[Row]) -> None:
        """Keep the rows of some files. `stamps`: of before they were read: what was replaced since is done again."""
        three = zip(names, stamps, rows, strict=True)
        kept = [{"name": name, STAMP: stamp, "row": row} for name, stamp, row in three]
        line = json.dumps(kept)
        self._check_place()
        append_line(self._path, line)
        offset = self._path.stat().st_size - len(line) - 1
        for place, name in enumerate(names):
            self._offsets[self._numbers[name]], self._places[self._numbers[name]] = offset, place

    def _in_place(self, file: IO[bytes]) -> bool:
        """Whether an open file is the journal still."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except OSError:
            return False

    def _check_place(self) -> None:
        """InputError where another file has taken the journal's place: rows would be sought where they do not lie."""
        if not self._in_place(self._held):
            raise InputError(
                f"{self._path} was moved or removed while files were scored. Put it back, or start anew: all files are "
                "then scored again."
            )

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the files."""
        self._check_place()
        with self._path.open("rb") as file:
            read, line = -1, list[Any]()
            for offset, place in zip(self._offsets.tolist(), self._places.tolist(), strict=True):
                if offset != read:
                    file.seek(offset)
                    read, line = offset, json.loads(file.readline())
                row: Row = line[place]["row"]
                yield row

    def remove(self) -> None:
        """The results are whole."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let others go on with it."""
        self._held.close()


def stamp_of(path: str) -> str:
    """By what a file is known to be the same: its size and time; empty for what is not there."""
    try:
        status = Path(path).stat()
    except OSError:
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"

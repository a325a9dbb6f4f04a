"""Pipes, growing files that are cut off or replaced, and iterables."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from orchestrator import InputError
from orchestrator.using.live import value_source
from orchestrator.using.live.value_source import Piece, ValueSource, of_descriptor, of_growing_file, of_values


@pytest.fixture
def stop() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


def pieces_of(source: ValueSource, true: Callable[[list[Piece]], bool]) -> list[Piece]:
    """All that comes until something is true, or the end."""
    found, ends = list[Piece](), time.monotonic() + 60
    while not true(found):
        assert time.monotonic() < ends
        try:
            piece = source.next(0.1)
        except EOFError:
            return found
        if piece is not None:
            found.append(piece)
    return found


def lines_of(pieces: list[Piece]) -> list[str]:
    return [line for piece in pieces for line in piece.lines]


def test_a_pipe_to_its_end(stop: Event) -> None:
    reading, writing = os.pipe()
    source = ValueSource(of_descriptor(reading, stop), stop)
    for data in (b"\xef\xbb\xbf1\r\n2", b"5\n", b"3"):
        os.write(writing, data)
        time.sleep(0.05)
    os.close(writing)
    pieces = pieces_of(source, lambda found: False)
    assert lines_of(pieces) == ["1", "25", "3"]
    assert all(piece.live for piece in pieces)
    os.close(reading)


def test_a_file_that_grows_is_cut_off_and_replaced(
    tmp_path: Path, stop: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, said = tmp_path / "a.csv", list[str]()
    at_end, replaced = Event(), value_source._replaced

    def looked(*given: Any) -> bool:
        at_end.set()
        return replaced(*given)

    monkeypatch.setattr(value_source, "_replaced", looked)
    path.write_bytes(b"value\n1\n2\n")
    source = ValueSource(of_growing_file(path, stop, said.append), stop)
    first = pieces_of(source, lambda found: len(lines_of(found)) == 3)
    assert not any(piece.live for piece in first)
    assert at_end.wait(60), "what is appended before that lay there, too"
    with path.open("ab", buffering=0) as file:
        file.write(b"3\n4")
        grown = pieces_of(source, lambda found: lines_of(found) == ["3"])
        file.write(b"5\n")
        grown += pieces_of(source, lambda found: lines_of(found) == ["45"])
        assert all(piece.live and not piece.fresh for piece in grown)
    path.write_bytes(b"6\n")
    cut = pieces_of(source, lambda found: lines_of(found) == ["6"])
    assert any(piece.fresh for piece in cut)
    with path.open("ab", buffering=0) as file:
        file.write(b"7\n8")
    path.rename(tmp_path / "a.csv.1")
    (tmp_path / "next").write_bytes(b"value\n9\n")
    (tmp_path / "next").rename(path)
    replaced = pieces_of(source, lambda found: lines_of(found)[-1:] == ["9"])
    assert lines_of(replaced) == ["7", "8", "value", "9"]
    assert [piece.lines for piece in replaced if piece.fresh] == [["value", "9"]]
    assert "was cut off" in said[0]
    assert "was replaced" in said[-1]


def test_an_iterable_is_read_no_further_ahead_than_it_is_used(stop: Event) -> None:
    assert lines_of(pieces_of(ValueSource(of_values([1, 2.5, "3\n"], stop), stop), lambda found: False)) == [
        *("1", "2.5", "3")
    ]

    def failing() -> Iterator[float]:
        yield 1.0
        raise OSError(5, "gone")

    source = ValueSource(of_values(failing(), stop), stop)
    with pytest.raises(InputError, match="can't be read any more: gone"):
        pieces_of(source, lambda found: False)


def test_a_line_without_end_is_refused(stop: Event, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1" * (2**20 + 10_000))
    source = ValueSource(of_growing_file(path, stop, print), stop)
    with pytest.raises(InputError, match="A line is longer"):
        pieces_of(source, lambda found: False)

"""The log of readings: each line follows from the one before, and what was done to it afterwards is seen."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.artifacts.test_reads import ReadingLog, Readings, read_readings

SPLIT = "e4d909c290d0fb1c"
Lines = list[bytes]


def written(path: Path, count: int = 5, command: str = "sweep aaaa") -> list[str]:
    """Log so many readings; the hashes by which records name them."""
    log = ReadingLog(path, SPLIT, command)
    return [log.add("pca", seed, f"weights {seed}", "2026-01-02T03:04:05+00:00") for seed in range(count)]


def without_chain(path: Path, count: int) -> None:
    """What versions before the chain wrote."""
    with path.open("a", encoding="ascii") as file:
        for seed in range(count):
            file.write(json.dumps({"variant": "pca", "seed": seed, "weights": f"w{seed}", "read": "then"}) + "\n")


def changed(path: Path, how: Callable[[Lines], Lines]) -> Readings:
    """The log once its lines are changed."""
    path.write_bytes(b"".join(how(path.read_bytes().splitlines(keepends=True))))
    return read_readings(path, SPLIT)


def faults(found: Readings) -> dict[str, list[int]]:
    named = {name: getattr(found, name) for name in ("unreadable", "unfinished", "broken", "beside", "unchained")}
    return {name: lines for name, lines in named.items() if lines}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test_reads.jsonl"


def test_a_line_each_that_its_record_can_name(path: Path) -> None:
    named = written(path, 3) + written(path, 2, "evaluate bbbb")
    found = read_readings(path, SPLIT)
    assert [one.hash for one in found.found] == named
    assert len(set(named)) == 5
    assert [(one.variant, one.seed, one.weights) for one in found.found][3:] == [
        ("pca", 0, "weights 0"),
        ("pca", 1, "weights 1"),
    ]
    assert (len(found.commands), faults(found), found.missing) == (2, {}, "")
    assert [json.loads(line)["number"] for line in path.read_bytes().splitlines()] == [1, 2, 3, 4, 5]


def test_no_log_and_an_empty_one(path: Path) -> None:
    assert read_readings(path, SPLIT).missing == "test_reads.jsonl is missing"
    path.mkdir()
    assert "can't be read" in read_readings(path, SPLIT).missing
    path.rmdir()
    path.touch()
    assert read_readings(path, SPLIT) == Readings()


@pytest.mark.parametrize(
    ("how", "broken", "beside"),
    [
        (lambda lines: lines[1:], [1], []),
        (lambda lines: [*lines[:2], *lines[3:]], [3], []),
        (lambda lines: [*lines[:1], *lines[3:]], [2], []),
        (lambda lines: [*lines[:2], lines[2].replace(b"weights 2", b"weights 7"), *lines[3:]], [4], []),
        (lambda lines: [lines[0], lines[1], lines[3], lines[2], lines[4]], [3], [4, 5]),
        (lambda lines: [*lines[:2], b'{"variant": "x", "seed": 1, "weights": "w", "previous": "0"}\n', *lines[2:]],
         [3], [4]),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], [], [4]),
    ],
    ids=["first removed", "one removed", "two removed", "changed", "moved", "put in", "doubled"],
)  # fmt: skip
def test_what_was_done_to_it_is_seen(
    path: Path, how: Callable[[Lines], Lines], broken: list[int], beside: list[int]
) -> None:
    written(path)
    found = changed(path, how)
    assert (found.broken, found.beside) == (broken, beside)


def test_any_changed_byte_but_the_last_lines_is_seen(path: Path) -> None:
    """The last line nothing follows: its record does."""
    named = written(path)
    whole = path.read_bytes()
    draw = random.Random(7)
    last = whole.rfind(b"\n", 0, -1) + 1
    for _ in range(200):
        at = draw.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << draw.randrange(7)]) + whole[at + 1 :])
        found = read_readings(path, SPLIT)
        lost = set(named) - {one.hash for one in found.found}
        assert lost, at
        assert at >= last or found.broken, at


def test_a_log_of_another_split_follows_from_nothing(path: Path) -> None:
    written(path, 2)
    assert read_readings(path, "another").broken == [1, 2]


def test_what_was_cut_off_at_the_end_only_records_tell(path: Path) -> None:
    named = written(path)
    found = changed(path, lambda lines: lines[:-1])
    assert faults(found) == {}
    assert named[-1] not in {one.hash for one in found.found}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_process_that_died_as_it_wrote_spoils_nothing(path: Path, share: float) -> None:
    named = written(path, 3)
    whole = path.read_bytes()
    start = whole.rfind(b"\n", 0, -1) + 1
    torn = whole[: start + max(1, int(share * (len(whole) - 1 - start)))]
    path.write_bytes(torn)
    complete = share == 1.0  # all but the line's end: it counts as a reading
    assert faults(read_readings(path, SPLIT)) == ({} if complete else {"unreadable": [3], "unfinished": [3]})
    later = written(path, 2, "evaluate bbbb")
    assert path.read_bytes().startswith(torn)
    found = read_readings(path, SPLIT)
    assert faults(found) == ({} if complete else {"unreadable": [3], "unfinished": [3]})
    hashes = [one.hash for one in found.found]
    assert hashes == ([*named, *later] if complete else [*named[:2], *later])
    cut = changed(path, lambda lines: [*lines[:2], *lines[3:]])
    assert cut.broken == [3], "an unfinished line is a link, too"


def test_lines_of_before_the_chain_are_read_and_held_by_the_first_link(path: Path) -> None:
    without_chain(path, 3)
    assert faults(read_readings(path, SPLIT)) == {"unchained": [1, 2, 3]}
    written(path, 2)
    found = read_readings(path, SPLIT)
    assert faults(found) == {"unchained": [1, 2, 3]}
    assert [one.command for one in found.found] == ["", "", "", "sweep aaaa", "sweep aaaa"]
    assert len(found.commands) == 1
    assert changed(path, lambda lines: lines[1:]).broken == [3]


def test_an_earlier_version_that_goes_on_breaks_no_chain(path: Path) -> None:
    written(path, 2)
    without_chain(path, 1)
    written(path, 1)
    assert faults(read_readings(path, SPLIT)) == {"unchained": [3]}


def test_lines_that_hold_something_else_are_counted(path: Path) -> None:
    written(path, 1)
    with path.open("ab") as file:
        file.write(b'{"variant": "vae"}\n[1]\n\xff\n' + b"[" * 100_000 + b"\n")
        file.write(b'{"variant": "a", "seed": 1e999, "weights": "w"}\n{"variant": "a", "seed": 1, "previous": []}\n')
    found = read_readings(path, SPLIT)
    assert len(found.found) == 1
    assert found.unreadable == [2, 3, 4, 5, 6, 7]
    assert found.broken == [7]


def test_processes_that_write_at_once_make_one_chain(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from orchestrator.artifacts.test_reads import ReadingLog\n"
        f"log = ReadingLog(Path({str(path)!r}), {SPLIT!r}, sys.argv[1])\n"
        "for seed in range(40): log.add(sys.argv[1], seed, 'w', 'now')\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, f"worker{number}"]) for number in range(4)]
    assert [process.wait(100) for process in processes] == [0] * 4
    found = read_readings(path, SPLIT)
    assert (len(found.found), len(found.commands), faults(found)) == (160, 4, {})


def test_two_of_the_same_moment_are_no_removed_line(path: Path) -> None:
    """Where the file system has no locks, two lines may be made of the same bytes."""
    written(path, 2)
    before = path.read_bytes()
    added = []
    for command in ("sweep aaaa", "evaluate bbbb"):
        path.write_bytes(before)
        written(path, 1, command)
        added.append(path.read_bytes()[len(before) :])
    path.write_bytes(before + b"".join(added))
    written(path, 1)
    found = read_readings(path, SPLIT)
    assert (faults(found), len(found.found)) == ({"beside": [4]}, 5)


def test_a_call_that_comes_twice_has_one_line(path: Path) -> None:
    log, told = ReadingLog(path, SPLIT, "sweep aaaa"), ("pca", 0, "weights", "2026-01-02T03:04:05+00:00")
    named = [log.add_once(*told), log.add_once("pca", 1, *told[2:]), log.add_once(*told), log.add_once(*told)]
    assert named[0] == named[2] == named[3] != named[1]
    assert [one.hash for one in read_readings(path, SPLIT).found] == named[:2]
    again = ReadingLog(path, SPLIT, "evaluate bbbb").add_once(*told)
    assert again not in named
    assert faults(read_readings(path, SPLIT)) == {}

"""How often the test part was read: the sentence beside the tables, and what is wrong with the log."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders.provenance import PROVENANCE

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.report.numbers.readings import log_faults, read_often
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report

MakeRun = Callable[..., RunFolder]


def before(run: RunFolder, count: int) -> None:
    """What versions wrote that named no command."""
    with run.test_reads.open("a", encoding="ascii") as file:
        for seed in range(count):
            file.write(json.dumps({"variant": "vae", "seed": seed, "weights": "w", "read": "then"}) + "\n")


def now(run: RunFolder, count: int, command: str) -> None:
    log = ReadingLog(run.test_reads, PROVENANCE.split, command)
    for seed in range(count):
        log.add("vae", seed, "w", "now")


@pytest.mark.parametrize(
    ("named", "unnamed", "said"),
    [
        ([], 0, ""),
        ([1], 0, "This test part was read once, by 1 command."),
        ([2, 3], 0, "This test part was read 5 times, by 2 commands."),
        ([], 3, "This test part was read 3 times, by commands that its log does not name."),
        ([2], 1, "This test part was read 3 times: 2 times by 1 command, once by commands that its log does not name."),
    ],
)
def test_so_many_times_by_so_many_commands(make_run: MakeRun, named: list[int], unnamed: int, said: str) -> None:
    run = make_run(search=0)
    before(run, unnamed)
    for number, count in enumerate(named):
        now(run, count, f"sweep {number}")
    assert read_often(read_run(run)) == said


def test_it_stands_beside_the_table_in_every_format(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=1)
    write_report(run, figures=False)
    paths = [run.report / "index.html", run.report / "report.md"]
    paths += [run.report / "tables" / f"leaderboard.{suffix}" for suffix in ("md", "html", "tex")]
    for path in paths:
        assert "This test part was read 4 times, by 1 command." in path.read_text(encoding="utf-8"), path


def fault(run: RunFolder, lines: list[bytes]) -> list[str]:
    run.test_reads.write_bytes(b"".join(lines))
    return log_faults(read_run(run))


def test_each_fault_is_said_in_words(make_detection_run: MakeRun, tmp_path: Path) -> None:
    run = make_detection_run(search=0)
    lines = run.test_reads.read_bytes().splitlines(keepends=True)
    assert fault(run, lines) == []
    removed = fault(run, [lines[0], *lines[2:]])
    assert removed[0].startswith(
        "Line 2 of test_reads.jsonl does not follow from what stands before: a line was removed"
    )
    assert "lacks the reading that the record of pca (seed 1) names" in removed[1]
    assert len(removed) == 2
    (cut,) = fault(run, lines[:-2])
    assert "lacks the readings that the records of vae (seed 0) and vae (seed 1) name: their lines were removed" in cut
    doubled = fault(run, [*lines, lines[-1]])
    assert doubled == ["Line 5 of test_reads.jsonl was written at the same moment as another one, or stands twice."]
    run.test_reads.write_bytes(b"".join(lines) + lines[0][:30])
    (torn,) = log_faults(read_run(run))
    assert torn.startswith("Line 5 of test_reads.jsonl is unfinished: its process died before reading the test part.")
    now(run, 1, "evaluate x")
    assert log_faults(read_run(run)) == [torn]
    old = make_detection_run("old", search=0, then=lambda builder: builder.run.test_reads.unlink())
    before(old, 2)
    *_, unchained = log_faults(read_run(old))
    assert unchained.startswith("2 lines of test_reads.jsonl, up to line 2, are not chained, since an earlier version")
    run.test_reads.unlink()
    assert log_faults(read_run(run)) == [
        "test_reads.jsonl is missing: how often the test part was read is not known."
    ]  # fmt: skip

"""How far trainings are: what is left of them, and the note by which a worker tells it."""

from pathlib import Path

import pytest

from orchestrator.artifacts import at_work
from orchestrator.artifacts.at_work import AtWork, EpochNote, at_most, noted, noted_history
from trainables.small_files import FolderFiles, NamedFile


def training(**changes: object) -> AtWork:
    values = {"variant": "vae", "kind": "trial", "number": 3, "epochs": 30, "had": 50.0}
    return AtWork(**{**values, **changes})  # type: ignore[arg-type]


def rows(epochs: int) -> list[dict[str, float]]:
    return [{"epoch": float(epoch), "loss": 1 / epoch} for epoch in range(1, epochs + 1)]


def test_what_is_left_is_at_most_what_all_epochs_take() -> None:
    one = training(epoch=10, each=4.0)
    assert one.left == 80.0
    assert at_most([one], waiting=0, at_once=2) == 80.0
    assert at_most([one], waiting=3, at_once=1) == 80 + 3 * 120
    assert at_most([one, training()], waiting=4, at_once=2) == (80 + 120 + 4 * 120) / 2
    # Whatever runs beside it, the longest is not over sooner.
    assert at_most([one], waiting=0, at_once=8) == 80.0
    assert at_most([training()], waiting=3, at_once=1) is None


def test_a_note_is_read_as_it_was_written_and_not_written_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(at_work.time, "monotonic", lambda: clock[0])
    note_file = NamedFile(FolderFiles(tmp_path / "states"), "key.epochs")
    note = EpochNote(note_file)
    note.write(rows(4), 10.0, 0.75)
    assert noted(training(), note_file) == training(epoch=4, each=2.5, best=0.75)
    clock[0] += 1.0
    note.write(rows(5), 12.0, 0.8)
    assert noted(training(), note_file).epoch == 4
    clock[0] += 1.5
    note.write(rows(6), 15.0, 0.9)
    assert noted(training(), note_file) == training(epoch=6, each=2.5, best=0.9)
    assert noted_history(note_file) == rows(6)
    note.remove()
    assert list((tmp_path / "states").iterdir()) == []
    note.remove()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"epoch": 3}', b'{"epoch": "x", "each": 1, "best": 1}'])
def test_a_note_that_is_broken_tells_nothing(content: bytes, tmp_path: Path) -> None:
    note_file, none = (NamedFile(FolderFiles(tmp_path), name) for name in ("key.epochs", "none"))
    note_file.write(content, wait=False)
    assert noted(training(), note_file) == training()
    assert noted(training(), none) == training()
    assert noted(training(), None) == training()
    assert noted_history(note_file) == noted_history(none) == noted_history(None) == []


def test_a_note_that_can_not_be_written_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "states").write_text("a file where the folder should be")
    EpochNote(NamedFile(FolderFiles(tmp_path / "states"), "key.epochs")).write(rows(1), 1.0, 0.5)
    EpochNote(None).write(rows(1), 1.0, 0.5)

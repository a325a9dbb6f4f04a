"""records.jsonl: appended line by line, read back as it was, a cut last line left out."""

import json
import zlib
from pathlib import Path

import pytest
from builders.provenance import PROVENANCE
from pydantic import ValidationError

from orchestrator.artifacts.records import MARK, TrialRecord, append_record, read_records
from trainables.errors import InputError


def record(number: int, **changes: object) -> TrialRecord:
    values: dict[str, object] = {
        "stage": "search",
        "family": "pca_logistic",
        "variant": 'naïve "one"\n',
        "trial": number,
        "seed": 0,
        "split": "validation",
        "config": {"C": 0.1, "layers": [1, 2]},
        "metrics": {"macro_f1": 1 / 3},
        "status": "completed",
        "seconds": 1.5,
        "provenance": PROVENANCE,
    }
    return TrialRecord.model_validate({**values, **changes})


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    written = [record(number) for number in range(3)]
    for one in written:
        append_record(tmp_path / "records.jsonl", one)
    assert list(read_records(tmp_path / "records.jsonl")) == written
    lines = (tmp_path / "records.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line)["trial"] for line in lines] == [0, 1, 2]
    assert json.loads(lines[0])["metrics"]["macro_f1"] == 1 / 3


def test_a_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    append_record(path, record(0))
    append_record(path, record(1))
    path.write_bytes(path.read_bytes()[:-20])
    assert [one.trial for one in read_records(path)] == [0]


def test_after_a_cut_line_the_next_record_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    append_record(path, record(0))
    with path.open("ab") as file:
        file.write(b'{"stage": "sea')
    append_record(path, record(1))
    assert [one.trial for one in read_records(path)] == [0, 1]


def test_no_file_is_no_records(tmp_path: Path) -> None:
    assert list(read_records(tmp_path / "none.jsonl")) == []


def test_numbers_that_json_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        append_record(tmp_path / "records.jsonl", record(0, metrics={"macro_f1": float("nan")}))


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValidationError):
        record(0, status="fine")


def sealed(values: object) -> str:
    text = json.dumps(values)
    return f'{text[:-1]}{MARK}{zlib.crc32(text.encode("ascii")):08x}"}}\n'


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"format": 2},
            ["Record 2 of", "has format 2", "reads format 1", "version 0.1.0 (0123456789ab) of this package wrote it"],
        ),
        ({"format": "<b>\n\u202e" + 99 * "x"}, ["has format <b>\\n\\u202e", "reads format 1"]),
        ({f"new_{n}": 0 for n in range(9)}, ["does not know: new_0, new_1, new_2, new_3, new_4 and more"]),
        ({"seconds": "long"}, ["can't be read", "at seconds", "version 0.1.0 (0123456789ab) of this package wrote it"]),
        ({"provenance": None}, ["can't be read", "at provenance", "what wrote it is not said"]),
    ],
)
def test_a_record_of_another_version_is_refused_with_what_to_do(
    tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    path = tmp_path / "records.jsonl"
    append_record(path, record(0))
    with path.open("a", encoding="ascii") as file:
        file.write(sealed(record(1).model_dump(mode="json") | changes))
    read = read_records(path)
    assert next(read).trial == 0
    with pytest.raises(InputError) as caught:
        next(read)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_records_that_are_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't be read: Is a directory\. .*put it back"):
        next(read_records(tmp_path))


@pytest.mark.parametrize("reason", ["a/caf\udce9.csv: empty", "\ud800", "\udcff\n"])
def test_a_reason_with_bytes_that_are_no_utf8_is_read_back(tmp_path: Path, reason: str) -> None:
    append_record(tmp_path / "records.jsonl", record(0, status="failed", reason=reason))
    (read,) = read_records(tmp_path / "records.jsonl")
    assert read.reason.encode()
    assert read.reason in (r"a/caf\xe9.csv: empty", r"\ud800", "\\xff\n")

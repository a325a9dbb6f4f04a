"""YAML 1.2 scalars, keys once, bounds, and files that readers of either version understand alike."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.experiment.yaml_text import MOST_BYTES, MOST_ENTRIES, file_text, read_yaml, write_yaml

WITHIN = 10
"""Seconds that a refusal may take on a busy machine; it takes milliseconds."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-02-31", "2024-02-31"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("1e-3", 0.001),
        ("1E5", 100_000.0),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("+7", 7),
        ("-0", 0),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("", None),
        ("nULL", "nULL"),
        ("'010'", "010"),
        ('"yes"', "yes"),
        ("!!str 010", "010"),
        ("!!int 010", 10),
        ("!!float 1", 1.0),
        ("=", "="),
        ("0o8", "0o8"),
        ("1e", "1e"),
        (".", "."),
        ("-.inf", float("-inf")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = read_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["010", "1.0", "true", "2024-01-01", "no", "1e-3", "0x1F", "1:30", ".inf", "2" * 5000])
def test_where_a_name_is_meant_it_is_what_is_written(text: str) -> None:
    assert read_yaml(f"a: {text}\nb: [{text}]", lambda place: True) == {"a": text, "b": [text]}


@pytest.mark.parametrize("text", ["null", "~", ""])
def test_no_name_is_no_name(text: str) -> None:
    assert read_yaml(f"a: {text}", lambda place: True) == {"a": None}


def test_keys_are_texts() -> None:
    assert read_yaml("{010: 1, yes: 2, null: 3, 1.0: 4}") == {"010": 1, "yes": 2, "null": 3, "1.0": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("budget: {trials: 1}\nseeds: [1]\nbudget: {epochs: 2}", ["line 3", "'budget'", "line 1"]),
        ("a:\n  b:\n    - c: 1\n      d: 2\n      c: 3", ["line 5", "'a.b.0.c'", "line 3"]),
        ("{a: 1, a: 1}", ["line 1", "'a'"]),
        ("a: 1\n'a': 2", ["line 2", "line 1"]),
        ("x: &x {a: 1, a: 2}", ["'x.a'"]),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x", ["line 4", "line 3", "<<"]),
    ],
)
def test_a_key_twice_is_refused_with_both_lines(text: str, words: list[str]) -> None:
    with pytest.raises(ValueError, match="stands in line") as caught:
        read_yaml(text)
    for word in words:
        assert word in str(caught.value)


def test_aliases_and_merges_within_reason_are_written_out() -> None:
    text = "base: &b {a: 1, b: 2}\nother: &o {a: 3, c: 4}\none: {<<: *b, a: 9}\nboth: {<<: [*b, *o]}\nlist: [*b, *b]"
    assert read_yaml(text) == {
        "base": {"a": 1, "b": 2},
        "other": {"a": 3, "c": 4},
        "one": {"a": 9, "b": 2},
        "both": {"a": 1, "b": 2, "c": 4},
        "list": [{"a": 1, "b": 2}, {"a": 1, "b": 2}],
    }
    assert read_yaml("a: &n 010\nb: *n", lambda place: place == ("b",)) == {"a": 10, "b": "010"}


def bomb(entry: str) -> str:
    """Each of thirty lines holds the one before ten times."""
    lines = [f"l0: &l0 {entry}"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 30)]
    return "\n".join(lines)


def merge_bomb() -> str:
    lines = ["l0: &l0 {a: 1}"]
    lines += [f"l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 10)}]}}" for i in range(1, 30)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (bomb("x"), "aliases"),
        (bomb("{a: b}"), "aliases"),
        (merge_bomb(), "aliases"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {b: *a}", "holds itself"),
        ("&a {<<: *a}", "holds itself"),
        ("a: &a [&b [*a, *b]]", "holds itself"),
        ("a: *nobody", "line 1"),
        ("[" * 10_000, "nested"),
        ("{a: " * 10_000, "nested"),
        ("- " * 10_000 + "a", "nested"),
        ("\n".join(" " * i + "a:" for i in range(700)), "nested"),
        ("[" * 10_000 + "]" * 10_000, "nested"),
        ("x: " + "9" * 5_000, "5,000 digits"),
        ("x: -" + "9" * 30, "30 digits"),
        ("x: 0x" + "f" * 5_000, "digits"),
        ("x: 1e999", "beyond"),
        ("x: " + "9" * 5_000 + ".5", "beyond"),
        ("x: [" + "1, " * (MOST_ENTRIES + 1) + "]", "entries"),
        ("{" + ", ".join(f"a{i}: 1" for i in range(MOST_ENTRIES + 1)) + "}", "entries"),
        ("\n".join(f"a{i}: [" + "x, " * 900 + "]" for i in range(100)), "keys and values"),
        ('x: "a\\0b"', "U+0000"),
        ('x: "a\\x1b[31m"', "U+001B"),
        ('"a\\0": 1', "U+0000"),
        ("x: a\x00b", "U+0000"),
        ("x: a\x1bb", "U+001B"),
        ('x: "\\ud800"', "U+D800"),
        ('x: "\\U00110000"', "no text"),
        ('x: "\\UFFFFFFFF"', "no text"),
        ("x: !!python/object/apply:os.system [ls]", "tag"),
        ("x: !!timestamp 2024-01-01", "tag"),
        ("x: !!binary aGk=", "tag"),
        ("x: !!set {a, b}", "tag"),
        ("x: !!int yes", "tag"),
        ("x: !mine 3", "tag"),
        ("? [a]\n: 1", "a key is a word"),
        ("? {a: 1}\n: 1", "a key is a word"),
        ("<<: 3", "takes in"),
        ("<<: [3]", "takes in"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: b: c", "line 1"),
        ("a: [", "line 1"),
        ("%YAML 3.0\n---\na: 1", "line 1"),
    ],
)
def test_what_is_no_experiment_is_refused_in_time(text: str, word: str) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match=word.replace("+", r"\+")) as caught:
        read_yaml(text)
    assert time.monotonic() - started < WITHIN
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


TRICKY = [
    *("no", "yes", "on", "y", "N", "true", "010", "0o10", "0x1F", "0b1", "1e-3", "1E5", "1.5e3", ".5", "5.", "1_000"),
    *(
        "1:30",
        "2024-01-01",
        "~",
        "null",
        "",
        "=",
        "<<",
        ".inf",
        ".nan",
        "+7",
        "-",
        "?",
        ": ",
        "a: b",
        "#x",
        " x ",
        "*x",
    ),
    *(" x ", "&x", "!x", "%x", "@x", "`x", "'", '"', "é", "\t", "a\nb", "x" * 300, "0o8", "1e", "08", "09.5", "0.1.2"),
    "1__0",
]


@pytest.mark.parametrize("text", TRICKY)
def test_what_is_written_reads_the_same_by_either_version(text: str) -> None:
    values = {"a": text, text: [text], "b": {"c": text}}
    written = write_yaml(values)
    assert yaml.safe_load(written) == values
    assert read_yaml(written) == values


@pytest.mark.parametrize("number", [0, -3, 2**62, 1e-5, 1e16, 1.5e300, 5e-324, 0.1, -2.0, True, False, None])
def test_numbers_are_written_so_that_both_versions_read_them(number: Any) -> None:
    written = write_yaml({"a": number})
    assert yaml.safe_load(written) == {"a": number} == read_yaml(written)
    assert type(read_yaml(written)["a"]) is type(number)


def test_what_earlier_versions_wrote_reads_as_it_did_where_a_text_is_meant() -> None:
    values = {"a": TRICKY}
    assert read_yaml(yaml.safe_dump(values), lambda place: True) == values


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_any_editor_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "e.yaml").write_text("a: é", encoding=encoding)
    assert file_text(tmp_path / "e.yaml") == "a: é"


def test_what_is_no_file_of_text_is_refused_in_time(tmp_path: Path) -> None:
    large, binary, pipe = tmp_path / "large", tmp_path / "binary", tmp_path / "pipe"
    with large.open("wb") as file:
        file.truncate(100 * 2**20)
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff\xfe")
    os.mkfifo(pipe)
    for path, word in (
        (large, f"at most {MOST_BYTES:,}"),
        (binary, "0x89"),
        (pipe, "pipe"),
        (tmp_path, "folder"),
        (Path("/dev/null"), "device"),
    ):
        with pytest.raises(ValueError, match=word):
            file_text(path)

"""Names and numbers as they are printed."""

import math

import pytest

from orchestrator.report.document.formatting import (
    byte_size,
    count,
    duration,
    interval,
    label,
    number,
    on_validation,
    p_value,
    plural,
    printable,
    setting,
    shorten,
    watt_hours,
    words,
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("mean_shift", "mean_shift"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x00\x1b[31m", r"\x00\x1b[31m"),
        ("bad\udc80byte", r"bad\udc80byte"),
        ("safe\u202egnp.exe", r"safe\u202egnp.exe"),
        ("line\u2028end", r"line\u2028end"),
        ("日本 é ü", "日本 é ü"),
    ],
)
def test_printable(raw: str, shown: str) -> None:
    assert printable(raw) == shown
    shown.encode("utf-8")


def test_numbers() -> None:
    assert number(0.12345) == "0.123"
    assert number(-0.5, signed=True) == "−0.500"
    assert number(0.5, signed=True) == "+0.500"
    assert number(-0.0001, signed=True) == "0.000"
    assert number(math.nan) == number(None) == "–"
    assert interval(0.1, 0.25) == "[0.100, 0.250]"
    assert interval(math.nan, 1) == ""
    assert p_value(0.0004) == "< 0.001"
    assert p_value(0.0104) == "0.010"
    assert p_value(None) == "–"
    assert count(24_692_297) == "24\u202f692\u202f297"
    assert setting(1.23456e-5) == "1.235e−05"
    assert setting(True) == "True"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (599.9, "10 min"),
        (7260, "2 h 01 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_small_words() -> None:
    assert byte_size(900 * 2**20) == "900 MiB"
    assert byte_size(3 * 2**30) == "3.0 GiB"
    assert plural(1, "trial") == "1 trial"
    assert plural(0, "trial") == "0 trials"
    assert words([]) == ""
    assert words(["a"]) == "a"
    assert words(["a", "b", "c"]) == "a, b and c"
    assert words(list("abcdefgh"), 3) == "a, b, c and 5 more"
    assert label("macro_f1") == "macro F1"
    assert label("pixel_roc_auc") == "pixel ROC-AUC"
    assert on_validation("macro_f1") == "macro F1 on validation"
    assert on_validation("macro_f1", axis=True) == "macro F1 (validation)"
    assert on_validation("validation_loss") == on_validation("validation_loss", axis=True) == "validation loss"
    assert shorten("a" * 40 + "end", 10) == "aaaa…aaend"
    assert len(shorten("x" * 100, 24)) == 24


@pytest.mark.parametrize(
    ("joules", "text"), [(None, "–"), (math.nan, "–"), (0.0, "0.0 Wh"), (9_000.0, "2.5 Wh"), (7.2e6, "2.0 kWh")]
)
def test_energy(joules: float | None, text: str) -> None:
    assert watt_hours(joules) == text

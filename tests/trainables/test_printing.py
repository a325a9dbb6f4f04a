import pytest

from trainables.printing import printable, printable_lines


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred",
        "\x9b31m",
        "\x07",
        "a\rb",
        "\u202egnp.exe",
        "\u2066x",
        "\u2028",
        "\udce8",
        "\x1b]8;;http://x\x07y",
        "\0",
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) != text
    assert printable_lines(f"{text}\nb").split("\n") == [printable(text), "b"]


@pytest.mark.parametrize("text", ["", "wave 3", "Größe", "日本語", "a\u200db", "μ ± 3 %", "‘x’"])
def test_all_other_text_stays(text: str) -> None:
    assert printable(text) == text

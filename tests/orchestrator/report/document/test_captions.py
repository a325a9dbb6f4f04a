"""What captions share is said once, and none is too long for a float; no word is lost."""

import pytest

from orchestrator.report.document.captions import MOST_WORDS, captions_of, sentences, short_caption
from orchestrator.report.document.document import Chart

LONG = " ".join(f"word{place}" for place in range(90))


def charts(*captions: str) -> list[Chart]:
    return [Chart("t", caption, "alt", "<svg></svg>") for caption in captions]


@pytest.mark.parametrize(
    "text", ["", "One.", "One. Two? Three! 4 % of it.", "p < .05 and so on. v1.2 is e.g. this. Ψ.", LONG, "a. b. C."]
)
def test_sentences_give_the_text_again(text: str) -> None:
    assert " ".join(sentences(text)) == text


def test_what_all_say_is_said_once() -> None:
    found = captions_of(charts("Loss by epoch. Of a. Dots: chosen.", "Loss by epoch. Of b. Dots: chosen."))
    assert found.own == ["Of a.", "Of b."]
    assert found.shared == "Loss by epoch. Dots: chosen."


@pytest.mark.parametrize("captions", [["Alone. It stays."], ["A.", "B."], ["A. B.", "B. A.", "C."], ["", ""], []])
def test_what_not_all_say_stays_where_it_was(captions: list[str]) -> None:
    found = captions_of(charts(*captions))
    assert (list(found.own), found.shared) == (captions, "")


@pytest.mark.parametrize(
    "text",
    ["", "Short.", f"Short. {LONG}", LONG, f"{LONG}. Short.", "a " * 40, "One. " * 60, "x" * 500],
)
def test_a_caption_in_print_has_at_most_forty_words(text: str) -> None:
    caption, notes = short_caption(text.strip())
    assert len(caption.split()) <= MOST_WORDS
    if caption.endswith(" …"):
        assert notes == text.strip()
        assert text.startswith(caption.removesuffix(" …"))
    else:
        assert f"{caption} {notes}".strip() == text.strip()

"""README and the guides, taken apart: their blocks of code, the commands in these, links and anchors."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, *GUIDES]


def text_of(page: Path) -> str:
    """A page's text."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """The page's blocks of code, in order: (language, text)."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), flags=re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page's text without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def lines_of(block: str) -> list[str]:
    """The commands of a bash block, one each, without remarks."""
    found = (re.sub(r"(^|\s+)#.*", "", line).strip() for line in block.replace("\\\n", " ").splitlines())
    return [line for line in found if line]


def commands(page: Path) -> list[str]:
    """All commands of a page's bash blocks."""
    return [line for language, block in blocks(page) if language == "bash" for line in lines_of(block)]


def calls(line: str) -> list[list[str]]:
    """The arguments of each `orchestrate` that a line of bash calls."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|;&<>"):
            parts.append([])
        else:
            parts[-1].append(word)
    found = []
    for part in parts:
        while part and re.fullmatch(r"\w+=.*", part[0]):
            part = part[1:]
        if part[:1] == ["orchestrate"]:
            found.append(part[1:])
    return found


def named_calls(page: Path) -> list[list[str]]:
    """The arguments of each `orchestrate …` that stands in the page's prose with more than its command's name.

    N, with which a number is meant, is one.
    """
    spans = re.findall(r"`orchestrate\s([^`]+)`", prose(page))
    split = [shlex.split(re.sub(r"\bN\b", "1", span.replace("\\|", "|").replace("\n", " "))) for span in spans]
    return [words for words in split if len(words) > 1 and words[1] != "..."]


def anchors(page: Path) -> set[str]:
    """What a link to a heading of this page may say after its `#`, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one).lower() for one in headings)
    return {re.sub(r"[^\w\- ]", "", one).strip().replace(" ", "-") for one in plain}


def links(page: Path) -> list[str]:
    """Targets of the page's links and pictures that lie in this repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]

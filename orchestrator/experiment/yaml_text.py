"""YAML as an experiment's file and a run's folder have it: scalars of YAML 1.2, each key once, all of it bounded.

PyYAML reads YAML 1.1, where `no` is false, `010` is 8 and `1e-3` is text.
"""

import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.experiment.key_types import Place

MOST_BYTES = 2**19
MOST_VALUES = 10_000
"""Keys and values together, each alias counted as what it stands for."""
MOST_ENTRIES = 1_000
"""Of one list or mapping."""
DEEPEST = 50
LARGEST = 2**63
"""Whole numbers lie below it, as a file format of other programs would have them, too."""

_CORE = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
"""The core schema of YAML 1.2.2, chapter 10.3.2: by tag a pattern and the characters that a scalar begins with."""
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of characters, which no name has and no terminal should get."""


class _Loader(yaml.SafeLoader):
    """A tree of nodes with YAML 1.2's tags, refused where it is deeper or larger than any experiment."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML keeps its table so)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        self._nodes += 1
        if self._depth > DEEPEST:
            raise _Refused(f"{_at(mark)}: it is nested in more than {DEEPEST} levels")
        if self._nodes > MOST_VALUES:
            raise _Refused(f"{_at(mark)}: it has more than {MOST_VALUES:,} keys and values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would read as something else than text."""


for _tag, _pattern, _first in _CORE:
    _regexp = re.compile(rf"^(?:{_pattern})$")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _regexp, list(_first))
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _regexp, list(_first))


class _Refused(Exception):
    """What is wrong with a text, beginning with where."""


def file_text(path: Path) -> str:
    """A file's text; OSError, or ValueError in words, for what is no file of text or larger than any experiment."""
    mode = path.stat().st_mode  # before it is opened: a pipe would wait for its writer
    if not stat.S_ISREG(mode):
        raise ValueError(f"it is {_KINDS.get(stat.S_IFMT(mode), 'a device')}; give a file")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, and an experiment at most {MOST_BYTES:,}")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line}: byte {content[error.start]:#04x} is no UTF-8; save it as text in UTF-8"
        ) from None


def read_yaml(text: str, is_text: Callable[[Place], bool] = lambda path: False, at: Place = ()) -> Any:
    """The plain values that a text holds; ValueError, in words that begin with the line, where it can't be read.

    `is_text` says of which places plain scalars are meant as they are written: `010` is a name there. `at`: where in
    the file the text stands itself.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        return None if node is None else _Builder(is_text).value(node, at)
    except _Refused as error:
        raise ValueError(str(error)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(f"{_at(mark)}: {said}" if mark else said) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ValueError(f"line {line}: the character U+{ord(text[error.position]):04X} stands in no text") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except (ValueError, OverflowError) as error:  # a character that an escape makes, beyond Unicode
        raise ValueError(f"it holds what is no text: {error}") from None


def write_yaml(values: Any, *, allow_unicode: bool = True) -> str:
    """Plain values as a text that YAML 1.1 and 1.2 read alike."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=allow_unicode)
    return text


class _Builder:
    """From nodes to plain values, with what aliases stand for written out."""

    def __init__(self, is_text: Callable[[Place], bool]) -> None:
        self._is_text = is_text
        self._count = 0
        self._open: list[Node] = []

    def value(self, node: Node, path: Place) -> Any:
        """What a node holds."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise _Refused(f"{_at(node.start_mark)}: with its aliases it has more than {MOST_VALUES:,} keys and values")
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node in self._open:
            raise _Refused(f"{_at(node.start_mark)}: what stands here holds itself, by an alias")
        if len(self._open) >= DEEPEST:
            raise _Refused(f"{_at(node.start_mark)}: with its aliases it is nested in more than {DEEPEST} levels")
        _check_size(node)
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            _check_tag(node, "seq")
            return [self.value(entry, (*path, index)) for index, entry in enumerate(node.value)]
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, path: Place) -> dict[str, Any]:
        _check_tag(node, "map")
        merged: dict[str, Any] = {}
        found: dict[str, Any] = {}
        lines: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise _Refused(f"{_at(key_node.start_mark)}: a key is a word, and this one is a list or a mapping")
            key = _checked_text(key_node)
            if key in lines:
                raise _Refused(f"{_at(key_node.start_mark)}: {_called(path, key)} stands in {_at(lines[key])} already")
            lines[key] = key_node.start_mark
            if key == "<<" and key_node.style is None:
                merged = self._merged(value_node, path)
            else:
                found[key] = self.value(value_node, (*path, key))
        return {**merged, **found}

    def _merged(self, node: Node, path: Place) -> dict[str, Any]:
        """What `<<` takes in: a mapping, or several, of which the first has its way."""
        values = [self.value(one, path) for one in (node.value if isinstance(node, SequenceNode) else [node])]
        if not all(isinstance(one, dict) for one in values):
            raise _Refused(f"{_at(node.start_mark)}: << takes in a mapping, or a list of mappings")
        return {key: value for one in reversed(values) for key, value in one.items()}

    def _scalar(self, node: ScalarNode, path: Place) -> Any:
        text, tag = _checked_text(node), node.tag.removeprefix("tag:yaml.org,2002:")
        if tag == "str":
            return text
        if tag == "null" and re.fullmatch(_PATTERNS[tag], text):
            return None
        if self._is_text(path) and node.style is None and not _is_tagged(node):
            return text
        if tag not in _PATTERNS or not re.fullmatch(_PATTERNS[tag], text):
            raise _Refused(f"{_at(node.start_mark)}: {text[:40]!r} has the tag {node.tag!r}, which means nothing here")
        if tag == "bool":
            return text.lower() == "true"
        return _integer(node) if tag == "int" else _float(node)


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_PATTERNS = {tag: pattern for tag, pattern, _ in _CORE}


def _is_tagged(node: ScalarNode) -> bool:
    """Whether a scalar's tag is the writer's own: then it is not what its look says."""
    return bool(node.tag != _resolved(node.value))


def _resolved(text: str) -> str:
    for tag, pattern in _PATTERNS.items():
        if re.fullmatch(pattern, text):
            return f"tag:yaml.org,2002:{tag}"
    return "tag:yaml.org,2002:str"


def _integer(node: ScalarNode) -> int:
    text = node.value
    digits = len(text.lstrip("+-"))
    if digits <= 40:
        number = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if abs(number) < LARGEST:
            return number
    raise _Refused(f"{_at(node.start_mark)}: a number of {digits:,} digits; whole numbers must be below 2**63")


def _float(node: ScalarNode) -> float:
    text = node.value
    if text.lower().endswith(("inf", "nan")):
        return float(text.replace(".", ""))
    number = float(text) if len(text) <= 400 else float("inf")
    if abs(number) > sys.float_info.max:
        raise _Refused(f"{_at(node.start_mark)}: the number {text[:40]} is beyond what a computer's numbers hold")
    return number


def _checked_text(node: ScalarNode) -> str:
    text: str = node.value
    if bad := _UNSAFE.search(text):
        raise _Refused(
            f"{_at(node.start_mark)}: a text holds the control character U+{ord(bad[0]):04X}; write it without"
        )
    return text


def _check_tag(node: Node, tag: str) -> None:
    if node.tag != f"tag:yaml.org,2002:{tag}":
        raise _Refused(f"{_at(node.start_mark)}: the tag {node.tag!r} means nothing here; leave it out")


def _check_size(node: Node) -> None:
    if len(node.value) > MOST_ENTRIES:
        raise _Refused(f"{_at(node.start_mark)}: {len(node.value):,} entries in one place; at most {MOST_ENTRIES:,}")


def _called(path: Place, key: str) -> str:
    return repr(".".join(map(str, (*path, key))))


def _at(mark: Any) -> str:
    return f"line {mark.line + 1}"

"""Code of one's own, named in an experiment file: `module:NAME` or `path/to/file.py:NAME`.

A name is that of a factory, which is called, or of a row that joins one of the package's tables: a family, a metric, a
plot style. What a file holds goes along to workers on machines that do not see it.
"""

import functools
import hashlib
import importlib
import importlib.util
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Self, SupportsIndex, TypeVar

from trainables.errors import InputError

_RECEIVED: dict[Path, str] = {}
"""Texts of files of other machines, by their paths there; the same path here may hold another file."""
_LOADED: dict[Path, str] = {}
"""The texts of the files that this process has run, by path."""
_SEEN: set[Path] = set()
"""The files that this process has read itself: what it receives of them is its own."""


def is_own(name: str) -> bool:
    """Whether `name` is that of one's own code, not of something in a list."""
    return ":" in name


def absolute_callable(name: str) -> str:
    """`name` with a .py file's path made absolute: a trial runs in another folder than the one where it was read.

    Imports nothing. Raises InputError for a form that names nothing, and for a file that is not there.
    """
    place, _, attribute = name.rpartition(":")
    if not place or not all(part.isidentifier() for part in attribute.split(".")):
        raise InputError(
            f"{name!r} names no callable. Allowed: module:factory, or path/to/file.py:factory, where factory is a "
            "function that takes no arguments."
        )
    if not place.endswith(".py"):
        return name
    path = Path(place).expanduser()
    if path not in _RECEIVED and not path.is_file():
        raise InputError(f"There is no file {place} (looked from {Path.cwd()}) for {name!r}. Give the path of a file.")
    return f"{path if path in _RECEIVED else path.resolve()}:{attribute}"


def call(name: str) -> Any:
    """What the callable `name` gives. Raises InputError where it can't be imported, is not there, or fails."""
    function: Callable[[], Any] = attribute_of(name)
    if not callable(function):
        raise InputError(f"{name!r} is no function but {type(function).__name__}. Name one that takes no arguments.")
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise InputError(f"{name!r} failed when it was called without arguments: {_said(error)}") from error


def attribute_of(name: str) -> Any:
    """What stands under `name`, whose module is run once. Raises InputError where it can't be, or is not there."""
    place, _, attribute = absolute_callable(name).rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    try:
        return operator.attrgetter(attribute)(module)
    except AttributeError:
        there = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise InputError(f"There is no {attribute!r} in {place}. Callables there: {there or 'none'}.") from None


def described(name: str) -> str:
    """`name` as a record should have it: of a file its own name and the SHA-256 of its content."""
    place, _, attribute = name.rpartition(":")
    path = Path(place)
    if not place.endswith(".py") or (path not in _RECEIVED and not path.is_file()):
        return name
    return f"{path.name}:{attribute} (sha256 {_digest(_text(path))[:16]})"


def short(name: str) -> str:
    """`name` as a table should have it: of a file its own name, without the folders."""
    place, colon, attribute = name.rpartition(":")
    return f"{Path(place).name}{colon}{attribute}" if place.endswith(".py") else name


@dataclass(frozen=True)
class OwnFiles:
    """The files of one's own code that this process has run, for another one that may not see them."""

    texts: Mapping[Path, str] = field(default_factory=lambda: dict(_LOADED))

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, (dict(self.texts),)


def _receive(texts: dict[Path, str]) -> OwnFiles:
    _RECEIVED.update({path: text for path, text in texts.items() if path not in _SEEN})
    return OwnFiles(texts)


@dataclass(frozen=True)
class OwnRow:
    """A row of one of the package's tables, which may be one's own: it is then pickled as its file's text."""

    own: str | None = field(default=None, kw_only=True, compare=False, repr=False)
    """The name that it goes by in the experiment file; None: it is the package's."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self.own is None:
            return super().__reduce_ex__(protocol)
        place = self.own.rpartition(":")[0]
        texts = {Path(place): _text(Path(place))} if place.endswith(".py") else {}
        return _arrived, (type(self), self.own, texts)

    @classmethod
    def load(cls, name: str) -> Self:
        """The row under `module:NAME` or `path/to/file.py:NAME`; InputError where none of this kind stands there."""
        row = attribute_of(name)
        if not isinstance(row, cls):
            raise InputError(
                f"{name!r} is no {cls.__name__} but {type(row).__name__}. Name a {cls.__name__} of {cls.__module__}."
            )
        return replace(row, own=absolute_callable(name))


Row = TypeVar("Row", bound=OwnRow)


def _arrived(kind: type[Row], name: str, texts: dict[Path, str]) -> Row:
    _receive(texts)
    return kind.load(name)


@functools.cache
def installed(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group that the installed packages offer, by name."""
    return {point.name: point for point in entry_points(group=group)}


def digest_of(name: str) -> str:
    """The SHA-256 of the file of `path/to/file.py:NAME`; of a module, of its name."""
    place = name.rpartition(":")[0]
    return _digest(_text(Path(place)) if place.endswith(".py") else name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _text(path: Path) -> str:
    if path in _RECEIVED:
        return _RECEIVED[path]
    try:
        _SEEN.add(path)
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}. Give the path of a file.") from None


def _from_name(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"The module {place!r} can't be imported: {_said(error)} Install the package that has it where the trials "
            "run, or give the path of a .py file (path/to/file.py:factory)."
        ) from error


def _from_file(path: Path) -> ModuleType:
    text = _text(path)
    _LOADED[path] = text
    return _loaded(path, text)


@functools.cache
def _loaded(path: Path, text: str) -> ModuleType:
    """The module in a file, run once for each content of the file."""
    name = f"own_code_{_digest(f'{path}:{text}')[:16]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        exec(compile(text.encode("utf-8", "surrogateescape"), str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path} can't be run: {_said(error)} Mend it, or name another file.") from error
    return module


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". \n") + "."

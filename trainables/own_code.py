"""Code of one's own, named in an experiment file: `module:NAME` or `path/to/file.py:NAME`.

A name is that of a factory, which is called, or of a row that joins one of the package's tables: a family, a metric, a
plot style. What a file holds goes along to workers on machines that do not see it.
"""

import functools
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
from trainables.files import is_file, text_sha256

_RECEIVED: dict[Path, str] = {}
"""Texts of files of other machines, by their paths there; the same path here may hold another file."""
_LOADED: dict[Path, str] = {}
"""The texts of the files that this process has run, by path."""
_SEEN: set[Path] = set()
"""The files that this process has read itself: what it receives of them is its own."""
_HELD: dict[Path, str] = {}
"""Their texts, until `read_anew`: what is edited while a run works does not get into it by halves."""


def read_anew() -> None:
    """Have the files of one's own code read again when they are next needed: a run, a rendering, a model begins."""
    _HELD.clear()


def is_own(name: str) -> bool:
    """Whether `name` is that of one's own code, not of something in a list."""
    return ":" in name


def names_code(text: str) -> bool:
    """Whether `text` has the form of a name of one's own code, which is all that can be imported by it."""
    place, _, attribute = text.rpartition(":")
    return bool(place) and all(part.isidentifier() for part in attribute.split("."))


def code_named_in(values: Any) -> set[str]:
    """Every text in plain values, however deep, that has the form of a name of one's own code."""
    if isinstance(values, str):
        return {values} if names_code(values) else set()
    within = values.values() if isinstance(values, Mapping) else values if isinstance(values, list | tuple) else ()
    return {name for value in within for name in code_named_in(value)}


def absolute_callable(name: str, *, elsewhere: bool = False) -> str:
    """`name` with a .py file's path made absolute: a trial runs in another folder than the one where it was read.

    Imports nothing. Raises InputError for a form that names nothing, and for a file that is not there; with `elsewhere`
    an absolute path may be one of another machine, which is missed only where its code is run.
    """
    if not names_code(name):
        raise InputError(f"{name!r} names nothing of one's own. Allowed: module:NAME, or path/to/file.py:NAME.")
    place, _, attribute = name.rpartition(":")
    if not place.endswith(".py"):
        return name
    path = expanded(place)
    if path not in _RECEIVED and not (elsewhere and path.is_absolute()) and not is_file(path):
        raise InputError(f"There is no file {place} (looked from {Path.cwd()}) for {name!r}. Give the path of a file.")
    return f"{path if path in _RECEIVED else path.resolve()}:{attribute}"


def expanded(path: str | Path) -> Path:
    """A path with `~` and `~user` written out; InputError where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"There is no home folder for {str(path)[:200]!r}. Write the path out.") from None


def place_behind(name: str, group: str) -> str:
    """The `module:NAME` or `path/to/file.py:NAME` of one's own code, or of an entry point of `group`; empty: neither.

    Imports nothing.
    """
    if is_own(name):
        return absolute_callable(name, elsewhere=True)
    point = installed(group).get(name)
    return "" if point is None else f"{point.module}:{point.attr}"


def call(name: str) -> Any:
    """What the callable `name` gives. Raises InputError where it can't be imported, is not there, or fails."""
    function: Callable[[], Any] = attribute_of(name)
    if not callable(function):
        raise InputError(f"{name!r} is no function but {type(function).__name__}. Name one that takes no arguments.")
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise InputError(f"{name!r} failed when it was called without arguments: {_said(error)}") from error


def attribute_of(name: str, kind: type | None = None) -> Any:
    """What stands under `name`, whose module is run once. Raises InputError where it can't be, or is not there.

    `kind` is what is looked for, of which the error names what there is; None: something to call.
    """
    place, _, attribute = absolute_callable(name, elsewhere=True).rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    try:
        return operator.attrgetter(attribute)(module)
    except AttributeError:
        fits: Callable[[object], bool] = callable if kind is None else lambda value: isinstance(value, kind)
        there = ", ".join(key for key, value in vars(module).items() if fits(value) and not key.startswith("_"))
        what = "To be called" if kind is None else f"Of {kind.__name__}"
        raise InputError(f"There is no {attribute!r} in {place}. {what} there: {there or 'nothing'}.") from None


def described(name: str) -> str:
    """`name` as a record should have it: with the SHA-256 of its file's content, and of a path the file's own name."""
    text = _code(name.rpartition(":")[0])
    return name if text is None else f"{short(name)} (sha256 {text_sha256(text)[:16]})"


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
    """The `module:NAME` or `path/to/file.py:NAME` that it stands under; None: it is the package's."""
    asked: str = field(default="", kw_only=True, compare=False, repr=False)
    """The name that one's own goes by in the experiment file: the same, or that of an entry point."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self.own is None:
            return super().__reduce_ex__(protocol)
        place = self.own.rpartition(":")[0]
        texts = {Path(place): _text(Path(place))} if place.endswith(".py") else {}
        return _arrived, (type(self), self.own, self.asked, texts)

    @classmethod
    def load(cls, place: str, asked: str = "") -> Self:
        """The row under `module:NAME` or `path/to/file.py:NAME`; InputError where none of this kind stands there.

        `asked`: the name that the experiment file has for it, where that is another.
        """
        row = attribute_of(place, cls)
        if not isinstance(row, cls):
            raise InputError(
                f"{place!r} is no {cls.__name__} but {type(row).__name__}. Name a {cls.__name__} of {cls.__module__}."
            )
        own = absolute_callable(place)
        return replace(row, own=own, asked=asked or own)


Row = TypeVar("Row", bound=OwnRow)


def _arrived(kind: type[Row], place: str, asked: str, texts: dict[Path, str]) -> Row:
    _receive(texts)
    return kind.load(place, asked)


@functools.cache
def installed(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group that the installed packages offer, by name."""
    return {point.name: point for point in entry_points(group=group)}


def digest_of(name: str) -> str:
    """The SHA-256 of the file of `path/to/file.py:NAME` or `module:NAME`; of a module without one, of its name."""
    text = _code(name.rpartition(":")[0])
    return text_sha256(name if text is None else text)


def _code(place: str) -> str | None:
    """The text of a file, or of a module's file; None where there is none. Runs nothing."""
    if not place.endswith(".py"):
        return _module_text(place)
    path = Path(place)
    return _text(path) if path in _RECEIVED or path in _HELD or is_file(path) else None


@functools.cache
def _module_text(place: str) -> str | None:
    """As it is first read: Python does not import a module again either."""
    file = _module_file(place)
    return None if file is None else file.read_bytes().decode("utf-8", "surrogateescape")


def _module_file(place: str) -> Path | None:
    top, *rest = place.split(".")
    try:
        spec = importlib.util.find_spec(top)  # of a dotted name it would run the parents
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin is not None and spec.origin.endswith(".py") else None
    stems = [Path(folder).joinpath(*rest) for folder in spec.submodule_search_locations or ()]
    files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def _text(path: Path) -> str:
    if path in _RECEIVED:
        return _RECEIVED[path]
    _SEEN.add(path)
    try:
        if path not in _HELD:
            _HELD[path] = path.read_bytes().decode("utf-8", "surrogateescape")
        return _HELD[path]
    except FileNotFoundError:
        raise InputError(f"There is no file {path}. Give the path of a file.") from None
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
    name = f"own_code_{text_sha256(f'{path}:{text}')[:16]}"
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

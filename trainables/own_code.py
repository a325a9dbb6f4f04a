"""Callables of one's own, named in an experiment file: `module:factory` or `path/to/file.py:factory`."""

import functools
import hashlib
import importlib
import importlib.util
import operator
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from trainables.errors import InputError


def is_own(name: str) -> bool:
    """Whether `name` is that of a callable, not of something in a list."""
    return ":" in name


def absolute_callable(name: str) -> str:
    """`name` with a .py file's path made absolute: a trial runs in another folder than the one where it was read.

    Imports nothing. Raises InputError for a form that names no callable, and for a file that is not there.
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
    if not path.is_file():
        raise InputError(f"There is no file {place} (looked from {Path.cwd()}) for {name!r}. Give the path of a file.")
    return f"{path.resolve()}:{attribute}"


def call(name: str) -> Any:
    """What the callable `name` gives. Raises InputError where it can't be imported, is not there, or fails."""
    place, _, attribute = absolute_callable(name).rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    try:
        function: Callable[[], Any] = operator.attrgetter(attribute)(module)
    except AttributeError:
        there = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise InputError(f"There is no {attribute!r} in {place}. Callables there: {there or 'none'}.") from None
    if not callable(function):
        raise InputError(f"{name!r} is no function but {type(function).__name__}. Name one that takes no arguments.")
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise InputError(f"{name!r} failed when it was called without arguments: {_said(error)}") from error


def described(name: str) -> str:
    """`name` as a record should have it: of a file its own name and the SHA-256 of its content."""
    place, _, attribute = name.rpartition(":")
    path = Path(place)
    if not place.endswith(".py") or not path.is_file():
        return name
    return f"{path.name}:{attribute} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"


def _from_name(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"The module {place!r} can't be imported: {_said(error)} Install the package that has it where the trials "
            "run, or give the path of a .py file (path/to/file.py:factory)."
        ) from error


def _from_file(path: Path) -> ModuleType:
    return _loaded(path, path.stat().st_mtime_ns)


@functools.cache
def _loaded(path: Path, changed: int) -> ModuleType:
    """The module in a file, run once for each state of the file."""
    name = f"own_code_{hashlib.sha256(f'{path}:{changed}'.encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path} can't be run: {_said(error)} Mend it, or name another file.") from error
    return module


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". \n") + "."

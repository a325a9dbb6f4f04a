"""What the sections of an experiment's file say of the value at a place: a text, a list, or either."""

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

Place = tuple[str | int, ...]
"""Keys, and numbers of list entries."""


def takes_text(model: type[BaseModel], place: Place) -> bool:
    """Whether what stands there is a name, a path or another text, so that `010` and `true` mean what is written."""
    kinds = {_kind(one) for one in _at(model, place)}
    return bool(kinds & {str}) and kinds <= {str, type(None)}


def takes_only_text(model: type[BaseModel], place: Place) -> bool:
    """Whether a text must stand there, and null may not."""
    return {_kind(one) for one in _at(model, place)} == {str}


def takes_list(model: type[BaseModel], place: Place) -> bool:
    """Whether a list may stand there."""
    return any(_kind(one) is list for one in _at(model, place))


def takes_only_names(model: type[BaseModel], place: Place) -> bool:
    """Whether a list must stand there, of names or of sections: then one alone can't be meant as a number."""
    kinds = {_kind(one) for one in _at(model, place)}
    entries = {_kind(one) for one in _at(model, (*place, 0))}
    return kinds == {list} and entries <= {str, dict, object}


def sections_at(model: type[BaseModel], place: Place) -> Iterator[type[BaseModel]]:
    """The sections that may stand there."""
    return (one for one in _at(model, place) if isinstance(one, type) and issubclass(one, BaseModel))


def _at(model: type[BaseModel], place: Place) -> list[Any]:
    """The types, without unions, that may stand there."""
    found: list[Any] = [model]
    for part in place:
        found = [inner for one in found for inner in _inner(one, part)]
    return found


def _inner(annotation: Any, part: str | int) -> list[Any]:
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return [] if field is None else _branches(field.annotation)
    if origin in (tuple, list) and isinstance(part, int):
        inner = (
            arguments[0] if len(arguments) == 1 or arguments[-1] is ... else arguments[min(part, len(arguments) - 1)]
        )
        return _branches(inner)
    return _branches(arguments[1]) if origin is dict else []


def _branches(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _branches(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [one for branch in typing.get_args(annotation) for one in _branches(branch)]
    return [annotation]


def _kind(annotation: Any) -> Any:
    """str, list, dict, NoneType, object for anything, or the type itself."""
    origin = typing.get_origin(annotation)
    if origin in (tuple, list):
        return list
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return dict
    if annotation is Path or (
        origin is typing.Literal and all(isinstance(one, str) for one in typing.get_args(annotation))
    ):
        return str
    return object if annotation is Any else annotation

"""The templates of the files that a target is given."""

import shlex
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

ROOM, TEMPLATES = "orchestrator.launching", "templates"


def filled(name: str, **values: Any) -> str:
    """A template with its values; the filter `q` makes any text one word of a shell's line."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(  # what it writes are scripts and plain texts, in which HTML's escapes would be wrong
        loader=PackageLoader(ROOM, TEMPLATES),
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["q"] = lambda value: shlex.quote(str(value))
    return environment

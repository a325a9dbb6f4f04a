"""The commands over what trainings on this machine keep for one another: `orchestrate cache ls` and `clean`."""

import json
from typing import Annotated

import typer

from orchestrator.cli.options import Json

cache = typer.Typer(
    help="List or remove what trainings keep for one another: features of frozen networks, first stages.",
    short_help="List or remove what trainings keep for one another.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@cache.command()
def ls(as_json: Json = False) -> None:
    """List what the cache holds.

    The longest unused first: that goes first where there is no more room.
    """
    from orchestrator.machine.shared_cache import cached, contents_text

    found = cached()
    typer.echo(json.dumps(found.model_dump(), indent=2) if as_json else contents_text(found))


@cache.command()
def clean(
    older_than: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", help="Only what was not used for so many days.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as features.")] = None,
    as_json: Json = False,
) -> None:
    """Remove what the cache holds.

    It is computed anew when it is needed; no run loses a result.
    """
    from orchestrator.machine.shared_cache import clean_cache, removed_text

    removed = clean_cache(older_than, kind)
    typer.echo(json.dumps(removed.model_dump(), indent=2) if as_json else removed_text(removed))

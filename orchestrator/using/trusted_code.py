"""Code of one's own that a kept model names: run only where the caller names it, too."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.artifacts.models import KeptModel
from trainables.errors import InputError
from trainables.own_code import absolute_callable, code_named_in, is_own, short


def with_trusted_code(kept: KeptModel, trust: str | Sequence[str], folder: Path) -> KeptModel:
    """The same, each `path/to/file.py:NAME` as `trust` has it: what is run is the file that the caller named.

    A model's folder may be another's, and lie elsewhere than the files it was trained with: a name is trusted where
    `trust` holds it, of a file also where file and NAME are called so. InputError for code that is not trusted, and
    for a file of `trust` that is not there.
    """
    style = kept.preprocessing.get("style") or ""
    if not isinstance(style, str):
        raise InputError(f"{folder} holds no kept model: its plot style is no name. Give RUN/models/<variant>/<seed>.")
    theirs = code_named_in(kept.config) | {name for name in (kept.family, style) if is_own(name)}
    trusted = trusted_names(theirs, trust, folder)
    drawn = {"style": trusted[style]} if style in trusted else {}
    return kept.model_copy(
        update={
            "family": trusted.get(kept.family, kept.family),
            "config": _replaced(kept.config, trusted),
            "preprocessing": kept.preprocessing | drawn,
        }
    )


def trusted_names(theirs: Iterable[str], trust: str | Sequence[str], folder: Path) -> dict[str, str]:
    """Each name of code of one's own that `folder` holds -> as `trust` has it; InputError as `with_trusted_code`."""
    told = {name: absolute_callable(name) for name in ([trust] if isinstance(trust, str) else trust)}
    ours = {short(name): name for name in told.values()} | {name: name for name in told.values()}
    known = {name: ours.get(name) or ours.get(short(name)) for name in theirs}
    strange = sorted(name for name, own in known.items() if own is None)
    if strange:
        names = ", ".join(ascii(name[:300]) for name in strange)
        raise InputError(
            f"{folder} names code of one's own, which would be run: {names}. A model's folder may come from anyone. If "
            f"you trust this code, say so, with the paths of your own files: --trust for each, or "
            f"load_model(..., trust=({names},))."
        )
    return {name: own for name, own in known.items() if own is not None}


def _replaced(values: Any, names: Mapping[str, str]) -> Any:
    if isinstance(values, dict):
        return {key: _replaced(value, names) for key, value in values.items()}
    if isinstance(values, list):
        return [_replaced(value, names) for value in values]
    return names.get(values, values) if isinstance(values, str) else values

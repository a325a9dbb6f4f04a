from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from orchestrator.data.store.store import Recipe
from orchestrator.stages.handed_to_workers import pictures_of

RECIPE = Recipe("series", "plain", (32, 32), None, "renderer 1")


def fingerprint(recipe: Recipe, data: str = "files", split: str = "split") -> str:
    prepared = SimpleNamespace(data=data, split=SimpleNamespace(fingerprint=split))
    return pictures_of(cast(Any, prepared), cast(Any, SimpleNamespace(recipe=recipe)))


def test_all_that_decides_the_pictures_is_in_their_fingerprint() -> None:
    changes: list[dict[str, Any]] = [
        {"column": "b"},
        {"gaps": "interpolate"},
        {"decimal": "comma"},
        {"size": (16, 64)},
        {"style": "seed"},
        {"identity": "renderer 2"},
        {"bits": 12},
        {"upright": True},
    ]
    found = [fingerprint(RECIPE), *(fingerprint(replace(RECIPE, **change)) for change in changes)]
    found += [fingerprint(RECIPE, data="others"), fingerprint(RECIPE, split="another")]
    assert len(set(found)) == len(changes) + 3
    assert fingerprint(replace(RECIPE)) == found[0]

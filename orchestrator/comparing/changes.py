"""What was set or installed otherwise in one run than in another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.artifacts.records import TrialRecord
from orchestrator.comparing.reading import NamedRun
from orchestrator.experiment.experiment import LATER_KEYS
from orchestrator.experiment.experiment import flat as flat_experiment
from orchestrator.report.numbers.frames import flat

ABSENT = "not given"
Scope = Literal["experiment", "winner", "environment"]


@dataclass(frozen=True)
class Change:
    """One key whose value differs."""

    scope: Scope
    """experiment: the file; winner: the evaluated configuration of a variant; environment: code, packages, device."""
    variant: str
    """Of the first run; empty but for a winner."""
    key: str
    before: Any
    """In the first run; ABSENT where it has no such key."""
    after: Any


def changes(first: NamedRun, second: NamedRun, pairs: Mapping[str, str]) -> list[Change]:
    """All that differs, experiment first. `pairs`: variant of the first run -> the same one's name in the second."""
    found = _differing("experiment", "", _experiment(first, second), _experiment(second, first))
    for mine, its in pairs.items():
        ours, theirs = first.data.completed.get(mine), second.data.completed.get(its)
        if ours and theirs:
            found += _differing("winner", mine, _winner(ours[0]), _winner(theirs[0]))
    return found + _differing("environment", "", _environment(first), _environment(second))


def _differing(scope: Scope, variant: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    keys = [*before, *(key for key in after if key not in before)]
    rows = [Change(scope, variant, key, before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys]
    return [row for row in rows if row.before != row.after]


def _experiment(run: NamedRun, other: NamedRun) -> dict[str, Any]:
    """The experiment's keys joined by dots, families by name; empty where the file holds something else.

    A key that came later than the run has the value that means what the run did. Of a variant that `other` does not
    know, only its family: every key of it would differ.
    """
    values = dict(run.data.experiment)
    shared, lone = [], {}
    for one in values.get("families") or []:
        if isinstance(one, dict) and str(one.get("name")) not in other.data.variants:
            lone[f"families.{one.get('name')}"] = one.get("family")
        else:
            shared.append(one)
    try:
        return (LATER_KEYS if values else {}) | flat_experiment(values | {"families": shared}) | lone
    except (AttributeError, RecursionError):
        run.data.remarks.append("experiment.yaml is no experiment of this product: what it sets is not compared.")
        return {}


def _winner(cell: TrialRecord) -> dict[str, Any]:
    """What was evaluated: the family, its configuration, and the threshold's strategy."""
    strategy = {} if cell.threshold is None else {"threshold strategy": cell.threshold.strategy}
    return {"family": cell.family, **flat(cell.config), **strategy}


def _environment(run: NamedRun) -> dict[str, Any]:
    """Code, device, host and every package's version; several of one run joined by slashes."""
    versions: dict[str, dict[str, None]] = {}
    for record in run.data.records:
        for package, version in record.provenance.packages.items():
            versions.setdefault(f"package {package}", {})[version] = None
    fields = {name: " / ".join(run.data.distinct(name)) for name in ("code", "device", "host")}
    return fields | {package: " / ".join(found) for package, found in versions.items()}

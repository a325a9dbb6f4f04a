"""Compares families of anomaly models fairly: renders, searches, evaluates, reports.

from orchestrator import Experiment, run
run(Experiment.load(Path("experiment.yaml")), "runs/first")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.experiment import Experiment
    from orchestrator.models import load_model
    from orchestrator.records import TrialRecord, read_records
    from orchestrator.run_folder import RunFolder
    from orchestrator.sweep import ablate, run
    from trainables.errors import InputError

__all__ = ["Experiment", "InputError", "RunFolder", "TrialRecord", "ablate", "load_model", "read_records", "run"]

_HOMES = {
    "Experiment": "orchestrator.experiment",
    "InputError": "trainables.errors",
    "RunFolder": "orchestrator.run_folder",
    "TrialRecord": "orchestrator.records",
    "ablate": "orchestrator.sweep",
    "load_model": "orchestrator.models",
    "read_records": "orchestrator.records",
    "run": "orchestrator.sweep",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: torch and Ray cost seconds that `--help` should not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)

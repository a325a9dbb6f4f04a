"""Where the records of made runs say that they come from."""

from typing import Any

from orchestrator.artifacts.records import Provenance
from orchestrator.experiment.experiment import Experiment
from trainables.errors import InputError

PROVENANCE = Provenance(
    experiment="1f0c9a8e7d6b5c43",
    data="9e107d9d372bb682",
    split="e4d909c290d0fb1c",
    code="0.1.0 (0123456789ab)",
    packages={"python": "3.11.9", "ray": "2.60.0", "torch": "2.9.1", "optuna": "5.0.0"},
    device="A processor",
    host="host",
    finished="2026-01-02T03:04:05+00:00",
)


def provenance_of(experiment: dict[str, Any]) -> Provenance:
    """The same for records of an experiment, by the values of its file; of one that is none, as it stands."""
    try:
        return PROVENANCE.model_copy(update={"experiment": Experiment.from_mapping(experiment).fingerprint})
    except InputError:
        return PROVENANCE

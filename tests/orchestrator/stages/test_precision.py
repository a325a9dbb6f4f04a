import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.experiment.sections import Resources
from orchestrator.stages import precision as module
from orchestrator.stages.precision import precision_of
from trainables.errors import InputError
from trainables.interface import Precision
from trainables.training.probe import Probed


def context_of(folder: Path, said: list[str], **wishes: Any) -> Any:
    """As much of a run's context as the choice needs."""
    values = {"data": {"path": str(folder)}, "families": ["pca_logistic"], "precision": wishes}
    return SimpleNamespace(
        folder=RunFolder(folder),
        experiment=Experiment.from_mapping(values),
        engine=SimpleNamespace(remote=False),
        reporter=SimpleNamespace(say=said.append),
        placements={"pca_logistic": Placement("cpu", 1, 0, 1)},
    )


@pytest.fixture(autouse=True)
def _no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_bfloat16", lambda: False)


def test_on_a_processor_without_bfloat16_nothing_is_tried_or_said(tmp_path: Path) -> None:
    said: list[str] = []
    assert precision_of(context_of(tmp_path, said), "cpu", (16, 16), 100) == Precision()
    assert said == []
    assert not RunFolder(tmp_path).precision.exists()


@pytest.mark.usefixtures("ray_session")
def test_the_choice_is_made_once_written_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_has_bfloat16", lambda: False)  # of a CPU that has it, the clock would choose
    said: list[str] = []
    wished = context_of(tmp_path, said, channels_last=False)
    chosen = precision_of(wished, "cpu", (16, 16), 100)
    assert chosen == Precision(channels_last=False)
    assert len(said) == 1
    assert "channels first" in said[0]
    kept = json.loads(RunFolder(tmp_path).precision.read_text())
    assert kept["cpu"]["precision"]["channels_last"] is False
    assert kept["cpu"]["reasons"]["channels_last"] == "asked for"
    # A clock that would choose otherwise now is not asked again.
    kept["cpu"]["precision"]["dtype"] = "bfloat16"
    RunFolder(tmp_path).precision.write_text(json.dumps(kept))
    assert precision_of(wished, "cpu", (16, 16), 100) == Precision(dtype="bfloat16", channels_last=False)
    assert len(said) == 1


def test_trainings_that_workers_share_go_without_what_can_not_wait_in_its_midst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = Precision(dtype="bfloat16", compile=True, cuda_graphs=True, fused=True)
    monkeypatch.setattr(module, "_probed", lambda *given: Probed(fast, {"dtype": "asked for", "compile": "it pays"}))
    said: list[str] = []
    shared = context_of(tmp_path, said, dtype="bfloat16")
    shared.experiment = shared.experiment.model_copy(update={"resources": Resources(workers=2)})
    assert precision_of(shared, "cpu", (16, 16), 100) == Precision(dtype="bfloat16")
    reasons = json.loads(RunFolder(tmp_path).precision.read_text())["cpu"]["reasons"]
    assert reasons["compile"] == reasons["fused"] == "2 workers share a training"


def test_a_run_begun_before_there_was_a_choice_goes_on_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_has_bfloat16", lambda: True)
    monkeypatch.setattr(module, "read_records", lambda path: iter([SimpleNamespace(device=None)]))
    said: list[str] = []
    assert precision_of(context_of(tmp_path, said), "cpu", (16, 16), 100) == Precision()
    assert "begun before there was a choice" in said[0]
    assert RunFolder(tmp_path).precision.exists()


@pytest.mark.parametrize("text", ["", "[1]", '{"cpu": {}}', '{"cpu": {"precision": {"width": 8}}}'])
def test_a_choice_that_can_not_be_read_is_not_guessed(tmp_path: Path, text: str) -> None:
    RunFolder(tmp_path).precision.write_text(text)
    with pytest.raises(InputError, match="does not say how the run's networks compute"):
        precision_of(context_of(tmp_path, []), "cpu", (16, 16), 100)


def test_an_experiment_says_the_same_as_before_there_was_a_choice(tmp_path: Path) -> None:
    plain = {"data": {"path": str(tmp_path)}, "families": ["pca_logistic"]}
    prints = {
        name: Experiment.from_mapping({**plain, "precision": wishes}).fingerprint
        for name, wishes in (("plain", {}), ("auto", {"dtype": "auto"}), ("other", {"dtype": "float32"}))
    }
    assert prints["plain"] == prints["auto"] != prints["other"]
    with pytest.raises(InputError, match=r"precision\.dtype"):
        Experiment.from_mapping({**plain, "precision": {"dtype": "float16"}})

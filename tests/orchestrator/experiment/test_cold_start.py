"""What a slip of the pen costs a user: an error before torch, Ray or matplotlib is imported, in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

from trainables.configurations.backbones import backbone_names

CHECK = """
import json, sys
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.preflight import settle
from trainables.errors import InputError
found = []
for command, override, _ in json.load(sys.stdin):
    try:
        settle(Experiment.load(sys.argv[1], (override,)), ablation=command == "ablate")
        found.append("nothing")
    except InputError as error:
        found.append(str(error))
print(json.dumps([found, sorted({"torch", "torchvision", "ray", "sklearn", "matplotlib"} & sys.modules.keys())]))
"""
CASES = [
    ("sweep", "families.0.fixed.backbone=resnet19", "Unknown backbone 'resnet19'. The nearest: resnet"),
    ("sweep", "families.0.fixed.dropout=2", "families.plot_classifier.fixed.dropout: must be below 1"),
    ("sweep", "families.0.fixed.dropout=true", "dropout: must be a number (got True)"),
    ("sweep", "families.0.fixed.batch_size='32'", "batch_size: must be a whole number, and this is text"),
    ("sweep", "families.0.fixed.flip_left_right=yes", "flip_left_right: must be true or false (got 'yes')"),
    ("sweep", "families.0.fixed.dropot=0.2", "Did you mean 'dropout'?"),
    ("sweep", "families.1.space.C={low: 0, high: 1, log: true}", "must be above 0"),
    ("sweep", "families.1.space.C=[]", "list of choices"),
    ("sweep", "families.1.space.C=[1e-3, true]", "C: must be a number (got True)"),
    ("sweep", "families.1.space={C: {low: 1, high: .inf}}", "finite"),
    ("sweep", "families.1.space={C: {low: .nan, high: 1}}", "finite"),
    ("ablate", "ablation={baseline: plot_classifier, factors: {dropout: [2, 3]}}", "ablation.factors.dropout: "),
    ("ablate", "ablation={baseline: plot_classifier, factors: {dropot: [0, 1]}}", "Did you mean 'dropout'?"),
    (
        "ablate",
        "ablation={baseline: plot_classifier, config: {dropout: -1}, factors: {C: [1, 2]}}",
        "config.dropout",
    ),
    ("ablate", "ablation={baseline: plot_classifier, factors: {epochs: [true, 2]}}", "epochs"),
]


def test_a_wrong_key_or_value_is_told_before_anything_slow_is_imported(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "tree" / name / f"{number}.csv").write_text(f"value\n1\n{number}\n3\n", encoding="utf-8")
    file = tmp_path / "e.yaml"
    file.write_text(f"data: {{path: {tmp_path / 'tree'}}}\nfamilies: [plot_classifier, pca_logistic]\n", "utf-8")
    command = [sys.executable, "-c", CHECK, str(file)]
    child = subprocess.run(command, input=json.dumps(CASES), capture_output=True, text=True, timeout=300, check=True)
    said, imported = json.loads(child.stdout)
    assert [(case, text) for case, text in zip(CASES, said, strict=True) if case[2] not in text] == []
    assert imported == []


def test_the_names_of_backbones_that_are_read_from_the_source_are_torchvision_s() -> None:
    from torchvision import models

    assert sorted(backbone_names()) == sorted(models.list_models(module=models))

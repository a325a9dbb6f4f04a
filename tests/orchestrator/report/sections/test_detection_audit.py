"""The leakage audit: readings are counted, repeated ones and missing ones are said."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from builders.provenance import PROVENANCE

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.report.document.document import Facts, Listing
from orchestrator.report.numbers.readings import log_faults
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.numbers.thresholds import compared_by
from orchestrator.report.sections.audit import audit_section

MakeRun = Callable[..., RunFolder]


def audit(run: RunFolder, normals_only: bool = False) -> tuple[dict[str, str], str]:
    data = read_run(run)
    section = audit_section(data, normals_only, compared_by(data, {}))
    facts = {name: value for block in section.blocks if isinstance(block, Facts) for name, value in block.rows}
    said = " ".join(item for block in section.blocks if isinstance(block, Listing) for item in block.items)
    return facts, said


def log(run: RunFolder, **line: Any) -> None:
    told = {"variant": "vae", "seed": 0, "weights": "vae0", "moment": "now"} | line
    ReadingLog(run.test_reads, PROVENANCE.split, "evaluate fedcba987654").add(**told)


def test_each_cell_read_once(make_detection_run: MakeRun) -> None:
    facts, said = audit(make_detection_run(search=0))
    assert facts["Test part"] == (
        "This test part was read 4 times, by 1 command. It was read by 4 frozen cells (configuration × seed), each "
        "once."
    )
    assert facts["Split fingerprint"] == "e4d909c290d0fb1c"
    assert facts["Copies across parts"].startswith("none")
    assert facts["Epoch and hyperparameters"] == "validation part, by ROC-AUC"
    assert "best balanced accuracy on validation" in facts["Threshold strategy"]
    assert said == ""


@pytest.mark.parametrize(
    ("weights", "words"), [("vae0", "with the same weights each time"), ("other", "with 2 different weights")]
)
def test_more_than_one_reading_is_said(make_detection_run: MakeRun, weights: str, words: str) -> None:
    run = make_detection_run(search=0)
    log(run, weights=weights)
    facts, said = audit(run)
    assert "This test part was read 5 times, by 2 commands." in facts["Test part"]
    assert "read by 4 frozen cells" in facts["Test part"]
    assert "some of them more than once" in facts["Test part"]
    assert "vae, seed 0, read the test part 2 times" in said
    assert words in said


def test_a_cell_without_a_reading_is_said(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=0)
    lines = run.test_reads.read_text().splitlines(keepends=True)
    run.test_reads.write_text("".join(lines[:-1]))
    assert audit(run)[1].startswith(
        "test_reads.jsonl lacks the reading that the record of vae (seed 1) names: its line was removed or changed"
    )
    old = make_detection_run("old", search=0, seeds=(0,), then=lambda builder: builder.cell("vae", 1, reading=""))
    old.test_reads.write_text("".join(old.test_reads.read_text().splitlines(keepends=True)[:-1]))
    assert audit(old)[1] == "Evaluated without a logged reading: vae (seed 1)."


def test_a_missing_or_broken_log_is_said(make_detection_run: MakeRun) -> None:
    run = make_detection_run(search=0)
    with (run.root / "test_reads.jsonl").open("a") as file:
        file.write('{"variant": "vae"}\nno json\n')
    data = read_run(run)
    assert len(data.readings.found) == 4
    assert log_faults(data)[0] == "2 lines of test_reads.jsonl can't be read."
    (run.root / "test_reads.jsonl").unlink()
    facts, said = audit(run)
    assert facts["Test part"] == "not known"
    assert "test_reads.jsonl is missing" in said


def test_copies_and_normals_only(make_detection_run: MakeRun) -> None:
    objective = {"metric": "validation_loss", "mode": "min", "test_metric": "roc_auc"}
    run = make_detection_run(search=0, anomalies=False, objective=objective)
    values = json.loads(run.split.read_text()) | {"across": 2}
    run.split.write_text(json.dumps(values))
    facts, _ = audit(run, normals_only=True)
    assert facts["Copies across parts"].startswith("2 pictures with an exact copy in another part")
    assert facts["Epoch and hyperparameters"] == "validation part, by validation loss, of its normal pictures"
    assert "normal pictures only" in facts["Threshold strategy"]

"""The leakage audit of a classifier's run, and its most confused pictures."""

import json
from collections.abc import Callable

import numpy as np
from PIL import Image

from orchestrator.artifacts.galleries import write_galleries
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Facts
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.audit import audit_section
from trainables.interface import Gallery

MakeRun = Callable[..., RunFolder]


def facts(run: RunFolder) -> dict[str, str]:
    section = audit_section(read_run(run), None)
    return {name: value for block in section.blocks if isinstance(block, Facts) for name, value in block.rows}


def test_what_chose_what(make_run: MakeRun) -> None:
    run = make_run(search=1)
    with (run.root / "test_reads.jsonl").open("w") as log:
        for variant in ("pca_logistic", "resnet18"):
            for seed in range(3):
                log.write(json.dumps({"variant": variant, "seed": seed, "weights": "w", "read": "now"}) + "\n")
    found = facts(run)
    assert found["Weights"] == "train part"
    assert found["Epoch and hyperparameters"] == "validation part, by macro F1"
    assert "Threshold" not in found
    assert "Ablation" not in found
    assert found["Test part"] == (
        "This test part was read 6 times, by commands that its log does not name. It was read by 6 frozen cells "
        "(configuration × seed), each once."
    )
    assert found["Trials"] == "trained with seed 1000, which no final training has"
    assert found["Data fingerprint"] == "9e107d9d372bb682"
    assert found["Copies of pictures"] == "3 pictures repeat the bytes of another"
    assert found["Copies across parts"] == "not known"


def test_two_fingerprints_are_both_listed(make_run: MakeRun) -> None:
    def other(builder) -> None:  # type: ignore[no-untyped-def]
        builder.cell("resnet18", 7, provenance={**builder.run_provenance(), "data": "<b>other</b>", "split": "|x|"})
        builder.cell("resnet18", 8, stage="ablation", cell="aa")

    run = make_run(search=0, then=other)
    found = facts(run)
    assert found["Data fingerprint"] == "9e107d9d372bb682 and <b>other</b>"
    assert found["Split fingerprint"] == "e4d909c290d0fb1c and |x|"
    assert found["Ablation"].endswith("chose nothing")
    text = write_report(run, figures=False).read_text(encoding="utf-8")
    assert "&lt;b&gt;other&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "2 different data fingerprints" in text
    assert "2 different data fingerprints" in (run.report / "report.md").read_text(encoding="utf-8")


def test_the_most_confused_pictures_stand_after_the_matrix(make_run: MakeRun) -> None:
    run = make_run(search=0, seeds=(0,))
    plots = np.full((2, 224, 224, 3), 200, dtype=np.uint8)
    rows = (("<script>x</script> taken for b|c (2 of 9); probability 0.90, 0.80", plots),)
    write_galleries(run.gallery("resnet18", 0), (Gallery("Test pictures", rows),))
    text = write_report(run, figures=False).read_text(encoding="utf-8")
    assert text.index('id="confusion"') < text.index('id="gallery"') < text.index('id="learning"')
    assert "Most confused pictures" in text
    assert "&lt;script&gt;x&lt;/script&gt; taken for b|c" in text
    assert text.count("<script>") == 1
    assert "data:image/jpeg;base64," in text
    markdown = (run.report / "report.md").read_text(encoding="utf-8")
    assert "\\<script\\>x\\</script\\> taken for b\\|c" in markdown
    with Image.open(run.gallery("resnet18", 0) / "0-0.png") as strip:
        assert strip.height == 224

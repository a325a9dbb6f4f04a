"""The leakage audit of a classifier's run, and its most confused pictures."""

import json
from collections.abc import Callable

import numpy as np
from PIL import Image

from orchestrator.artifacts.galleries import write_galleries
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.document import Facts, Fold, Listing, Strips
from orchestrator.report.numbers.run_data import read_run
from orchestrator.report.page import write_report
from orchestrator.report.sections.audit import audit_section
from orchestrator.report.sections.galleries import size_of
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
    assert found["Copies of pictures"] == "3 pictures repeat the bytes of another; what is seen was not compared"
    assert found["Copies across parts"] == "not known"
    assert found["Near-duplicates across parts"] == "not looked for by the release that made this split"


def test_an_export_is_a_reading_that_judged_nothing(make_run: MakeRun) -> None:
    run = make_run(search=1)
    with (run.root / "test_reads.jsonl").open("w") as log:
        for command in ("sweep 1", "export 2", "export 3"):
            for variant, seed in (("pca_logistic", 0), ("resnet18", 1))[: 2 if command == "sweep 1" else 1]:
                told = {"variant": variant, "seed": seed, "weights": "w", "read": "now", "command": command}
                log.write(json.dumps(told) + "\n")
    assert facts(run)["Test part"] == (
        "This test part was read 4 times, by 3 commands. It was read by 2 frozen cells (configuration × seed), each "
        "judged once."
    )
    section = audit_section(read_run(run), None)
    said = [str(line) for block in section.blocks if isinstance(block, Listing) for line in block.items]
    assert any("pca_logistic, seed 0, read the test part 2 more times to be exported" in line for line in said)
    assert not any("started again" in line for line in said)


def with_split(run: RunFolder, **more: object) -> RunFolder:
    """A run whose split knows more."""
    run.split.write_text(json.dumps({**json.loads(run.split.read_text()), **more}), encoding="utf-8")
    return run


def test_copies_by_bytes_and_by_what_is_seen_are_told_apart(make_run: MakeRun) -> None:
    run = with_split(
        make_run(search=0), duplicates=5, by_bytes=2, across=0, near_duplicates={"counts": {}, "pairs": []}
    )
    found = facts(run)
    assert found["Copies of pictures"] == (
        "5 pictures repeat another: 2 by the bytes of the file, 3 in other bytes by the pixels or numbers seen"
    )
    assert found["Near-duplicates across parts"] == "none: near-duplicates stand in one part"
    assert facts(with_split(run, duplicates=0, by_bytes=0))["Copies of pictures"] == "none, by what is seen"
    assert facts(with_split(run, duplicates=0, by_bytes=None))["Copies of pictures"] == "none, by their bytes"


def test_near_duplicates_are_counted_and_stand_side_by_side(make_run: MakeRun) -> None:
    run = make_run(search=0)
    with_split(run, near_duplicates={"counts": {"train": 4, "<b>": 1, "test": "x"}, "pairs": []})
    pictures = np.full((2, 40, 40, 3), 90, dtype=np.uint8)
    rows = tuple((f"{name} (train) | b.png (test): 1.2 grey levels RMS apart", pictures) for name in ("a", "<b>x"))
    write_galleries(run.near_duplicates, (Gallery("Near-duplicates in different parts", rows),))
    found = facts(run)["Near-duplicates across parts"]
    assert found == "5 pictures with one in another part (4 of 630 in train, 1 of ? in <b>, 0 of 135 in test)"
    section = audit_section(read_run(run), None)
    (fold,) = [block for block in section.blocks if isinstance(block, Fold)]
    assert fold.title == "Near-duplicates in different parts, side by side"
    (strips,) = fold.blocks
    assert isinstance(strips, Strips)
    assert [(one.pictures, one.exact) for one in strips.strips] == [(2, True)] * 2
    text = write_report(run, figures=False).read_text(encoding="utf-8")
    assert text.index('id="audit"') < text.index("a (train) | b.png (test): 1.2 grey levels RMS apart")
    assert "<b>" not in text
    assert size_of([section]) > len(strips.strips[0].data) * 2
    (run.near_duplicates / "0-0.png").write_bytes(b"x")
    said = [block for block in audit_section(read_run(run), None).blocks if isinstance(block, Listing)][-1]
    assert "near-duplicates: a strip was left out: 0-0.png is no PNG" in said.items[0]


def test_where_they_are_grouped_it_is_said(make_run: MakeRun) -> None:
    run = make_run(search=0, data={"path": "x", "split": {"near_duplicates": "group"}})
    with_split(run, near_duplicates={"counts": {"train": 1, "test": 1}, "pairs": []})
    found = facts(run)["Near-duplicates across parts"]
    assert found.startswith("2 pictures with one in another part (1 of 630 in train, 1 of 135 in test); the others are")


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

"""A whole run on folders and files whose names are no UTF-8: to its report, a comparison and predictions."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator import Experiment, InputError, compare_runs, load_model, read_records, results, run, write_report
from orchestrator.machine.progress import Reporter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

LATIN = [os.fsdecode(name) for name in (b"caf\xe9", b"b\xfcro", b"\xff\n")]
SHOWN = ["caf\\xe9", "b\\xfcro", "\\xff\n"]


def latin_tree(root: Path) -> Path:
    """Three classes of ten pictures, of another brightness each."""
    for place, name in enumerate(LATIN):
        (root / name).mkdir(parents=True)
        for number in range(10):
            noise = np.random.default_rng(100 * place + number).integers(0, 60, (16, 16, 3))
            Image.fromarray((noise + 80 * place).astype(np.uint8)).save(
                root / name / os.fsdecode(b"n\xe9%d.png" % number)
            )
    return root


@pytest.mark.parametrize(
    ("family", "data", "more"),
    [
        ("pca_logistic", {}, {}),
        ("pca", {"normal": "caf\\xe9"}, {"heat_maps": True}),
    ],
)
def test_names_that_are_no_utf8_go_through_a_whole_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str, data: dict[str, str], more: dict[str, object]
) -> None:
    tree = latin_tree(tmp_path / os.fsdecode(b"donn\xe9es"))
    values = {
        "data": {"path": str(tree), "layout": "images", "size": 16, **data},
        "families": [{"name": "one", "family": family}, {"name": "two", "family": family}],
        "budget": {"trials": 2, "epochs": 1, "concurrent": 1},
        "seeds": [0, 1],
        **more,
    }
    folders = [
        run(Experiment.from_mapping(values), tmp_path / name, reporter=Reporter()) for name in ("first", "second")
    ]
    assert r"'caf\xe9' is no UTF-8" in capsys.readouterr().err
    evaluated = [one for one in read_records(folders[0].records) if one.stage == "evaluation"]
    assert [one.status for one in evaluated] == ["completed"] * 4
    assert set(evaluated[0].per_class or evaluated[0].per_kind) >= set(SHOWN[1:])
    write_report(folders[0].root)
    assert r"b\xfcro" in (folders[0].report / "index.html").read_text(encoding="utf-8")
    assert results(folders[0].root)["leaderboard"]
    compare_runs([folder.root for folder in folders], out=tmp_path / "compared")
    model = load_model(folders[0].root / "models/one/0")
    prediction = model.predict([tree / LATIN[1] / os.fsdecode(b"n\xe91.png")])
    assert len(prediction.scores) == 1
    if family == "pca_logistic":
        assert set(model.kept.classes) == set(SHOWN)
    with pytest.raises(InputError, match="b"):
        model.predict([tree / LATIN[1] / "gone.png"])

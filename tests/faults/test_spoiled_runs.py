"""A finished run whose files are cut, emptied, deleted, or filled with noise: made anew, or refused, never wrong."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.usefixtures("ray_session")]

CUTS = 20
FILES = (
    "lock",
    "experiment.yaml",
    "records.jsonl",
    "split.json",
    "studies/pca_logistic.journal",
    "studies/pca_logistic.scores.jsonl",
    "models/pca_logistic/0/test_scores.npz",
    "models/pca_logistic/0/model.json",
    "models/pca_logistic/0/weights.pt",
    "test_reads.jsonl",
    "stores/*/index.json",
    "stores/*/store.json",
    "stores/*/shards/*.npy",
    "stores/*/shards/*.json",
    "report/index.html",
    "report/tables/evaluation.csv",
)
EXACT = ("trial", "seed", "status", "macro_f1", "accuracy", "log_loss")


@pytest.fixture(scope="module")
def finished(series_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An experiment file and the run that it made."""
    from orchestrator import Experiment, run

    folder = tmp_path_factory.mktemp("finished")
    values = {
        "data": {"path": str(series_tree), "size": 32, "style": "plain"},
        "families": ["pca_logistic"],
        "budget": {"trials": 3, "epochs": 1, "concurrent": 1},
        "seeds": [0],
    }
    file = folder / "e.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    run(Experiment.load(file), folder / "run")
    return file, folder / "run"


def table(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "report" / "tables" / "evaluation.csv")[list(EXACT)]


@pytest.mark.parametrize("pattern", FILES)
def test_a_spoiled_file_is_made_anew_or_refused(
    finished: tuple[Path, Path], tmp_path: Path, orchestrate: Callable[..., Any], pattern: str
) -> None:
    file, run = finished
    truth = table(run)
    refused = 0
    ways: list[Callable[[Path], object]] = [
        *(lambda path, cut=cut: os.truncate(path, path.stat().st_size * cut // CUTS) for cut in range(CUTS)),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    ]
    for number, spoil in enumerate(ways):
        copy = tmp_path / str(number)
        shutil.copytree(run, copy)
        spoiled = min(copy.glob(pattern))
        spoil(spoiled)
        ended = orchestrate("sweep", file, "--out", copy, "--resume", "--quiet")
        assert ended.code in (0, 2), (number, ended.err)
        assert "Traceback" not in ended.err
        if ended.code == 0:
            pd.testing.assert_frame_equal(table(copy), truth)
        else:
            refused += 1
        shutil.rmtree(copy)
    print(f"{pattern}: {len(ways)} ways, {len(ways) - refused} made whole, {refused} refused")


def test_files_of_another_run_change_no_table(
    finished: tuple[Path, Path], series_tree: Path, tmp_path: Path, orchestrate: Callable[..., Any]
) -> None:
    file, run = finished
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    values["seeds"] = [1]
    other_file = tmp_path / "other.yaml"
    other_file.write_text(yaml.safe_dump(values), encoding="utf-8")
    other = tmp_path / "other"
    assert orchestrate("sweep", other_file, "--out", other, "--quiet").code == 0
    truth = table(run)
    for pattern in FILES:
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        shutil.copyfile(min(other.glob(pattern.replace("/0/", "/1/"))), min(copy.glob(pattern)))
        ended = orchestrate("sweep", file, "--out", copy, "--resume", "--quiet")
        assert ended.code in (0, 2), (pattern, ended.err)
        if ended.code == 0:
            pd.testing.assert_frame_equal(table(copy), truth)
        shutil.rmtree(copy)

"""Runs as the orchestrator writes them, made without training: records, split, experiment, test scores."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders.classification_runs import CLASSES, SKILLS, RunBuilder, write_run
from builders.detection_runs import DetectionBuilder

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.page import write_report

MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run: `search` trials and `seeds` cells of each variant, then whatever `then` does with the builder."""

    def make(
        name: str = "run",
        *,
        variants: dict[str, float] | None = None,
        classes: Sequence[str] = CLASSES,
        pictures: int = 135,
        search: int = 6,
        seeds: Sequence[int] = (0, 1, 2),
        scores: bool = True,
        then: Callable[[RunBuilder], None] | None = None,
        **experiment: Any,
    ) -> RunFolder:
        return write_run(
            tmp_path / name, variants or dict(list(SKILLS.items())[:2]), classes, pictures, search, seeds, scores, then,
            **experiment,
        )  # fmt: skip

    return make


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A whole run with its report, for tests that only read."""
    variants = dict(list(SKILLS.items())[:2])
    run = write_run(tmp_path_factory.mktemp("whole") / "run", variants, CLASSES, 135, 6, (0, 1, 2), True, None)
    write_report(run, figures=False)
    return run


@pytest.fixture
def make_detection_run(tmp_path: Path) -> MakeRun:
    """Write a run of detection: `search` trials and `seeds` cells of each variant, then what `then` does."""
    return maker_of_detection_runs(tmp_path)


@pytest.fixture(scope="session")
def whole_detection_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A whole run of detection with its report, for tests that only read."""

    def galleries(builder: DetectionBuilder) -> None:
        for name in builder.variants:
            builder.gallery(name, 0)

    make = maker_of_detection_runs(tmp_path_factory.mktemp("detection"))
    run = make(masks=True, seeds=(0, 1, 2), search=3, then=galleries)
    write_report(run, figures=False)
    return run


def maker_of_detection_runs(folder: Path) -> MakeRun:
    def make(
        name: str = "run",
        *,
        variants: dict[str, float] | None = None,
        masks: bool = False,
        anomalies: bool = True,
        pictures: int = 120,
        search: int = 2,
        seeds: Sequence[int] = (0, 1),
        then: Callable[[DetectionBuilder], object] | None = None,
        **experiment: Any,
    ) -> RunFolder:
        variants = variants or {"pca": 1.5, "vae": 3.0}
        builder = DetectionBuilder(folder / name, variants, masks, anomalies, pictures)
        builder.experiment(seeds or (0, 1), **experiment)
        for variant in variants:
            for number in range(search):
                builder.trial(variant, number)
            for seed in seeds:
                builder.cell(variant, seed)
        if then is not None:
            then(builder)
        return builder.run

    return make

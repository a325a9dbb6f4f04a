"""What tests of using a model share: a classifier of plots, and a detector of tiles with maps."""

from collections.abc import Callable
from pathlib import Path

import pytest
from builders.kept_models import keep_tile_model, plots_of, trained

from orchestrator import load_model
from orchestrator.using.loaded_model import LoadedModel
from trainables.interface import Samples


@pytest.fixture(scope="session")
def series(series_tree: Path) -> Samples:
    return plots_of(series_tree)


@pytest.fixture(scope="session")
def series_model(tmp_path_factory: pytest.TempPathFactory, series: Samples) -> Path:
    """The folder of a classifier of plots."""
    folder = tmp_path_factory.mktemp("plots") / "0"
    trained(folder, "pca_logistic", series, {"layout": "series", "style": "plain"}, components=4)
    return folder


@pytest.fixture(scope="session")
def of_series(series_model: Path) -> LoadedModel:
    """The same, loaded."""
    return load_model(series_model)


@pytest.fixture(scope="session")
def tile_model(tmp_path_factory: pytest.TempPathFactory, tile_tree: Path) -> Path:
    """The folder of a detector of the tiles, whose maps are kept with their scale, and its validation scores."""
    folder = tmp_path_factory.mktemp("tiles") / "0"
    keep_tile_model(folder, tile_tree)
    return folder


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The paths that scorers of this process were given."""
    from orchestrator.using.scorer import Scorer

    seen: list[str] = []
    rows = Scorer.rows

    def counting(self: Scorer, paths: list[str]) -> object:
        seen.extend(paths)
        return rows(self, paths)

    monkeypatch.setattr(Scorer, "rows", counting)
    return lambda: seen

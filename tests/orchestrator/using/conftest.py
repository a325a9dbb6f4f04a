"""What tests of using a model share: a classifier of plots, and a detector of tiles with maps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders.kept_models import SIDE, plots_of, trained

from orchestrator import load_model
from orchestrator.artifacts.heat_maps import scale_of
from orchestrator.data.files.image_files import decode_picture
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
    paths = sorted((tile_tree / "train/good").glob("*.png"))
    pictures = np.stack([decode_picture(path.read_bytes(), (SIDE, SIDE)) for path in paths])
    normal = Samples(pictures, np.zeros(len(paths), np.int64), ("normal", "anomaly"), tuple(map(str, paths)))
    folder = tmp_path_factory.mktemp("tiles") / "0"
    how = {"layout": "mvtec", "upright": True}
    config = {"architecture": "B", "batch_size": 8}
    model = trained(folder, "conv_autoencoder", normal, how, **config)
    scores, maps = (lambda found: (found.scores, found.maps))(model.predict(normal))
    assert maps is not None
    line = float(np.percentile(maps, 99))
    kept = {
        "threshold": float(scores.max()),
        "pixel_threshold": line,
        "heat_scale": scale_of(float(np.median(maps)), line),
        "strategy": "max_normal",
    }
    trained(folder, "conv_autoencoder", normal, how, kept=kept, **config)
    np.savez(folder / "test_scores.npz", validation_scores=scores, validation_labels=normal.labels)
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

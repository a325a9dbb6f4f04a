"""Where everything of one run lies."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path


def run_at(path: str | PathLike[str]) -> "RunFolder":
    """The folder of a run, or of one of its splits, at a path, which is made absolute: a trial's working folder is
    elsewhere."""
    root = Path(path).expanduser().absolute()
    whole = root.parent.parent
    if root.parent.name == "splits" and RunFolder(whole).experiment.is_file() and (root / "experiment.yaml").is_file():
        return RunFolder(root, whole)
    return RunFolder(root)


@dataclass(frozen=True, init=False)
class RunFolder(PathLike[str]):
    """The paths inside one run's folder, which it may stand for itself. Pure: it neither reads nor writes.

    `RunFolder(path)` asks nothing of what lies there; `orchestrator.open_run(path)` makes sure that it is a run.
    """

    root: Path
    whole: Path
    """The folder of the whole run, of which this is one of several splits; else the same."""

    def __init__(self, root: str | PathLike[str], whole: str | PathLike[str] | None = None) -> None:
        object.__setattr__(self, "root", Path(root))
        object.__setattr__(self, "whole", Path(root if whole is None else whole))

    def __fspath__(self) -> str:
        return str(self.root)

    def of_split(self, number: int) -> "RunFolder":
        """The folder of one of a run's repeated splits, by its number from 1: the first is the run's own."""
        return RunFolder(self.whole if number == 1 else self.whole / "splits" / str(number), self.whole)

    @property
    def is_part(self) -> bool:
        """Whether this is a split beside the first of a run with several."""
        return self.whole != self.root

    @property
    def experiment(self) -> Path:
        """The validated experiment, as YAML."""
        return self.root / "experiment.yaml"

    @property
    def as_run(self) -> Path:
        """The same as the run's last start had it: what is known of it where `experiment.yaml` was changed since."""
        return self.root / "as_run.yaml"

    @property
    def records(self) -> Path:
        return self.root / "records.jsonl"

    @property
    def split(self) -> Path:
        """Which picture belongs to which part, and the fingerprints."""
        return self.root / "split.json"

    @property
    def places(self) -> Path:
        """Where the data and the store lay before they were moved, where they ever were."""
        return self.root / "places.json"

    @property
    def precision(self) -> Path:
        """How networks compute on each kind of device, and why, as it was settled on when the run began."""
        return self.whole / "precision.json"

    @property
    def clusters(self) -> Path:
        """A line each time that the run joined a cluster: its machines, and how files reach them."""
        return self.whole / "clusters.jsonl"

    @property
    def stores(self) -> Path:
        """The stores of pictures, one a style and size."""
        return self.whole / "stores"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def states(self) -> Path:
        """What broken-off trainings go on from; empty when the run has ended."""
        return self.root / "states"

    @property
    def lock(self) -> Path:
        """Held by the process that works here."""
        return self.whole / "lock"

    @property
    def heartbeat(self) -> Path:
        """Who works here; absent when nobody does."""
        return self.whole / "heartbeat.json"

    @property
    def stop(self) -> Path:
        """There while the run is asked to stop."""
        return self.whole / "stop"

    @property
    def test_reads(self) -> Path:
        """A line each time that frozen weights are about to be judged on the test part (see `ReadingLog`)."""
        return self.root / "test_reads.jsonl"

    @property
    def ablation(self) -> Path:
        """The variants of the ablation and the hashes of their cells, where there is one."""
        return self.root / "ablation.json"

    @property
    def plan(self) -> Path:
        """What the run was expected to cost, where that was asked for."""
        return self.whole / "plan.json"

    @property
    def spent(self) -> Path:
        """What stages without records took, a line each time."""
        return self.whole / "spent.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's files, a folder a trial or seed, where they were asked for."""
        return self.whole / "tensorboard"

    @property
    def tracking(self) -> Path:
        """What trackers were sent, a file each, where there are any."""
        return self.whole / "tracking"

    @property
    def near_duplicates(self) -> Path:
        """Pairs of near-duplicates in different parts: a folder of picture strips and `gallery.json`."""
        return self.root / "near_duplicates"

    @property
    def own_metrics(self) -> Path:
        """The descriptions of metrics of one's own, where there are any."""
        return self.whole / "metrics.json"

    @property
    def report(self) -> Path:
        return self.root / "report"

    def journal(self, variant: str) -> Path:
        """The Optuna journal of one study."""
        return self.root / "studies" / f"{variant}.journal"

    def model(self, variant: str, seed: int) -> Path:
        """The folder of one evaluated model, for `load_model`: weights, what it was built from, its test scores."""
        return self.models / variant / str(seed)

    def predictions(self, variant: str, seed: int) -> Path:
        """Scores, labels and paths of the test part, as .npz without pickles."""
        return self.model(variant, seed) / "test_scores.npz"

    def pixels(self, variant: str, seed: int) -> Path:
        """Histograms of the test part's anomaly maps inside and outside the masks, as .npz without pickles."""
        return self.model(variant, seed) / "test_pixels.npz"

    def draws(self, variant: str, seed: int) -> Path:
        """Metrics of one's own on bootstrap draws of the test pictures, as .npz without pickles."""
        return self.model(variant, seed) / "test_draws.npz"

    def score_files(self, variant: str, seed: int) -> tuple[Path, ...]:
        """All that a model's scores on the test part are kept in."""
        return self.predictions(variant, seed), self.pixels(variant, seed), self.draws(variant, seed)

    def gallery(self, variant: str, seed: int) -> Path:
        """A folder of picture strips and `gallery.json`, which says what each shows."""
        return self.model(variant, seed) / "gallery"

    def heat_maps(self, variant: str, seed: int) -> Path:
        """Heat map, mask and overlay of every test picture, where the experiment asks for them."""
        return self.model(variant, seed) / "heat_maps"

    def validation_scores(self, variant: str) -> Path:
        """The validation scores of each trial of one study at its best epoch, a line a trial."""
        return self.root / "studies" / f"{variant}.scores.jsonl"

    def choice(self, variant: str) -> Path:
        """Which trial one study ended with, where its best one had to beat the default configuration."""
        return self.root / "studies" / f"{variant}.choice.json"

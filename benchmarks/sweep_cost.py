"""What a search costs: ours, and the same search as the documentation of Ray Tune and PyTorch would have one write it.

    python benchmarks/sweep_cost.py --cases head conv_autoencoder feature_autoencoder full

Both are whole processes that begin with a folder of PNG files and end when the last trial has: ours fills its store,
computes frozen features once and uses workers again; the other opens a `torchvision` ImageFolder with a DataLoader in
every trial, runs the backbone in every step, and starts a worker for each trial. Configurations, epochs, division,
seeds, metric and trials at a time are the same: ours runs first in each round, and the other is handed the very
configurations that its search drew. The two take turns; the table shows medians over the rounds, and the best
validation metric of each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("even", "rising", "falling", "wave", "step")
WORKERS = 2


@dataclass(frozen=True)
class Case:
    """One search."""

    family: str
    fixed: dict[str, Any]
    side: int
    pictures: int
    """A class; for detection five times as many normal ones, and as many anomalies of each other class."""
    trials: int
    epochs: int
    target: float
    space: dict[str, Any] = field(default_factory=dict)

    @property
    def detection(self) -> bool:
        """Whether normals are told from anomalies."""
        return self.family != "plot_classifier"


RESNET = {"backbone": "resnet18"}
"""With weights from a file that both ways read: where they are frozen, both search on the same features."""
CASES = {
    "head": Case("plot_classifier", {**RESNET, "train_layers": "head"}, 224, 28, 20, 6, 10),
    "conv_autoencoder": Case("conv_autoencoder", {"architecture": "A"}, 32, 200, 20, 5, 3),
    "feature_autoencoder": Case("feature_autoencoder", {**RESNET, "grid": 16, "latent_dim": 64}, 64, 25, 8, 6, 2),
    "full": Case("plot_classifier", {**RESNET, "augmentation": 0.0}, 224, 40, 4, 2, 1.2),
}


def write_weights(path: Path, root: Path) -> None:
    """Those of an untrained ResNet18 (nothing can be downloaded here), as torchvision names them.

    Its BatchNorm layers have the statistics of the pictures: without, what comes out of so many layers tells nothing.
    """
    import torch
    from PIL import Image
    from torchvision.models import resnet18
    from torchvision.transforms.functional import to_tensor

    torch.manual_seed(0)
    network = resnet18(weights=None)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean of all that it sees
    files = sorted(root.rglob("*.png"))
    with torch.no_grad():
        network(torch.stack([to_tensor(Image.open(file)) for file in files[:: max(1, len(files) // 64)]]))
    torch.save(network.state_dict(), path)


def weights_beside(root: Path) -> Path:
    """Where the weights lie that both ways start from."""
    return root.with_name("resnet18.pth")


def network_of(drawn: dict[str, Any]) -> Any:
    """A torchvision backbone with the weights of the file."""
    import torch
    from torchvision.models import get_model

    network = get_model(drawn["backbone"], weights=None)
    network.load_state_dict(torch.load(drawn["weights"], weights_only=True))
    return network


def draw(case: Case, root: Path) -> None:
    """Write noisy curves as PNG files, a folder a class."""
    from PIL import Image

    random = np.random.default_rng(0)
    time_ = np.linspace(0, 1, case.side)
    shapes = {
        "even": lambda: 0 * time_,
        "rising": lambda: time_ - 0.5,
        "falling": lambda: 0.5 - time_,
        "wave": lambda: 0.5 * np.sin(random.uniform(8, 16) * time_),
        "step": lambda: 0.7 * (time_ > random.uniform(0.3, 0.7)) - 0.3,
    }
    for name in CLASSES:
        folder = root / name
        folder.mkdir(parents=True)
        count = case.pictures * (5 if case.detection and name == "even" else 1)
        for number in range(count):
            values = shapes[name]() + random.normal(0, 0.1, case.side)
            heights = ((0.5 - values.clip(-1, 1) / 2.2) * (case.side - 1)).round().astype(int)
            picture = np.full((case.side, case.side, 3), 255, dtype=np.uint8)
            for thick in range(max(2, case.side // 32)):
                picture[np.minimum(heights + thick, case.side - 1), np.arange(case.side)] = (31, 119, 180)
            Image.fromarray(picture).save(folder / f"{number:04}.png")


def ours(case: Case, root: Path, folder: Path) -> None:
    """`orchestrate sweep --until search`, and nothing that an earlier one has left."""
    import os

    os.environ["ORCHESTRATOR_CACHE"] = str(folder / "cache")
    from orchestrator import Experiment, Reporter, run

    weights = {"weights": str(weights_beside(root))} if "backbone" in case.fixed else {}
    experiment = Experiment.from_mapping(
        {
            "data": {
                "path": str(root),
                "layout": "images",
                "size": case.side,
                **({"normal": "even"} if case.detection else {}),
            },
            "families": [{"family": case.family, "fixed": {**case.fixed, **weights}, "space": case.space}],
            "objective": {"metric": metric_of(case)},
            "budget": {"trials": case.trials, "epochs": case.epochs, "patience": None, "concurrent": WORKERS},
            "scheduler": "none",
            "sampler": "random",
            "seeds": [0],
        }
    )
    run(experiment, folder / "run", until="search", reporter=Reporter(quiet=True))


def metric_of(case: Case) -> str:
    """What both seek on validation."""
    return "roc_auc" if case.detection else "accuracy"


def plain(case: Case, root: Path, folder: Path) -> None:
    """Function trainables that open the folder, as the documentation of Ray Tune has them."""
    import ray
    from ray import tune

    handed = json.loads((folder / "configs.json").read_text())
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="error")
    results = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(plain_trial, case=case, root=root, parts=handed["parts"]), {"cpu": 1, "gpu": 0}
        ),
        param_space={"drawn": tune.grid_search(handed["configs"])},
        tune_config=tune.TuneConfig(metric="best", mode="max"),
        run_config=tune.RunConfig(storage_path=str(folder / "ray"), verbose=0),
    ).fit()
    best = max(one.metrics["best"] for one in results if one.metrics)
    (folder / "best.json").write_text(json.dumps(best))


def plain_trial(config: dict[str, Any], case: Case, root: Path, parts: dict[str, list[str]]) -> None:
    """One configuration: data sets, loaders, model, epochs."""
    import torch
    from ray import tune
    from torch.utils.data import DataLoader, Subset
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    drawn = config["drawn"]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    steps = [transforms.Resize((case.side, case.side)), transforms.ToTensor()]
    if case.family != "conv_autoencoder":
        steps.append(transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    data = ImageFolder(str(root), transforms.Compose(steps))
    place = {str(Path(path).relative_to(root)): index for index, (path, _) in enumerate(data.samples)}
    train, validation = (Subset(data, [place[path] for path in parts[name]]) for name in ("train", "validation"))
    size = drawn["batch_size"]
    loaders = DataLoader(train, size, shuffle=True), DataLoader(validation, 128)
    model = PlainDetector(case, drawn) if case.detection else PlainClassifier(case, drawn)
    trained = [parameter for parameter in model.network.parameters() if parameter.requires_grad]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[drawn["optimizer"]]
    optimizer = kind(trained, lr=drawn["learning_rate"], weight_decay=drawn["weight_decay"])
    normal = data.class_to_idx["even"]
    best = 0.0
    for _ in range(case.epochs):
        model.train()
        for pictures, labels in loaders[0]:
            optimizer.zero_grad()
            loss = model.loss(pictures, labels)
            loss.backward()
            if drawn.get("gradient_clipping"):
                torch.nn.utils.clip_grad_norm_(trained, drawn["gradient_clipping"])
            optimizer.step()
        model.network.eval()
        given, true = [], []
        with torch.no_grad():
            for pictures, labels in loaders[1]:
                given.append(model.scores(pictures).numpy())
                true.append(labels.numpy())
        best = max(best, plain_metric(case, np.concatenate(given), np.concatenate(true), normal))
        tune.report({"best": best})


def plain_metric(case: Case, scores: Any, labels: Any, normal: int) -> float:
    """Accuracy, or the area under the ROC curve."""
    from sklearn.metrics import accuracy_score, roc_auc_score

    if case.detection:
        return float(roc_auc_score(labels != normal, scores))
    return float(accuracy_score(labels, scores.argmax(axis=1)))


class PlainClassifier:
    """A torchvision backbone with a head; the backbone's gradients are off where it is frozen."""

    def __init__(self, case: Case, drawn: dict[str, Any]) -> None:
        from trainables.parts.heads import plot_head

        self.network: Any = network_of(drawn)
        self.frozen = drawn["train_layers"] == "head"
        self.network.requires_grad_(not self.frozen)
        self.network.fc = plot_head(self.network.fc.in_features, len(CLASSES), drawn["dropout"])

    def train(self) -> None:
        """A frozen backbone's statistics stay as they are."""
        self.network.train(not self.frozen)
        self.network.fc.train()

    def loss(self, pictures: Any, labels: Any) -> Any:
        """Cross-entropy."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(self.network(pictures), labels)

    def scores(self, pictures: Any) -> Any:
        """Logits."""
        return self.network(pictures)


class PlainDetector:
    """An autoencoder of pictures, or of the features of a frozen backbone."""

    def __init__(self, case: Case, drawn: dict[str, Any]) -> None:
        from torchvision.models.feature_extraction import create_feature_extractor

        from trainables.feature_autoencoder import one_by_one_autoencoder
        from trainables.parts.conv_networks import conv_autoencoder

        self.backbone: Any = None
        if case.family == "conv_autoencoder":
            self.network: Any = conv_autoencoder(drawn["architecture"], 3, drawn["bottleneck"])
            return
        backbone = network_of(drawn).eval().requires_grad_(False)
        layers = [f"layer{number}" for number in drawn["layers"].split("+")]
        self.backbone, self.grid = create_feature_extractor(backbone, layers), drawn["grid"]
        channels = {"layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
        import torch

        self.projections = [
            torch.nn.Conv2d(channels[name], channels[name] // drawn["reduction"], 1, bias=False).requires_grad_(False)
            for name in layers
        ]
        total = sum(channels[name] // drawn["reduction"] for name in layers)
        self.network = one_by_one_autoencoder(total, drawn["latent_dim"])

    def train(self) -> None:
        """Training mode."""
        self.network.train()

    def given(self, pictures: Any) -> Any:
        """What is reconstructed: pictures, or features resized to the grid."""
        import torch
        from torch.nn.functional import avg_pool2d, interpolate, pad

        if self.backbone is None:
            return pictures
        with torch.no_grad():
            maps = self.backbone(pad(pictures, (32,) * 4, mode="reflect")).values()
            inner = []
            for projection, each in zip(self.projections, maps, strict=True):
                edge = round(32 * each.shape[2] / (pictures.shape[2] + 64))
                projected = projection(each[:, :, edge : each.shape[2] - edge, edge : each.shape[3] - edge])
                inner.append(interpolate(projected, (self.grid, self.grid), mode="bilinear"))
            return avg_pool2d(torch.cat(inner, dim=1), 3, stride=1, padding=1, count_include_pad=False)

    def loss(self, pictures: Any, labels: Any) -> Any:
        """Mean squared error."""
        given = self.given(pictures)
        return (self.network(given) - given).square().mean()

    def scores(self, pictures: Any) -> Any:
        """Mean squared error of each picture, or the largest distance of features."""
        import torch

        given = self.given(pictures)
        error = self.network(given) - given
        if self.backbone is None:
            return error.square().flatten(1).mean(dim=1)
        return torch.linalg.vector_norm(error, dim=1).flatten(1).amax(dim=1)


def hand_over(case: Case, root: Path, folder: Path) -> float:
    """Write down what our search drew and how it divided the pictures; gives its best validation metric."""
    from orchestrator import open_run, read_records
    from orchestrator.data.split.split import Split
    from orchestrator.families import family_row

    run = open_run(folder / "run")
    records = list(read_records(run.records))
    assert [one.status for one in records] == ["completed"] * case.trials, "every trial runs to its end"
    config = family_row(case.family).family.config
    split = Split.load(run.split)
    from orchestrator import open_store

    store = open_store(next(run.stores.iterdir()))
    parts = {name: [store.paths[row] for row in getattr(split, name)] for name in ("train", "validation")}
    configs = [config(**one.config).model_dump() for one in records]
    (folder / "configs.json").write_text(json.dumps({"configs": configs, "parts": parts}))
    return max(one.metrics[metric_of(case)] for one in records)


def seconds_of(way: str, name: str, root: Path, folder: Path) -> float:
    """The wall time of one whole process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, __file__, "--way", way, name, str(root), str(folder)], check=True)
    return time.perf_counter() - started


def rounds(name: str, count: int) -> Iterator[tuple[float, float, float, float]]:
    """(seconds of ours, of the other, best of ours, of the other)."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as pictures:
        root = Path(pictures) / "pictures"
        draw(case, root)
        write_weights(weights_beside(root), root)
        for _ in range(count):
            with tempfile.TemporaryDirectory() as given:
                folder = Path(given)
                mine = seconds_of("ours", name, root, folder)
                best = hand_over(case, root, folder)
                other = seconds_of("plain", name, root, folder)
                yield mine, other, best, json.loads((folder / "best.json").read_text())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--way", nargs=4, help=argparse.SUPPRESS, metavar=("WAY", "CASE", "ROOT", "FOLDER"))
    given = parser.parse_args()
    if given.way:
        way, name, root, folder = given.way
        {"ours": ours, "plain": plain}[way](CASES[name], Path(root), Path(folder))
        return
    print(
        f"{'search':20} {'trials':>6} {'ours s':>8} {'other s':>8} {'ratio':>6} {'target':>6}  best validation metric"
    )
    for name in given.cases:
        case = CASES[name]
        mine, other, best, best_other = (
            statistics.median(each) for each in zip(*rounds(name, given.rounds), strict=True)
        )
        print(
            f"{name:20} {case.trials:6} {mine:8.1f} {other:8.1f} {other / mine:6.1f} {case.target:6.1f}  "
            f"{best:.3f} ours, {best_other:.3f} the other's ({metric_of(case)})",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""The experiment file that fits a folder of data: what `inspect` sees of it, with families that its pictures suit."""

import json
import re
import unicodedata
from dataclasses import dataclass
from math import log2, sqrt
from pathlib import Path

import numpy as np

from orchestrator.data.inspect.inspection import Inspection, inspect
from orchestrator.data.layouts.listing import Listing
from orchestrator.data.layouts.table import LayoutName, find_files, guess_layout
from trainables.errors import InputError

NORMAL_NAMES = frozenset({
    "normal", "normals", "good", "goods", "ok", "okay", "healthy", "nominal", "intact", "clean", "pass", "passed",
    "nodefect", "nodefects", "defectfree", "noanomaly", "anomalyfree", "nondefective", "nonanomalous", "gut", "io",
})  # fmt: skip
"""What a normal class is called, in small letters alone."""
SIDES = (256, 192, 128, 96, 64, 32)
PLOT_SIDE = 64
LEAST_SIDE = 64
"""Smaller pictures give deep features too few places."""
MANY_NORMALS = 500
"""So many are needed before a VAE learns them."""
MOST_PIXELS = {"detection": 5000 * 128**2, "classification": 1000 * 128**2}
"""Of all pictures together: what a laptop's CPU goes through in a first sweep."""


@dataclass(frozen=True)
class Entry:
    """One variant of the file."""

    name: str
    family: str
    why: str
    fixed: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    """Fixed even where validation can choose."""


@dataclass(frozen=True)
class Fit:
    """What was chosen for a folder."""

    seen: Inspection
    guess: str
    """How the normal class was found, or why it is not used."""

    @property
    def detection(self) -> bool:
        """Whether anomalies are to be detected, or else classes told apart."""
        return self.seen.normal is not None

    @property
    def blind(self) -> bool:
        """Whether validation holds normal pictures only."""
        split, found = self.seen.split, self.seen.found
        assert split is not None
        return self.detection and all(found.classes[one] == self.seen.normal for one in found.labels[split.validation])

    @property
    def train(self) -> int:
        """Pictures that train."""
        return 0 if self.seen.split is None else len(self.seen.split.train)

    @property
    def side(self) -> int:
        """What both sides of the pictures are made: no more than they have, and than all of them can be worked with."""
        total = len(self.seen.found.paths)
        most = sqrt(MOST_PIXELS["detection" if self.detection else "classification"] / total)
        true = float(PLOT_SIDE)
        if self.seen.sizes:
            sides = np.repeat(list(self.seen.sizes), list(self.seen.sizes.values()), axis=0)
            true = 1.1 * sqrt(float(np.median(sides[:, 0])) * float(np.median(sides[:, 1])))
        return next((side for side in SIDES if side <= min(true, most)), SIDES[-1])


def fit(data: Path, layout: LayoutName | None, normal: str | None) -> Fit:
    """Look at a folder; InputError where no experiment could be made of it."""
    listing = find_files(data, layout or guess_layout(data)[0])
    found, guess = (normal, "as asked") if normal is not None else guess_normal(listing)
    seen = inspect(data, layout=layout, normal=found)
    if seen.split is None and normal is None and found is not None and listing.normal is None:
        refusal = seen.refusal
        seen, guess = inspect(data, layout=layout), f"{found!r} may be normal, but not for detection ({refusal})"
    if seen.split is None:
        raise InputError(f"No experiment can be made of {data} as it lies: {seen.refusal}")
    return Fit(seen, guess)


def guess_normal(listing: Listing) -> tuple[str | None, str]:
    """The normal class of a listing, None where classes are to be told apart; and why."""
    if listing.normal is not None:
        return listing.normal, "as the layout says"
    classes = sorted({file.class_name for file in listing.files})
    named = [name for name in classes if _letters(name) in NORMAL_NAMES]
    if len(named) != 1:
        return (
            None,
            f"{', '.join(map(repr, named))} may all be normal"
            if named
            else "no class is called normal, good, ok or so",
        )
    count, total = sum(file.class_name == named[0] for file in listing.files), len(listing.files)
    if len(classes) > 2 and 2 * count < total:
        return None, f"{named[0]!r} may be the normal class, but holds {count} of {total} files: one class among others"
    return named[0], "guessed by its name"


def entries(chosen: Fit) -> list[Entry]:
    """The variants that suit the data, the cheap baseline first."""
    backbone = ("backbone: resnet18", "weights: auto")
    if not chosen.detection:
        return [
            Entry("pca_logistic", "pca_logistic", "the honest cheap baseline: seconds on a CPU"),
            Entry("plot_classifier", "plot_classifier", "a small torchvision backbone, fine-tuned", (), backbone),
        ]
    batch = f"batch_size: {2 ** int(min(7, max(3, log2(max(8, chosen.train) / 8))))}"
    rows = [
        Entry(
            "pca",
            "pca",
            "the honest cheap baseline: seconds on a CPU",
            (f"components: {max(1, min(16, chosen.train // 4))}", "crop: 1.0", "blur: 1.0"),
        )
    ]
    if chosen.side >= LEAST_SIDE:
        patches = ("layers: [2, 3]", "coreset_share: 0.1", "smoothing: 4.0")
        rows.append(Entry("patch_knn", "patch_knn", "nearest normal patches, with heat maps", patches, backbone))
    if chosen.seen.depths:
        rgbd = ("input: rgbd", *backbone, "batch_size: 4")
        features = ("latent_dim: 64", "learning_rate: 1.0e-3")
        rows.append(Entry("features_rgbd", "feature_autoencoder", "deep features of colour and depth", features, rgbd))
    if chosen.side < LEAST_SIDE or chosen.train >= MANY_NORMALS:
        network = ("architecture: small_conv", batch)
        vae = ("latent_dim: 64", "kl_weight: 1.0", "score: reconstruction", "learning_rate: 1.0e-3")
        rows.append(Entry("vae", "vae", "learns to redraw normal pictures", vae, network))
    if chosen.side < LEAST_SIDE:
        network = ("architecture: A", batch)
        training = ("bottleneck: 1.0", "optimizer: adamw", "learning_rate: 4.0e-4", "weight_decay: 0.01")
        why = "learns to redraw them, without a VAE's prior"
        rows.append(Entry("conv_autoencoder", "conv_autoencoder", why, (*training, "augmentation: 1.0"), network))
    return rows


def fitted_text(chosen: Fit, tail: str) -> str:
    """The file's text; `tail` is what follows `budget` in the plain starter."""
    return "\n".join([*_head(chosen), *_families(chosen), *_judging(chosen), tail])


def summary(chosen: Fit) -> list[str]:
    """What was chosen, in sentences."""
    seen = chosen.seen
    task = f"detection, with {seen.normal!r} as the normal class ({chosen.guess})" if chosen.detection else (
        f"classification of {len(seen.found.classes)} classes ({chosen.guess})"
    )  # fmt: skip
    lines = [f"{len(seen.found.paths)} files in the layout {seen.listing.layout.name} ({seen.why}): {task}."]
    if seen.skipped:
        lines.append(f"{len(seen.skipped)} files are left out: orchestrate inspect says why.")
    return lines


def _head(chosen: Fit) -> list[str]:
    seen, data = chosen.seen, chosen.seen.listing
    classes = ", ".join(map(repr, seen.found.classes[:8])) + (", …" if len(seen.found.classes) > 8 else "")
    lines = [
        "# An experiment made for the folder below, by what `orchestrate inspect` sees in it: change what was guessed.",
        "# Run it:      orchestrate sweep THIS_FILE --out runs/first",
        "# Any key can be given on the command line instead:  --set budget.trials=5",
        "# All keys with their meaning:  orchestrate schema",
        "",
        "data:",
        f"  path: {_scalar(str(data.root.resolve()))}",
        f"  layout: {data.layout.name}  # {seen.why}",
        f"  # {len(seen.found.paths)} files, {len(seen.found.classes)} classes: {classes}",
    ]
    if chosen.detection and data.normal is None:
        lines.append(f"  normal: {_scalar(str(seen.normal))}  # {chosen.guess}: all other classes are anomalies")
    elif not chosen.detection:
        lines.append(f"  # {chosen.guess}; with one, for detection: orchestrate init FILE --data FOLDER --normal CLASS")
    if data.layout.plots:
        lines += [
            "  # column: value         # the CSV column to plot; unset: `data`, else `value`, else the first",
            "  # gaps: drop            # rows without a number: drop (the rest moves left), break, interpolate",
            "  # decimal: auto         # point or comma, where numbers such as 1,234 leave it in doubt",
            "  style: seed             # seed: labelled axes and a pale grid; plain: matplotlib's default",
        ]
    lines += [f"  size: {chosen.side}  # pixels: N or [height, width]; 224 for pretrained backbones", "  split:"]
    supplied = sorted({str(part) for part in seen.found.parts if part is not None})
    if supplied:
        lines.append(
            f"    # {', '.join(supplied)}: as the folders say; what is lacking is cut from train by these shares"
        )
    lines += ["    train: 0.7", "    validation: 0.15", "    test: 0.15", "    seed: 0"]
    lines.append(r"    # group: '^(.*)_\d+_\d+$'  # patches of one source picture in one part, by the files' stems")
    if chosen.blind:
        lines.append("    # anomalies_to_validation: 0.3  # then roc_auc can choose, and every table says so")
    return [*lines, ""]


def _families(chosen: Fit) -> list[str]:
    lines = ["families:                 # the variants that are compared; all: orchestrate families"]
    for entry in entries(chosen):
        lines += [f"  - name: {entry.name}  # {entry.why}", f"    family: {entry.family}"]
        fixed = [*entry.always, *(entry.fixed if chosen.blind else ())]
        if fixed:
            lines.append("    fixed:")
            lines += [f"      {line}" for line in fixed]
    return [*lines, "", f"baseline: {entries(chosen)[0].name}", ""]


def _judging(chosen: Fit) -> list[str]:
    if not chosen.detection:
        return [
            "objective:", "  metric: macro_f1        # sought on the validation part", "",
            *_budget(10, 15, 5),
        ]  # fmt: skip
    if chosen.blind:
        return [
            "objective:                # validation holds normal pictures only: no detection metric can choose there",
            "  metric: validation_loss", "  test_metric: roc_auc    # what tables rank by", "",
            "threshold:", "  strategies: [percentile(95)]   # of the scores of normal validation pictures", "",
            *_budget(1, 30, 10, "all keys are fixed above, so nothing is searched"),
        ]  # fmt: skip
    return [
        "objective:", "  metric: roc_auc         # sought on the validation part", "",
        "threshold:                # how a score becomes a verdict: all strategies are compared on validation",
        "  metric: balanced_accuracy   # chooses among them", "",
        *_budget(5, 30, 10),
    ]  # fmt: skip


def _budget(trials: int, epochs: int, patience: int, why: str = "configurations tried, a family") -> list[str]:
    return [
        "budget:",
        f"  trials: {trials}  # {why}",
        f"  epochs: {epochs}  # at most, a trial",
        f"  patience: {patience}  # stop a training after so many epochs without a better validation metric",
        "  # minutes: 60           # the most wall time of the whole search",
        "  # concurrent: 2         # trials at a time; unset: as many as the machine's CPUs and GPUs allow",
        "",
    ]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", unicodedata.normalize("NFC", name).casefold())


def _scalar(text: str) -> str:
    """A text as YAML reads it back, whatever it looks like."""
    return json.dumps(text, ensure_ascii=not text.isprintable())

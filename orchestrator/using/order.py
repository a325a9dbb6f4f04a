"""What is to be scored, by what, and where the results go: settled before torch is imported."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.models import NOTE, KeptModel
from orchestrator.data.layouts.table import LAYOUTS
from orchestrator.families import FAMILIES
from orchestrator.machine.resources import local_resources
from orchestrator.scoring.thresholds import parse_strategy
from orchestrator.using.chosen_model import Chosen, choose_model
from orchestrator.using.inputs import Inputs, inputs_of
from orchestrator.using.result_file import Format, Table, format_of
from trainables.errors import InputError

if TYPE_CHECKING:  # torch costs seconds that a wrong path should not
    from orchestrator.using.scorer import Scorer

SCORES = "test_scores.npz"
"""In a kept model's folder, as `RunFolder.predictions` calls it."""


@dataclass(frozen=True)
class Asked:
    """How files are to be scored, as a user says it; `predict` says what each means."""

    form: Format | None = None
    seed: int | None = None
    threshold: float | None = None
    strategy: str | None = None
    heat_maps: str | Path | None = None
    device: str = "auto"
    trust: str | Sequence[str] = ()
    strict: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Judging:
    """A model, and how it judges: settled."""

    chosen: Chosen
    kept: KeptModel
    threshold: float | None
    """Of detection: the line; None to classify."""
    heat_maps: Path | None
    device: str
    trust: tuple[str, ...]

    @property
    def table(self) -> Table:
        return Table(self.kept.classes, self.threshold is not None, self.threshold)

    def identity(self) -> dict[str, Any]:
        """All that decides the rows beside the files."""
        maps = None if self.heat_maps is None else str(self.heat_maps.absolute())
        return {"weights": self.kept.weights, "threshold": self.threshold, "heat_maps": maps}

    def load(self) -> "Scorer":
        """The model, ready."""
        from orchestrator.using.loaded_model import load_model
        from orchestrator.using.scorer import Scorer

        model = load_model(self.chosen.folder, self.device, trust=self.trust)
        return Scorer(model, self.threshold, self.heat_maps)

    def about(self) -> dict[str, Any]:
        """Which model it is, and where it draws the line: plain values for JSON."""
        kept = self.kept
        return {
            **{"why": self.chosen.why, "family": kept.family, "variant": kept.variant, "seed": kept.seed},
            **{"weights": kept.weights, "threshold": self.threshold, "classes": list(kept.classes)},
        }


@dataclass(frozen=True)
class Order(Judging):
    """The same, with what is to be scored and where the results go."""

    inputs: Inputs
    out: Path | None
    form: Format
    strict: bool

    @property
    def journal(self) -> Path:
        """Where rows are kept until all are there."""
        assert self.out is not None
        return self.out.with_name(f"{self.out.name}.unfinished")


def judging(model: str | Path, asked: Asked) -> Judging:
    """The model and how it judges, checked without torch; InputError for what does not fit."""
    chosen = choose_model(model, asked.seed)
    kept = read_kept(chosen.folder)
    return Judging(
        chosen=chosen,
        kept=kept,
        threshold=_line(chosen.folder, kept, asked.threshold, asked.strategy),
        heat_maps=None if asked.heat_maps is None else _maps_folder(Path(asked.heat_maps), kept),
        device=device_for(asked.device, kept.family),
        trust=(asked.trust,) if isinstance(asked.trust, str) else tuple(asked.trust),
    )


def settled(
    model: str | Path, given: Sequence[str | Path], out: str | Path | None, asked: Asked, lines: Iterable[str]
) -> Order:
    """All that can be checked without torch; InputError for what does not fit."""
    how = judging(model, asked)
    target = None if out is None else Path(out)
    form = format_of(target, asked.form)
    if target is not None and target.exists() and not asked.overwrite:
        raise InputError(f"{target} is there already. Give another --out, or --overwrite to put the results there.")
    if target is not None and not target.absolute().parent.is_dir():
        raise InputError(f"The folder of {target} does not exist. Make it, or give another --out.")
    inputs = inputs_of(given, LAYOUTS[how.kept.preprocessing["layout"]], lines)
    return Order(**vars(how), inputs=inputs, out=target, form=form, strict=asked.strict)


def read_kept(folder: Path) -> KeptModel:
    """What model.json says. InputError where it says nothing."""
    try:
        return KeptModel.model_validate_json((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} holds no kept model that this version reads ({type(error).__name__}). Give a run, RUN:VARIANT, "
            "or RUN/models/VARIANT/SEED."
        ) from None


def _line(folder: Path, kept: KeptModel, threshold: float | None, strategy: str | None) -> float | None:
    """Where a detector draws the line. InputError for a classifier, and without the scores to fit a strategy to."""
    if threshold is None and strategy is None:
        return kept.threshold
    if kept.threshold is None:
        raise InputError(f"{kept.variant} classifies: it has no threshold. Leave --threshold and --strategy out.")
    if threshold is not None and strategy is not None:
        raise InputError("--threshold and --strategy both draw the line. Give one of them.")
    if threshold is not None:
        if not np.isfinite(threshold):
            raise InputError(f"--threshold {threshold} is no finite number.")
        return threshold
    rule = parse_strategy(strategy or "")
    path = folder / SCORES
    try:
        with np.load(path, allow_pickle=False) as scores:
            known: tuple[NDArray[Any], NDArray[Any]] = scores["validation_scores"], scores["validation_labels"]
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"--strategy {strategy} is fitted to the model's validation scores, and {path} does not hold them. Copy it "
            "along with the model, or give --threshold."
        ) from None
    return rule.fit(*known)


def _maps_folder(folder: Path, kept: KeptModel) -> Path:
    """InputError where there would be no heat maps, or the folder is a file."""
    if kept.pixel_threshold is None:
        raise InputError(
            f"{kept.variant} has no anomaly maps, so there are no heat maps. Leave --heat-maps out, or take a family "
            "that has maps."
        )
    if kept.heat_scale is None:
        raise InputError(
            f"{kept.variant} was kept by an older version, which did not keep the scale of heat maps. Evaluate it "
            "again, or leave --heat-maps out."
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file. Give --heat-maps a folder.")
    return folder


def device_for(asked: str, family: str) -> str:
    """The torch device that is meant; by `auto` a GPU where there is one and the family gains by it."""
    if asked not in ("auto", "cpu", "cuda") and not asked.startswith("cuda:"):
        raise InputError(f"--device {asked}: it must be auto, cpu or cuda.")
    there = local_resources().gpus > 0
    if asked.startswith("cuda") and not there:
        raise InputError(f"--device {asked}: there is no GPU that can be used here. `orchestrate doctor` says why.")
    if asked != "auto":
        return asked
    row = FAMILIES.get(family)
    return "cuda" if there and (row is None or row.family.gpu) else "cpu"

"""What is to be scored, by what, and where the results go: settled before torch is imported."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.families import FAMILIES
from orchestrator.machine.resources import local_resources
from orchestrator.using.chosen_model import Chosen, choose_model
from orchestrator.using.inputs import Inputs, inputs_of
from orchestrator.using.result_file import UNFINISHED, Format, Table, checked_out, format_of
from orchestrator.using.subject import Subject, line_of, subject_of
from trainables.errors import InputError
from trainables.printing import printable

if TYPE_CHECKING:  # torch costs seconds that a wrong path should not
    from orchestrator.using.scorer import Scorer


@dataclass(frozen=True)
class Asked:
    """How files are to be scored, as a user says it; `predict` says what each means."""

    form: Format | None = None
    seed: int | None = None
    threshold: float | None = None
    strategy: str | None = None
    ensemble: bool = False
    heat_maps: str | Path | None = None
    device: str = "auto"
    trust: str | Sequence[str] = ()
    strict: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Judging:
    """What answers, and how: settled."""

    chosen: Chosen
    subject: Subject
    threshold: float | None
    """Of detection: the line; None to classify."""
    heat_maps: Path | None
    device: str
    trust: tuple[str, ...]

    @property
    def table(self) -> Table:
        return Table(self.subject.classes, self.threshold is not None, self.threshold)

    def identity(self) -> dict[str, Any]:
        """All that decides the rows beside the files."""
        maps = None if self.heat_maps is None else str(self.heat_maps.absolute())
        return {"weights": self.subject.weights, "threshold": self.threshold, "heat_maps": maps}

    def load(self) -> "Scorer":
        """The model, ready."""
        from orchestrator.using.scorer import Scorer

        return Scorer(self.subject, self.threshold, self.heat_maps, device=self.device, trust=self.trust)

    def about(self) -> dict[str, Any]:
        """What answers, and where it draws the line: plain values for JSON."""
        subject = self.subject
        return {
            **{"why": self.chosen.why, "family": subject.family, "variant": subject.name, "seed": subject.seed},
            **{"weights": subject.weights, "threshold": self.threshold, "classes": list(subject.classes)},
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
        return self.out.with_name(self.out.name + UNFINISHED)


def judging(model: str | Path, asked: Asked) -> Judging:
    """What answers and how, checked without torch; InputError for what does not fit."""
    chosen = choose_model(model, asked.seed)
    subject = subject_of(chosen, asked.ensemble, asked.strategy if asked.threshold is None else asked.threshold)
    return Judging(
        chosen=chosen,
        subject=subject,
        threshold=line_of(subject, asked.threshold, asked.strategy),
        heat_maps=None if asked.heat_maps is None else _maps_folder(Path(asked.heat_maps), subject),
        device=device_for(asked.device, [one.family for one in subject.kept]),
        trust=(asked.trust,) if isinstance(asked.trust, str) else tuple(asked.trust),
    )


def settled(
    model: str | Path, given: Sequence[str | Path], out: str | Path | None, asked: Asked, lines: Iterable[str]
) -> Order:
    """All that can be checked without torch; InputError for what does not fit."""
    how = judging(model, asked)
    target = None if out is None else checked_out(Path(out), asked.overwrite)
    form = format_of(target, asked.form)
    inputs = inputs_of(given, how.subject.layout, lines)
    if target is not None and target.exists() and target.absolute() in (Path(one).absolute() for one in inputs.paths):
        raise InputError(f"{target} is one of the files to be scored, and would be replaced. Give another --out.")
    return Order(**vars(how), inputs=inputs, out=target, form=form, strict=asked.strict)


def _maps_folder(folder: Path, subject: Subject) -> Path:
    """InputError where there would be no heat maps, or the folder is a file."""
    kept, name = subject.kept[0], printable(subject.name)
    if subject.shares:
        raise InputError(f"{name} is an ensemble, whose scores have no maps. Leave --heat-maps out, or take one model.")
    if kept.pixel_threshold is None:
        raise InputError(
            f"{name} has no anomaly maps, so there are no heat maps. Leave --heat-maps out, or take a family that has "
            "maps."
        )
    if kept.heat_scale is None:
        raise InputError(
            f"{name} was kept by an older version, which did not keep the scale of heat maps. Evaluate it again, or "
            "leave --heat-maps out."
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file. Give --heat-maps a folder.")
    return folder


def device_for(asked: str, families: Sequence[str]) -> str:
    """The torch device that is meant; by `auto` a GPU where there is one and one of the families gains by it."""
    if asked not in ("auto", "cpu", "cuda") and not asked.startswith("cuda:"):
        raise InputError(f"--device {asked}: it must be auto, cpu or cuda.")
    there = local_resources().gpus > 0
    if asked.startswith("cuda") and not there:
        raise InputError(f"--device {asked}: there is no GPU that can be used here. `orchestrate doctor` says why.")
    if asked != "auto":
        return asked
    rows = [FAMILIES.get(name) for name in families]
    return "cuda" if there and any(row is None or row.family.gpu for row in rows) else "cpu"

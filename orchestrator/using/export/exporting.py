"""A kept model -> one checked file."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from orchestrator.artifacts.endings import first_line
from orchestrator.artifacts.models import WEIGHTS
from orchestrator.families import family_row
from orchestrator.using.chosen_model import choose_model
from orchestrator.using.result_file import checked_out
from orchestrator.using.subject import Subject, prepared_as, subject_of
from trainables.errors import InputError
from trainables.files import write_whole

if TYPE_CHECKING:  # torch costs seconds that a wrong word should not
    from torch import nn

    from orchestrator.using.export.comparison import Comparison, Run, Scale
    from orchestrator.using.export.whole_graph import Scored
    from orchestrator.using.loaded_model import LoadedModel

Format = Literal["onnx", "torch", "torch.export"]
NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""What ONNX takes beside torch: the extra `export`."""
TOLERANCE = 1e-4
"""The largest relative difference of a score that passes for the same."""
BFLOAT16_TOLERANCE = 0.05
"""The same where the kept scores were computed in bfloat16, with 8 bits, and the file computes in float32."""


class File(Protocol):
    """A model in one format."""

    runtime: str
    """What runs it here."""

    def content(self, metadata: Mapping[str, Any]) -> bytes:
        """What is written, with what is told of the model."""
        ...

    def runner(self, content: bytes) -> "Run":
        """What runs such a content."""
        ...


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    format: Format
    bytes: int
    checked: "Comparison"
    metadata: dict[str, Any]
    remarks: tuple[str, ...]
    """What the user should know, a sentence each."""

    def text(self) -> str:
        """In a few lines."""
        told = self.metadata
        lines = [
            f"{self.path}: {told['variant']}, seed {told['seed']}, as {self.format}, {self.bytes / 1e6:.1f} MB.",
            f"Takes {told['inputs']}. Gives {told['outputs']}.",
            f"Checked {self.checked.text()}.",
        ]
        return "\n".join((*lines, *self.remarks))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        kept = {"path": str(self.path), "format": self.format, "bytes": self.bytes, "remarks": list(self.remarks)}
        return {**kept, "metadata": self.metadata}


def export_model(
    model: str | PathLike[str],
    out: str | PathLike[str],
    *,
    seed: int | None = None,
    ensemble: bool = False,
    format: Format = "onnx",
    tolerance: float | None = None,
    unchecked: bool = False,
    overwrite: bool = False,
    trust: str | Sequence[str] = (),
) -> Exported:
    """Write a run's winner, a variant of it, an ensemble or a kept model as one file that takes uint8 pictures of any
    size and number.

    `model`, `seed` and `ensemble` as `predict` has them. `format`: onnx, torch (TorchScript), torch.export. The file's
    scores of the test pictures are held against those kept first. InputError, and nothing is written, where one differs
    by more than `tolerance` (None: 1e-4, or 0.05 of a model that was scored in bfloat16, which the file is not), a
    verdict is another, or the pictures are gone, unless `unchecked`; where the family or its configuration can't be
    exported; where a package is missing; and where `out` is there already, unless `overwrite`. `trust` as `load_model`
    has it.
    """
    path = Path(out)
    _check_words(path, format, tolerance)
    checked_out(path, overwrite)
    chosen = choose_model(os.fspath(model), seed)
    subject = subject_of(chosen, ensemble)
    _check_subject(subject, format)
    from orchestrator.using.export.metadata import held_by, metadata_of
    from orchestrator.using.loaded_model import load_model

    models = [load_model(folder, trust=trust) for folder in subject.folders]
    scored = _scored(subject, models)
    file = _file(format, scored, subject)
    found, remarks = _compared(file, scored, subject, tolerance, unchecked)
    if _in_bfloat16(subject):
        remarks.append("It was trained and scored in bfloat16, and the file computes in float32.")
    if subject.layout.plots:
        remarks.append(
            "It is a model of plots: a series must be drawn first, as its metadata say (`preprocessing`); `orchestrate "
            "render` draws so."
        )
    if held := held_by(scored.module):
        remarks.append(f"It holds of its training: {held}.")
    metadata = metadata_of(subject, models, scored, found)
    content = file.content(metadata)
    try:
        write_whole(path, content, wait=True)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}. Make room, or give another --out.") from error
    return Exported(path, format, len(content), found, metadata, (chosen.why, *remarks))


def _check_words(path: Path, format: str, tolerance: float | None) -> None:
    """InputError for what can't be, before torch is imported."""
    if format not in get_args(Format):
        raise InputError(f"Unknown format {format!r}. Known formats: {', '.join(get_args(Format))}.")
    if tolerance is not None and not tolerance >= 0:
        raise InputError(f"tolerance is {tolerance}; a number from 0 on is taken, such as {TOLERANCE:g}.")
    missing = [name for name in NEEDED if format == "onnx" and find_spec(name) is None]
    if missing:
        raise InputError(
            f"ONNX needs {', '.join(missing)}, and {'it is' if len(missing) == 1 else 'they are'} not installed. "
            "Install what it takes: pip install 'anomaly-orchestrator[export]'. --format torch needs no more."
        )


def _check_subject(subject: Subject, format: str) -> None:
    """InputError for what no file can hold, before torch is imported."""
    files = [folder / WEIGHTS for folder in subject.folders]
    if format == "onnx" and sum(one.stat().st_size for one in files if one.is_file()) >= 2**31:
        raise InputError(f"{subject.name} is larger than the 2 GiB that one ONNX file may hold. Take --format torch.")
    if len(set(map(prepared_as, subject.kept))) > 1:
        sizes = ", ".join(dict.fromkeys(f"{one.shape[0]}x{one.shape[1]}" for one in subject.kept))
        raise InputError(
            f"The ensemble {subject.name} can't be exported: its models take pictures prepared in several ways "
            f"({sizes}), and one file prepares them in one. Export each one; `predict` takes them together."
        )


def _scored(subject: Subject, models: Sequence["LoadedModel"]) -> "Scored":
    """What answers as one module; InputError where it can't be one."""
    from orchestrator.using.export.whole_graph import Scored, Together

    modules = [_module(one) for one in models]
    shape, task = subject.kept[0].shape, family_row(subject.kept[0].family).task
    return Scored(Together(modules, subject.shares, task) if subject.shares else modules[0], shape, task)


def _module(loaded: "LoadedModel") -> "nn.Module":
    """A model as one module; InputError where it can't be one."""
    kept = loaded.kept
    row = family_row(kept.family)
    if row.family.module is None:
        raise InputError(
            f"The family {kept.family!r} can't be exported: it does not say what it predicts as one torch module. "
            "Give its Family a `module`; `load_model(FOLDER).predict` scores without one."
        )
    if row.task == "detection" and kept.threshold is None:
        raise InputError(f"{kept.variant}, seed {kept.seed}, has no threshold, so that there are no verdicts.")
    try:
        return row.family.module(loaded.model)
    except InputError as error:
        raise InputError(f"{kept.variant} can't be exported: {error}") from None


def _file(format: Format, scored: "Scored", subject: Subject) -> "File":
    """What answers in a format; InputError where an exporter can't make it."""
    make: Callable[..., File]
    if format == "onnx":
        from orchestrator.using.export.onnx_file import OnnxFile as make
    elif format == "torch":
        from orchestrator.using.export.torch_files import ScriptFile as make
    else:
        from orchestrator.using.export.torch_files import ProgramFile as make
    try:
        return make(scored, subject.kept[0].shape[:2], subject.threshold)
    except Exception as error:  # whatever an exporter meets in a network of one's own
        raise InputError(
            f"{subject.name} can't be exported as {format}: {type(error).__name__}: {first_line(str(error))}. What it "
            "computes must be known to torch.export, and hang on no value of a picture."
        ) from error


def _compared(
    file: "File", scored: "Scored", subject: Subject, tolerance: float | None, unchecked: bool
) -> tuple["Comparison", list[str]]:
    """The file's scores beside the kept ones, and what to say; InputError where they are not the same, or can't be
    known to be."""
    from orchestrator.using.export.comparison import HOW, Comparison, against_itself, against_kept
    from orchestrator.using.export.kept_test import Gone, open_kept_test

    size, threshold = subject.kept[0].shape[:2], subject.threshold
    scale: Scale = "together" if subject.shares and scored.task == "detection" else scored.task
    run: Run = file.runner(file.content({}))
    resized = against_itself(run, scored, scale, size, threshold)
    against, pictures, largest, flipped, remarks = "the model itself, on generated pictures", 0, resized, 0, list[str]()
    try:
        test = open_kept_test(subject)
        largest, flipped = against_kept(run, test, scale, threshold)
        against, pictures = "the kept test scores", len(test.scores)
    except Gone as error:
        if not unchecked:
            raise InputError(
                f"Whether the file scores as the model did can't be known: {error}. `orchestrate sweep "
                "RUN/experiment.yaml --out RUN --resume --until render` makes a run's pictures anew; --unchecked (in "
                "Python unchecked=True) writes the file without, and says so in it."
            ) from None
        remarks.append(f"The kept test scores were not computed again: {error}.")
    same = TOLERANCE if tolerance is None else tolerance
    most = BFLOAT16_TOLERANCE if tolerance is None and pictures and _in_bfloat16(subject) else same
    found = Comparison(
        against, file.runtime, pictures, largest, HOW[scale], flipped, most, resized, max(same, TOLERANCE)
    )
    if found.holds:
        return found, remarks
    why = "It was scored in bfloat16, and the file computes in float32. " if _in_bfloat16(subject) else ""
    if not unchecked:
        raise InputError(
            f"{subject.name} is not exported: the file's scores are not the model's, {found.text()}. {why}Where that "
            "is good enough, raise --tolerance; --unchecked (in Python unchecked=True) writes it whatever its scores "
            "are, and says so in it."
        )
    return found, [*remarks, "The file's scores are not the model's, and it was written all the same."]


def _in_bfloat16(subject: Subject) -> bool:
    """Whether a network of it computed so where its device can. Families of CPUs alone have none that does."""
    return any(
        (one.precision.get("dtype") == "bfloat16" or one.config.get("mixed_precision") is True)
        and family_row(one.family).family.gpu
        for one in subject.kept
    )

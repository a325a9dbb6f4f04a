"""What an exported file tells of its model: all that who serves it must know, and where it comes from."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from orchestrator.artifacts.provenance import code_version, now
from orchestrator.using.export.comparison import Comparison
from orchestrator.using.export.whole_graph import Scored
from orchestrator.using.loaded_model import LoadedModel
from orchestrator.using.subject import Subject

FORMAT = 1
LEAST_TOLD = 0.1
"""MB."""


def metadata_of(subject: Subject, models: Sequence[LoadedModel], scored: Scored, checked: Comparison) -> dict[str, Any]:
    """Texts, and values that JSON can hold."""
    kept = subject.kept[0]
    height, width, _ = kept.shape
    detects = scored.task == "detection"
    threshold = {"threshold": subject.threshold, "pixel_threshold": kept.pixel_threshold} if detects else {}
    members = {"members": [one.model_dump(exclude={"folder"}) for one in subject.shares]} if subject.shares else {}
    return {
        "format": FORMAT,
        "task": scored.task,
        "classes": list(subject.classes),
        "inputs": _inputs(detects),
        "outputs": _outputs(scored, height, width),
        **threshold,
        "trained_size": [height, width],
        "preprocessing": kept.preprocessing,
        "resize": "in the file: Pillow's bilinear, to the trained size",
        "family": subject.family,
        "variant": subject.name,
        "seed": subject.seed,
        **members,
        "config": kept.config if len(models) == 1 else [one.config for one in subject.kept],
        "epoch": kept.epoch if len(models) == 1 else [one.epoch for one in subject.kept],
        "trained_by": kept.code,
        "exported_by": code_version(),
        "exported": now(),
        "weights_sha256": subject.weights,
        "facts": models[0].model.facts() if len(models) == 1 else [one.model.facts() for one in models],
        "precision": {"trained": kept.precision or "float32", "file": "float32, or float64 as the family has it"},
        "check": checked.as_dict(),
    }


def held_by(module: nn.Module) -> str:
    """The tables of numbers, as patch_knn's coreset, that stand in the module itself beside its networks; small ones,
    below LEAST_TOLD, are not worth a word."""
    tables = [(name, one) for name, one in module.named_buffers(recurse=False) if one.ndim > 1]
    told = [(name, "x".join(map(str, one.shape)), one.numel() * one.element_size() / 1e6) for name, one in tables]
    return ", ".join(f"{name} of {shape}, {size:.1f} MB" for name, shape, size in told if size >= LEAST_TOLD)


def _inputs(detects: bool) -> str:
    pictures = "pictures: uint8 RGB (batch, height, width, 3), 0 to 255, of any size, all of one batch alike"
    return f"{pictures}; threshold: float32, scores above it are anomalies" if detects else pictures


def _outputs(scored: Scored, height: int, width: int) -> str:
    texts = {
        "probabilities": "probabilities: float32 (batch, classes), in the order of `classes`",
        "score": "score: float32 (batch), higher is stranger",
        "map": f"map: float32 (batch, {height}, {width}), at the trained size, higher is stranger",
        "verdict": "verdict: bool (batch), True for an anomaly"
        if scored.task == "detection"
        else "verdict: int64 (batch), the index of the likeliest class",
    }
    return "; ".join(texts[name] for name in scored.outputs)

"""What an exported file tells of its model: all that who serves it must know, and where it comes from."""

from typing import Any

from torch import nn

from orchestrator.artifacts.provenance import code_version, now
from orchestrator.using.export.comparison import Comparison
from orchestrator.using.export.whole_graph import Scored
from orchestrator.using.loaded_model import LoadedModel

FORMAT = 1
LEAST_TOLD = 0.1
"""MB."""


def metadata_of(loaded: LoadedModel, scored: Scored, checked: Comparison) -> dict[str, Any]:
    """Texts, and values that JSON can hold."""
    kept = loaded.kept
    height, width, _ = kept.shape
    detects = scored.task == "detection"
    threshold = {"threshold": kept.threshold, "pixel_threshold": kept.pixel_threshold} if detects else {}
    return {
        "format": FORMAT,
        "task": scored.task,
        "classes": list(kept.classes),
        "inputs": _inputs(detects),
        "outputs": _outputs(scored, height, width),
        **threshold,
        "trained_size": [height, width],
        "preprocessing": kept.preprocessing,
        "resize": "in the file: Pillow's bilinear, to the trained size",
        "family": kept.family,
        "variant": kept.variant,
        "seed": kept.seed,
        "config": kept.config,
        "epoch": kept.epoch,
        "trained_by": kept.code,
        "exported_by": code_version(),
        "exported": now(),
        "weights_sha256": kept.weights,
        "facts": loaded.model.facts(),
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

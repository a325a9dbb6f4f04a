"""A model as a file of torch's own: TorchScript, or a program of torch.export."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.using.export.quiet import quiet
from orchestrator.using.export.whole_graph import Scored, Whole

METADATA = "metadata.json"
"""The extra file that tells what the model is."""
EXAMPLE = (2, 61, 67, 3)
"""The shape of the pictures that a graph is made with: no two of its sides alike."""


class _TorchFile:
    """What both formats share."""

    runtime = f"torch {torch.__version__} on a CPU"

    def __init__(self, scored: Scored, size: tuple[int, int], threshold: float | None) -> None:
        self.names, self.threshold = scored.outputs, threshold
        with quiet(), torch.no_grad():
            self.made = self._make(Whole(size, scored), _example(threshold))

    def content(self, metadata: Mapping[str, Any]) -> bytes:
        """The file's, with what is told of the model."""
        content = io.BytesIO()
        with quiet():
            self._save(content, {METADATA: json.dumps(metadata)})
        return content.getvalue()

    def runner(self, content: bytes) -> "TorchRunner":
        """What runs it."""
        with quiet():
            return TorchRunner(self._load(io.BytesIO(content)), self.names, self.threshold)

    def _make(self, whole: Whole, example: tuple[torch.Tensor, ...]) -> Any:
        raise NotImplementedError

    def _save(self, content: io.BytesIO, extra: dict[str, str]) -> None:
        raise NotImplementedError

    def _load(self, content: io.BytesIO) -> Any:
        raise NotImplementedError


class ScriptFile(_TorchFile):
    """TorchScript, by tracing: what runs also without Python, and in any torch of the last years."""

    def _make(self, whole: Whole, example: tuple[torch.Tensor, ...]) -> Any:
        return torch.jit.freeze(torch.jit.trace(whole, example, check_trace=False))  # type: ignore[no-untyped-call]

    def _save(self, content: io.BytesIO, extra: dict[str, str]) -> None:
        torch.jit.save(self.made, content, _extra_files=extra)

    def _load(self, content: io.BytesIO) -> Any:
        return torch.jit.load(content)  # type: ignore[no-untyped-call]


class ProgramFile(_TorchFile):
    """A program of torch.export, for pictures of any number and size."""

    def _make(self, whole: Whole, example: tuple[torch.Tensor, ...]) -> Any:
        dims = {axis: torch.export.Dim(name, min=1) for axis, name in enumerate(("batch", "height", "width"))}
        program = torch.export.export(whole, example, dynamic_shapes=(dims, None)[: len(example)])
        for part in program.graph_module.modules():
            for node in getattr(getattr(part, "graph", None), "nodes", ()):
                node.meta.pop("stack_trace", None)  # it names this machine's files
        return program

    def _save(self, content: io.BytesIO, extra: dict[str, str]) -> None:
        torch.export.save(self.made, content, extra_files=extra)

    def _load(self, content: io.BytesIO) -> Any:
        return torch.export.load(content).module()


class TorchRunner:
    """A loaded file: pictures (B, h, w, 3) -> the outputs by name."""

    def __init__(self, model: Any, names: tuple[str, ...], threshold: float | None) -> None:
        self.model, self.names, self.threshold = model, names, threshold

    def __call__(self, pictures: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        given = [torch.from_numpy(pictures)]
        if self.threshold is not None:
            given.append(torch.tensor(self.threshold, dtype=torch.float32))
        with torch.no_grad():
            found = self.model(*given)
        return {name: one.numpy() for name, one in zip(self.names, found, strict=True)}


def _example(threshold: float | None) -> tuple[torch.Tensor, ...]:
    pictures = torch.zeros(EXAMPLE, dtype=torch.uint8)
    return (pictures,) if threshold is None else (pictures, torch.tensor(threshold, dtype=torch.float32))

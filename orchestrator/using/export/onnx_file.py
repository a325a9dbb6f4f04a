"""A model as ONNX: the graph, made of torch's own exports, and onnxruntime that runs it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from orchestrator.artifacts.provenance import DISTRIBUTION, package_version
from orchestrator.using.export.quiet import quiet
from orchestrator.using.export.whole_graph import Resize, Scored, goes_down_first

Arrays = dict[str, NDArray[Any]]
PICTURES, SMALL = "pictures", "small"
IR_VERSION = 10
"""Of the format, so that runtimes of the last two years read it."""


class OnnxFile:
    """One graph: pictures (batch, height, width, 3), and of detection a threshold, whose default is the kept one."""

    runtime = f"onnxruntime {onnxruntime.__version__} on a CPU"

    def __init__(self, scored: Scored, size: tuple[int, int], threshold: float | None) -> None:
        """Pictures of the trained `size` pass unchanged; others are resized in the branch of an If."""
        given: tuple[torch.Tensor, ...] = (torch.zeros((2, *size, 3), dtype=torch.uint8),)
        if threshold is not None:
            given = (*given, torch.tensor(threshold, dtype=torch.float32))
        names, shapes = (SMALL, "threshold")[: len(given)], ({0: "batch"}, None)[: len(given)]
        self.model = _exported(scored, given, shapes, names, scored.outputs)
        graph = self.model.graph
        graph.input.remove(graph.input[0])
        any_size: Sequence[str | int] = ("batch", "height", "width", 3)
        graph.input.insert(0, helper.make_tensor_value_info(PICTURES, TensorProto.UINT8, any_size))
        if threshold is not None:  # an initializer that is an input, too, may be left out by who runs it
            graph.initializer.append(helper.make_tensor("threshold", TensorProto.FLOAT, [], [threshold]))
        for place, node in enumerate(_resizing(size)):
            graph.node.insert(place, node)
        self.model.ir_version = min(self.model.ir_version, IR_VERSION)
        self.model.producer_name, self.model.producer_version = DISTRIBUTION, package_version()
        onnx.checker.check_model(self.model)

    def content(self, metadata: Mapping[str, Any]) -> bytes:
        """The file's, with what is told of the model: texts as they are, other values as JSON."""
        told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
        helper.set_model_props(self.model, told)
        content: bytes = self.model.SerializeToString()
        return content

    def runner(self, content: bytes) -> "OnnxRunner":
        """What runs it."""
        return OnnxRunner(content)


class OnnxRunner:
    """A file's content in onnxruntime: pictures (B, h, w, 3) -> the outputs by name."""

    def __init__(self, content: bytes, threads: int = 0) -> None:
        """`threads`: 0: as many as onnxruntime takes by itself."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, pictures: NDArray[np.uint8], threshold: float | None = None) -> Arrays:
        """`threshold`: None: the file's own."""
        given: Arrays = {PICTURES: pictures}
        if threshold is not None:
            given["threshold"] = np.array(threshold, dtype=np.float32)
        return dict(zip(self.names, self.session.run(None, given), strict=True))


def _resizing(size: tuple[int, int]) -> list[onnx.NodeProto]:
    """Nodes that make pictures of the trained size of any."""
    unchanged = helper.make_graph(
        [helper.make_node("Identity", [PICTURES], ["same"])], "unchanged", [], [_small("same", size)]
    )
    resized = _branch(Resize(size), "across_first")
    nodes = [
        helper.make_node("Shape", [PICTURES], ["met"], start=1, end=3),
        *_constants({"trained": np.array(size)}),
        helper.make_node("Equal", ["met", "trained"], ["alike"]),
        helper.make_node("Cast", ["alike"], ["alike_numbers"], to=TensorProto.INT64),
        helper.make_node("ReduceMin", ["alike_numbers"], ["all_alike"], keepdims=0),
        helper.make_node("Cast", ["all_alike"], ["as_trained"], to=TensorProto.BOOL),
    ]
    if goes_down_first():
        nodes += [
            helper.make_node("Sub", ["met", "trained"], ["lost"]),
            *_constants({"zero": np.array(0), "one": np.array(1), "two": np.array(2)}),
            helper.make_node("Gather", ["lost", "zero"], ["lost_rows"]),
            helper.make_node("Gather", ["lost", "one"], ["lost_columns"]),
            helper.make_node("Mul", ["lost_columns", "two"], ["twice_the_columns"]),
            helper.make_node("Greater", ["lost_rows", "twice_the_columns"], ["mostly_rows"]),
            helper.make_node("Greater", ["lost_rows", "zero"], ["fewer_rows"]),
            helper.make_node("And", ["mostly_rows", "fewer_rows"], ["tall"]),
        ]
        tall = _branch(Resize(size, down_first=True), "down_first")
        either = helper.make_node("If", ["tall"], ["either_way"], then_branch=tall, else_branch=resized)
        resized = helper.make_graph([either], "resized", [], [_small("either_way", size)])
    nodes.append(helper.make_node("If", ["as_trained"], [SMALL], then_branch=unchanged, else_branch=resized))
    return nodes


def _branch(resize: Resize, name: str) -> onnx.GraphProto:
    """A resize as the branch of an If, its values under names that nothing else has."""
    example = torch.zeros((2, 61, 67, 3), dtype=torch.uint8)
    shapes = ({0: "batch", 1: "height", 2: "width"},)
    graph = _exported(resize, (example,), shapes, (PICTURES,), ("resized",)).graph
    renamed = onnx.compose.add_prefix_graph(graph, f"{name}/")
    for node in renamed.node:
        node.input[:] = [PICTURES if one == f"{name}/{PICTURES}" else one for one in node.input]
    output = _small(renamed.output[0].name, resize.size)
    return helper.make_graph(renamed.node, name, [], [output], renamed.initializer)


def _small(name: str, size: tuple[int, int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, ["batch", *size, 3])


def _constants(values: Mapping[str, NDArray[np.int64]]) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value.astype(np.int64)))
        for name, value in values.items()
    ]


def _exported(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    shapes: Sequence[Mapping[int, str] | None],
    inputs: Sequence[str],
    names: Sequence[str],
) -> onnx.ModelProto:
    """What torch makes of a module; `shapes`: the names of the axes of each input that may have any length."""
    dims = {name: torch.export.Dim(name, min=1) for shape in shapes for name in (shape or {}).values()}
    dynamic = tuple(None if shape is None else {axis: dims[name] for axis, name in shape.items()} for shape in shapes)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=list(inputs),
            output_names=list(names),
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    del model.graph.value_info[:]  # those and the nodes' metadata name the exporter's files, and are most of the file
    for node in model.graph.node:
        del node.metadata_props[:]
    return model

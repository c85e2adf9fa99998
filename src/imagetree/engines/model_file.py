"""A network in one file that every engine but PyTorch runs: ONNX, with what is known about it.

Nothing in the file is trusted. It holds no code: a graph of operators, of which only those are let
in that our networks are made of, and numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.alexnet.onnx_graph import INPUT, OUTPUT
from imagetree.alexnet.weights import DESCRIPTION_KEY, parse_description
from imagetree.engines.engine import require
from imagetree.errors import TrainingError
from imagetree.files import write_atomic
from imagetree.recognition.calibration import parse_calibration

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.alexnet.weights import Description
    from imagetree.recognition.calibration import Calibration

_OPERATORS = frozenset(
    {
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Concat",
        "Conv",
        "DequantizeLinear",
        "Div",
        "Flatten",
        "Gather",
        "Gemm",
        "LRN",
        "MatMul",
        "MaxPool",
        "Mul",
        "Pow",
        "QuantizeLinear",
        "ReduceMax",
        "Relu",
        "Split",
        "Sqrt",
        "Sub",
        "Tanh",
        "Transpose",
    }
)
_CALIBRATION_KEY = "imagetree.calibration"
_MAX_BYTES = 1 << 30
_MAX_NODES = 1000
_MAX_VALUES = 1 << 26  # of one image between two layers; conv1 of the largest images has 1.6e7


class ModelFile(NamedTuple):
    """A network from a file.

    Args:
        model: an `onnx.ModelProto`.
        description: architecture, classes, pixels.
        calibration: how its probabilities are to be read; None if the file does not say.
    """

    model: Any
    description: Description
    calibration: Calibration | None


def save_model(path: Path, model: Any, calibration: Calibration | None = None) -> int:
    """Write a network, whole or not at all; its size in bytes.

    Args:
        path: of the file.
        model: an `onnx.ModelProto` that has its description.
        calibration: how its probabilities are to be read.

    Raises:
        ImagetreeError: it cannot be written.
    """
    if calibration is not None:
        kept, model = model, type(model)()
        model.CopyFrom(kept)
        model.metadata_props.add(key=_CALIBRATION_KEY, value=calibration.to_text())
    data = model.SerializeToString(deterministic=True)
    write_atomic(path, data)
    return len(data)


def load_model(path: Path) -> ModelFile:
    """Read a network that `save_model` wrote.

    Raises:
        TrainingError: it cannot be read, is damaged, or is not one of ours; or ONNX is missing.
    """
    onnx = require("onnx")
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise _refused(path, f"{size:,} bytes (expected at most {_MAX_BYTES:,})")
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, require("google.protobuf.message").DecodeError) as error:
        raise _refused(path, f"damaged, or no ONNX ({error})") from error
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if DESCRIPTION_KEY not in texts:
        raise _refused(path, "it does not say what network it is")
    description = parse_description(texts[DESCRIPTION_KEY], str(path))
    try:
        text = texts.get(_CALIBRATION_KEY)
        calibration = None if text is None else parse_calibration(text)
    except ValueError as error:
        raise _refused(path, f"its calibration is damaged ({error})") from error
    _check_parts(path, model)
    try:
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=False)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        UnicodeDecodeError,
    ) as error:
        raise _refused(path, str(error).strip().splitlines()[0][:200]) from error
    _check_shapes(path, inferred.graph, description)
    return ModelFile(model, description, calibration)


def _check_parts(path: Path, model: Any) -> None:
    """Refuse what our own files never have: other operators, functions, graphs in graphs, files."""
    onnx = require("onnx")
    # a name that is not UTF-8 is bytes here
    odd = sorted(str(name) for name in {node.op_type for node in model.graph.node} - _OPERATORS)
    domains = {node.domain for node in model.graph.node} | {o.domain for o in model.opset_import}
    kinds = {a.type for node in model.graph.node for a in node.attribute}
    graphs = {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}
    outside = [t.name for t in model.graph.initializer if t.external_data or t.data_location]
    number = len(model.graph.node)
    for is_wrong, what in (
        (odd, f"operators that are none of ours ({', '.join(odd)[:80]})"),
        (domains - {""}, "operators of other domains"),
        (kinds & graphs or model.functions, "functions, or graphs in graphs"),
        (outside, f"values in another file ({outside[:1]})"),
        (number > _MAX_NODES, f"{number:,} operators (expected at most {_MAX_NODES:,})"),
    ):
        if is_wrong:
            raise _refused(path, what)


def _check_shapes(path: Path, graph: Any, description: Description) -> None:
    """Hold input, output and everything between to what the description says."""
    side, classes = description.image_size, len(description.wnids)
    for kind, values, name, shape in (
        ("input", graph.input, INPUT, (side, side, 3)),
        ("output", graph.output, OUTPUT, (classes,)),
    ):
        found = [(v.name, _shape(v)[1:]) for v in values]
        if found != [(name, shape)]:
            raise _refused(path, f"{kind} {found} (expected {name} of {shape} for each image)")
    for value in graph.value_info:
        if math.prod(_shape(value)[1:]) > _MAX_VALUES:
            raise _refused(path, f"{value.name!r} has the shape {_shape(value)}: too large")


def _shape(value: Any) -> tuple[int, ...]:
    """Numbers of a value's shape, 0 for one that is open."""
    return tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)


def _refused(path: Path, what: str) -> TrainingError:
    return TrainingError(
        f"{path}: no network of imagetree's: {what}",
        hint="write one: imagetree compress RUN FILE",
    )

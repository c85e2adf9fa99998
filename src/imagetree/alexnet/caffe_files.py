"""Caffe's files: a `.caffemodel` with the weights of a network, a `.binaryproto` with a mean image.

Both are protocol buffers. The few messages that matter are described here and built at run time;
fields that are not named are passed over. Numbers of the fields: Caffe, `caffe.proto`; layers are
`layers` (V1LayerParameter) until 2014 and `layer` (LayerParameter) since.

Caffe's networks see the channels as blue, green, red; what comes out of here sees red first. Their
order of weights is torch's: (filters, channels / groups, rows, columns), and `InnerProduct`
flattens channels, rows, columns (Caffe, `inner_product_layer.cpp`).
"""

from __future__ import annotations

import os
from functools import cache, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message,
    message_factory,
)

from imagetree.alexnet.weights import Channels, Stored, WeightFile
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES = 1 << 30
"""The largest file that is read whole; an AlexNet of 21,841 classes has 0.6 GB."""

_MAX_NAME = 200
_REPEATED = "*"
_MESSAGES = {
    "BlobShape": {"dim": (1, "INT64", _REPEATED)},
    "BlobProto": {
        "num": (1, "INT32", ""),
        "channels": (2, "INT32", ""),
        "height": (3, "INT32", ""),
        "width": (4, "INT32", ""),
        # Floats, packed: on the wire the same as bytes, and as bytes no value becomes an object.
        "data": (5, "BYTES", _REPEATED),
        "shape": (7, "BlobShape", ""),
        "double_data": (8, "BYTES", _REPEATED),
    },
    "V1LayerParameter": {
        "layer": (1, "BYTES", ""),  # of the oldest files alone
        "name": (4, "STRING", ""),
        "blobs": (6, "BlobProto", _REPEATED),
    },
    "LayerParameter": {"name": (1, "STRING", ""), "blobs": (7, "BlobProto", _REPEATED)},
    "NetParameter": {
        "name": (1, "STRING", ""),
        "layers": (2, "V1LayerParameter", _REPEATED),
        "layer": (100, "LayerParameter", _REPEATED),
    },
}
"""Message, field, and its number, type, and whether it may come several times."""


def read_caffemodel(path: Path) -> WeightFile:
    """The weights in a `.caffemodel`, with red as the first channel of the first layer.

    Args:
        path: of the file.

    Raises:
        TrainingError: it is too large, truncated, no network, or a layer is there twice.
    """
    network = _parse(path, "NetParameter")
    if any(layer.HasField("layer") for layer in network.layers):
        raise TrainingError(
            f"{path}: layers in the form of Caffe's first months",
            hint="upgrade it with Caffe's own upgrade_net_proto_binary",
        )
    layers = [*network.layers, *network.layer]
    names = tuple(layer.name[:_MAX_NAME] for layer in layers)
    tensors: dict[str, Stored] = {}
    for name, layer in zip(names, layers, strict=True):
        for position, blob in enumerate(layer.blobs):
            kind = ("weight", "bias")[position] if position < 2 else f"blob{position}"
            key = f"{name}.{kind}"
            if key in tensors:
                raise TrainingError(f"{path}: layer {name!r} is there twice")
            shape = _shape(blob, least=2 if kind == "weight" else 1)
            dtype = "float64" if blob.double_data else "float32"
            tensors[key] = Stored(shape, dtype, partial(_tensor, f"{path}: {key}", blob, shape))
    if not tensors:
        raise TrainingError(f"{path}: no layer with weights (expected a .caffemodel)")
    return WeightFile("caffe", tensors, layers=names)


def read_mean(path: Path) -> Channels:
    """The mean of each channel of a mean image, R, G, B in 0..255.

    Caffe takes the mean image from its input pixel by pixel, or, where images of other sizes are
    shown, its mean over all pixels (Caffe, `examples/00-classification.ipynb`). The second is what
    a channel's mean here stands for.

    Args:
        path: of a `.binaryproto`.

    Raises:
        TrainingError: it is truncated, no image of three channels, or not in 0..255.
    """
    blob = _parse(path, "BlobProto")
    shape = _shape(blob, least=3)
    if len(shape) != 3 or shape[0] != 3:
        raise TrainingError(f"{path}: a blob of shape {shape} (expected a mean image, 3 channels)")
    blue, green, red = _values(str(path), blob, shape).astype(np.float64).mean((1, 2)).tolist()
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise TrainingError(f"{path}: means {red}, {green}, {blue} (expected 0..255)")
    return red, green, blue


def read_whole(path: Path) -> bytes:
    """The bytes of a file of at most MAX_BYTES.

    Raises:
        TrainingError: it is larger, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise TrainingError(f"{path}: larger than {MAX_BYTES:,} bytes")
            return file.read(MAX_BYTES)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror})") from error


def _parse(path: Path, name: str) -> Any:
    """A file as a message."""
    data = read_whole(path)
    try:
        return _message_class(name).FromString(data)
    except message.DecodeError as error:
        raise TrainingError(
            f"{path}: truncated, or no {name} of Caffe's", hint="fetch the file again"
        ) from error


@cache
def _message_class(name: str) -> Any:
    """The class of a message; in a pool of our own, where no other caffe.proto is in the way."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="imagetree/caffe.proto", package="caffe", syntax="proto2"
    )
    for message_name, fields in _MESSAGES.items():
        described = file.message_type.add(name=message_name)
        for field_name, (number, kind, times) in fields.items():
            is_message = kind in _MESSAGES
            described.field.add(
                name=field_name,
                number=number,
                type=kinds.TYPE_MESSAGE if is_message else getattr(kinds, f"TYPE_{kind}"),
                type_name=f".caffe.{kind}" if is_message else None,
                label=kinds.LABEL_REPEATED if times else kinds.LABEL_OPTIONAL,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


def _shape(blob: Any, *, least: int) -> tuple[int, ...]:
    """Sides of a blob; old files fill them up to four with ones in front."""
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    sides = [blob.num, blob.channels, blob.height, blob.width]
    while len(sides) > least and sides[0] == 1:
        del sides[0]
    return tuple(sides)


def _values(where: str, blob: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The numbers of a blob in its shape; doubles are rounded to floats."""
    stored = np.dtype("<f8") if blob.double_data else np.dtype("<f4")
    data = b"".join(blob.double_data or blob.data)
    expected = stored.itemsize * prod(shape) if min(shape, default=0) > 0 else 0
    if not expected or len(data) != expected:
        raise TrainingError(
            f"{where}: {len(data):,} bytes for shape {shape} (expected {expected:,})",
            hint="fetch the file again; half precision of NVIDIA's Caffe is not read",
        )
    return np.frombuffer(data, stored).astype(np.float32).reshape(shape)


def _tensor(where: str, blob: Any, shape: tuple[int, ...]) -> torch.Tensor:
    values = torch.from_numpy(_values(where, blob, shape))
    sees_pixels = len(shape) == 4 and shape[1] == 3
    return values.flip(1) if sees_pixels else values

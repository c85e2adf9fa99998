"""Weights of others as weights of one of our networks: checked against it, complete, or refused.

What a file does not say about itself (architecture, classes, how pixels are prepared) the user
says, or it is what its source publishes: torchvision's and Caffe's networks know ILSVRC2012's
classes in the order of the sorted wnids. Both bring images to 256 pixels first, torchvision the
short side, Caffe both, and show the centre; here it is the whole centred square, at `image_size`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named, dropout_rate
from imagetree.alexnet.changes import UNCHANGED
from imagetree.alexnet.layers import Conv, FullyConnected, LocalResponseNorm, MaxPool
from imagetree.alexnet.weight_files import open_weight_file
from imagetree.alexnet.weights import (
    TORCHVISION_LAYERS,
    Channels,
    Description,
    WeightFile,
    Weights,
    last_layer,
    parse_description,
    tensor_shapes,
)
from imagetree.errors import TrainingError
from imagetree.sources.numbering import ilsvrc2012_wnids

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imagetree.alexnet.layers import Architecture
    from imagetree.alexnet.weights import Stored

TORCHVISION_MEAN: Channels = (123.675, 116.28, 103.53)
TORCHVISION_STD: Channels = (58.395, 57.12, 57.375)
"""255 times the .485 .456 .406 and .229 .224 .225 of torchvision's `AlexNet_Weights`."""

CAFFE_MEAN: Channels = (122.6789143406786, 116.66876761696767, 104.0069879317889)
"""Means of Caffe's mean image of ILSVRC2012, `examples/00-classification.ipynb`; R, G, B."""

_FLOATS = ("float32", "float16", "bfloat16", "float64")
_COUNTER = "num_batches_tracked"  # counts training steps; no answer depends on it
_MAX_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the user says about a file; it goes before what the file says.

    Args:
        architecture: name of the network.
        wnids: wnid of each class, in the order of the outputs.
        mean: of the pixels, R, G, B in 0..255.
        std: likewise.
        input_size: side in pixels of the image that fc6 is made for.
    """

    architecture: str | None = None
    wnids: tuple[str, ...] | None = None
    mean: Channels | None = None
    std: Channels | None = None
    input_size: int | None = None


def load_weights(path: Path, told: Told = Told()) -> Weights:
    """The weights in a file, as those of one of our networks.

    Types and shapes are held against the architecture before a value is read. Half precision
    becomes float32 without loss, doubles are rounded.

    Args:
        path: safetensors, torch's state dict, ONNX, or `.caffemodel`.
        told: what the file does not say.

    Raises:
        TrainingError: the file is refused (see `open_weight_file`), or a tensor is missing, too
            many, of another shape or type, not finite; or nothing says what the file is.
    """
    file = open_weight_file(path)
    named = _by_our_names(path, file)
    description = _description(path, file, told)
    architecture = description.network
    _check_order(path, file, architecture)
    expected = tensor_shapes(architecture, len(description.wnids), description.input_size)
    _check_names(path, named, expected, architecture.name)
    for name, shape in expected.items():
        if name in named:
            _check_tensor(f"{path}: {_both(named[name][0], name)}", named[name][1], name, shape)
    tensors = {
        name: _load(f"{path}: {_both(named[name][0], name)}", named[name][1])
        if name in named
        else torch.zeros((), dtype=torch.int64)
        for name in expected
    }
    return Weights(description, tensors)


def fitting(file: WeightFile) -> tuple[tuple[str, int], ...]:
    """The architectures whose tensors a file has, each with its number of classes.

    Names and shapes tell Caffe's two networks and the paper's not apart. Files of networks that are
    made for images of another size than their architecture's own fit only where they say so.
    """
    named = {name: stored for name, (_, stored) in _by_our_names(None, file).items()}
    found = []
    for architecture in ARCHITECTURES.values():
        head = named.get(f"{last_layer(architecture)}.weight")
        if head is None or len(head.shape) != 2 or head.shape[0] < 1:
            continue
        size = None
        if file.description is not None:
            size = parse_description(file.description, "the file").input_size
        expected = tensor_shapes(architecture, head.shape[0], size)
        needed = {name: shape for name, shape in expected.items() if not name.endswith(_COUNTER)}
        there = {n: stored.shape for n, stored in named.items() if not n.endswith(_COUNTER)}
        if needed == there:
            found.append((architecture.name, head.shape[0]))
    return tuple(found)


def _by_our_names(path: Path | None, file: WeightFile) -> dict[str, tuple[str, Stored]]:
    """The file's tensors by our names: (its own name, tensor)."""
    named: dict[str, tuple[str, Stored]] = {}
    for given, stored in file.tensors.items():
        plain = given.replace("module.", "")  # of networks that were trained on several GPUs
        layer, _, kind = plain.rpartition(".")
        name = f"{TORCHVISION_LAYERS.get(layer, layer)}.{kind}"
        if name in named:
            raise TrainingError(f"{path}: {given!r} and {named[name][0]!r} are the same tensor")
        named[name] = (given, stored)
    return named


def _is_torchvisions(file: WeightFile) -> bool:
    return any(name.replace("module.", "").startswith("features.0.") for name in file.tensors)


def _description(path: Path, file: WeightFile, told: Told) -> Description:
    """What the user says, else the file, else the file's source."""
    own = parse_description(file.description, str(path)) if file.description else None
    name = told.architecture or (own.architecture if own else None)
    if name is None:
        raise TrainingError(
            f"{path}: nothing says which network this is",
            hint="name it: --architecture NAME; imagetree weights show FILE tells which fit",
        )
    architecture = architecture_named(name)
    size = told.input_size or (own.input_size if own else architecture.input_size)
    mean, std = _pixels(path, file, told, own)
    try:
        return Description(
            architecture=name,
            dropout=own.dropout if own else dropout_rate(architecture),
            input_size=size,
            image_size=own.image_size if own and not told.input_size else size,
            wnids=told.wnids or (own.wnids if own else _published_wnids(path, file, architecture)),
            mean=mean,
            std=std,
            changes=own.changes if own and own.architecture == name else UNCHANGED,
        )
    except TrainingError as error:
        raise TrainingError(f"{path}: {error.message}", hint=error.hint) from error


def _pixels(
    path: Path, file: WeightFile, told: Told, own: Description | None
) -> tuple[Channels, Channels]:
    """Mean and standard deviation by which the pixels are prepared."""
    mean, std = told.mean, told.std
    if own is not None:
        mean, std = mean or own.mean, std or own.std
    elif file.kind == "caffe":
        mean, std = mean or CAFFE_MEAN, std or (1.0, 1.0, 1.0)
    elif _is_torchvisions(file):
        mean, std = mean or TORCHVISION_MEAN, std or TORCHVISION_STD
    if mean is None or std is None:
        raise TrainingError(
            f"{path}: nothing says which mean and std the pixels have in training",
            hint="say them, of R, G, B in 0..255: --mean 123.7 116.3 103.5 --std 58.4 57.1 57.4",
        )
    return mean, std


def _published_wnids(path: Path, file: WeightFile, architecture: Architecture) -> tuple[str, ...]:
    """ILSVRC2012's classes for a network of a thousand that was made by Caffe or torchvision."""
    head = f"{last_layer(architecture)}.weight"
    stored = _by_our_names(path, file).get(head)
    classes = stored[1].shape[0] if stored and stored[1].shape else 0
    published = ilsvrc2012_wnids()
    if classes != len(published) or not (file.kind == "caffe" or _is_torchvisions(file)):
        raise TrainingError(
            f"{path}: nothing says which classes the {classes:,} outputs are",
            hint="name them: --wnids FILE, a wnid on each line, in the order of the outputs",
        )
    return published


def _check_order(path: Path, file: WeightFile, architecture: Architecture) -> None:
    """Refuse a Caffe network whose layers come in another order: same shapes, other answers."""
    ordered = [
        layer.name
        for layer in architecture.layers
        if isinstance(layer, Conv | MaxPool | LocalResponseNorm | FullyConnected)
    ]
    there = [name for name in file.layers if name in ordered]
    wanted = [name for name in ordered if name in there]
    if there != wanted:
        at = next(
            i for i, pair in enumerate(zip(there, wanted, strict=False)) if pair[0] != pair[1]
        )
        raise TrainingError(
            f"{path}: {there[at]} comes where {architecture.name!r} has {wanted[at]}",
            hint="caffenet pools before it normalises, bvlc_alexnet after: try --architecture",
        )


def _check_names(
    path: Path,
    named: Mapping[str, tuple[str, Stored]],
    expected: Mapping[str, tuple[int, ...]],
    architecture: str,
) -> None:
    needed = [name for name in expected if not name.endswith(_COUNTER)]
    missing = [name for name in needed if name not in named]
    odd = [given for name, (given, _) in named.items() if name not in expected]
    if missing or odd:
        parts = [f"{what}: {_listed(names)}" for what, names in
                 (("missing", missing), ("unknown", odd)) if names]  # fmt: skip
        raise TrainingError(
            f"{path}: not the tensors of {architecture!r} ({'; '.join(parts)})",
            hint="imagetree weights show FILE lists what is in it and which networks fit",
        )


def _check_tensor(where: str, stored: Stored, name: str, shape: tuple[int, ...]) -> None:
    if stored.shape != shape:
        raise TrainingError(
            f"{where} has shape {stored.shape} (expected {shape})",
            hint="another architecture, input size or number of classes: "
            "--architecture, --input-size, --wnids",
        )
    types = ("int64",) if name.endswith(_COUNTER) else _FLOATS
    if stored.dtype not in types:
        raise TrainingError(f"{where} has type {stored.dtype} (expected {' or '.join(types)})")


def _load(where: str, stored: Stored) -> torch.Tensor:
    """The values of a tensor."""
    try:
        tensor = stored.load()
    except TrainingError:
        raise
    except Exception as error:  # whatever the format's library says to damaged values
        raise TrainingError(f"{where} cannot be read ({error})") from error
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(torch.float32).contiguous()
    bad = int((~tensor.isfinite()).sum())
    if bad:
        raise TrainingError(f"{where} holds {bad:,} values that are not finite")
    return tensor


def _both(given: str, ours: str) -> str:
    return given if given == ours else f"{given} ({ours})"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(name[:80] for name in names[:_MAX_SHOWN]) + more

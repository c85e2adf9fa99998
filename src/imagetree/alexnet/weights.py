"""Weights by name: what the tensors of a network are called, how large they are, how to use them.

The names are the layers': `conv1.weight` (filters, channels / groups, side, side), `conv1.bias`,
`fc6.weight` (units, inputs). fc6 sees its input flattened as channels, rows, columns, in this
order: so do Caffe's and torchvision's, and no weight of theirs has to be moved.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from imagetree.alexnet.architectures import architecture_named, with_dropout
from imagetree.alexnet.changes import UNCHANGED, Changes, changed
from imagetree.alexnet.counts import count_layers
from imagetree.alexnet.layers import BatchNorm, Conv, FullyConnected
from imagetree.errors import TrainingError
from imagetree.wordnet.synset import is_wnid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from imagetree.alexnet.layers import Architecture

Channels = tuple[float, float, float]
"""A value for each of R, G, B."""

FORMAT, CHANGED_FORMAT = 1, 2
"""Of descriptions; the second of networks that have something other than their architecture."""
DESCRIPTION_KEY = "imagetree.weights"
"""Under this name a file of tensors carries its `Description`."""

TORCHVISION_LAYERS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}
"""torchvision's names of the layers with weights, places in its two `Sequential`s, and ours."""

_MAX_SIDE = 4096


@dataclass(frozen=True)
class Description:
    """What has to be known beside the tensors so that a network answers as it was meant to.

    Args:
        architecture: name of the network.
        dropout: rate of its dropout, which counts at the test too where it is scaled there.
        input_size: side in pixels of the image that fc6 is made for.
        image_size: side in pixels of the images that are shown to it.
        wnids: wnid of each class, in the order of the outputs.
        mean: taken from the pixels first, for R, G, B, in 0..255.
        std: by which they are divided then.
        changes: what the network has other than its architecture's own, dropout aside.

    Raises:
        TrainingError: a value is out of its range.
    """

    architecture: str
    dropout: float
    input_size: int
    image_size: int
    wnids: tuple[str, ...] = field(repr=False)
    mean: Channels
    std: Channels
    changes: Changes = UNCHANGED

    def __post_init__(self) -> None:
        architecture_named(self.architecture)
        _ = self.network  # refuses towers that do not share evenly
        _check("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)")
        for name in ("input_size", "image_size"):
            side = getattr(self, name)
            _check(name, side, 1 <= side <= _MAX_SIDE, f"in 1..{_MAX_SIDE}")
        for name in ("mean", "std"):
            values = getattr(self, name)
            finite = len(values) == 3 and all(math.isfinite(value) for value in values)
            _check(name, values, finite, "a number for each of R, G, B")
        _check("std", self.std, min(self.std) > 0, "above 0")
        bad = [wnid for wnid in self.wnids if not is_wnid(wnid)]
        _check("wnids", bad[:3], not bad, "wnids as n02084071")
        distinct = len(set(self.wnids)) == len(self.wnids) > 0
        _check("wnids", f"{len(self.wnids)} long", distinct, "some, each once")

    @property
    def network(self) -> Architecture:
        """The architecture with these changes and this rate of dropout."""
        own = architecture_named(self.architecture)
        return with_dropout(changed(own, self.changes), self.dropout)

    def to_json(self) -> str:
        """The description as JSON text."""
        values = asdict(self)
        if self.changes == UNCHANGED:  # as earlier versions wrote and read it
            del values["changes"]
            return json.dumps({"format": FORMAT, **values})
        return json.dumps({"format": CHANGED_FORMAT, **values})


def parse_description(text: str, where: str) -> Description:
    """The description that `to_json` gave.

    Args:
        text: JSON.
        where: the file, for errors.

    Raises:
        TrainingError: it is of another format, or a value is missing, wrong or out of its range.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        if values["format"] not in (FORMAT, CHANGED_FORMAT):
            raise TrainingError(
                f"weights of format {values['format']!r} (expected {FORMAT} or {CHANGED_FORMAT})"
            )
        red, green, blue = map(float, values["mean"])
        red_std, green_std, blue_std = map(float, values["std"])
        return Description(
            architecture=str(values["architecture"]),
            dropout=float(values["dropout"]),
            input_size=int(values["input_size"]),
            image_size=int(values["image_size"]),
            wnids=tuple(map(str, values["wnids"])),
            mean=(red, green, blue),
            std=(red_std, green_std, blue_std),
            changes=UNCHANGED if values["format"] == FORMAT else _parse_changes(values["changes"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TrainingError(f"{where}: damaged description ({error!r})") from error
    except TrainingError as error:
        raise TrainingError(f"{where}: {error.message}") from error


def _parse_changes(values: dict[str, Any]) -> Changes:
    overlapping, groups = values["overlapping_pool"], values["groups"]
    if not isinstance(overlapping, bool):
        raise TypeError(f"overlapping_pool is {overlapping!r}")
    return Changes(
        activation=values["activation"],
        norm=values["norm"],
        overlapping_pool=overlapping,
        groups=None if groups is None else int(groups),
    )


@dataclass(frozen=True)
class Weights:
    """A network's tensors, and what has to be known to use them.

    Args:
        description: architecture, classes, pixels.
        tensors: state dict of the network.
    """

    description: Description
    tensors: Mapping[str, torch.Tensor] = field(repr=False)


class Stored(NamedTuple):
    """A tensor that lies in a file and has not been read yet.

    Args:
        shape: of the tensor.
        dtype: torch's name of its type, `float32`.
        load: reads it, on the CPU; it may raise what the library of the format raises.
    """

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], torch.Tensor]


@dataclass(frozen=True)
class WeightFile:
    """A file of weights, opened: what is in it, not yet what it means.

    Args:
        kind: `safetensors`, `torch`, `onnx` or `caffe`.
        tensors: by their names in the file.
        description: the text that we write into our own files; None in those of others.
        layers: names of all layers in their order, where the file tells them.
    """

    kind: str
    tensors: Mapping[str, Stored]
    description: str | None = None
    layers: tuple[str, ...] = ()


def tensor_shapes(
    architecture: Architecture, num_classes: int, input_size: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor in the network's state dict; see `count_layers`.

    >>> shapes = tensor_shapes(architecture_named("two_gpu"), 1000)
    >>> shapes["conv2.weight"], shapes["fc6.weight"]
    ((256, 48, 5, 5), (4096, 9216))
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for count in count_layers(architecture, num_classes, input_size):
        layer, name = count.layer, count.layer.name
        match layer:
            case Conv():
                channels = count.input_shape[0] // layer.groups
                shapes[f"{name}.weight"] = (layer.depth, channels, layer.kernel, layer.kernel)
            case FullyConnected():
                units = count.output_shape[0]
                shapes[f"{name}.weight"] = (units, count.weights // units)
            case BatchNorm():
                for kind in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"{name}.{kind}"] = (count.input_shape[0],)
                shapes[f"{name}.num_batches_tracked"] = ()
        if isinstance(layer, Conv | FullyConnected) and layer.bias:
            shapes[f"{name}.bias"] = (count.output_shape[0],)
    return shapes


def last_layer(architecture: Architecture) -> str:
    """Name of the layer that has a unit for each class.

    >>> last_layer(architecture_named("caffenet"))
    'fc8'
    """
    return next(
        layer.name
        for layer in architecture.layers
        if isinstance(layer, FullyConnected) and layer.units is None
    )


def lacks_onnx(error: ImportError) -> NoReturn:
    """Say which extra brings what is missing for ONNX."""
    raise TrainingError(
        f"ONNX needs a package that is not installed ({error.name})",
        hint="pip install 'imagetree[onnx]'",
    ) from error


def _check(name: str, value: object, is_right: bool, expected: str) -> None:
    if not is_right:
        raise TrainingError(f"{name} is {value} (expected {expected})")

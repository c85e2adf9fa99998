"""Weights for others: safetensors, torch's state dict, ONNX, and torch's exported program.

Two kinds: safetensors and `.pth` hold the tensors, for who builds the network; `.onnx` and `.pt2`
hold the network too, from uint8 pixels to logits, so that nobody has to prepare them in our way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from safetensors.torch import save
from torch import nn

from imagetree.alexnet.changes import UNCHANGED
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.onnx_graph import INPUT, make_onnx
from imagetree.alexnet.weights import DESCRIPTION_KEY, TORCHVISION_LAYERS
from imagetree.errors import TrainingError
from imagetree.files import atomic_writer, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imagetree.alexnet.weights import Weights


def save_weights(path: Path, weights: Weights) -> None:
    """Write a network, whole or not at all, in the format of the file's ending.

    `.safetensors`: tensors by our names, the description as metadata. `.pth`: a state dict,
    in torchvision's names for the networks that torchvision's module runs, by our names for the
    others; it has no room for classes, mean, std and changes. `.onnx`: see `make_onnx`. `.pt2`: a
    program of `torch.export` with the same input and output, and the description as an extra file.

    Args:
        path: file to write.
        weights: tensors and what they are.

    Raises:
        TrainingError: the ending is none of these, a package for it is missing, or the format
            cannot say what the network has other than its architecture.
        ImagetreeError: the file cannot be written.
    """
    writer = _WRITERS.get(path.suffix)
    if writer is None:
        raise TrainingError(
            f"{path}: no format ends with {path.suffix!r} (expected {', '.join(_WRITERS)})"
        )
    writer(path, weights)


class FromPixels(nn.Module):
    """A network that prepares its pixels itself.

    Args:
        network: in evaluation mode.
        mean: of R, G, B in 0..255.
        std: likewise.
    """

    def __init__(
        self,
        network: AlexNet,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits of images: uint8 (N, S, S, 3), R, G, B -> float32 (N, classes)."""
        mean, std = cast("torch.Tensor", self.mean), cast("torch.Tensor", self.std)
        x = (pixels.float() - mean) / std
        logits: torch.Tensor = self.network(x.permute(0, 3, 1, 2))
        return logits


def build_network(weights: Weights) -> FromPixels:
    """The network with its weights, from pixels to logits, in evaluation mode."""
    description = weights.description
    wnids, size = description.wnids, description.input_size
    network = AlexNet(description.network, len(wnids), size, seed=None)
    network.load_state_dict(dict(weights.tensors))
    return FromPixels(network, description.mean, description.std).eval().requires_grad_(False)


def torchvision_names(weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors by torchvision's names, where the network is torchvision's; else by ours."""
    theirs = {ours: given for given, ours in TORCHVISION_LAYERS.items()}
    is_theirs = weights.description.architecture.startswith("one_weird_trick")
    renamed = {}
    for name, tensor in weights.tensors.items():
        layer, _, kind = name.rpartition(".")
        renamed[f"{theirs[layer]}.{kind}" if is_theirs else name] = tensor
    return renamed


def _save_safetensors(path: Path, weights: Weights) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
    metadata = {DESCRIPTION_KEY: weights.description.to_json()}
    write_atomic(path, save(tensors, metadata=metadata))


def _save_torch(path: Path, weights: Weights) -> None:
    if weights.description.changes != UNCHANGED:
        raise TrainingError(
            f"{path}: its network is {weights.description.architecture!r} with another activation, "
            "norm, pooling or number of towers, which a .pth cannot say",
            hint="write .safetensors, .onnx or .pt2, which can",
        )
    with atomic_writer(path) as file:
        torch.save(torchvision_names(weights), file)


def _save_onnx(path: Path, weights: Weights) -> None:
    write_atomic(path, make_onnx(weights).SerializeToString(deterministic=True))


def _save_program(path: Path, weights: Weights) -> None:
    network, side = build_network(weights), weights.description.image_size
    pixels = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        # Once in earnest: what the layers keep for later calls must not be of the tracer's making.
        network(pixels)
        shapes = {INPUT: {0: torch.export.Dim("batch", min=1)}}
        program = torch.export.export(network, (pixels,), dynamic_shapes=shapes)
    extra = {DESCRIPTION_KEY: weights.description.to_json()}
    with atomic_writer(path) as file:
        torch.export.save(program, file, extra_files=extra)


_WRITERS: dict[str, Callable[[Path, Weights], None]] = {
    ".safetensors": _save_safetensors,
    ".pth": _save_torch,
    ".onnx": _save_onnx,
    ".pt2": _save_program,
}
"""Endings, and who writes what ends so."""

"""Checkpoints: everything that a run needs to go on, and a network to be used, in one file.

The file is safetensors, so that loading it runs no code of its author: tensors named
`network.conv1.weight` and `momentum.conv1.weight`, and a JSON text that says what they are. It is
written whole or not at all. docs/formats.md describes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.files import write_atomic
from imagetree.training.colour import ColourAxes
from imagetree.training.config import TrainConfig, config_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.training.device import Mean

FORMAT = 1
_KEY = "imagetree"
_MEAN_IMAGE = "mean.image"


@dataclass(frozen=True)
class Checkpoint:
    """A network, how it came about, and what is needed to go on with it.

    Args:
        config: the settings of the run.
        wnids: wnid of each class, in the order of the network's outputs.
        mean: of the training images, for each of R, G, B, in 0..255.
        std: likewise, the standard deviation.
        step: optimiser updates done.
        num_steps: optimiser updates of the whole run.
        network: state dict of the network.
        momentum: momentum of each parameter, by its name; empty once the run is finished.
        num_seen: images of the newest epoch that were trained on; 0 in a file that does not say.
        num_misses: of these, the ones whose likeliest class was not theirs.
        average: running mean of the network's tensors; empty where none is kept, or once finished.
        num_averaged: updates that the mean is of.
        axes: of the training images' colours; None in a file that does not say.
        mean_image: of the training images, float32 (S, S, 3); None where it is not subtracted.
    """

    config: TrainConfig
    wnids: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    step: int
    num_steps: int
    network: Mapping[str, torch.Tensor] = field(repr=False)
    momentum: Mapping[str, torch.Tensor] = field(repr=False, default_factory=dict)
    num_seen: int = 0
    num_misses: int = 0
    average: Mapping[str, torch.Tensor] = field(repr=False, default_factory=dict)
    num_averaged: int = 0
    axes: ColourAxes | None = None
    mean_image: NDArray[np.float32] | None = field(repr=False, default=None)

    @property
    def subtracted(self) -> Mean:
        """What is subtracted from an image: the mean image where there is one."""
        return self.mean if self.mean_image is None else self.mean_image

    @property
    def is_finished(self) -> bool:
        """Whether every step of the run is done."""
        return self.step >= self.num_steps


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        ImagetreeError: it cannot be written; the one that was there before still is.
    """
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, group in (
            ("network", checkpoint.network),
            ("momentum", checkpoint.momentum),
            ("average", checkpoint.average),
        )
        for name, tensor in group.items()
    }
    if checkpoint.mean_image is not None:
        tensors[_MEAN_IMAGE] = torch.from_numpy(checkpoint.mean_image)
    described = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "wnids": checkpoint.wnids,
        "mean": checkpoint.mean,
        "std": checkpoint.std,
        "step": checkpoint.step,
        "num_steps": checkpoint.num_steps,
        "num_seen": checkpoint.num_seen,
        "num_misses": checkpoint.num_misses,
        "num_averaged": checkpoint.num_averaged,
        "axes": checkpoint.axes,
    }
    write_atomic(path, save(tensors, metadata={_KEY: json.dumps(described)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TrainingError: it is missing, damaged, or was not written by `save_checkpoint`.
    """
    if not path.is_file():
        raise TrainingError(
            f"{path}: no checkpoint is here",
            hint="train a network: imagetree train CHALLENGE RUN",
        )
    try:
        with safe_open(path, framework="pt") as file:
            described = _described(path, file.metadata())
            groups: dict[str, dict[str, torch.Tensor]] = {
                "network": {},
                "momentum": {},
                "average": {},
            }
            mean_image = None
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                if key == _MEAN_IMAGE:
                    mean_image = _image(file.get_tensor(key))
                    continue
                prefix, _, name = key.partition(".")
                groups[prefix][name] = file.get_tensor(key)
        return Checkpoint(
            config=config_from_json(described["config"]),
            wnids=tuple(described["wnids"]),
            mean=tuple(described["mean"]),
            std=tuple(described["std"]),
            step=int(described["step"]),
            num_steps=int(described["num_steps"]),
            num_seen=int(described.get("num_seen", 0)),
            num_misses=int(described.get("num_misses", 0)),
            num_averaged=int(described.get("num_averaged", 0)),
            axes=_axes(described.get("axes")),
            mean_image=mean_image,
            **groups,
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}: not a whole checkpoint ({type(error).__name__}: {error})",
            hint="train again, or restore the file from a copy",
        ) from error


def load_network(checkpoint: Checkpoint, *, name: str = "checkpoint") -> AlexNet:
    """The network of a checkpoint, with its weights, in evaluation mode.

    Args:
        checkpoint: what was loaded.
        name: what to call it in errors.

    Raises:
        TrainingError: the tensors are not those of the architecture it names.
    """
    config = checkpoint.config
    network = AlexNet(config.network, len(checkpoint.wnids), config.input_size, seed=None)
    expected = network.state_dict()
    if expected.keys() != checkpoint.network.keys():
        odd = sorted(expected.keys() ^ checkpoint.network.keys())
        raise TrainingError(
            f"{name}: the tensors are not those of {config.architecture!r} (differing: {odd[:5]})",
            hint="this is a checkpoint of another architecture",
        )
    for key, tensor in expected.items():
        given = checkpoint.network[key]
        if given.shape != tensor.shape:
            raise TrainingError(
                f"{name}: {key} has shape {tuple(given.shape)} "
                f"(expected {tuple(tensor.shape)} for {config.architecture!r})",
                hint="this is a checkpoint of another architecture or of other classes",
            )
    network.load_state_dict(dict(checkpoint.network))
    return network.eval()


def _axes(values: Any) -> ColourAxes | None:
    """The axes of the colours from JSON, variances and directions."""
    if values is None:
        return None
    variances, directions = values
    (a, b, c), (d, e, f), (g, h, i) = (map(float, vector) for vector in directions)
    first, second, third = map(float, variances)
    return ColourAxes((first, second, third), ((a, b, c), (d, e, f), (g, h, i)))


def _image(tensor: torch.Tensor) -> NDArray[np.float32]:
    if tensor.ndim != 3 or tensor.shape[2] != 3 or tensor.dtype != torch.float32:
        raise ValueError(f"a mean image of {tensor.dtype} {tuple(tensor.shape)}")
    found: NDArray[np.float32] = tensor.numpy()
    return found


def _described(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    if not metadata or _KEY not in metadata:
        raise TrainingError(f"{path}: safetensors, but no checkpoint of imagetree")
    described = json.loads(metadata[_KEY])
    if described.get("format") != FORMAT:
        raise TrainingError(
            f"{path}: checkpoint of format {described.get('format')!r} (expected {FORMAT})"
        )
    return dict(described)

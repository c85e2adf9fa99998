"""A small network and real photographs for the tests of recognition."""

from __future__ import annotations

import dataclasses
import tarfile
from typing import TYPE_CHECKING

import pytest

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.layers import Conv, FullyConnected
from imagetree.alexnet.network import AlexNet
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.evaluate import View

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 67
WNIDS = ("n01440764", "n02102040", "n03028079")  # tench, English springer, church


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    """A network of eight units a layer with its first weights: as sure as it is untaught."""
    single = architecture_named("single_gpu")
    layers = tuple(
        dataclasses.replace(layer, depth=8)
        if isinstance(layer, Conv)
        else dataclasses.replace(layer, units=8)
        if isinstance(layer, FullyConnected) and layer.units
        else layer
        for layer in single.layers
    )
    network = AlexNet(dataclasses.replace(single, layers=layers), len(WNIDS), SIZE, seed=1).eval()
    return Recognizer(network, WNIDS, View(SIZE, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "fp32"))


@pytest.fixture(scope="session")
def photographs(imagenette, tmp_path_factory) -> tuple[Path, ...]:
    """Eight photographs of val in files."""
    folder = tmp_path_factory.mktemp("photographs")
    paths = []
    with tarfile.open(imagenette / "val.tar") as archive:
        for number in range(8):
            paths.append(folder / f"{number}.JPEG")
            paths[-1].write_bytes(archive.extractfile(archive.next()).read())
    return tuple(paths)

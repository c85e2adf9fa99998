"""A few small pictures that a network can learn in seconds: upright stripes and level ones."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from imagetree.recognition.inputs import ImageFiles
from imagetree.training.config import TrainConfig

if TYPE_CHECKING:
    from pathlib import Path

WNIDS = ("n02084071", "n02121808")
SETTINGS = {
    "architecture": "batch_norm",
    "input_size": 67,
    "start_size": 67,
    "test_size": 67,
    "batch_size": 8,
    "epochs": 2,
    "lr": 0.01,
    "label_smoothing": 0.0,
    "device": "cpu",
    "workers": 0,
}


def draw(label: int, seed: int) -> bytes:
    """A JPEG of 80 x 80: upright stripes or level ones, in any phase."""
    rng = np.random.default_rng([label, seed])
    wave = 90 * np.sin(np.arange(80) / 3 + rng.uniform(0, 6))
    pixels = 128 + (wave[None, :] if label else wave[:, None]) + rng.normal(0, 20, (80, 80))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


class MemoryReader:
    """Gives what it is given: the rows of images in memory are their files."""

    def read(self, row: bytes) -> bytes:
        return row


class MemoryImages:
    """Images in memory, some of which may be damaged; for batches that are made without workers."""

    reader = MemoryReader()

    def __init__(self, count: int, *, damaged: tuple[int, ...] = (), seed: int = 0) -> None:
        self.labels = np.arange(count, dtype=np.int64) % 2
        self.names = tuple(f"image_{index}" for index in range(count))
        self.rows = [draw(int(self.labels[index]), seed + index) for index in range(count)]
        for index in damaged:
            self.rows[index] = self.rows[index][:200]


class FileImages(ImageFiles):
    """The same images in files, which workers can read."""

    def __init__(self, folder: Path, images: MemoryImages) -> None:
        super().__init__([folder / f"{name}.jpg" for name in images.names])
        self.labels = images.labels
        for path, data in zip(self.rows, images.rows, strict=True):
            path.write_bytes(data)


@pytest.fixture(scope="session")
def images() -> MemoryImages:
    return MemoryImages(40)


@pytest.fixture(scope="session")
def minival() -> MemoryImages:
    return MemoryImages(10, seed=1000)


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig(**SETTINGS)

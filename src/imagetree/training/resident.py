"""A pack that lies on the device as a whole: crops are cut there, and nothing is fed to it.

Imagenette at 256 x 256 takes 1.9 GB. The crops are those that workers would cut, up to the rounding
of the interpolation and the pixels beside a crop, which are seen here at its border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from imagetree.errors import TrainingError
from imagetree.training.batches import EpochPart, num_train_batches
from imagetree.training.pack import PackedImages
from imagetree.training.randomness import mix, permutation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from imagetree.training.batches import BadImage, Images
    from imagetree.training.config import TrainConfig
    from imagetree.training.crops import Crop

_SHARE_OF_MEMORY = 0.5
"""Of the free memory of a GPU; the rest is for the network and what it computes."""

_LOADED_AT_ONCE = 4096


class DeviceBatch(NamedTuple):
    """A batch that lies on the device.

    Args:
        pixels: float32 or uint8 (N, S, S, 3), 0..255, RGB.
        labels: class indices; int64 (N,).
        indices: place of each image in the pack; int64 (N,).
        bad: as in `Batch`; none of a pack, which has set aside what cannot be decoded.
    """

    pixels: torch.Tensor
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    bad: tuple[BadImage, ...] = ()


class ResidentImages:
    """The pixels of a pack on a device.

    Args:
        images: packed as pixels.
        device: where they are to lie.
    """

    def __init__(self, images: PackedImages, device: torch.device) -> None:
        info = images.reader.info
        self.labels, self.bad, self.side = images.labels, info.bad, info.size
        shape = (info.num_images, info.size, info.size, 3)
        self.pixels = torch.empty(shape, dtype=torch.uint8, device=device)
        for start in range(0, info.num_images, _LOADED_AT_ONCE):
            part = range(start, min(start + _LOADED_AT_ONCE, info.num_images))
            blank = np.zeros(shape[1:], np.uint8)
            found = [blank if row in info.bad else images.reader.read(row) for row in part]
            self.pixels[part.start : part.stop] = torch.from_numpy(np.stack(found))


def resident_where_it_fits(images: Images, device: torch.device) -> ResidentImages | None:
    """The images on the GPU if they are packed as pixels and leave half of its memory free."""
    if device.type != "cuda" or not isinstance(images, PackedImages):
        return None
    info = images.reader.info
    free, _ = torch.cuda.mem_get_info(device)
    fits = info.num_images * info.size**2 * 3 <= _SHARE_OF_MEMORY * free
    return ResidentImages(images, device) if info.kind == "pixels" and fits else None


def iter_resident_batches(
    images: ResidentImages, config: TrainConfig, part: EpochPart
) -> Iterator[DeviceBatch]:
    """The batches of an epoch, as `iter_train_batches` gives them.

    Raises:
        TrainingError: none of the images could be decoded when they were packed.
    """
    count = len(images.labels)
    if len(images.bad) == count:
        raise TrainingError("none of the packed images could be decoded")
    order = permutation(count, config.seed, part.epoch)
    size, crop = config.crop_size(part.epoch), config.crops_of(part.epoch)
    batch_size = min(config.batch_size, count)
    for step in range(part.first_step, num_train_batches(count, config.batch_size)):
        drawn = order[step * batch_size : (step + 1) * batch_size][part.rank :: part.size]
        indices = np.array(
            [_good(images, int(index), (config.seed, part.epoch)) for index in drawn]
        )
        pixels = cut_on_device(images, indices, crop, size)
        yield DeviceBatch(pixels, images.labels[indices], indices)


def cut_on_device(
    images: ResidentImages, indices: NDArray[np.int64], crop: Crop, size: int
) -> torch.Tensor:
    """Crops of some images, resized and mirrored on the device; float32 (N, size, size, 3)."""
    side, device = images.side, images.pixels.device
    numbers = crop.numbers(indices)
    boxes = np.array([crop.box(own, side, side) for own in numbers], dtype=np.float32)
    signs = np.array([-1.0 if crop.flips(own) else 1.0 for own in numbers], np.float32)
    left, top, width, height = boxes.T / side
    maps = np.zeros((len(indices), 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 2] = signs * width, 2 * left + width - 1
    maps[:, 1, 1], maps[:, 1, 2] = height, 2 * top + height - 1
    shape = [len(indices), 3, size, size]
    where = functional.affine_grid(torch.from_numpy(maps).to(device), shape, align_corners=False)
    chosen = images.pixels[torch.from_numpy(indices).to(device)].permute(0, 3, 1, 2).float()
    cropped = functional.grid_sample(chosen, where, padding_mode="border", align_corners=False)
    return cropped.permute(0, 2, 3, 1)


def _good(images: ResidentImages, index: int, counters: tuple[int, int]) -> int:
    """The image itself or, where it is bad, the first good draw in its place."""
    draws = 1
    while index in images.bad:
        index = mix(*counters, index, draws) % len(images.labels)
        draws += 1
    return index

"""Units: the images of a set that excite each unit of a layer most, and what it saw of them.

A unit is a channel: one map of a convolution, or one value of a fully connected layer. Its response
to an image is the greatest value of its map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imagetree.alexnet.layers import Conv, FullyConnected, MaxPool, SameMapNorm
from imagetree.errors import TrainingError
from imagetree.sources.regions import Box
from imagetree.training.batches import eval_batch_bytes, iter_centre_batches
from imagetree.training.device import normalise
from imagetree.training.feeder import Feeder
from imagetree.understanding.activations import (
    check_finite,
    check_layers,
    grid_bins,
    input_sides,
    layer_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from imagetree.alexnet.layers import Layer
    from imagetree.alexnet.network import AlexNet
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import BadImage, Images

    Stretch = tuple[int, int]  # along one side: the first place, and the one after the last

_FEW = 64  # images that this process decodes sooner than workers begin


@dataclass(frozen=True)
class Strongest:
    """For each of C units the k images with the greatest responses, greatest first.

    Args:
        layer: whose units they are.
        values: the responses; float32 (C, k). Of equal ones the earlier image is first.
        indices: the images; int64 (C, k).
        places: row and column in the map of each response, the first in row order where several
            are as great; int64 (C, k, 2).
        class_shares: how much of a unit's response is each class's; float64 (C, K). It is the mean
            over the class's images of the response, nothing where that is below zero, over the
            sum of these means: 1/K each for a unit that cares for no class, whatever the classes'
            sizes. A row is zeros where no image of a known class has a response above zero.
        bad: the images that could not be decoded.
    """

    layer: str
    values: NDArray[np.float32]
    indices: NDArray[np.int64]
    places: NDArray[np.int64]
    class_shares: NDArray[np.float64]
    bad: tuple[BadImage, ...]


class Field(NamedTuple):
    """The part of the image that a value of a layer depends on, in pixels.

    Args:
        seen: the part of it that lies in the image, exactly.
        whole: with what lies beyond the image's edges, where padding is seen; its place may be
            negative.
    """

    seen: Box
    whole: Box


class _Responses(NamedTuple):
    """Of each of C units to n images: values float32 (C, n); image, row, column int64 (C, n, 3)."""

    values: NDArray[np.float32]
    places: NDArray[np.int64]


def find_strongest(
    recognizer: Recognizer,
    images: Images,
    layer: str,
    count: int = 9,
    progress: Callable[[int, int], None] | None = None,
) -> Strongest:
    """Pass all images through the network once and keep the strongest for each unit.

    Memory does not grow with the number of images: C x k responses are kept, and a sum for each
    unit and class. The network computes in float32 whatever the run's precision: in the eight
    bits of bfloat16 many images would be equal.

    Args:
        recognizer: the network, and how it is shown images.
        images: what to look at; those whose label is -1 count for no class.
        layer: whose units.
        count: images for each unit, k; fewer where not so many can be decoded.
        progress: called with (images done, images in all) after each batch.

    Raises:
        TrainingError: there is no such layer, the count is less than 1, no image can be decoded,
            or a value is no finite number.
    """
    check_layers(recognizer.network.architecture, [layer])
    if count < 1:
        raise TrainingError(f"number of images for each unit is {count} (expected at least 1)")
    best, sums = None, None
    sizes = np.zeros(len(recognizer.wnids), np.int64)
    bad: list[BadImage] = []
    for now, faults in _iter_responses(recognizer, images, layer, progress):
        bad.extend(faults)
        best = _strongest_of(now if best is None else _joined(best, now), count)
        if sums is None:
            sums = np.zeros((len(sizes), len(now.values)))
        labels = images.labels[now.places[0, :, 0]]
        is_known = labels >= 0
        np.add.at(sums, labels[is_known], np.maximum(now.values.T[is_known], 0))
        sizes += np.bincount(labels[is_known], minlength=len(sizes))
    if best is None or sums is None or not best.values.size:
        raise TrainingError(f"none of {len(images.labels)} images can be decoded")
    shares = _shares(sums, sizes)
    return Strongest(
        layer, best.values, best.places[..., 0], best.places[..., 1:], shares, tuple(bad)
    )


def most_selective(found: Strongest, count: int) -> tuple[int, ...]:
    """The units of which one class has the greatest share, most of all first, class by class.

    The first of every class come before the second of any: the easiest class would have them all.

    Left out are units for which not all k images have a response above zero: of what hardly ever
    responds, one image's class has nearly all.
    """
    greatest, whose = found.class_shares.max(axis=1), found.class_shares.argmax(axis=1)
    alive = np.flatnonzero(found.values[:, -1] > 0)
    ordered = alive[np.argsort(-greatest[alive], kind="stable")]
    num_before = [
        int((whose[ordered[:at]] == whose[unit]).sum()) for at, unit in enumerate(ordered)
    ]
    return tuple(ordered[np.argsort(num_before, kind="stable")][:count].tolist())


def parse_units(words: Sequence[str]) -> tuple[int, ...]:
    """Numbers of units as they are typed, apart or with commas between them.

    Raises:
        TrainingError: a word is no number.

    >>> parse_units(["0,1", "7"])
    (0, 1, 7)
    """
    numbers = [each for word in words for each in word.split(",")]
    for each in numbers:
        if not each.isascii() or not each.isdecimal():
            raise TrainingError(
                f"{each!r} is no number of a unit (expected numbers from 0 on)",
                hint="name them so: --units 0,1,2",
            )
    return tuple(map(int, numbers))


def receptive_box(network: AlexNet, layer: str, place: tuple[int, int], size: int) -> Field:
    """What a value of a layer sees of an image.

    The windows are gone back through from the layer to the image, one stretch for each direction.

    Args:
        network: whose layer.
        layer: its name; a value behind the first fully connected layer sees what all of it does.
        place: row and column in the map.
        size: side of the image in pixels.

    Raises:
        TrainingError: there is no such layer, or a window does not fit.
    """
    check_layers(network.architecture, [layer])
    seen, whole = (
        [_traced(network, layer, each, size, clips=clips) for each in place]
        for clips in (True, False)
    )
    return Field(_box(*seen), _box(*whole))


def _box(rows: Stretch, columns: Stretch) -> Box:
    return Box(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])


def _traced(network: AlexNet, name: str, place: int, size: int, *, clips: bool) -> Stretch:
    """The pixels along one side that a value sees; with `clips` no padding on the way."""
    sides = input_sides(network, size)
    names = [layer.name for layer in network.architecture.layers]
    stretch = (place, place + 1)
    for layer in reversed(network.architecture.layers[: names.index(name) + 1]):
        side = sides.get(layer.name)
        if side is None:
            continue  # behind the first fully connected layer, which sees everything anyway
        stretch = _seen(layer, stretch, side, grid_bins(network, layer.name, side))
        if clips:
            stretch = max(stretch[0], 0), min(stretch[1], side)
    return stretch


def _seen(layer: Layer, stretch: Stretch, side: int, bins: int | None) -> Stretch:
    """What a stretch of a layer's output sees of its input."""
    first, end = stretch
    if bins is not None:
        return first * side // bins, -(-end * side // bins)
    match layer:
        case FullyConnected():
            return 0, side
        case Conv():
            start = first * layer.stride - layer.padding
            return start, start + (end - first - 1) * layer.stride + layer.kernel
        case MaxPool():
            start = first * layer.stride
            return start, start + (end - first - 1) * layer.stride + layer.kernel
        case SameMapNorm():
            return first - layer.size // 2, end + layer.size // 2
        case _:
            return stretch


def _iter_responses(
    recognizer: Recognizer,
    images: Images,
    layer: str,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[_Responses, tuple[BadImage, ...]]]:
    """The responses to all images in their order, batch by batch, and the images without any."""
    network, view = recognizer.network, recognizer.view
    device = next(network.parameters()).device
    workers = view.workers if len(images.labels) >= _FEW else 0
    done = 0
    with Feeder(images.reader, workers, eval_batch_bytes(view.size)) as feeder:
        for batch in iter_centre_batches(feeder, images, view.size):
            x = normalise(batch.pixels, device, view.mean, view.std)
            outputs = layer_outputs(network, x, [layer])[layer]
            responses = _responses(outputs, batch.is_readable, done)
            check_finite(layer, responses.values)
            yield responses, batch.bad
            done += len(batch.labels)
            if progress:
                progress(done, len(images.labels))


def _responses(outputs: torch.Tensor, is_readable: NDArray[np.bool_], start: int) -> _Responses:
    """Greatest value and its place in each map of a batch that begins with image `start`."""
    width = outputs.shape[3] if outputs.ndim == 4 else 1
    flat = outputs.flatten(2) if outputs.ndim == 4 else outputs.unsqueeze(2)
    greatest, at = (each.cpu().numpy()[is_readable].T for each in flat.max(dim=2))
    indices = np.broadcast_to(start + np.flatnonzero(is_readable), at.shape)
    return _Responses(greatest, np.stack([indices, *np.divmod(at, width)], axis=2))


def _joined(first: _Responses, second: _Responses) -> _Responses:
    return _Responses(
        np.concatenate([first.values, second.values], axis=1),
        np.concatenate([first.places, second.places], axis=1),
    )


def _strongest_of(responses: _Responses, count: int) -> _Responses:
    """The greatest `count` for each unit; of equal ones those that came first."""
    order = np.argsort(-responses.values, axis=1, kind="stable")[:, :count]
    return _Responses(
        np.take_along_axis(responses.values, order, axis=1),
        np.take_along_axis(responses.places, order[..., None], axis=1),
    )


def _shares(sums: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """See `Strongest.class_shares`; `sums` is (K, C), `sizes` the images of each class."""
    means = (sums / np.maximum(sizes, 1)[:, None]).T
    total = means.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = means / np.where(total > 0, total, 1)
    return shares

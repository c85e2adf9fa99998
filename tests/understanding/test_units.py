"""Units: the strongest images of each, exact and in one pass, and what a value sees of an image."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers
from imagetree.alexnet.layers import Architecture, Conv, FullyConnected
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.receptive import receptive_fields
from imagetree.errors import TrainingError
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.sources.regions import Box
from imagetree.training.evaluate import View
from imagetree.understanding.activations import layer_outputs, seen_pixels
from imagetree.understanding.units import (
    Strongest,
    find_strongest,
    most_selective,
    parse_units,
    receptive_box,
)

SIZE = 67
VIEW = View(SIZE, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "bf16", 0)
WNIDS = ("n01440764", "n02102040", "n03028079")


def thin(name: str) -> Architecture:
    """The same windows with eight units in each layer, so that many images take no time."""
    architecture = architecture_named(name)
    layers = tuple(
        dataclasses.replace(layer, depth=8)
        if isinstance(layer, Conv)
        else dataclasses.replace(layer, units=8)
        if isinstance(layer, FullyConnected) and layer.units
        else layer
        for layer in architecture.layers
    )
    return dataclasses.replace(architecture, layers=layers)


def recognizer_of(name: str, size: int = SIZE) -> Recognizer:
    network = AlexNet(thin(name), len(WNIDS), SIZE, seed=1).eval()
    return Recognizer(network, WNIDS, dataclasses.replace(VIEW, size=size))


class DrawnImages:
    """Small pictures of noise in memory; the same number is the same picture.

    Args:
        numbers: of the pictures; None is a file that is no image.
        labels: class of each.
    """

    def __init__(self, numbers, labels) -> None:
        self.labels = np.array(labels, np.int64)
        self.names = tuple(f"{place}.png" for place in range(len(numbers)))
        self.rows = tuple(numbers)
        self.reader = self

    def read(self, row: int | None) -> bytes:
        if row is None:
            return b"\xff\xd8 no image"
        pixels = np.random.default_rng(row).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()


def all_responses(recognizer: Recognizer, images, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """(C, N) greatest values and their places, image by image, without any of what is tested."""
    values, places = [], []
    for index in range(len(images.labels)):
        pixels = seen_pixels(recognizer, images, index).astype(np.float32)
        x = torch.from_numpy((pixels - VIEW.mean) / VIEW.std).float().permute(2, 0, 1)[None]
        maps = layer_outputs(recognizer.network, x, [layer])[layer][0].numpy()
        maps = maps.reshape(len(maps), *(maps.shape[1:] or (1, 1)))
        values.append(maps.max(axis=(1, 2)))
        flat = maps.reshape(len(maps), -1).argmax(axis=1)
        places.append(np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1))
    return np.stack(values, axis=1), np.stack(places, axis=1)


@pytest.fixture(scope="module")
def photographs(imagenette, tmp_path_factory) -> ImageFiles:
    """Eight photographs in files; the third is cut off."""
    folder = tmp_path_factory.mktemp("photographs")
    paths = []
    with tarfile.open(imagenette / "val.tar") as archive:
        for number in range(8):
            data = archive.extractfile(archive.next()).read()
            paths.append(folder / f"{number}.JPEG")
            paths[-1].write_bytes(data[: len(data) // 3] if number == 2 else data)
    return ImageFiles(paths)


@pytest.mark.parametrize("layer", ["conv1", "conv5", "pool5", "fc6", "fc8"])
def test_strongest_of_photographs(layer: str, photographs) -> None:
    """Sorting all responses, each computed alone, gives the same images in the same places."""
    recognizer = recognizer_of("two_gpu")
    found = find_strongest(recognizer, photographs, layer, 3)
    readable = ImageFiles([path for path in photographs.rows if path.stem != "2"])
    values, places = all_responses(recognizer, readable, layer)
    order = np.argsort(-values, axis=1, kind="stable")[:, :3]
    rows = np.arange(len(values))[:, None]
    assert np.array_equal(found.indices, order + (order >= 2))  # the third is left out
    assert np.allclose(found.values, values[rows, order], atol=1e-5)
    assert np.array_equal(found.places, places[rows, order])
    assert [(each.index, bool(each.reason)) for each in found.bad] == [(2, True)]


def test_one_pass_over_several_batches() -> None:
    """300 images, three batches: what is kept is the best of all of them, and progress is told."""
    images = DrawnImages(range(300), [0] * 300)
    recognizer = recognizer_of("single_gpu")
    told: list[tuple[int, int]] = []
    found = find_strongest(recognizer, images, "conv3", 9, lambda done, of: told.append((done, of)))
    values, _ = all_responses(recognizer, images, "conv3")
    assert np.array_equal(found.indices, np.argsort(-values, axis=1, kind="stable")[:, :9])
    assert told == [(128, 300), (256, 300), (300, 300)]
    assert set((found.indices // 128).ravel().tolist()) == {0, 1, 2}


def test_equal_responses_in_the_order_of_the_images() -> None:
    """Of a picture that is there five times, over two batches, the earliest ones are kept."""
    numbers = [*range(130), *range(4)] * 2
    images = DrawnImages(numbers, [0] * len(numbers))
    found = find_strongest(recognizer_of("single_gpu"), images, "conv2", 6)
    for unit_values, unit_indices in zip(found.values, found.indices, strict=True):
        for left, right in zip(range(5), range(1, 6), strict=True):
            assert unit_values[left] >= unit_values[right]
            if unit_values[left] == unit_values[right]:
                assert unit_indices[left] < unit_indices[right]
        pictures = [numbers[index] for index in unit_indices]
        assert len(set(pictures)) < 6  # equal ones are there at all
        assert unit_indices[0] == numbers.index(pictures[0])


def test_first_place_of_several_that_are_as_great() -> None:
    """Of a unit that is silent everywhere, as behind a ReLU, it is the first place of the map."""
    recognizer = recognizer_of("single_gpu")
    with torch.no_grad():
        recognizer.network.get_submodule("conv1").bias[4] = -100
    found = find_strongest(recognizer, DrawnImages(range(5), [0] * 5), "relu1", 2)
    assert found.values[4].tolist() == [0, 0]
    assert found.places[4].tolist() == [[0, 0], [0, 0]]
    assert found.indices[4].tolist() == [0, 1]
    assert 4 not in most_selective(found, 8)
    assert not found.class_shares[4].any()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images() -> None:
    """Of 1,100 more images less is kept than a single batch of maps would take."""
    recognizer = recognizer_of("single_gpu")
    peaks = []
    for count in (256, 1408):
        images = DrawnImages([n % 7 for n in range(count)], [0] * count)
        tracemalloc.start()
        find_strongest(recognizer, images, "conv5", 9)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 100_000


def test_fewer_images_than_asked_for() -> None:
    images = DrawnImages([None, 1, None, 2], [0, 0, 0, 0])
    found = find_strongest(recognizer_of("single_gpu"), images, "conv5", 9)
    assert found.values.shape == (8, 2)
    assert set(found.indices.ravel().tolist()) == {1, 3}
    assert [each.index for each in found.bad] == [0, 2]


def test_first_batch_without_any_image() -> None:
    images = DrawnImages([None] * 128 + [5], [0] * 129)
    found = find_strongest(recognizer_of("single_gpu"), images, "conv5", 9)
    assert found.indices.tolist() == [[128]] * 8
    assert len(found.bad) == 128


@pytest.mark.parametrize(
    ("numbers", "layer", "count", "message"),
    [
        ([None, None], "conv5", 9, r"none of 2 images can be decoded"),
        ([1], "conv5", 0, r"number of images for each unit is 0 \(expected at least 1\)"),
        ([1], "conv7", 9, r"single_gpu has no layer 'conv7'"),
    ],
)
def test_what_cannot_be_searched(numbers, layer, count, message) -> None:
    with pytest.raises(TrainingError, match=message):
        find_strongest(
            recognizer_of("single_gpu"), DrawnImages(numbers, [0] * len(numbers)), layer, count
        )


def test_network_that_has_diverged() -> None:
    recognizer = recognizer_of("single_gpu")
    with torch.no_grad():
        recognizer.network.get_submodule("conv2").bias[3] = torch.nan
    with pytest.raises(TrainingError, match=r"conv2: a value is no finite number"):
        find_strongest(recognizer, DrawnImages([1], [0]), "conv2")


def test_class_shares_are_of_means() -> None:
    """Of the responses above zero, class by class: not of sums, which have the greatest class win.

    Images without a known class, and those that cannot be decoded, count for none.
    """
    numbers = [*range(150), None, 7]
    labels = [0] * 120 + [1] * 30 + [2, -1]
    images = DrawnImages(numbers, labels)
    recognizer = recognizer_of("single_gpu")
    found = find_strongest(recognizer, images, "conv5", 3)
    known = DrawnImages(numbers[:150], labels[:150])
    values = np.maximum(all_responses(recognizer, known, "conv5")[0], 0)
    means = np.stack([values[:, :120].mean(axis=1), values[:, 120:].mean(axis=1)], axis=1)
    expected = means / means.sum(axis=1, keepdims=True)
    assert found.class_shares.shape == (8, 3)
    assert np.allclose(found.class_shares[:, :2], expected, atol=1e-5)
    assert not found.class_shares[:, 2].any()


def test_most_selective_first() -> None:
    """By the greatest share of a class; a unit that responds to fewer than k images is left out."""
    shares = np.array([[0.5, 0.5], [0.1, 0.9], [0.8, 0.2], [0.0, 1.0], [0.2, 0.8]])
    values = np.array([[2, 1], [2, 1], [2, 1], [9, 0], [2, 1]], np.float32)
    nothing = np.zeros((5, 2), np.int64)
    found = Strongest("conv1", values, nothing, np.zeros((5, 2, 2), np.int64), shares, ())
    assert most_selective(found, 9) == (1, 2, 4, 0)
    assert most_selective(found, 2) == (1, 2)


def test_every_class_has_a_unit_before_any_has_two() -> None:
    shares = np.array([[0.1, 0.9, 0.0], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.2, 0.2, 0.6]])
    nothing = np.zeros((4, 1), np.int64)
    places = np.zeros((4, 1, 2), np.int64)
    found = Strongest("conv1", np.ones((4, 1), np.float32), nothing, places, shares, ())
    assert most_selective(found, 9) == (0, 3, 2, 1)


@pytest.mark.parametrize(
    ("words", "numbers"), [(["0,1,2"], (0, 1, 2)), (["7", "3"], (7, 3)), (["5", "1,0"], (5, 1, 0))]
)
def test_units_as_they_are_typed(words, numbers) -> None:
    assert parse_units(words) == numbers


@pytest.mark.parametrize("word", ["x", "", "1,,2", "-1", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_units_that_are_no_numbers(word: str) -> None:
    with pytest.raises(TrainingError, match=r"is no number of a unit"):
        parse_units([word])


@pytest.mark.parametrize("size", [SIZE, 99])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_field_is_what_the_value_depends_on(name: str, size: int) -> None:
    """A row of the image that is no number makes exactly those values none that see it.

    Of each row of each layer up to the last pooling, in all networks, also for images of another
    size: so the first and the last row that it sees are found without any formula.
    """
    network = AlexNet(thin(name), len(WNIDS), SIZE).eval()
    x = torch.zeros(size, 3, size, size)
    x[torch.arange(size), :, torch.arange(size)] = torch.nan  # in image i the row i
    names = [layer.name for layer in network.architecture.layers]
    spatial = names[: names.index("pool5") + 1]
    for layer, outputs in layer_outputs(network, x, spatial).items():
        depends = (
            outputs.isnan().any(dim=3).any(dim=1).numpy()
        )  # (row of the image, row of the map)
        for row in range(depends.shape[1]):
            field = receptive_box(network, layer, (row, 0), size)
            [seen] = [np.flatnonzero(depends[:, row])]
            assert (field.seen.top, field.seen.height) == (seen[0], len(seen)), (layer, row)


def test_rows_and_columns_are_not_mixed_up() -> None:
    network = recognizer_of("two_gpu").network
    field = receptive_box(network, "conv1", (2, 5), SIZE)
    assert field.seen == Box(left=20, top=8, width=11, height=11)


def test_field_at_the_edge() -> None:
    """conv2's first value sees 51 pixels from -16 on, as two rows of padding are 2 * 8 pixels."""
    network = AlexNet(architecture_named("single_gpu"), 2, 227)
    field = receptive_box(network, "conv2", (0, 26), 227)
    assert field.whole == Box(left=192, top=-16, width=51, height=51)
    assert field.seen == Box(left=192, top=0, width=35, height=35)


@pytest.mark.parametrize("name", ["single_gpu", "two_gpu", "chm", "one_weird_trick"])
def test_whole_field_has_the_published_side(name: str) -> None:
    """That of `receptive_fields`, and neighbours are as far apart as it says: 11, 19, 51, ..., 195.

    Up to the last pooling; behind fc6 everything is seen.
    """
    architecture = thin(name)
    network = AlexNet(architecture, 2)
    counts = count_layers(architecture, 2)
    for count, expected in zip(counts, receptive_fields(counts), strict=True):
        if isinstance(count.layer, FullyConnected):
            break
        fields = [
            receptive_box(network, count.layer.name, (row, row), architecture.input_size).whole
            for row in (1, 2)
        ]
        assert fields[0].width == fields[0].height == expected.size
        assert fields[1].left - fields[0].left == expected.stride


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_fully_connected_layers_see_what_all_of_their_input_sees(name: str) -> None:
    """That is the image, less what the last windows leave over at its edge."""
    network = AlexNet(thin(name), len(WNIDS), SIZE).eval()
    x = torch.zeros(SIZE, 3, SIZE, SIZE)
    x[torch.arange(SIZE), :, torch.arange(SIZE)] = torch.nan
    for layer, outputs in layer_outputs(network, x, ["fc6", "relu6", "fc8"]).items():
        seen = int(outputs.isnan().any(dim=1).sum())
        assert receptive_box(network, layer, (0, 0), SIZE).seen == Box(0, 0, seen, seen)
        assert seen >= SIZE - 12


def test_field_of_a_layer_that_is_not_there() -> None:
    with pytest.raises(TrainingError, match=r"has no layer 'conv6'"):
        receptive_box(recognizer_of("two_gpu").network, "conv6", (0, 0), SIZE)

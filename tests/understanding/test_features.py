"""Features: what comes out of a fully connected layer, for every image once, bad ones listed."""

from __future__ import annotations

import dataclasses
import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.batches import iter_centre_batches
from imagetree.training.device import normalise
from imagetree.training.evaluate import View
from imagetree.training.feeder import Feeder
from imagetree.understanding.features import Extractor, feature_layer

SIZE = 67
VIEW = View(SIZE, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "fp32", 0)
WNIDS = ("n01440764", "n02102040", "n03028079")


def recognizer_of(name: str, view: View = VIEW) -> Recognizer:
    network = AlexNet(architecture_named(name), len(WNIDS), SIZE, seed=1).eval()
    return Recognizer(network, WNIDS, view)


@pytest.fixture(scope="module")
def photographs(imagenette, tmp_path_factory) -> ImageFiles:
    """Six photographs in files; the third is cut off."""
    folder = tmp_path_factory.mktemp("photographs")
    paths = []
    with tarfile.open(imagenette / "val.tar") as archive:
        for number in range(6):
            data = archive.extractfile(archive.next()).read()
            paths.append(folder / f"{number}.JPEG")
            paths[-1].write_bytes(data[: len(data) // 3] if number == 2 else data)
    return ImageFiles(paths)


class ColouredImages:
    """Many small plain images in memory, of one colour each."""

    def __init__(self, count: int) -> None:
        self.labels = np.zeros(count, np.int64)
        self.names = tuple(map(str, range(count)))
        self.rows = [self._file(index) for index in range(count)]
        self.reader = self

    def _file(self, index: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (20, 20), (index, 255 - index, 99)).save(buffer, "PNG")
        return buffer.getvalue()

    def read(self, row: bytes) -> bytes:
        return row


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layer_is_the_relu_behind(name: str) -> None:
    """In each network the features of a hidden layer are behind its ReLU; the last one has none."""
    layers = [feature_layer(architecture_named(name), each) for each in ("fc6", "fc7", "fc8")]
    assert layers == ["relu6", "relu7", "fc8"]


def test_unknown_layer() -> None:
    with pytest.raises(TrainingError, match=r"no fully connected layer 'conv5' \(expected one of"):
        Extractor(recognizer_of("two_gpu"), "conv5").extract(ColouredImages(1))


@pytest.mark.parametrize(
    ("name", "layer"), [("batch_norm", "fc7"), ("chm", "fc7"), ("batch_norm", "fc8")]
)
def test_features_are_those_of_the_layers_one_by_one(name, layer, photographs) -> None:
    """Layer after layer by hand gives the same values, also where scaled dropout follows."""
    recognizer = recognizer_of(name)
    found = Extractor(recognizer, layer).extract(photographs)
    with Feeder(photographs.reader, 0, 6 * SIZE * SIZE * 3) as feeder, torch.no_grad():
        [batch] = iter_centre_batches(feeder, photographs, SIZE)
        x = normalise(batch.pixels, torch.device("cpu"), VIEW.mean, VIEW.std)
        for child_name, child in recognizer.network.named_children():
            if child_name == "fc6":
                x = x.flatten(1)
            x = child(x)
            if child_name == feature_layer(recognizer.network.architecture, layer):
                break
    assert found.values.dtype == np.float32
    expected = np.where(found.is_readable[:, None], x.numpy(), 0)
    assert np.array_equal(found.values, expected)
    if layer == "fc7":
        assert found.values.shape == (6, 4096)
        assert found.values.min() == 0
        assert (found.values > 0).any(axis=1).sum() == 5


def test_bad_image_is_listed_and_changes_no_other(photographs) -> None:
    found = Extractor(recognizer_of("batch_norm")).extract(photographs)
    assert found.is_readable.tolist() == [True, True, False, True, True, True]
    assert [each.index for each in found.bad] == [2]
    assert found.bad[0].reason
    batches = list(Extractor(recognizer_of("batch_norm")).iter_features(photographs))
    assert np.concatenate([each.indices for each in batches]).tolist() == [0, 1, 3, 4, 5]


def test_batch_after_batch() -> None:
    """130 images come as 128 and 2, each with its place, and progress is told."""
    told = []
    extractor = Extractor(recognizer_of("batch_norm"))
    batches = list(
        extractor.iter_features(ColouredImages(130), lambda done, of: told.append((done, of)))
    )
    assert [len(each.values) for each in batches] == [128, 2]
    assert np.concatenate([each.indices for each in batches]).tolist() == list(range(130))
    assert told == [(128, 130), (130, 130)]
    alone = extractor.extract(ColouredImages(130)).values
    assert np.allclose(batches[1].values, alone[128:])
    assert not np.allclose(batches[1].values[0], alone[0])


def test_nothing_is_left_in_the_network() -> None:
    """When who takes the features stops early, the network is as it was."""
    recognizer = recognizer_of("batch_norm")
    passing = Extractor(recognizer).iter_features(ColouredImages(3))
    next(passing)
    passing.close()
    assert all(not module._forward_hooks for module in recognizer.network.modules())


def test_features_are_float32_where_the_network_computes_in_bfloat16() -> None:
    recognizer = recognizer_of("two_gpu", dataclasses.replace(VIEW, precision="bf16"))
    assert Extractor(recognizer).extract(ColouredImages(2)).values.dtype == np.float32

"""Caffe's files: answers equal to Caffe's layers in numpy; what is damaged is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imagetree.alexnet.caffe_files import read_caffemodel, read_mean
from imagetree.alexnet.weights_in import CAFFE_MEAN, Told, load_weights
from imagetree.alexnet.weights_out import build_network
from imagetree.errors import TrainingError
from imagetree.sources.numbering import ilsvrc2012_wnids

from . import caffe, samples

SIDE, FC6_SIDE = 107, 3  # 107 -> 25 -> 12 -> 6 -> 3: windows of two poolings hang over
WNIDS = ilsvrc2012_wnids()[:6]
NETS = {"caffenet": caffe.CAFFENET, "bvlc_alexnet": caffe.BVLC_ALEXNET}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    samples.narrow(monkeypatch)


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    return caffe.random_blobs(rng, classes=6, fc6_side=FC6_SIDE, units=samples.UNITS)


def told(architecture, **more):
    return Told(architecture=architecture, wnids=WNIDS, input_size=SIDE, **more)


@pytest.mark.parametrize("old", [False, True], ids=["layer", "layers"])
@pytest.mark.parametrize("architecture", NETS)
def test_logits_are_caffes(tmp_path, blobs, architecture, old):
    """RGB pixels through ours equal BGR less the mean through Caffe's layers, groups and all."""
    net, path = NETS[architecture], tmp_path / "net.caffemodel"
    path.write_bytes(caffe.caffemodel(net, blobs, old=old))
    mean = (120.0, 115.5, 100.25)
    weights = load_weights(path, told(architecture, mean=mean))
    assert weights.description.std == (1, 1, 1)
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    ours = build_network(weights)(torch.from_numpy(pixels)[None])[0].numpy()
    bgr = (pixels.astype(np.float64) - mean)[:, :, ::-1].transpose(2, 0, 1)
    theirs = caffe.run(net, blobs, bgr)
    assert np.abs(theirs).max() > 1
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_weights_are_taken_bit_by_bit(tmp_path, blobs):
    """No float changes; only the channels of the first filters are turned round."""
    (tmp_path / "net.caffemodel").write_bytes(caffe.caffemodel(caffe.CAFFENET, blobs))
    tensors = load_weights(tmp_path / "net.caffemodel", told("caffenet")).tensors
    for name, (weight, bias) in blobs.items():
        given = weight[:, ::-1] if name == "conv1" else weight
        assert tensors[f"{name}.weight"].numpy().tobytes() == given.tobytes()
        assert tensors[f"{name}.bias"].numpy().tobytes() == bias.tobytes()


def small(**layers):
    """A net of a layer or two, for what needs no network."""
    return caffe.caffemodel(tuple(layers), layers)


def test_doubles_are_rounded_to_floats(tmp_path):
    values = np.array([[0.1, 1 / 3]])
    path = tmp_path / "a.caffemodel"
    path.write_bytes(caffe.caffemodel(("fc6",), {"fc6": (values,)}, double=True))
    stored = read_caffemodel(path).tensors["fc6.weight"]
    assert (stored.shape, stored.dtype) == ((1, 2), "float64")
    assert stored.load().numpy().tobytes() == values.astype(np.float32).tobytes()


def test_a_mean_image_gives_the_mean_of_each_channel_red_first(tmp_path):
    """Caffe's mean image has blue first; old and new forms of its shape."""
    image = np.random.default_rng(2).uniform(0, 255, (3, 4, 5)).astype(np.float32)
    expected = tuple(image.astype(np.float64).mean((1, 2)).tolist()[::-1])
    for legacy in (True, False):
        path = tmp_path / "mean.binaryproto"
        path.write_bytes(caffe.blob(image, legacy=legacy))
        assert read_mean(path) == pytest.approx(expected, abs=1e-9)


def test_without_a_mean_it_is_the_one_that_caffe_publishes(tmp_path, blobs):
    (tmp_path / "net.caffemodel").write_bytes(caffe.caffemodel(caffe.CAFFENET, blobs))
    described = load_weights(tmp_path / "net.caffemodel", told("caffenet")).description
    assert described.mean == CAFFE_MEAN
    assert described.mean[0] > described.mean[2]  # red, as an average of photographs has it


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((1, 4, 4), np.float32), r"shape \(1, 4, 4\) \(expected a mean image"),
        (np.full((3, 4, 4), 300, np.float32), r"means 300.0, .* \(expected 0..255\)"),
        (np.full((3, 4, 4), np.nan, np.float32), r"means nan"),
    ],
)
def test_what_is_no_mean_image_is_refused(tmp_path, data, message):
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(caffe.blob(data))
    with pytest.raises(TrainingError, match=message):
        read_mean(path)


def test_the_other_order_of_layers_is_refused(tmp_path, blobs):
    """Both networks of Caffe have the same tensors: taken for the other it answers wrongly."""
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe.caffemodel(caffe.CAFFENET, blobs))
    with pytest.raises(TrainingError, match="pool1 comes where 'bvlc_alexnet' has norm1"):
        load_weights(path, told("bvlc_alexnet"))


def test_a_missing_layer_and_a_wrong_shape_are_named(tmp_path, blobs):
    path = tmp_path / "net.caffemodel"
    without = {name: both for name, both in blobs.items() if name != "conv4"}
    path.write_bytes(caffe.caffemodel(caffe.CAFFENET, without))
    with pytest.raises(TrainingError, match=r"missing: conv4.weight, conv4.bias"):
        load_weights(path, told("caffenet"))
    other = {**blobs, "conv3": (blobs["conv4"][0], blobs["conv3"][1])}
    path.write_bytes(caffe.caffemodel(caffe.CAFFENET, other))
    match = r"conv3.weight has shape \(384, 192, 3, 3\) \(expected \(384, 256, 3, 3\)\)"
    with pytest.raises(TrainingError, match=match):
        load_weights(path, told("caffenet"))


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_truncated_file_is_refused(tmp_path, share):
    data = small(fc6=(np.ones((40, 50), np.float32), np.ones(40, np.float32)))
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data[: max(2, int(share * len(data)))])
    with pytest.raises(TrainingError, match="truncated, or no NetParameter"):
        read_caffemodel(path)


def test_a_layer_twice_is_refused(tmp_path):
    path = tmp_path / "net.caffemodel"
    layer = small(fc6=(np.ones((2, 2), np.float32),))
    path.write_bytes(layer + layer)
    with pytest.raises(TrainingError, match="layer 'fc6' is there twice"):
        read_caffemodel(path)


@pytest.mark.parametrize(
    "bad",
    [
        caffe.block(7, caffe.block(1, b"\x02\x02")) + caffe.block(5, bytes(12)),  # too few
        caffe.block(7, caffe.block(1, b"\x02\x02")),  # none
        caffe.block(7, caffe.block(1, b"\x00")) + caffe.block(5, b""),
        caffe.block(7, caffe.block(1, b"\xff" * 9 + b"\x01")) + caffe.block(5, bytes(12)),  # -1
        caffe.blob(np.ones((2, 2), np.float32), unpacked=True),
    ],
)
def test_values_that_do_not_fill_the_shape_are_refused(tmp_path, bad):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe.block(100, caffe.block(1, b"fc6") + caffe.block(7, bad)))
    with pytest.raises(TrainingError, match=r"fc6.weight: [\d,]+ bytes for shape"):
        read_caffemodel(path).tensors["fc6.weight"].load()


def test_the_oldest_form_is_refused_with_what_upgrades_it(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe.block(2, caffe.block(1, caffe.block(1, b"conv1"))))
    with pytest.raises(TrainingError, match="upgrade_net_proto_binary"):
        read_caffemodel(path)

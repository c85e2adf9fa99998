"""Exports with the network in them: ONNX Runtime and torch.export answer as ours does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.weight_files import open_weight_file
from imagetree.alexnet.weights import DESCRIPTION_KEY, parse_description
from imagetree.alexnet.weights_in import Told, load_weights
from imagetree.alexnet.weights_out import build_network, save_weights
from imagetree.errors import TrainingError
from imagetree.sources.numbering import ilsvrc2012_wnids

from . import samples
from .samples import MEAN, STD, WNIDS, assert_equal, random_weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run_onnx(path, pixels):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"pixels": pixels.numpy()})[0])


def draw(count, side):
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


SIZES = (
    *((name, 107, 107) for name in ARCHITECTURES),
    ("single_gpu", 107, 150),
    ("chm", 107, 150),
    ("one_weird_trick", 107, 150),
)
"""At 107 pixels windows hang over the edge; at 150 the last map is larger than fc6 was made for."""


@pytest.fixture(autouse=True)
def narrow(monkeypatch, request):
    if not request.node.get_closest_marker("slow"):
        samples.narrow(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "input_size", "image_size"), SIZES)
def test_programs_give_our_logits(tmp_path, architecture, input_size, image_size):
    """For batches of any size, pixels as they are decoded; what the file is stands in it."""
    weights = random_weights(architecture, input_size=input_size, image_size=image_size)
    network = build_network(weights)
    pixels = draw(3, image_size)
    ours = network(pixels)
    assert ours.std() > 0.01
    path = tmp_path / "a.onnx"
    save_weights(path, weights)
    for count in (1, 3):
        torch.testing.assert_close(run_onnx(path, pixels[:count]), ours[:count], **near(ours))
    assert parse_description(open_weight_file(path).description, "") == weights.description

    save_weights(tmp_path / "a.pt2", weights)
    extra = {DESCRIPTION_KEY: ""}
    program = torch.export.load(tmp_path / "a.pt2", extra_files=extra).module()
    with torch.no_grad():
        for count in (1, 3):
            torch.testing.assert_close(program(pixels[:count]), ours[:count], **near(ours))
    assert parse_description(extra[DESCRIPTION_KEY], "") == weights.description
    assert torch.equal(network(pixels), ours)  # exporting leaves the networks in memory alone


def near(logits):
    return {"atol": 1e-4 * max(1.0, float(logits.abs().max())), "rtol": 0}


@pytest.mark.parametrize("architecture", ["batch_norm", "two_gpu"])
def test_onnx_goes_round_without_losing_a_bit(tmp_path, architecture):
    """All but the number of training steps that batch normalisation has seen."""
    weights = random_weights(architecture)
    save_weights(tmp_path / "a.onnx", weights)
    back = load_weights(tmp_path / "a.onnx")
    assert back.description == weights.description
    learnt = {n: t for n, t in weights.tensors.items() if not n.endswith("tracked")}
    assert_equal({n: back.tensors[n] for n in learnt}, learnt)
    assert back.tensors.keys() == weights.tensors.keys()


def test_onnx_with_torchvisions_names_is_read(tmp_path):
    """As torch exports its network: initialisers by the names of the state dict."""
    weights = random_weights()
    save_weights(tmp_path / "a.pth", weights)
    state = torch.load(tmp_path / "a.pth", weights_only=True)
    tensors = [onnx.numpy_helper.from_array(t.numpy(), name) for name, t in state.items()]
    constant = onnx.numpy_helper.from_array(np.array([1, -1]), "val_3")
    graph = onnx.helper.make_graph([], "g", [], [], [*tensors, constant])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    told = Told(architecture="one_weird_trick", wnids=WNIDS, input_size=99)
    loaded = load_weights(tmp_path / "a.onnx", told)
    assert_equal(loaded.tensors, weights.tensors)
    assert loaded.description.mean == pytest.approx(MEAN)
    assert loaded.description.std == pytest.approx(STD)


def test_onnx_that_points_to_another_file_is_refused(tmp_path):
    """No path in a model is followed."""
    (tmp_path / "secret").write_bytes(bytes(16))
    tensor = onnx.TensorProto(name="conv1.weight", data_type=onnx.TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    graph = onnx.helper.make_graph([], "g", [], [], [tensor])
    (tmp_path / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(TrainingError, match=r"'conv1.weight' lies in another file"):
        open_weight_file(tmp_path / "a.onnx")


def test_a_truncated_or_lying_onnx_is_refused(tmp_path):
    tensor = onnx.helper.make_tensor("conv1.bias", onnx.TensorProto.FLOAT, [4], bytes(16), raw=True)
    path = tmp_path / "a.onnx"
    for dims, share, message in ((None, 0.7, "truncated or damaged"), (96, 1, "cannot be read")):
        if dims:
            tensor.dims[0] = dims
        graph = onnx.helper.make_graph([], "g", [], [], [tensor])
        data = onnx.helper.make_model(graph).SerializeToString()
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(TrainingError, match=message):
            load_weights_of_one(path)


def load_weights_of_one(path):
    from imagetree.alexnet.weights_in import _load

    return _load(f"{path}: conv1.bias", open_weight_file(path).tensors["conv1.bias"])


@pytest.mark.slow
def test_the_lectures_network_in_its_full_size(tmp_path):
    """62,378,344 parameters and 1,000 classes out and in: the same logits, not a bit lost."""
    wnids = ilsvrc2012_wnids()
    weights = random_weights("single_gpu", wnids=wnids, input_size=227, image_size=227)
    assert sum(tensor.numel() for tensor in weights.tensors.values()) == 62_378_344
    pixels = draw(2, 227)
    ours = build_network(weights)(pixels)
    for ending in (".safetensors", ".onnx"):
        path = tmp_path / f"a{ending}"
        save_weights(path, weights)
        assert_equal(load_weights(path).tensors, weights.tensors)
    torch.testing.assert_close(run_onnx(tmp_path / "a.onnx", pixels), ours, **near(ours))

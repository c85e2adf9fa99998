"""torch's files: logits of torchvision's own module, no bit lost, and nothing run or believed."""

from __future__ import annotations

import json
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.weight_files import open_weight_file
from imagetree.alexnet.weights import (
    DESCRIPTION_KEY,
    Weights,
    parse_description,
    tensor_shapes,
)
from imagetree.alexnet.weights_in import Told, fitting, load_weights
from imagetree.alexnet.weights_out import build_network, save_weights
from imagetree.errors import TrainingError

from . import samples
from .samples import MEAN, STD, WNIDS, assert_equal, describe, random_weights

CHANGED = {"activation": "relu", "norm": "own", "overlapping_pool": True, "groups": None}
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


@pytest.fixture(autouse=True)
def narrow(monkeypatch, request):
    """Small files, but where torchvision's own network is read."""
    if "torchvision_alexnet" not in request.fixturenames:
        samples.narrow(monkeypatch)


@pytest.fixture
def weights(narrow) -> Weights:
    return random_weights()


@pytest.fixture(scope="module")
def torchvision_alexnet():
    """The module, whose operators a build of torch for the CPU does not know."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(3)
    return models.alexnet(num_classes=3).eval().requires_grad_(False)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_names_and_shapes_are_those_of_the_module(architecture):
    expected = tensor_shapes(architecture_named(architecture), 5, 131)
    network = AlexNet(architecture_named(architecture), 5, 131)
    assert {n: tuple(t.shape) for n, t in network.state_dict().items()} == expected


@pytest.mark.slow
def test_torchvisions_weights_give_torchvisions_logits(tmp_path, torchvision_alexnet):
    """Of pixels that torchvision's transforms would have given it, 0..1 less mean over std."""
    path = tmp_path / "alexnet.pth"
    torch.save(torchvision_alexnet.state_dict(), path)
    loaded = load_weights(path, Told(architecture="one_weird_trick", wnids=WNIDS))
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(
        build_network(loaded)(pixels), torchvision_alexnet(x), atol=1e-5, rtol=1e-4
    )
    save_weights(tmp_path / "back.pth", loaded)
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert_equal(back, torchvision_alexnet.state_dict())
    torchvision_alexnet.load_state_dict(back, strict=True)


@pytest.mark.parametrize("how", ["old", "nested", "parallel", "half"])
def test_forms_of_state_dicts(tmp_path, weights, how):
    """The first format of torch, a checkpoint around it, DataParallel's names, half precision."""
    save_weights(tmp_path / "a.pth", weights)
    state = torch.load(tmp_path / "a.pth", weights_only=True)
    if how == "half":
        state = {name: tensor.half() for name, tensor in state.items()}
        weights = Weights(
            weights.description, {n: t.half().float() for n, t in weights.tensors.items()}
        )
    if how == "parallel":
        state = {name.replace("features.", "features.module."): t for name, t in state.items()}
    data = {"epoch": 90, "state_dict": state} if how == "nested" else state
    torch.save(data, tmp_path / "b.pth", _use_new_zipfile_serialization=how != "old")
    told = Told(architecture="one_weird_trick", wnids=WNIDS, input_size=99)
    assert_equal(load_weights(tmp_path / "b.pth", told).tensors, weights.tensors)


@pytest.mark.parametrize("architecture", ["batch_norm", "chm", "one_weird_trick"])
def test_safetensors_go_round_without_losing_a_bit(tmp_path, architecture):
    """With all that is needed to use them; and the same weights give the same bytes."""
    weights = random_weights(architecture, dropout=0.25, image_size=131)
    for name in ("a", "b"):
        save_weights(tmp_path / f"{name}.safetensors", weights)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    back = load_weights(tmp_path / "a.safetensors")
    assert back.description == weights.description
    assert_equal(back.tensors, weights.tensors)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["IMAGETREE_EVIL"],)


@pytest.mark.parametrize("how", ["new", "old", "pickle"])
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path, monkeypatch, how):
    """What would make a folder when it is unpickled makes none."""
    made, path = tmp_path / "made", tmp_path / "a.pth"
    monkeypatch.setenv("IMAGETREE_EVIL", str(made))
    if how == "pickle":
        path.write_bytes(pickle.dumps({"conv1.weight": Evil()}))
        message = "a pickle that torch has not written"
    else:
        torch.save({"w": Evil()}, path, _use_new_zipfile_serialization=how == "new")
        message = "holds code or objects"
    with pytest.raises(TrainingError, match=message):
        open_weight_file(path)
    assert not made.exists()


@pytest.mark.parametrize("how", ["new", "old", "safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(tmp_path, how, share):
    path = tmp_path / "a"
    tensors = {"conv1.weight": torch.ones(60, 60), "conv1.bias": torch.ones(60)}
    if how == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=how == "new")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(TrainingError, match=r"truncated|damaged"):
        open_weight_file(path)


def test_bombs_are_refused_unread(tmp_path):
    """Compressed members, and a pickle that is larger than names and shapes can be."""
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(1 << 24))
    with pytest.raises(TrainingError, match=r"'a/data.pkl' is compressed"):
        open_weight_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", bytes((1 << 20) + 1))
    with pytest.raises(TrainingError, match=r"1,048,577 bytes \(expected at most"):
        open_weight_file(path)


@pytest.mark.parametrize("head", [b"\x08\x08", b"\x0a\x08", OLD_TORCH])
def test_a_file_is_read_whole_only_if_it_is_small(tmp_path, head):
    """ONNX, Caffe, torch's old form: a gigabyte and a byte is refused; nothing is parsed."""
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.write(head)
        file.truncate((1 << 30) + 1)
    with pytest.raises(TrainingError, match=r"larger than 1,073,741,824 bytes"):
        open_weight_file(path)


def test_a_false_shape_costs_no_memory(tmp_path):
    """A tensor of a terabyte, made of one value: refused by its shape, and never made."""
    path = tmp_path / "a.pth"
    torch.save({"conv1.weight": torch.ones(1).expand(1 << 38)}, path)
    stored = open_weight_file(path).tensors["conv1.weight"]
    assert stored.shape == (1 << 38,)
    told = Told(architecture="caffenet", wnids=WNIDS, mean=MEAN, std=STD)
    with pytest.raises(TrainingError, match="missing"):
        load_weights(path, told)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"hello", "no weights, begins with b'hello'"),
        (b"\xff" * 8 + b"{" + bytes(20), "truncated or damaged"),
    ],
)
def test_what_is_no_file_of_weights_is_named(tmp_path, data, message):
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(TrainingError, match=message):
        open_weight_file(path)


@pytest.mark.parametrize(
    "content",
    [[torch.ones(2)], {}, {"a": 1.0}, {3: torch.ones(2)}, {"a": torch.ones(2, 2).to_sparse()}],
    ids=["list", "empty", "number", "key", "sparse"],
)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(TrainingError, match="expected a state dict"):
        open_weight_file(tmp_path / "a.pth")


@pytest.mark.slow
def test_a_program_is_refused(tmp_path, weights):
    """What we export with the network in it is not for importing, and is called what it is."""
    save_weights(tmp_path / "a.pt2", weights)
    with pytest.raises(TrainingError, match="a program of torch's"):
        open_weight_file(tmp_path / "a.pt2")


def changed(tensors, **changes):
    """The tensors with some others, None for none; `_` stands for the point of a name."""
    altered = {**tensors, **{key.replace("_", "."): value for key, value in changes.items()}}
    return {name: tensor for name, tensor in altered.items() if tensor is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv3_weight": None}, r"not the tensors of 'one_weird_trick' \(missing: conv3.weight\)"),
        ({"conv6_weight": torch.ones(1)}, r"unknown: conv6.weight"),
        (
            {"conv2_bias": torch.ones(191)},
            r"conv2.bias has shape \(191,\) \(expected \(192,\)\)",
        ),
        ({"conv2_bias": torch.ones(192, dtype=torch.int32)}, "conv2.bias has type"),
        ({"conv2_bias": torch.full((192,), torch.nan)}, "conv2.bias holds 192 values"),
    ],
    ids=["missing", "unknown", "shape", "type", "nan"],
)
def test_wrong_tensors_are_refused_by_name(tmp_path, weights, changes, message):
    path = tmp_path / "a.safetensors"
    metadata = {DESCRIPTION_KEY: weights.description.to_json()}
    save_file(changed(weights.tensors, **changes), path, metadata)
    with pytest.raises(TrainingError, match=message):
        load_weights(path)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "which network this is"),
        ({"architecture": "chm"}, "which mean and std"),
        ({"architecture": "chm", "mean": MEAN, "std": STD}, "which classes the 3 outputs are"),
    ],
)
def test_what_nobody_says_is_asked_for(tmp_path, weights, told, message):
    """Nothing is guessed: a network without its mean would answer, and answer wrongly."""
    save_file(dict(weights.tensors), tmp_path / "a.safetensors")
    with pytest.raises(TrainingError, match=message):
        load_weights(tmp_path / "a.safetensors", Told(**told))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, r"format 3 \(expected 1 or 2\)"),
        ({"format": 2}, "damaged description"),
        ({"format": 2, "changes": {**CHANGED, "norm": "group"}}, "norm is group"),
        ({"format": 2, "changes": {**CHANGED, "groups": 5}}, "groups is 5"),
        ({"format": 2, "changes": {**CHANGED, "overlapping_pool": 1}}, "damaged description"),
        ({"std": [0, 1, 1]}, "std is"),
        ({"mean": [1, 2]}, "damaged description"),
        ({"mean": [1, 2, float("inf")]}, "mean is"),
        ({"wnids": ["dog"]}, r"wnids is \['dog'\]"),
        ({"wnids": list(WNIDS) * 2}, "wnids is 6 long"),
        ({"input_size": 10**9}, "input_size is 1000000000"),
        ({"architecture": "lenet"}, "no architecture is called 'lenet'"),
        ({"dropout": None}, "damaged description"),
    ],
)
def test_a_false_description_is_refused(changes, message):
    values = {**json.loads(describe().to_json()), **changes}
    with pytest.raises(TrainingError, match=f"here: .*{message}"):
        parse_description(json.dumps(values), "here")


def test_what_a_file_fits_is_told(tmp_path, weights):
    """By names and shapes, at the size that the file is for; Caffe's two are not told apart."""
    save_weights(tmp_path / "a.safetensors", weights)
    assert fitting(open_weight_file(tmp_path / "a.safetensors")) == (("one_weird_trick", 3),)


def test_an_unknown_ending_is_refused(tmp_path, weights):
    with pytest.raises(TrainingError, match=r"expected .safetensors, .pth, .onnx, .pt2"):
        save_weights(tmp_path / "a.h5", weights)

"""imagetree weights: a network comes in as a run that every command takes, and goes out again."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from imagetree.training.checkpoints import load_checkpoint

from ..alexnet import caffe, samples
from .conftest import CAT, CHIHUAHUA, DOG, picture

BIRD = "n01503061"
OUTPUTS = (CAT, BIRD, DOG, CHIHUAHUA)  # unsorted, and more than a challenge has
PIXELS = ("--mean", 120, 115, 100, "--std", 60, 61, 62)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    samples.narrow(monkeypatch)


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "outputs.txt"
    path.write_text("".join(f"{wnid} what it is\n" for wnid in OUTPUTS))
    return path


@pytest.fixture
def state():
    """A state dict of two_gpu for images of 99 pixels."""
    return samples.random_weights("two_gpu", wnids=OUTPUTS).tensors


@pytest.fixture
def network(tmp_path, state):
    torch.save(state, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def import_more(imagetree, pets):
    """A third cat and chihuahua: one for each split."""
    for number, wnid in enumerate((CAT, CHIHUAHUA)):
        (pets / wnid / f"{wnid}_9.JPEG").write_bytes(picture(20 + number))
    assert imagetree("database", "import", pets).status == 0


def test_an_imported_network_answers_a_challenge(
    imagetree, tmp_path, pets, network, classes, state
):
    """Its outputs are brought into the challenge's order; recognize and score take the run."""
    challenge, run = tmp_path / "challenge", tmp_path / "run"
    import_more(imagetree, pets)
    cut = ("challenge", "cut", challenge, "--classes", CAT, CHIHUAHUA, "--min-images", 1)
    assert imagetree(*cut, "--val-share", 0.4).status == 0
    said = imagetree(
        "weights", "import", network, run, "--architecture", "two_gpu", "--input-size", 99,
        "--wnids", classes, "--challenge", challenge, *PIXELS,
    )  # fmt: skip
    assert said.status == 0, said.err
    assert "two_gpu, 2 classes, images of 99 pixels, mean 120 115 100, std 60 61 62" in said.out
    checkpoint = load_checkpoint(run / "checkpoint.safetensors")
    assert checkpoint.wnids == tuple(sorted((CAT, CHIHUAHUA)))
    assert checkpoint.is_finished
    assert checkpoint.config.precision == "fp32"
    assert checkpoint.config.dropout == 0.5  # it scales at the test, and is no training setting
    rows = [OUTPUTS.index(wnid) for wnid in checkpoint.wnids]
    assert torch.equal(checkpoint.network["fc8.weight"], state["fc8.weight"][rows])
    assert imagetree("challenge", "run", run).status == 0
    assert imagetree("challenge", "score", challenge, run / "val.txt").status == 0
    photo = next(pets.rglob("*.JPEG"))
    found = json.loads(imagetree("recognize", run, photo, "--json").out)
    assert {guess["wnid"] for guess in found["guesses"]} == set(checkpoint.wnids)


def test_what_goes_out_comes_in_again(imagetree, tmp_path, network, classes):
    """Through each format that can come back, the same checkpoint bit by bit."""
    first = tmp_path / "run"
    told = ("--architecture", "two_gpu", "--input-size", 99, "--wnids", classes, *PIXELS)
    assert imagetree("weights", "import", network, first, *told).status == 0
    before = load_checkpoint(first / "checkpoint.safetensors")
    for ending, again in (("safetensors", ()), ("onnx", ()), ("pth", told)):
        exported, second = tmp_path / f"out.{ending}", tmp_path / ending
        assert imagetree("weights", "export", first, exported).status == 0
        said = imagetree("weights", "import", exported, second, *again)
        assert said.status == 0, said.err
        after = load_checkpoint(second / "checkpoint.safetensors")
        samples.assert_equal(after.network, before.network)
        assert (after.wnids, after.mean, after.std) == (before.wnids, before.mean, before.std)
        assert after.config == before.config


def test_the_onnx_file_answers_as_recognize_does(imagetree, tmp_path, network, classes):
    run, out = tmp_path / "run", tmp_path / "net.onnx"
    told = ("--architecture", "two_gpu", "--input-size", 99, "--wnids", classes, *PIXELS)
    imagetree("weights", "import", network, run, *told)
    assert imagetree("weights", "export", run, out).status == 0
    pixels = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), pixels[:, :, ::-1])
    said = imagetree("recognize", run, tmp_path / "a.png", "--json")
    guesses = json.loads(said.out)["guesses"]
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    logits = session.run(None, {"pixels": pixels[None]})[0][0].astype(np.float64)
    theirs = np.exp(logits) / np.exp(logits).sum()
    ours = {guess["wnid"]: guess["probability"] for guess in guesses}
    np.testing.assert_allclose([ours[wnid] for wnid in OUTPUTS], theirs, atol=1e-5)
    described = onnx.load(out).metadata_props[0]
    assert json.loads(described.value)["wnids"] == list(OUTPUTS)


def test_a_caffemodel_comes_in_with_its_mean_image(imagetree, tmp_path, classes):
    blobs = caffe.random_blobs(np.random.default_rng(0), classes=4, fc6_side=3, units=samples.UNITS)
    (tmp_path / "net.caffemodel").write_bytes(caffe.caffemodel(caffe.CAFFENET, blobs))
    image = np.empty((3, 2, 2), np.float32)
    image[:] = np.array([104, 117, 123])[:, None, None]  # blue, green, red
    (tmp_path / "mean.binaryproto").write_bytes(caffe.blob(image))
    said = imagetree(
        "weights", "import", tmp_path / "net.caffemodel", tmp_path / "run",
        "--architecture", "caffenet", "--input-size", 107, "--wnids", classes,
        "--mean", tmp_path / "mean.binaryproto",
    )  # fmt: skip
    assert said.status == 0, said.err
    assert "mean 123 117 104, std 1 1 1" in said.out


def test_show_lists_the_tensors_and_what_they_fit(imagetree, tmp_path, network):
    said = imagetree("weights", "show", network)
    assert said.status == 0
    assert "conv2.weight" in said.out
    assert "256 x 48 x 5 x 5" in said.out
    assert "fits no architecture at its own input size" in said.out
    weights = samples.random_weights("two_gpu", input_size=227)
    torch.save(weights.tensors, network)
    shown = json.loads(imagetree("weights", "show", network, "--json").out)
    assert shown["kind"] == "torch"
    assert {"architecture": "two_gpu", "classes": 3} in shown["fits"]
    assert {"name": "fc8.bias", "shape": [3], "dtype": "float32"} in shown["tensors"]


def test_what_is_wrong_is_said_on_one_line(imagetree, tmp_path, network, classes):
    """A class that the network does not know, a run that is there, options that are none."""
    run = tmp_path / "run"
    told = ("--architecture", "two_gpu", "--input-size", 99)
    said = imagetree("weights", "import", network, run, *told, *PIXELS)
    assert (said.status, "nothing says which classes the 4 outputs are" in said.err) == (1, True)
    said = imagetree("weights", "import", network, run, "--mean", 1, 2)
    assert (said.status, "--mean 1 2 (expected three numbers" in said.err) == (1, True)
    classes.write_text(f"{DOG}\n{DOG}\n")
    said = imagetree("weights", "import", network, run, *told, *PIXELS, "--wnids", classes)
    assert f"outputs.txt:2: {DOG} is in line 1 already" in said.err
    classes.write_text("dog\n")
    said = imagetree("weights", "import", network, run, *told, *PIXELS, "--wnids", classes)
    assert "outputs.txt:1: 'dog' is no noun's wnid" in said.err
    classes.write_text("".join(f"{wnid}\n" for wnid in OUTPUTS))
    for status in (0, 1):
        said = imagetree("weights", "import", network, run, *told, *PIXELS, "--wnids", classes)
        assert said.status == status
    assert "a run is here already" in said.err
    said = imagetree("challenge", "run", run)
    assert (said.status, "no challenge is here" in said.err) == (1, True)


def test_a_class_that_the_network_does_not_know_is_refused(
    imagetree, tmp_path, pets, network, classes
):
    classes.write_text("".join(f"{wnid}\n" for wnid in (CAT, BIRD, DOG, "n02086240")))
    challenge = tmp_path / "challenge"
    import_more(imagetree, pets)
    cut = ("challenge", "cut", challenge, "--classes", CAT, CHIHUAHUA, "--min-images", 1)
    imagetree(*cut, "--val-share", 0.4)
    said = imagetree(
        "weights", "import", network, tmp_path / "run", "--architecture", "two_gpu",
        "--input-size", 99, "--wnids", classes, "--challenge", challenge, *PIXELS,
    )  # fmt: skip
    assert said.status == 1
    assert f"does not know 1 of the 2 classes (['{CHIHUAHUA}'])" in said.err
    assert not (tmp_path / "run").exists()

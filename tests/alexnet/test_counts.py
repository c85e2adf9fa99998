"""The counts of the networks against the lecture's table and the paper."""

from __future__ import annotations

import pytest
import torch

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers, hanging_over, output_size, total
from imagetree.alexnet.layers import Conv, MaxPool
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.published import is_rounding
from imagetree.alexnet.receptive import receptive_fields
from imagetree.alexnet.table import layer_table
from imagetree.errors import TrainingError

PUBLISHED = {
    # the lecture's table, with the fully connected biases that it leaves out: + 9,192;
    # osmr/imgclsmob prints 62,378,344 for its AlexNet
    "single_gpu": (62_378_344, 62_369_152),
    # HPE Deep Learning Cookbook, alexnet: 60,965,224; the paper's "60 million"
    "two_gpu": (60_965_224, 60_956_032),
    "chm": (60_965_224, 60_956_032),
    "caffenet": (60_965_224, 60_956_032),
    "bvlc_alexnet": (60_965_224, 60_956_032),
    # torchvision, num_params in the metadata of its weights
    "one_weird_trick": (61_100_840, 61_091_648),
    # conv4 has 128 filters more: 128 * 3457 there and 3 * 3 * 128 * 256 in conv5 are 737,408 more
    "one_weird_trick_text": (61_838_248, 61_829_056),
}
"""Everything that is learned, and the same by the lecture's rule."""

MACS = {
    "single_gpu": 1_135_256_096,
    "two_gpu": 724_406_816,
    "chm": 724_406_816,  # the same windows over the same maps
    "caffenet": 724_406_816,
    "bvlc_alexnet": 724_406_816,
    "one_weird_trick": 714_188_480,  # torcheval's tests of its module summary; torchvision: 0.714 G
    "one_weird_trick_text": 838_788_800,  # 838.8 million, the network of TensorFlow's benchmarks
}


@pytest.mark.parametrize(("name", "parameters", "lecture"), [(n, *p) for n, p in PUBLISHED.items()])
def test_parameters_are_the_published_ones(name: str, parameters: int, lecture: int) -> None:
    totals = total(count_layers(architecture_named(name)))
    assert (totals.parameters, totals.lecture) == (parameters, lecture)


@pytest.mark.parametrize(("name", "macs"), MACS.items())
def test_multiplications_are_the_published_ones(name: str, macs: int) -> None:
    assert total(count_layers(architecture_named(name))).macs == macs


NETSCOPE = {
    # layer: multiplications of 10 images, parameters; each with the unit of its last digit
    "conv1": ((1_050_000_000, 10_000_000), (34_940, 10)),
    "conv2": ((2_240_000_000, 10_000_000), (307_460, 10)),
    "conv3": ((1_500_000_000, 10_000_000), (885_120, 10)),
    "conv4": ((1_120_000_000, 10_000_000), (663_940, 10)),
    "conv5": ((747_600_000, 10_000), (442_620, 10)),
    "fc6": ((377_490_000, 10_000), (37_750_000, 10_000)),
    "fc7": ((167_770_000, 10_000), (16_780_000, 10_000)),
    "fc8": ((40_960_000, 10_000), (4_100_000, 10_000)),
}
"""What Netscope prints of bvlc_alexnet, as BlueSeaDream/Deep-Learning-Neural-Networks, Alex.md,
keeps it."""


@pytest.mark.parametrize("layer", NETSCOPE)
def test_layers_of_caffes_alexnet_are_netscopes(layer: str) -> None:
    counts = count_layers(architecture_named("bvlc_alexnet"))
    [count] = [count for count in counts if count.layer.name == layer]
    macs, parameters = NETSCOPE[layer]
    assert is_rounding(10 * count.macs, *macs)
    assert is_rounding(count.weights + count.biases, *parameters)


def test_conv_of_the_lecture() -> None:
    """Conv 3.7 million, FC 58.6 million, and 62,367,776 weights without any bias."""
    totals = total(count_layers(architecture_named("single_gpu")))
    assert (totals.conv_parameters, totals.fc_weights) == (3_747_200, 58_621_952)
    assert (totals.weights, totals.fc_biases) == (62_367_776, 9_192)


def test_neurons_of_the_paper() -> None:
    """Section 3.5 prints 253,440 for layer 1, which is 55 * 48 * 96; the others are ours."""
    printed = (253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000)
    counts = count_layers(architecture_named("two_gpu"))
    ours = tuple(c.activations for c in counts if c.layer.name[:2] in ("co", "fc"))
    assert ours[1:] == printed[1:]
    assert (ours[0], printed[0]) == (55 * 55 * 96, 55 * 48 * 96)
    assert total(counts).neurons == sum(ours) == 659_272  # "650,000"
    assert sum(printed) == 622_312


def test_printed_figures_beside_ours() -> None:
    """Every printed figure agrees but the two that are known to differ."""
    differing = {
        (name, figure.what, figure.printed)
        for name in ARCHITECTURES
        for figure in layer_table(architecture_named(name)).published
        if not figure.agrees
    }
    assert differing == {
        ("two_gpu", "neurons of conv1", 253_440),
        ("two_gpu", "connections", 630_000_000),
    }


def test_printed_figures_are_those_of_the_own_size() -> None:
    """At another size or number of classes nothing is compared with what is printed."""
    architecture = architecture_named("two_gpu")
    assert len(layer_table(architecture, 1000, 227).published) == 12
    assert layer_table(architecture, 10).published == ()
    assert layer_table(architecture, 1000, 163).published == ()


def test_rounding_or_cutting_off() -> None:
    assert is_rounding(62_369_152, 62_300_000, 100_000)  # cut off
    assert is_rounding(62_369_152, 62_400_000, 100_000)  # rounded
    assert not is_rounding(62_369_152, 62_500_000, 100_000)


def test_receptive_fields() -> None:
    """11, 51, 99, 131, 163, and 195 after the last pooling (Araujo et al. 2019); then all."""
    counts = count_layers(architecture_named("single_gpu"))
    fields = {
        c.layer.name: (f.size, f.stride)
        for c, f in zip(counts, receptive_fields(counts), strict=True)
    }
    assert fields["conv1"] == (11, 4)
    assert fields["pool1"] == fields["norm1"] == (19, 8)
    assert fields["conv2"] == (51, 8)
    assert [fields[f"conv{n}"] for n in (3, 4, 5)] == [(99, 16), (131, 16), (163, 16)]
    assert fields["pool5"] == (195, 32)
    assert fields["fc6"] == fields["fc8"] == (195 + 5 * 32, None)


@pytest.mark.parametrize("name", ["single_gpu", "chm", "one_weird_trick"])
def test_receptive_field_is_what_a_gradient_reaches(name: str) -> None:
    """The pixels that move a value of conv3 span the counted square exactly.

    Pooling averages here: the greatest value alone would hide the others of its window.
    """
    network = AlexNet(architecture_named(name), 2).eval().double()
    counts = count_layers(network.architecture, 2)
    x = torch.rand(1, 3, network.input_size, network.input_size, dtype=torch.float64)
    h = x.requires_grad_()
    reached = {}
    for count, field in zip(counts, receptive_fields(counts), strict=True):
        layer, module = count.layer, network.get_submodule(count.layer.name)
        if isinstance(layer, Conv):  # every weight counts, and every ReLU passes
            torch.nn.init.constant_(module.weight, 0.01)
        average = torch.nn.AvgPool2d(3, 2, ceil_mode=getattr(layer, "overhang", False))
        h = average(h) if isinstance(layer, MaxPool) else module(h)
        middle = h.shape[-1] // 2
        (gradient,) = torch.autograd.grad(h[0, :, middle, middle].sum(), x, retain_graph=True)
        seen = gradient.abs().amax((0, 1, 2)).nonzero()
        reached[layer.name] = (int(seen.max() - seen.min()) + 1, field.size)
        if layer.name == "conv3":
            break
    assert all(seen == size for seen, size in reached.values()), reached


def test_bytes_moved_by_hand() -> None:
    """conv1: the image, 34,944 parameters and its maps, four bytes each; weights once a batch."""
    conv1 = count_layers(architecture_named("single_gpu"))[0]
    assert conv1.bytes_moved() == 4 * (3 * 227 * 227 + 34_944 + 96 * 55 * 55)
    assert conv1.bytes_moved(8, value=2) == 2 * (8 * (3 * 227 * 227 + 96 * 55 * 55) + 34_944)
    dropouts = [c for c in count_layers(architecture_named("caffenet")) if c.layer.name == "drop6"]
    assert [c.bytes_moved() for c in dropouts] == [0]  # nothing is done at the test


def test_macs_of_each_layer() -> None:
    """Multiplications by hand: weights times positions."""
    counts = {c.layer.name: c.macs for c in count_layers(architecture_named("single_gpu"))}
    expected = {
        "conv1": 105_415_200,
        "conv2": 447_897_600,
        "conv3": 149_520_384,
        "conv4": 224_280_576,
        "conv5": 149_520_384,
        "fc6": 37_748_736,
        "fc7": 16_777_216,
        "fc8": 4_096_000,
    }
    assert {name: macs for name, macs in counts.items() if name in expected} == expected


def test_batch_norm_trades_biases_for_scales_and_shifts() -> None:
    """Each bias of a normalised layer goes, a scale and a shift for each of its maps come."""
    plain, normed = (
        total(count_layers(architecture_named(name))) for name in ("single_gpu", "batch_norm")
    )
    maps = 96 + 256 + 384 + 384 + 256 + 4096 + 4096
    assert normed.parameters == plain.parameters - maps + 2 * maps


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_maps_of_the_lecture(name: str) -> None:
    """227, or 224 with padding or an overhanging window, gives 55, 27, 13 and 6."""
    counts = count_layers(architecture_named(name))
    sides = [c.output_shape[1] for c in counts if len(c.output_shape) == 3]
    assert sorted(set(sides), reverse=True) == [55, 27, 13, 6]


def test_output_size_by_hand() -> None:
    """(227 - 11) / 4 + 1 = 55; 224 leaves three pixels over and gives 54."""
    assert output_size(227, 11, 4) == 55
    assert output_size(224, 11, 4) == 54
    assert output_size(27, 5, 1, 2) == 27
    assert output_size(224, 11, 4, overhang=True) == 55
    assert output_size(227, 11, 4, overhang=True) == 55
    assert output_size(224, 11, 4, 2) == 55


def test_overhang_by_hand() -> None:
    """The 55th window begins at pixel 216 of 224 and ends 3 behind the edge."""
    assert hanging_over(Conv("conv1", 96, 11, stride=4, overhang=True), 224) == 3
    assert hanging_over(Conv("conv1", 96, 11, stride=4, overhang=True), 227) == 0
    assert hanging_over(Conv("conv1", 96, 11, stride=4), 224) == 0
    assert hanging_over(MaxPool("pool1", overhang=True), 16) == 1


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(TrainingError, match="a window of 3 does not fit a map of 1"):
        count_layers(architecture_named("single_gpu"), input_size=35)


def test_unknown_architecture_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"no architecture is called .alexnet. .*single_gpu"):
        architecture_named("alexnet")


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("size", "classes"), [(70, 1), (131, 10), (300, 22_000)])
def test_any_input_size_and_any_number_of_classes(name: str, size: int, classes: int) -> None:
    counts = count_layers(architecture_named(name), classes, size)
    assert counts[0].input_shape == (3, size, size)
    assert counts[-1].output_shape == (classes,)
    assert counts[-1].weights == 4096 * classes


def test_no_classes_are_refused() -> None:
    with pytest.raises(TrainingError, match="number of classes is 0"):
        count_layers(architecture_named("single_gpu"), 0)

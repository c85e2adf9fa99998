"""The networks called AlexNet, each a tuple of layers as data. No torch here.

From one such tuple come the module (`network`), the layer table (`counts`, `table`) and the
drawing. Sources, cited below by their names:

paper: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks" (2012), sections 3 to 5.
lecture: the slide "AlexNet single GPU equivalent" with its table.
released code: the code of 2012, published by the Computer History Museum in 2025; files
    `layers/layers-145.cfg`, `layers/layer-params-145.cfg`, `layer.py`, `src/layer.cu`.
Caffe: `models/bvlc_alexnet` and `models/bvlc_reference_caffenet`, `train_val.prototxt`.
torchvision: `torchvision/models/alexnet.py`, after Krizhevsky, "One weird trick for parallelizing
    convolutional neural networks" (2014).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Init,
    Layer,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.errors import TrainingError

_CAFFE_ALPHA = 1e-4 / 5  # Caffe and the released code divide the sum by its 5 maps


def _single_gpu(dropout: float = 0.5) -> tuple[Layer, ...]:
    """Convolution, ReLU, pooling, then normalisation: the order of the lecture's table."""
    return (
        Conv("conv1", 96, 11, stride=4),
        Relu("relu1"),
        MaxPool("pool1"),
        LocalResponseNorm("norm1"),
        Conv("conv2", 256, 5, padding=2),
        Relu("relu2"),
        MaxPool("pool2"),
        LocalResponseNorm("norm2"),
        Conv("conv3", 384, 3, padding=1),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1),
        Relu("relu5"),
        MaxPool("pool5"),
        *_dropout_before(Init(), last=Init("gaussian", 0.001), rate=dropout),
    )


def with_batch_norm(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Batch normalisation before each activation in the place of LRN, and of the bias.

    In front of batch normalisation the scale of a layer means nothing to its output, and small
    weights turn faster: conv1 has the paper's Gaussians, so that its filters show what was learnt
    and not the noise that they began as.
    """
    changed: list[Layer] = []
    for layer in layers:
        if isinstance(layer, LocalResponseNorm):
            continue
        if isinstance(layer, Conv):
            init = Init("gaussian", 0.01) if layer.name == "conv1" else layer.init
            layer = replace(layer, bias=False, init=init)
        elif isinstance(layer, FullyConnected) and layer.units is not None:
            layer = replace(layer, bias=False)
        if isinstance(layer, Relu | Tanh):
            changed.append(BatchNorm(f"norm{layer.name[-1]}"))
        changed.append(layer)
    return tuple(changed)


def _two_gpu() -> tuple[Layer, ...]:
    """The paper: order of figure 2 and section 3.5, constants of 3.3, 4.2 and 5."""
    plain, ones = Init("gaussian", 0.01), Init("gaussian", 0.01, bias=1.0)
    return (
        Conv("conv1", 96, 11, stride=4, init=plain),
        Relu("relu1"),
        LocalResponseNorm("norm1", groups=2),
        MaxPool("pool1"),
        Conv("conv2", 256, 5, padding=2, groups=2, init=ones),
        Relu("relu2"),
        LocalResponseNorm("norm2", groups=2),
        MaxPool("pool2"),
        Conv("conv3", 384, 3, padding=1, init=plain),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=ones),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=ones),
        Relu("relu5"),
        MaxPool("pool5"),
        *_dropout_after(ones, last=plain, scaled_at_test=True),
    )


def _chm() -> tuple[Layer, ...]:
    """The released code: `layers-145.cfg`, top to bottom, its two columns as groups."""
    first, deep = Init("gaussian", 0.01), Init("gaussian", 0.03, bias=1.0)
    ones = Init("gaussian", 0.01, bias=1.0)
    return (
        Conv("conv1", 96, 11, stride=4, overhang=True, init=first),
        LocalResponseNorm("norm1", alpha=_CAFFE_ALPHA, groups=2),
        MaxPool("pool1", overhang=True),
        Relu("relu1"),
        Conv("conv2", 256, 5, padding=2, groups=2, init=ones),
        Relu("relu2"),
        LocalResponseNorm("norm2", alpha=_CAFFE_ALPHA, groups=2),
        SameMapNorm("mapnorm2", size=5, alpha=1e-3 / 25, beta=0.75, k=1.0),
        MaxPool("pool2", overhang=True),
        Conv("conv3", 384, 3, padding=1, init=Init("gaussian", 0.03)),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=deep),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=deep),
        MaxPool("pool5", overhang=True),
        Relu("relu5"),
        *_dropout_after(ones, last=first, scaled_at_test=True),
    )


def _caffe(bias: float, *, pool_first: bool) -> tuple[Layer, ...]:
    """Both of Caffe's networks: they differ in a bias and in what comes first, norm or pool."""
    plain, biased = Init("gaussian", 0.01), Init("gaussian", 0.01, bias=bias)

    def pool_and_norm(number: int) -> tuple[Layer, Layer]:
        pool = MaxPool(f"pool{number}", overhang=True)
        norm = LocalResponseNorm(f"norm{number}", alpha=_CAFFE_ALPHA, k=1.0)
        return (pool, norm) if pool_first else (norm, pool)

    return (
        Conv("conv1", 96, 11, stride=4, init=plain),
        Relu("relu1"),
        *pool_and_norm(1),
        Conv("conv2", 256, 5, padding=2, groups=2, init=biased),
        Relu("relu2"),
        *pool_and_norm(2),
        Conv("conv3", 384, 3, padding=1, init=plain),
        Relu("relu3"),
        Conv("conv4", 384, 3, padding=1, groups=2, init=biased),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, groups=2, init=biased),
        Relu("relu5"),
        MaxPool("pool5", overhang=True),
        *_dropout_after(Init("gaussian", 0.005, bias=bias), last=plain),
    )


def _one_weird_trick(conv4_depth: int) -> tuple[Layer, ...]:
    """Torchvision's network; the paper's text has more filters in conv4."""
    init = Init("uniform")
    return (
        Conv("conv1", 64, 11, stride=4, padding=2, init=init),
        Relu("relu1"),
        MaxPool("pool1"),
        Conv("conv2", 192, 5, padding=2, init=init),
        Relu("relu2"),
        MaxPool("pool2"),
        Conv("conv3", 384, 3, padding=1, init=init),
        Relu("relu3"),
        Conv("conv4", conv4_depth, 3, padding=1, init=init),
        Relu("relu4"),
        Conv("conv5", 256, 3, padding=1, init=init),
        Relu("relu5"),
        MaxPool("pool5"),
        AdaptiveAveragePool("avgpool"),
        *_dropout_before(init, last=init),
    )


def _dropout_before(hidden: Init, *, last: Init, rate: float = 0.5) -> tuple[Layer, ...]:
    """The fully connected layers with dropout of what goes into fc6 and fc7."""
    return (
        Dropout("drop6", rate),
        FullyConnected("fc6", 4096, init=hidden),
        Relu("relu6"),
        Dropout("drop7", rate),
        FullyConnected("fc7", 4096, init=hidden),
        Relu("relu7"),
        FullyConnected("fc8", None, init=last),
    )


def _dropout_after(hidden: Init, *, last: Init, scaled_at_test: bool = False) -> tuple[Layer, ...]:
    """The fully connected layers with dropout of what comes out of fc6 and fc7."""
    scaled: Literal["training", "test"] = "test" if scaled_at_test else "training"
    return (
        FullyConnected("fc6", 4096, init=hidden),
        Relu("relu6"),
        Dropout("drop6", scaled=scaled),
        FullyConnected("fc7", 4096, init=hidden),
        Relu("relu7"),
        Dropout("drop7", scaled=scaled),
        FullyConnected("fc8", None, init=last),
    )


_PRINTED_SIZE_NOTE = (
    "the paper prints 224 x 224, and (224 - 11) / 4 + 1 is 54.25; its 55 x 55 maps need 227, which "
    "is used here; chm shows how the code made 55 of 224"
)
_TOWER_NORM_NOTE = (
    "the norm stays in its tower, as the GPUs meet at conv3 and fc6 to fc8 alone; section 3.3 "
    "calls N the number of all maps of the layer"
)
_OVERHANG_NOTE = (
    "the image is 224 x 224 without padding: ceil((224 - 11) / 4) + 1 = 55, and the last window "
    "hangs over the right and the bottom edge by 3 pixels, which count as zeros"
)
_COMMUTE_NOTE = (
    "max pooling and ReLU commute, max(max(a, b), 0) = max(max(a, 0), max(b, 0)), so that only the "
    "place of the norm matters: norm1 sees values below zero"
)
ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            "single_gpu",
            "one tower with local response normalisation",
            227,
            _single_gpu(),
            "the lecture's table; constants of the paper, section 3.3; weights of He et al. 2015",
            notes=(
                "the lecture leaves the initial weights open: here they are He's, and fc8 is small",
            ),
        ),
        Architecture(
            "batch_norm",
            "single_gpu with batch normalisation in the place of local response normalisation",
            227,
            with_batch_norm(_single_gpu(dropout=0.2)),
            "the lecture's 'today replaced by batch normalization'; Ioffe and Szegedy 2015",
            notes=("dropout is 0.2: batch normalisation regularises too, and 0.5 is too much",),
        ),
        Architecture(
            "two_gpu",
            "the paper's: two towers that meet at conv3 and the fully connected layers",
            227,
            _two_gpu(),
            "paper, sections 3.3, 3.5, 4.2 and 5, figure 2",
            towers=2,
            notes=(
                _PRINTED_SIZE_NOTE,
                _TOWER_NORM_NOTE,
            ),
        ),
        Architecture(
            "chm",
            "the code of 2012 as released: overhanging windows, norm before ReLU, a norm more",
            224,
            _chm(),
            "released code, layers-145.cfg and layer-params-145.cfg (40.66 % top-1 error in it)",
            towers=2,
            notes=(_OVERHANG_NOTE, _COMMUTE_NOTE),
        ),
        Architecture(
            "caffenet",
            "Caffe's reference network: groups on one device, pooling before norm, biases 1",
            227,
            _caffe(1.0, pool_first=True),
            "Caffe, models/bvlc_reference_caffenet/train_val.prototxt",
        ),
        Architecture(
            "bvlc_alexnet",
            "Caffe's AlexNet: groups on one device, norm before pooling, biases 0.1",
            227,
            _caffe(0.1, pool_first=False),
            "Caffe, models/bvlc_alexnet/train_val.prototxt",
        ),
        Architecture(
            "one_weird_trick",
            "torchvision's: one tower of 64, 192, 384, 256, 256 filters, no norm",
            224,
            _one_weird_trick(256),
            "torchvision/models/alexnet.py",
            notes=(
                "55 = floor((224 - 11 + 2*2) / 4) + 1: a row and a column of the padding is left",
            ),
        ),
        Architecture(
            "one_weird_trick_text",
            "one_weird_trick as its paper's text has it: 384 filters in conv4",
            224,
            _one_weird_trick(384),
            "Krizhevsky 2014, the text; other constants as torchvision's",
        ),
    )
}


def architecture_named(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        TrainingError: there is none; the message lists those there are.

    >>> architecture_named("single_gpu").input_size
    227
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise TrainingError(
            f"no architecture is called {name!r} (expected one of {known})"
        ) from None


def dropout_rate(architecture: Architecture) -> float:
    """The rate of its dropout, the same in all of its layers; 0 where it has none.

    >>> dropout_rate(architecture_named("two_gpu"))
    0.5
    """
    rates = (layer.rate for layer in architecture.layers if isinstance(layer, Dropout))
    return next(rates, 0.0)


def with_dropout(architecture: Architecture, rate: float) -> Architecture:
    """The same network with another rate of dropout.

    >>> dropout_rate(with_dropout(architecture_named("batch_norm"), 0.3))
    0.3
    """
    layers = tuple(
        replace(layer, rate=rate) if isinstance(layer, Dropout) else layer
        for layer in architecture.layers
    )
    return replace(architecture, layers=layers)

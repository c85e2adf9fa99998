"""Caffe as far as two networks need it, in numpy, and the bytes of its files: for comparison only.

Written after Caffe's documentation of its layers, with loops where loops are plainest, and sharing
nothing with the code that it is held against.
"""

from __future__ import annotations

import struct

import numpy as np

CAFFENET = (
    ("conv1", 4, 0, 1), "relu", "pool1", "norm1",
    ("conv2", 1, 2, 2), "relu", "pool2", "norm2",
    ("conv3", 1, 1, 1), "relu",
    ("conv4", 1, 1, 2), "relu",
    ("conv5", 1, 1, 2), "relu", "pool5",
    "fc6", "relu", "fc7", "relu", "fc8",
)  # fmt: skip
"""deploy.prototxt of bvlc_reference_caffenet: (name, stride, pad, group), or what a layer does."""

BVLC_ALEXNET = (
    ("conv1", 4, 0, 1), "relu", "norm1", "pool1",
    ("conv2", 1, 2, 2), "relu", "norm2", "pool2",
    *CAFFENET[8:],
)  # fmt: skip


def run(net, blobs, x):
    """Logits of x, (3, H, W): blue, green, red, less the mean."""
    x = x.astype(np.float64)
    for layer in net:
        if isinstance(layer, tuple):
            name, stride, pad, group = layer
            x = convolve(x, *blobs[name], stride, pad, group)
        elif layer == "relu":
            x = np.maximum(x, 0)
        elif layer.startswith("pool"):
            x = pool(x)
        elif layer.startswith("norm"):
            x = normalise(x)
        else:
            weight, bias = blobs[layer]
            x = weight.astype(np.float64) @ x.ravel() + bias  # channel, then row, then column
    return x


def convolve(x, weight, bias, stride, pad, group):
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    filters, channels, side, _ = weight.shape
    size = (x.shape[1] - side) // stride + 1
    out = np.empty((filters, size, size))
    each = filters // group
    for g in range(group):
        mine = weight[g * each : (g + 1) * each].reshape(each, -1).astype(np.float64)
        maps = x[g * channels : (g + 1) * channels]
        for i in range(size):
            for j in range(size):
                top, left = i * stride, j * stride
                window = maps[:, top : top + side, left : left + side].ravel()
                out[g * each : (g + 1) * each, i, j] = mine @ window
    return out + bias[:, None, None]


def pool(x, side=3, stride=2):
    """Caffe rounds the number of windows up; the last one is cut off at the edge."""
    size = -(-(x.shape[1] - side) // stride) + 1
    out = np.empty((len(x), size, size))
    for i in range(size):
        for j in range(size):
            top, left = i * stride, j * stride
            out[:, i, j] = x[:, top : top + side, left : left + side].max((1, 2))
    return out


def normalise(x, size=5, alpha=1e-4, beta=0.75):
    """ACROSS_CHANNELS: alpha is divided by the number of maps, k is 1."""
    out = np.empty_like(x)
    for c in range(len(x)):
        near = x[max(0, c - size // 2) : c + size // 2 + 1]
        out[c] = x[c] / (1 + alpha / size * np.square(near).sum(0)) ** beta
    return out


def random_blobs(rng, *, classes, fc6_side, units):
    """Weights with which what is in an image reaches the logits."""
    shapes = {
        "conv1": (96, 3, 11, 11), "conv2": (256, 48, 5, 5), "conv3": (384, 256, 3, 3),
        "conv4": (384, 192, 3, 3), "conv5": (256, 192, 3, 3),
        "fc6": (units, 256 * fc6_side**2), "fc7": (units, units), "fc8": (classes, units),
    }  # fmt: skip
    blobs = {}
    for name, shape in shapes.items():
        weight = rng.standard_normal(shape, dtype=np.float32)
        weight *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        blobs[name] = weight, rng.normal(0, 0.1, shape[0]).astype(np.float32)
    return blobs


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def blob(array, *, legacy=False, double=False, unpacked=False):
    """A BlobProto."""
    if legacy:
        sides = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(number(field, side) for field, side in enumerate(sides, 1))
    else:
        shape = block(7, block(1, b"".join(map(varint, array.shape))))
    if unpacked:
        data = b"".join(b"\x2d" + struct.pack("<f", value) for value in array.ravel())
    else:
        data = block(8, array.astype("<f8").tobytes()) if double else None
        data = data or block(5, array.astype("<f4").tobytes())
    return shape + data


def caffemodel(net, blobs, *, old=False, double=False):
    """A NetParameter; `old` has V1LayerParameter and four sides for each blob."""
    out = block(1, b"a net") + number(5, 1)  # force_backward, of which nobody here knows
    for layer in ("data", *net):
        name = layer[0] if isinstance(layer, tuple) else layer
        stored = [blob(a, legacy=old, double=double) for a in blobs.get(name, ())]
        if old:
            body = block(2, b"below") + block(4, name.encode()) + number(5, 4)
            out += block(2, body + b"".join(block(6, each) for each in stored))
        else:
            body = block(1, name.encode()) + block(2, b"Kind") + block(6, b"\x1d\0\0\0\0")
            out += block(100, body + b"".join(block(7, each) for each in stored))
    return out

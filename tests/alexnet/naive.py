"""The operations of the networks, forward and backward, as loops over numpy arrays in float64.

Written from the sources and not from our data: nothing here imports imagetree or torch. Each
operation gives its result and a function from the gradient of the result to those of the input
and of its weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Backward = Callable[[Array], tuple[Array, dict[str, Array]]]


def positions(size: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> int:
    """How often a window fits, the division rounded down or up."""
    exact = (size + 2 * padding - kernel) / stride
    return int(np.ceil(exact) if ceil else np.floor(exact)) + 1


def conv(
    x: Array, w: Array, b: Array | None, *, stride=1, padding=0, groups=1, ceil=False
) -> tuple[Array, Backward]:
    """Convolution, position by position and tower by tower; what hangs over meets zeros."""
    images, channels, height, width = x.shape
    depth, seen, kernel, _ = w.shape
    rows = positions(height, kernel, stride, padding, ceil=ceil)
    columns = positions(width, kernel, stride, padding, ceil=ceil)
    tall = max(height + 2 * padding, (rows - 1) * stride + kernel)
    wide = max(width + 2 * padding, (columns - 1) * stride + kernel)
    padded = np.zeros((images, channels, tall, wide))
    padded[:, :, padding : padding + height, padding : padding + width] = x
    y = np.zeros((images, depth, rows, columns))
    per = depth // groups

    def windows():
        for g in range(groups):
            maps, filters = slice(g * seen, (g + 1) * seen), slice(g * per, (g + 1) * per)
            for i in range(rows):
                for j in range(columns):
                    top, left = i * stride, j * stride
                    place = np.s_[:, maps, top : top + kernel, left : left + kernel]
                    yield filters, i, j, place

    for filters, i, j, place in windows():
        y[:, filters, i, j] = padded[place].reshape(images, -1) @ w[filters].reshape(per, -1).T
    if b is not None:
        y += b[None, :, None, None]

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
        for filters, i, j, place in windows():
            d = dy[:, filters, i, j]
            patch = padded[place]
            dw[filters] += (d.T @ patch.reshape(images, -1)).reshape(per, seen, kernel, kernel)
            dpadded[place] += (d @ w[filters].reshape(per, -1)).reshape(patch.shape)
        dx = dpadded[:, :, padding : padding + height, padding : padding + width]
        return dx, {"weight": dw} | ({} if b is None else {"bias": dy.sum((0, 2, 3))})

    return y, backward


def max_pool(x: Array, *, kernel=3, stride=2, ceil=False) -> tuple[Array, Backward]:
    """The greatest of each window, cut off at the edge; the gradient goes to it alone."""
    images, channels, height, width = x.shape
    rows = positions(height, kernel, stride, 0, ceil=ceil)
    columns = positions(width, kernel, stride, 0, ceil=ceil)
    y = np.zeros((images, channels, rows, columns))
    chosen = np.zeros((images, channels, rows, columns, 2), dtype=int)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x[:, :, top : top + kernel, left : left + kernel]
            flat = window.reshape(images, channels, -1)
            best = flat.argmax(2)
            y[:, :, i, j] = flat.max(2)
            chosen[:, :, i, j, 0] = top + best // window.shape[3]
            chosen[:, :, i, j, 1] = left + best % window.shape[3]

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx = np.zeros_like(x)
        for n, c, i, j in np.ndindex(dy.shape):
            dx[n, c, chosen[n, c, i, j, 0], chosen[n, c, i, j, 1]] += dy[n, c, i, j]
        return dx, {}

    return y, backward


def relu(x: Array) -> tuple[Array, Backward]:
    return np.where(x > 0, x, 0.0), lambda dy: (np.where(x > 0, dy, 0.0), {})


def _norm(x: Array, squares_near, alpha: float, beta: float, k: float) -> tuple[Array, Backward]:
    """X / (k + alpha * sum) ** beta, where the neighbourhood is the same from both sides."""
    d = k + alpha * squares_near(x * x)

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        through = squares_near(dy * x * d ** (-beta - 1))
        return dy * d**-beta - 2 * alpha * beta * x * through, {}

    return x / d**beta, backward


def response_norm(
    x: Array, *, size=5, alpha: float, beta: float, k: float, towers=1
) -> tuple[Array, Backward]:
    """The paper's formula, section 3.3: neighbouring maps, of one's own tower."""
    per = x.shape[1] // towers

    def near(values: Array) -> Array:
        result = np.zeros_like(values)
        for i in range(values.shape[1]):
            first, last = i // per * per, i // per * per + per - 1
            for j in range(max(first, i - size // 2), min(last, i + size // 2) + 1):
                result[:, i] += values[:, j]
        return result

    return _norm(x, near, alpha, beta, k)


def map_norm(x: Array, *, size=5, alpha: float, beta: float, k: float) -> tuple[Array, Backward]:
    """cuda-convnet's response normalisation: neighbouring places in the same map."""
    height, width = x.shape[2:]

    def near(values: Array) -> Array:
        result = np.zeros_like(values)
        for i in range(height):
            for j in range(width):
                top, left = max(0, i - size // 2), max(0, j - size // 2)
                window = values[:, :, top : i + size // 2 + 1, left : j + size // 2 + 1]
                result[:, :, i, j] = window.sum((2, 3))
        return result

    return _norm(x, near, alpha, beta, k)


def average_to_grid(x: Array, size: int) -> tuple[Array, Backward]:
    """Averages over the bins floor(i * side / size) up to ceil((i + 1) * side / size)."""
    images, channels, height, width = x.shape
    y = np.zeros((images, channels, size, size))

    def bins():
        for i in range(size):
            for j in range(size):
                rows = slice(i * height // size, int(np.ceil((i + 1) * height / size)))
                columns = slice(j * width // size, int(np.ceil((j + 1) * width / size)))
                yield i, j, np.s_[:, :, rows, columns]

    for i, j, place in bins():
        y[:, :, i, j] = x[place].mean((2, 3))

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx = np.zeros_like(x)
        for i, j, place in bins():
            window = dx[place]
            window += dy[:, :, i, j, None, None] / (window.shape[2] * window.shape[3])
        return dx, {}

    return y, backward


def linear(x: Array, w: Array, b: Array | None) -> tuple[Array, Backward]:
    flat = x.reshape(len(x), -1)

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        dw = {"weight": dy.T @ flat} | ({} if b is None else {"bias": dy.sum(0)})
        return (dy @ w).reshape(x.shape), dw

    return flat @ w.T + (0 if b is None else b), backward


def batch_norm(x: Array, scale: Array, shift: Array, mean: Array, var: Array):
    """Batch normalisation with fixed statistics; eps as in Ioffe and Szegedy's and torch's."""
    shape = (1, -1, *([1] * (x.ndim - 2)))
    axes = (0, *range(2, x.ndim))
    plain = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx = dy * (scale / np.sqrt(var + 1e-5)).reshape(shape)
        return dx, {"weight": (dy * plain).sum(axes), "bias": dy.sum(axes)}

    return plain * scale.reshape(shape) + shift.reshape(shape), backward


def scaled(x: Array, factor: float) -> tuple[Array, Backward]:
    return x * factor, lambda dy: (dy * factor, {})


def batch_norm_of_batch(x: Array, scale: Array, shift: Array):
    """Batch normalisation while training: by the mean and the variance of this batch."""
    shape = (1, -1, *([1] * (x.ndim - 2)))
    axes = (0, *range(2, x.ndim))
    deviation = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    plain = (x - x.mean(axes, keepdims=True)) / deviation

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        d = dy * scale.reshape(shape)
        through = d.mean(axes, keepdims=True) + plain * (d * plain).mean(axes, keepdims=True)
        dw = {"weight": (dy * plain).sum(axes), "bias": dy.sum(axes)}
        return (d - through) / deviation, dw

    return plain * scale.reshape(shape) + shift.reshape(shape), backward


def dropped(x: Array, kept: Array, factor: float) -> tuple[Array, Backward]:
    """Dropout with a mask that was drawn; what is kept is scaled while training, or not."""
    mask = kept * factor
    return x * mask, lambda dy: (dy * mask, {})

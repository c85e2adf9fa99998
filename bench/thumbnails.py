"""How far a linear model gets: logistic regression on 32 x 32 thumbnails of an archive's images.

    python bench/thumbnails.py demo/figures_train.tar

Multinomial, on standardised RGB pixels; four fifths of the images to fit and one fifth to score;
the best of several strengths of L2. A tree that this model learns would be trivial.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg
from scipy.optimize import minimize
from scipy.special import logsumexp

if TYPE_CHECKING:
    from numpy.typing import NDArray

PENALTIES = (0.03, 0.1, 0.3)


def thumbnail_error(path: Path, penalties: tuple[float, ...] = PENALTIES) -> float:
    """Top-1 error of the best linear model on the held-out fifth, a fraction.

    Args:
        path: a tar of one tar per class.
        penalties: strengths of L2 to try.
    """
    thumbnails, truth = load_thumbnails(path)
    order = np.random.default_rng(0).permutation(len(truth))
    train, held = order[len(order) // 5 :], order[: len(order) // 5]
    errors = []
    for penalty in penalties:
        weights = fit(thumbnails[train], truth[train], penalty)
        errors.append(float(((thumbnails[held] @ weights).argmax(1) != truth[held]).mean()))
    return min(errors)


def load_thumbnails(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels standardised one by one, float32 (N, 3073) with a 1 at the end, and classes (N,)."""
    pixels, truth = [], []
    with tarfile.open(path) as outer:
        for class_index, member in enumerate(outer):
            with tarfile.open(fileobj=io.BytesIO(read(outer, member))) as inner:
                for image in inner:
                    picture = simplejpeg.decode_jpeg(read(inner, image))
                    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
                    pixels.append(small.ravel())
                    truth.append(class_index)
    values = np.stack(pixels).astype(np.float32)
    values = (values - values.mean(0)) / values.std(0)
    return np.hstack([values, np.ones((len(values), 1), np.float32)]), np.array(truth)


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The bytes of a member that is a file."""
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return file.read()


def fit(
    features: NDArray[np.float32], truth: NDArray[np.int64], penalty: float
) -> NDArray[np.float32]:
    """Weights (features, K) of multinomial logistic regression with an L2 penalty."""
    num_images, num_features = features.shape
    num_classes = int(truth.max()) + 1
    rows = np.arange(num_images)

    def loss_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(num_features, num_classes).astype(np.float32)
        scores = features @ weights
        log_shares = scores - logsumexp(scores, axis=1, keepdims=True)
        surplus = np.exp(log_shares)
        surplus[rows, truth] -= 1
        slope = features.T @ surplus / num_images + penalty * weights
        loss = -log_shares[rows, truth].mean() + 0.5 * penalty * float((weights**2).sum())
        return float(loss), slope.ravel().astype(np.float64)

    start = np.zeros(num_features * num_classes)
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return found.x.reshape(num_features, num_classes).astype(np.float32)


if __name__ == "__main__":
    print(f"top-1 error {thumbnail_error(Path(sys.argv[1])):.2%}")

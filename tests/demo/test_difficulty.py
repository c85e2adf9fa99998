"""The tree is not trivial: a linear model on thumbnails fails where a network succeeds."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import simplejpeg
from scipy.optimize import minimize
from scipy.special import logsumexp

from imagetree.demo import draw_archive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PENALTIES = (0.03, 0.3)
"""Strengths of L2, per image; the better one counts."""


@pytest.mark.slow
def test_logistic_regression_on_thumbnails_errs_on_40_percent(tmp_path: Path) -> None:
    """Multinomial, RGB 32 x 32, standardised, four fifths to fit and one fifth to score."""
    drawn = draw_archive(tmp_path / "a.tar", 60)
    thumbnails, truth = load_thumbnails(drawn.path)
    order = np.random.default_rng(0).permutation(len(truth))
    train, held = order[len(order) // 5 :], order[: len(order) // 5]
    errors = [
        compute_error(fit(thumbnails[train], truth[train], penalty), thumbnails[held], truth[held])
        for penalty in PENALTIES
    ]
    assert min(errors) >= 0.4


def load_thumbnails(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels standardised one by one, float32 (N, 3073) with a 1 at the end, and classes (N,)."""
    pixels, truth = [], []
    with tarfile.open(path) as outer:
        for class_index, member in enumerate(outer):
            file = outer.extractfile(member)
            assert file is not None
            with tarfile.open(fileobj=io.BytesIO(file.read())) as inner:
                for image in inner:
                    jpeg = inner.extractfile(image)
                    assert jpeg is not None
                    picture = simplejpeg.decode_jpeg(jpeg.read())
                    small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
                    pixels.append(small.ravel())
                    truth.append(class_index)
    values = np.stack(pixels).astype(np.float32)
    values = (values - values.mean(0)) / values.std(0)
    return np.hstack([values, np.ones((len(values), 1), np.float32)]), np.array(truth)


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


def compute_error(
    weights: NDArray[np.float32], features: NDArray[np.float32], truth: NDArray[np.int64]
) -> float:
    return float(((features @ weights).argmax(1) != truth).mean())

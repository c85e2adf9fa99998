"""An engine's answers held against the reference's, on the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.engines.engine import precision_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTS = 0.5
"""Points of top-1 error that an engine may be above the reference."""

_MOST_DIFFERING = {"fp32": 0.002, "bf16": 0.01, "int8": 0.02}
_MOST_RELATIVE = {"fp32": 1e-3, "bf16": 0.02, "int8": 0.15}


@dataclass(frozen=True)
class Comparison:
    """How an engine's logits differ from the reference's.

    Args:
        num_images: that were compared.
        error: its top-1 error, in [0, 1].
        reference_error: the reference's.
        differing: share of the images whose likeliest class is another.
        relative_error: |y - r| / |r| over all logits y and r of the reference (Euclidean).
    """

    num_images: int
    error: float
    reference_error: float
    differing: float
    relative_error: float


def compare(
    logits: NDArray[np.float32], reference: NDArray[np.float32], labels: NDArray[np.int64]
) -> Comparison:
    """Hold logits against the reference's.

    Args:
        logits: of the engine; float32 (N, K), N at least 1.
        reference: of the reference; float32 (N, K).
        labels: class index of each image; int64 (N,).
    """
    own, theirs = logits.argmax(1), reference.argmax(1)
    norm = float(np.linalg.norm(reference.astype(np.float64)))
    apart = float(np.linalg.norm(logits.astype(np.float64) - reference))
    return Comparison(
        num_images=len(labels),
        error=float((own != labels).mean()),
        reference_error=float((theirs != labels).mean()),
        differing=float((own != theirs).mean()),
        relative_error=apart / norm if norm else apart,
    )


def fault_of(name: str, found: Comparison) -> str | None:
    """Why an engine is refused, None if it is not.

    Bounds: top-1 error at most 0.5 points above the reference's; another likeliest class for at
    most 0.2 % of the images in fp32, 1 % in bf16, 2 % in int8, one image always; a relative error
    of the logits of at most 0.1 %, 2 %, 15 %.

    Args:
        name: of the engine.
        found: its comparison.
    """
    precision = precision_of(name)
    points, one = MOST_POINTS / 100, 1 / found.num_images
    above, allowed = found.error - found.reference_error, max(points, one)
    if above > allowed * (1 + 1e-9):
        return f"top-1 error {above:.2%} above the reference's (expected at most {allowed:.2%})"
    allowed = max(_MOST_DIFFERING[precision], one)
    if found.differing > allowed * (1 + 1e-9):
        return f"{found.differing:.2%} of the answers differ (expected at most {allowed:.2%})"
    # written so that what is no number is refused
    if not found.relative_error <= _MOST_RELATIVE[precision]:
        return (
            f"logits {found.relative_error:.2%} off (expected at most "
            f"{_MOST_RELATIVE[precision]:.2%})"
        )
    return None

"""Pictures depend on wnid, number and seed alone, and their figures stand out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from imagetree.demo import FIGURES, Figure
from imagetree.demo.clutter import MAX_HIDDEN
from imagetree.demo.contrast import MIN_CONTRAST
from imagetree.demo.scene import Scene, compose, draw_image
from imagetree.errors import ImagetreeError

NUMBERS = range(1, 7)
IDS = [figure.lemma for figure in FIGURES]


def measure_contrast(scene: Scene) -> float:
    """Colour difference in CIELAB that nine tenths of the contour in sight have at least.

    On the finished picture, lens and sensor included: the mean of the figure within a few pixels
    against the mean of the ground, without the code under test.
    """
    lab = cv2.cvtColor(scene.picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    inside = cv2.erode((scene.coverage > 0.99).astype(np.float32), np.ones((3, 3)))
    outside = cv2.erode((scene.coverage < 0.01).astype(np.float32), np.ones((3, 3)))
    means, near = [], np.ones(inside.shape, bool)
    for part in (inside, outside):
        weight = cv2.blur(part, (13, 13))
        near &= weight > 0.2
        means.append(
            cv2.blur(lab * part[..., None], (13, 13)) / np.maximum(weight, 1e-6)[..., None]
        )
    near &= cv2.dilate(scene.hidden, np.ones((25, 25))) < 0.01
    assert near.sum() > 100
    return float(np.percentile(np.linalg.norm(means[0] - means[1], axis=2)[near], 10))


@pytest.mark.parametrize("figure", FIGURES, ids=IDS)
def test_figures_stand_out_along_their_contour(figure: Figure) -> None:
    """Lens, sensor and fall-off may take a third of the contrast that was asked for."""
    contrasts = [measure_contrast(compose(figure.wnid, number)) for number in NUMBERS]
    assert min(contrasts) >= MIN_CONTRAST * 2 / 3


@pytest.mark.parametrize("figure", FIGURES, ids=IDS)
def test_figures_are_large_whole_and_mostly_in_sight(figure: Figure) -> None:
    """Two fifths of the short side or more, inside the frame, at most a fifth hidden."""
    for number in NUMBERS:
        scene = compose(figure.wnid, number)
        rows, columns = np.nonzero(scene.coverage > 0.5)
        assert max(np.ptp(rows), np.ptp(columns)) >= 0.35 * 256
        frame = np.ones(scene.coverage.shape, bool)
        frame[1:-1, 1:-1] = False
        assert scene.coverage[frame].sum() <= 0.02 * scene.coverage.sum()
        assert (scene.hidden * scene.coverage).sum() <= (MAX_HIDDEN + 1e-3) * scene.coverage.sum()


def test_picture_depends_on_wnid_number_and_seed_alone() -> None:
    """Drawn after other pictures, it is the same; another number, seed or wnid is another."""
    first = draw_image("n13878634", 5, seed=3)
    for wnid, number, seed in [("n13878634", 6, 3), ("n13878634", 5, 4), ("n13881644", 5, 3)]:
        other = draw_image(wnid, number, seed)
        assert other.shape != first.shape or (other != first).any()
    assert np.array_equal(first, draw_image("n13878634", 5, seed=3))


def test_pictures_are_rgb_with_a_short_side_of_256() -> None:
    shapes = {draw_image("n13916721", number).shape for number in range(12)}
    assert all(shape[2] == 3 and min(shape) == 3 and min(shape[:2]) == 256 for shape in shapes)
    assert len(shapes) > 1


def test_unknown_wnid_is_refused() -> None:
    with pytest.raises(ImagetreeError, match="'n02084071' is not a drawn class"):
        draw_image("n02084071", 1)

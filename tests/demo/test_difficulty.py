"""The tree is not trivial: a linear model on thumbnails fails where a network succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagetree.demo import draw_archive
from thumbnails import thumbnail_error

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_logistic_regression_on_thumbnails_errs_on_40_percent(tmp_path: Path) -> None:
    """The bar is 40 %; 13 of 14 guesses would be wrong by chance."""
    drawn = draw_archive(tmp_path / "a.tar", 60)
    assert thumbnail_error(drawn.path, penalties=(0.03, 0.3)) >= 0.4

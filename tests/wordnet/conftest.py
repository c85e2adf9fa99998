"""Fixtures of the WordNet tests: the hierarchy, loaded once, and a small WordNet on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.wordnet import Nouns

MINI_DATA = (
    "  1 a licence  \n"
    "  2   \n"
    "  3 in three lines  \n"
    "00000041 03 n 01 entity 0 001 ~ 00000120 n 0000 | all there is  \n"
    "00000106 03 n 0b a 0 b 1 c 2 d 3 e 4 f 5 g 6 h 7 i 8 j 9 Blue_Kay a 004 "
    '@ 00000041 n 0000 + 00000001 v 0101 @i 00000041 n 0000 @ 00000041 n 0000 | ten; "or 11"  \n'
)


@pytest.fixture(scope="session")
def wordnet_nouns() -> Nouns:
    return load_nouns()


@pytest.fixture
def wordnet_mini_data(tmp_path: Path) -> Path:
    path = tmp_path / "data.noun"
    path.write_text(MINI_DATA)
    return path

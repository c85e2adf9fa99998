"""The drawn classes are nouns of WordNet 3.0 that can serve as the classes of a challenge."""

from __future__ import annotations

import numpy as np
import pytest

from imagetree.demo import FIGURES, Figure
from imagetree.demo.plane import CONTOURS
from imagetree.demo.solids import SOLIDS
from imagetree.wordnet import Nouns, load_nouns


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    return load_nouns()


def ancestors(nouns: Nouns, wnid: str) -> set[str]:
    above = set(nouns.hypernyms(wnid))
    return above.union(*(ancestors(nouns, hypernym) for hypernym in above))


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.lemma)
def test_wnid_has_its_lemma(nouns: Nouns, figure: Figure) -> None:
    assert nouns.synset(figure.wnid).lemmas[0] == figure.lemma


def test_no_class_is_above_another(nouns: Nouns) -> None:
    wnids = {figure.wnid for figure in FIGURES}
    assert all(not ancestors(nouns, wnid) & wnids for wnid in wnids)


def test_square_alone_has_two_hypernyms(nouns: Nouns) -> None:
    several = [f.lemma for f in FIGURES if len(nouns.hypernyms(f.wnid)) > 1]
    assert several == ["square"]


def test_classes_lie_on_three_levels_or_more(nouns: Nouns) -> None:
    assert len({len(nouns.shortest_path_to_root(f.wnid)) for f in FIGURES}) >= 3


def test_every_class_has_its_drawer() -> None:
    assert {f.lemma for f in FIGURES if f.is_solid} == set(SOLIDS)
    assert {f.lemma for f in FIGURES if not f.is_solid} == set(CONTOURS)


@pytest.mark.parametrize("lemma", CONTOURS)
def test_contours_fill_the_unit_disc_and_stay_inside(lemma: str) -> None:
    for seed in range(20):
        radii = np.linalg.norm(CONTOURS[lemma](np.random.default_rng(seed)), axis=1)
        assert 0.85 <= radii.max() <= 1.0 + 1e-9


def test_classes_are_in_order_of_wnid() -> None:
    wnids = [figure.wnid for figure in FIGURES]
    assert wnids == sorted(set(wnids))
    assert len(wnids) >= 12

"""Classes with what is above them, against the taxonomy and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from imagetree.challenge.hierarchy import hierarchy_of, truth_of
from imagetree.errors import ChallengeError, WordnetError
from imagetree.sources.numbering import ilsvrc2012_wnids
from imagetree.wordnet import load_nouns
from imagetree.wordnet.taxonomy import (
    closure,
    hierarchical_cost,
    lowest_common_hypernyms,
)

CHIHUAHUA, TABBY, PLANE = "n02085620", "n02123045", "n02691156"
PETS = (CHIHUAHUA, TABBY, PLANE)
SUN, STAR, CAR = "n09450163", "n09444100", "n02958343"


def test_labels_are_the_classes_then_all_that_is_above_them() -> None:
    hierarchy = hierarchy_of(PETS)
    assert hierarchy.labels[:3] == PETS
    assert hierarchy.labels[3:] == tuple(sorted(set(closure(PETS)) - set(PETS)))
    entity = hierarchy.labels.index("n00001740")
    assert hierarchy.is_above[:, entity].all()
    assert hierarchy.is_above[entity].sum() == 1


def test_costs_of_ilsvrc_are_the_taxonomys() -> None:
    """All million, of 1,000 classes below 860 ancestors."""
    hierarchy = hierarchy_of(ilsvrc2012_wnids())
    assert len(hierarchy.labels) == 1860
    expected = hierarchical_cost(ilsvrc2012_wnids())
    assert np.array_equal(hierarchy.cost[:, :1000], expected)
    assert hierarchy.max_cost == expected.max()


def test_lowest_common_hypernym_of_a_class_and_any_label() -> None:
    """Of those the taxonomy names, the first: least height, then wnid; 638 pairs have several."""
    hierarchy = hierarchy_of(ilsvrc2012_wnids())
    rng = np.random.default_rng(4)
    rows, columns = rng.integers(0, 1000, 400), rng.integers(0, 1860, 400)
    for row, column in [*zip(rows, columns, strict=True), (0, 0)]:
        pair = hierarchy.labels[row], hierarchy.labels[column]
        common = hierarchy.labels[hierarchy.common[row, column]]
        assert common == lowest_common_hypernyms(*pair)[0]
        height = hierarchy.heights[hierarchy.common[row, column]]
        assert hierarchy.cost[row, column] == (0 if row == column else height)


def test_of_several_the_least_high_and_of_equal_height_the_first_wnid() -> None:
    """Domestic animal (6) before carnivore (7); airplane before warplane, both of height 2."""
    hierarchy = hierarchy_of(PETS)
    assert hierarchy.labels[hierarchy.common[0, 1]] == "n01317541"
    assert hierarchy.cost[0, 1] == 6
    planes = hierarchy_of(("n02867715", "n03335030"))
    assert set(lowest_common_hypernyms(*planes.labels[:2])) == {PLANE, "n04552348"}
    assert planes.labels[planes.common[0, 1]] == PLANE
    assert planes.cost[0, 1] == 2


def test_information_is_0_above_all_and_most_for_a_class() -> None:
    hierarchy = hierarchy_of((*PETS, CAR))
    of = dict(zip(hierarchy.labels, hierarchy.information.tolist(), strict=True))
    assert (of["n00001740"], of["n02075296"], of[PLANE]) == (0, 1, 2)


def test_an_instance_lies_under_what_it_is_an_instance_of() -> None:
    """The sun is no kind of star but one of them; its costs are the taxonomy's."""
    wnids = (SUN, CAR)
    assert load_nouns().synset(SUN).lemma.lower() == "sun"
    hierarchy = hierarchy_of(wnids)
    assert STAR in hierarchy.labels
    assert np.array_equal(hierarchy.cost[:, :2], hierarchical_cost(wnids))


def test_what_has_no_hierarchy_is_refused() -> None:
    for wnids in ((), (TABBY, TABBY)):
        with pytest.raises(ChallengeError, match="a hierarchy needs classes, each of them once"):
            hierarchy_of(wnids)
    with pytest.raises(WordnetError, match="n99999999"):
        hierarchy_of(("n99999999",))
    with pytest.raises(ChallengeError, match="'n02084071' is no class of the challenge"):
        truth_of([TABBY, "n02084071"], PETS)


def test_arrays_cannot_be_changed_by_who_shares_them() -> None:
    hierarchy = hierarchy_of(PETS)
    for array in (hierarchy.cost, hierarchy.common, hierarchy.is_above, hierarchy.information):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert hierarchy_of(PETS) is hierarchy

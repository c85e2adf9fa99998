"""Common concept: from labels against the lowest common hypernyms, from probabilities by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from imagetree.errors import TrainingError
from imagetree.recognition.concept import common_concepts, common_of_labels
from imagetree.wordnet.taxonomy import lowest_common_hypernyms

CHIHUAHUA, RETRIEVER, TABBY, TENCH, SQUARE = WNIDS = (
    "n02085620",
    "n02099601",
    "n02123045",
    "n01440764",
    "n13878634",
)
DOG = "n02084071"


@pytest.mark.parametrize("labels", list(itertools.combinations(WNIDS, 2)))
def test_all_images_have_the_lowest_common_hypernyms(labels) -> None:
    """All of them, each known to be above both; what all classes are is told apart."""
    found = common_of_labels(labels, 1.0, WNIDS)
    lowest = set(lowest_common_hypernyms(*labels))
    if SQUARE in labels:  # nothing but what the square has in common with all
        assert found.concepts == ()
        assert found.everything == ("entity",)
    else:
        assert {each.wnid for each in found.concepts} == lowest
    assert all(each.coverage == 1 and not each.outside for each in found.concepts)


def test_several_are_all_given_by_information() -> None:
    """Chihuahua and tabby are carnivores, and domestic animals."""
    found = common_of_labels([CHIHUAHUA, TABBY], 1.0, WNIDS)
    assert [each.wnid for each in found.concepts] == sorted(
        lowest_common_hypernyms(CHIHUAHUA, TABBY)
    )
    assert [each.information for each in found.concepts] == [pytest.approx(math.log2(5 / 3))] * 2


def test_same_label_is_its_own_concept() -> None:
    [concept] = common_of_labels([TENCH] * 4, 1.0, WNIDS).concepts
    assert (concept.wnid, concept.information) == (TENCH, pytest.approx(math.log2(5)))


def test_share_leaves_images_outside() -> None:
    """Two of three are dogs: enough for 0.6, and the tabby is named; not for 0.7."""
    labels = [CHIHUAHUA, TABBY, RETRIEVER]
    [concept] = common_of_labels(labels, 0.6, WNIDS).concepts
    assert (concept.wnid, concept.outside) == (DOG, (1,))
    assert concept.coverage == pytest.approx(2 / 3)
    more = common_of_labels(labels, 0.7, WNIDS).concepts
    assert DOG not in {each.wnid for each in more}
    assert all(each.coverage == 1 for each in more)


@pytest.mark.parametrize(("share", "count"), [(0.8, 4), (0.6, 3), (1 / 3, 1)])
def test_share_of_images_that_rounding_does_not_undo(share, count) -> None:
    """0.8 of five images are four of them, though 4 / 5 >= 0.8 may fail in floating point."""
    total = round(count / share)
    labels = [TENCH] * count + [SQUARE] * (total - count)
    assert TENCH in {each.wnid for each in common_of_labels(labels, share, WNIDS).concepts}


def test_half_and_half_are_two_concepts() -> None:
    found = common_of_labels([TENCH, TENCH, SQUARE, SQUARE], 0.5, WNIDS)
    assert [each.wnid for each in found.concepts] == [TENCH, SQUARE]
    assert [each.outside for each in found.concepts] == [(2, 3), (0, 1)]


def test_where_all_classes_are_dogs_dog_says_nothing() -> None:
    found = common_of_labels([CHIHUAHUA, RETRIEVER], 1.0, [CHIHUAHUA, RETRIEVER])
    assert found.concepts == ()
    assert found.everything == ("dog, domestic dog, Canis familiaris",)
    assert found.num_classes == 2


def test_coverage_is_the_expected_share() -> None:
    """The mean of p(dog); images with p(dog) at most one half are outside."""
    rows = np.array([[0.5, 0.4, 0.1, 0, 0], [0.3, 0.6, 0.1, 0, 0], [0.1, 0.2, 0.7, 0, 0]])
    [concept] = common_concepts(rows, WNIDS, 0.7).concepts
    assert concept.wnid == DOG
    assert concept.coverage == pytest.approx((0.9 + 0.9 + 0.3) / 3)
    assert concept.outside == (2,)


def test_instances_are_followed_where_a_class_is_one() -> None:
    """Sun, an instance of star, and tench are both wholes or physical entities by `@i`."""
    found = common_of_labels(["n09450163", TENCH], 1.0, ["n09450163", *WNIDS])
    assert {each.wnid for each in found.concepts} == set(
        lowest_common_hypernyms("n09450163", TENCH, instances=True)
    )


@pytest.mark.parametrize("share", [0.0, 1.5, math.nan])
def test_share_out_of_range(share) -> None:
    with pytest.raises(TrainingError, match="expected above 0, at most 1"):
        common_of_labels([TENCH], share, WNIDS)


def test_no_images() -> None:
    with pytest.raises(TrainingError, match="no image"):
        common_concepts(np.zeros((0, 5)), WNIDS, 0.5)

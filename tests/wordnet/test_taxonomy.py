"""Set questions on the hierarchy: closures, depths, heights, common hypernyms, costs, sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetree.errors import WordnetError
from imagetree.wordnet import load_nouns, taxonomy

if TYPE_CHECKING:
    from imagetree.wordnet import Nouns

DOG, SUN = "n02084071", "n09450163"
CHIHUAHUA, TABBY = "n02085620", "n02123045"
SQUARE, RECTANGLE, POLYGON = "n13878634", "n13883346", "n13867133"
relaxed = settings(deadline=None, max_examples=40)
indices = st.integers(0, 82_114)
groups = st.lists(indices, min_size=1, max_size=6)


def above(index: int, *, instances: bool = False) -> set[int]:
    """Ancestors or self, by recursion over hypernyms: the reference."""
    nouns = load_nouns()
    wnid = nouns.synset_at(index).wnid
    paths = nouns.paths_to_root(wnid, instances=instances)
    return {nouns.index_of(node) for path in paths for node in path}


@relaxed
@given(indices, st.booleans())
def test_ancestors_are_the_nodes_of_all_paths(index: int, instances: bool) -> None:
    """The array walk and the recursion agree; the synset itself is left out."""
    found = taxonomy.ancestors(index, instances=instances)
    assert found.tolist() == sorted(above(index, instances=instances) - {index})


@relaxed
@given(indices, st.booleans())
def test_ancestors_and_descendants_are_inverse(index: int, instances: bool) -> None:
    """Each ancestor has the synset among its descendants."""
    for ancestor in taxonomy.ancestors(index, instances=instances)[-3:].tolist():
        assert index in taxonomy.descendants(ancestor, instances=instances)


def test_descendants_of_the_root_are_all_that_lie_under_it() -> None:
    """Without instances 7,741 synsets have no way to entity; with them all have."""
    assert len(taxonomy.descendants(0)) == 82_114 - 7_741
    assert len(taxonomy.descendants(0, instances=True)) == 82_114


@pytest.mark.parametrize("instances", [False, True])
def test_height_falls_and_depth_grows_on_every_edge(wordnet_nouns: Nouns, instances: bool) -> None:
    """Down an edge height falls, min_depth grows by one at most, max_depth by one at least."""
    edges = taxonomy._edges(instances=instances).up
    lower = np.repeat(np.arange(len(wordnet_nouns)), np.diff(edges.starts))
    upper = edges.targets
    height = taxonomy.height(instances=instances)
    assert (height[upper] > height[lower]).all()
    low, high = taxonomy.min_depth(instances=instances), taxonomy.max_depth(instances=instances)
    reached = low[upper] >= 0
    assert (low[lower] <= low[upper] + 1)[reached].all()
    assert (high[lower] >= high[upper] + 1)[reached].all()
    assert (low <= high).all()
    assert int((low < 0).sum()) == (0 if instances else 7_741)


@relaxed
@given(indices)
def test_depths_are_the_lengths_of_paths(index: int) -> None:
    """min_depth and max_depth are the shortest and longest path by recursion."""
    nouns = load_nouns()
    lengths = {
        len(path) - 1 for path in nouns.paths_to_root(nouns.synset_at(index).wnid, instances=True)
    }
    assert taxonomy.min_depth(instances=True)[index] == min(lengths)
    assert taxonomy.max_depth(instances=True)[index] == max(lengths)


def test_deepest_synset_and_root_height_are_known() -> None:
    """WordNet 3.0's nouns are 19 edges deep, so the root's height is 19."""
    assert taxonomy.max_depth().max() == 19
    assert taxonomy.height()[0] == 19
    assert (taxonomy.height() == 0).sum() == (
        np.diff(taxonomy._edges(instances=False).down.starts) == 0
    ).sum()


def test_cached_arrays_cannot_be_changed() -> None:
    """A caller that writes into a shared array is stopped."""
    with pytest.raises(ValueError, match="read-only"):
        taxonomy.height()[0] = 1


@relaxed
@given(groups, st.booleans())
def test_common_hypernyms_are_common_and_minimal(group: list[int], instances: bool) -> None:
    """They are the common ancestors-or-self that lie above no other common one."""
    nouns = load_nouns()
    common = set.intersection(*(above(index, instances=instances) for index in group))
    lowest = {
        node
        for node in common
        if not any(node in above(other, instances=instances) for other in common - {node})
    }
    wnids = [nouns.synset_at(index).wnid for index in group]
    found = taxonomy.lowest_common_hypernyms(*wnids, instances=instances)
    assert {nouns.index_of(wnid) for wnid in found} == lowest
    height = taxonomy.height(instances=instances)
    assert list(found) == sorted(found, key=lambda wnid: (height[nouns.index_of(wnid)], wnid))


def test_known_common_hypernyms(wordnet_nouns: Nouns) -> None:
    """Two minimal ones for Chihuahua and tabby; person, not organism, for policeman and chef."""

    def words(*wnids: str) -> list[str]:
        return [
            wordnet_nouns.synset(wnid).lemma for wnid in taxonomy.lowest_common_hypernyms(*wnids)
        ]

    assert words(CHIHUAHUA, TABBY) == ["domestic animal", "carnivore"]
    policeman, chef = (wordnet_nouns.resolve(word).wnid for word in ("policeman", "chef"))
    assert words(policeman, chef) == ["person"]
    assert words(CHIHUAHUA, DOG) == words(DOG) == ["dog"]


def test_nothing_is_common_across_an_instance_unless_it_is_followed() -> None:
    """The sun shares nothing by `@`; by `@i` it does."""
    assert taxonomy.lowest_common_hypernyms(SUN, DOG) == ()
    assert taxonomy.lowest_common_hypernyms(SUN, SUN) == (SUN,)
    assert taxonomy.lowest_common_hypernyms(SUN, DOG, instances=True) == ("n00003553",)


def test_common_hypernyms_of_nothing_are_an_error() -> None:
    """There is no sensible answer for no synset."""
    with pytest.raises(WordnetError, match="no synset is given"):
        taxonomy.lowest_common_hypernyms()


@relaxed
@given(groups)
def test_cost_is_symmetric_with_zero_for_the_same_synset(group: list[int]) -> None:
    """In any order, with repeats: symmetric, zero exactly where the synset is the same."""
    wnids = taxonomy.wnids_at(np.array(group))
    cost = taxonomy.hierarchical_cost(wnids, instances=True)
    assert cost.dtype == np.int16
    assert (cost == cost.T).all()
    assert ((cost == 0) == np.equal.outer(group, group)).all()


@relaxed
@given(groups)
def test_cost_is_the_least_height_of_common_ancestors(group: list[int]) -> None:
    """Against the definition, pair by pair."""
    height = taxonomy.height(instances=True)
    cost = taxonomy.hierarchical_cost(taxonomy.wnids_at(np.array(group)), instances=True)
    for i, first in enumerate(group):
        for j, second in enumerate(group):
            common = above(first, instances=True) & above(second, instances=True)
            expected = 0 if first == second else min(height[node] for node in common)
            assert cost[i, j] == expected


def test_cost_follows_instances_only_where_it_must() -> None:
    """A class such as sun brings `@i` in; refused where that is forbidden."""
    wnids = [SUN, DOG]
    assert (
        taxonomy.hierarchical_cost(wnids) == taxonomy.hierarchical_cost(wnids, instances=True)
    ).all()
    with pytest.raises(WordnetError, match="n02084071 and n09450163 have no common hypernym"):
        taxonomy.hierarchical_cost(wnids, instances=False)


def test_cost_of_no_class_and_of_one() -> None:
    """Empty and single lists have the shapes that they should."""
    assert taxonomy.hierarchical_cost([]).shape == (0, 0)
    assert taxonomy.hierarchical_cost([DOG]).tolist() == [[0]]


def test_closure_of_nothing_is_nothing() -> None:
    """No synsets, no ancestors."""
    assert taxonomy.closure([]) == ()


def test_sums_count_a_synset_once_whatever_its_paths(wordnet_nouns: Nouns) -> None:
    """A square lies under polygon twice and counts once; an image-less synset sums its subtree."""
    values = np.zeros(len(wordnet_nouns), dtype=np.int32)
    values[taxonomy.indices_of([SQUARE, RECTANGLE])] = 5, 2
    sums = taxonomy.subtree_sums(values)
    assert sums[taxonomy.indices_of([SQUARE, RECTANGLE, POLYGON])].tolist() == [5, 7, 5]
    assert sums[0] == 7


@pytest.mark.slow
@relaxed
@given(st.dictionaries(indices, st.integers(-5, 9), max_size=5), indices, st.booleans())
def test_sums_are_over_sets(own: dict[int, int], index: int, instances: bool) -> None:
    """Against the definition: own value and those of all descendants, for nodes above them too."""
    values = np.zeros(82_115, dtype=np.int64)
    values[list(own)] = list(own.values())
    sums = taxonomy.subtree_sums(values, instances=instances)
    for node in {index, *(n for i in own for n in above(i, instances=instances))}:
        subtree = [node, *taxonomy.descendants(node, instances=instances).tolist()]
        assert sums[node] == values[subtree].sum()


def test_sums_refuse_another_number_of_values() -> None:
    """One value a synset, or an error with both numbers."""
    with pytest.raises(WordnetError, match=r"expected shape \(82115,\), got \(3,\)"):
        taxonomy.subtree_sums(np.zeros(3, dtype=int))


def test_unknown_wnids_are_refused() -> None:
    """Every function that takes wnids checks them."""
    for function in (taxonomy.indices_of, taxonomy.closure, taxonomy.hierarchical_cost):
        with pytest.raises(WordnetError, match="is no wnid"):
            function(["x"])

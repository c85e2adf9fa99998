"""WordNet against what others published: ImageNet's lists, the 2010 kit, the lists of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat

from imagetree.wordnet import load_nouns, render_is_a, render_words, taxonomy

from ..conftest import shared_path


@pytest.fixture(scope="module")
def wordnet_kit() -> Any:
    """The 2010 development kit: its table of synsets and its costs."""
    return loadmat(shared_path("oracles/ilsvrc2010/meta.mat"), squeeze_me=True)


def test_words_are_imagenets_byte_for_byte() -> None:
    """Synsets, lemmas, their order and spelling are those of ImageNet."""
    expected = shared_path("oracles/imagenet/words.txt").read_bytes()
    assert render_words().encode() == expected


def test_edges_are_imagenets() -> None:
    """The same 75,850 `@` edges."""
    expected = shared_path("oracles/imagenet/wordnet.is_a.txt").read_text().splitlines()
    ours = render_is_a().splitlines()
    assert len(ours) == len(expected) == 75_850
    assert set(ours) == set(expected)


def test_heights_are_those_of_the_2010_kit(wordnet_kit: Any) -> None:
    """All 1,676 heights, and the words."""
    synsets = wordnet_kit["synsets"]
    heights = taxonomy.height()[taxonomy.indices_of(synsets["WNID"])]
    assert len(synsets) == 1_676
    assert heights.tolist() == [int(height) for height in synsets["wordnet_height"]]
    assert [load_nouns().synset(w).words for w in synsets["WNID"]] == list(synsets["words"])


def test_costs_are_those_of_the_2010_kit(wordnet_kit: Any) -> None:
    """All 1,000,000 entries of the cost matrix."""
    wnids = list(wordnet_kit["synsets"]["WNID"][:1000])
    cost = taxonomy.hierarchical_cost(wnids)
    assert (cost == wordnet_kit["cost_matrix"]).all()
    off_diagonal = cost[~np.eye(1000, dtype=bool)]
    assert round(float(off_diagonal.mean()), 3) == 13.911


@pytest.mark.parametrize(
    ("name", "num_wnids", "num_closure"),
    [("ilsvrc2012_wnids.txt", 1_000, 1_860), ("imagenet_fall2011_wnids.txt", 21_841, 23_546)],
)
def test_closures_have_the_known_sizes(name: str, num_wnids: int, num_closure: int) -> None:
    """The classes with all their ancestors: 1,860 is also what the 2012 kit says."""
    wnids = shared_path(f"facts/{name}").read_text().split()
    assert len(wnids) == num_wnids
    assert len(taxonomy.closure(wnids)) == num_closure


@pytest.mark.parametrize(
    ("word", "count"),
    [("animal", 3_822), ("bird", 856), ("vehicle", 481), ("tool", 316), ("device", 2_385)],
)
def test_counts_are_those_of_imagenets_statistics(word: str, count: int) -> None:
    """Synsets under a category, as image-net.org's page of statistics had them."""
    wnids = shared_path("facts/imagenet_fall2011_wnids.txt").read_text().split()
    members = np.zeros(len(load_nouns()), dtype=np.int64)
    members[taxonomy.indices_of(wnids)] = 1
    sums = taxonomy.subtree_sums(members)
    assert sums[load_nouns().index_of(load_nouns().resolve(word).wnid)] == count

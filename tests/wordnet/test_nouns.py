"""The noun hierarchy: lookup by wnid and word, neighbours, paths, errors."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetree.errors import WordnetError
from imagetree.wordnet import load_nouns
from imagetree.wordnet.packed import load_offsets31

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagetree.wordnet import Nouns, Synset

DOG, ENTITY, SUN = "n02084071", "n00001740", "n09450163"
SQUARE, RECTANGLE, POLYGON = "n13878634", "n13883346", "n13867133"
relaxed = settings(deadline=None, max_examples=40)  # one search may take 40 ms
indices = st.integers(0, 82_114)


def names(synsets: Iterable[Synset]) -> list[str]:
    return [synset.name for synset in synsets]


def test_numpy_is_not_imported_for_a_lookup() -> None:
    """A lookup by word, neighbours and paths stays free of numpy."""
    code = (
        "import sys; from imagetree.wordnet import load_nouns, gloss_of\n"
        "n = load_nouns(); w = n.resolve('dog').wnid\n"
        "n.hypernyms(w); n.hyponyms(w); n.paths_to_root(w); n.search('dog'); gloss_of(w)\n"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@relaxed
@given(indices)
def test_index_and_synset_are_inverse(index: int) -> None:
    """Each position's synset has the wnid that leads back to it."""
    nouns = load_nouns()
    wnid = nouns.synset_at(index).wnid
    assert nouns.index_of(wnid) == index
    assert wnid in nouns
    assert nouns.synset(wnid) == nouns.synset_at(index)


@relaxed
@given(indices)
def test_hypernyms_and_hyponyms_are_inverse(index: int) -> None:
    """A synset is among its hypernyms' hyponyms, with and without instances."""
    nouns = load_nouns()
    wnid = nouns.synset_at(index).wnid
    for instances in (False, True):
        for hypernym in nouns.hypernyms(wnid, instances=instances):
            assert wnid in nouns.hyponyms(hypernym, instances=instances)


@relaxed
@given(indices)
def test_paths_are_chains_of_hypernyms(index: int) -> None:
    """Every path ends at the synset, is a chain, and with instances begins at entity."""
    nouns = load_nouns()
    wnid = nouns.synset_at(index).wnid
    paths = nouns.paths_to_root(wnid, instances=True)
    assert len(set(paths)) == len(paths) >= 1
    for path in paths:
        assert (path[0], path[-1]) == (ENTITY, wnid)
        for upper, lower in pairwise(path):
            assert upper in nouns.hypernyms(lower, instances=True)
    shortest = nouns.shortest_path_to_root(wnid, instances=True)
    assert len(shortest) == min(map(len, paths))


@relaxed
@given(indices)
def test_every_name_finds_its_synset(index: int) -> None:
    """`dog.n.01` and the like are unique names, and lemmas find the synset among their senses."""
    nouns = load_nouns()
    synset = nouns.synset_at(index)
    assert nouns.find(synset.name) == (synset,)
    assert nouns.find(synset.lemma)[synset.sense - 1] == synset
    assert all(synset in nouns.find(lemma.upper().replace(" ", "_")) for lemma in synset.lemmas)


def test_square_has_two_hypernyms_and_their_paths(wordnet_nouns: Nouns) -> None:
    """The textbook diamond: a square is a rectangle and a regular polygon."""
    assert wordnet_nouns.hypernyms(SQUARE) == (RECTANGLE, POLYGON)
    assert {path[-2] for path in wordnet_nouns.paths_to_root(SQUARE)} == {RECTANGLE, POLYGON}


def test_instances_are_left_out_unless_asked_for(wordnet_nouns: Nouns) -> None:
    """The sun is an instance of star: no hypernym by default."""
    star = wordnet_nouns.resolve("star.n.01").wnid
    assert wordnet_nouns.hypernyms(SUN) == ()
    assert wordnet_nouns.paths_to_root(SUN) == ((SUN,),)
    assert wordnet_nouns.hypernyms(SUN, instances=True) == (star,)
    assert SUN not in wordnet_nouns.hyponyms(star)
    assert SUN in wordnet_nouns.hyponyms(star, instances=True)


def test_leaf_has_no_hyponyms_and_root_no_hypernyms(wordnet_nouns: Nouns) -> None:
    """Both ends of the hierarchy are empty tuples, not errors."""
    assert wordnet_nouns.hyponyms("n02085620") == ()
    assert wordnet_nouns.hypernyms(ENTITY, instances=True) == ()


def test_wnids_are_sorted_and_whole(wordnet_nouns: Nouns) -> None:
    """The index is a position in wnid order."""
    assert len(wordnet_nouns) == len(wordnet_nouns.wnids) == 82_115
    assert list(wordnet_nouns.wnids) == sorted(set(wordnet_nouns.wnids))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog", ["dog.n.01", "frump.n.01", "dog.n.03", "cad.n.01"]),
        ("DOG", ["dog.n.01"]),
        (" n02084071 ", ["dog.n.01"]),
        ("dog.n.03", ["dog.n.03"]),
        ("Domestic  Dog.n.01", ["dog.n.01"]),
        ("mice", ["mouse.n.01"]),
        ("axes", ["ax.n.01", "axis.n.01"]),
        ("policemen", ["policeman.n.01"]),
        ("foxes", ["fox.n.01"]),
        ("puppies", ["puppy.n.01"]),
        ("hot dogs", ["hotdog.n.01"]),
        ("field mice", ["vole.n.01", "field_mouse.n.02"]),
        ("Café", ["cafe.n.01"]),
        ("read/write head", ["read/write_head.n.01"]),
        ("'s Gravenhage", ["the_hague.n.01"]),
    ],
)
def test_find_by_word(wordnet_nouns: Nouns, text: str, expected: list[str]) -> None:
    """Lemmas in sense order, names, plurals by noun.exc and by ending."""
    assert names(wordnet_nouns.find(text))[: len(expected)] == expected


def test_a_lemma_is_not_taken_for_a_plural(wordnet_nouns: Nouns) -> None:
    """`glasses` is a noun of its own: the singular is not mixed in."""
    assert "glass.n.01" not in names(wordnet_nouns.find("glasses"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "_",
        "s's",
        "n02084072",
        "dog.n.0",
        "dog.n.99",
        "(",
        "狗",
        "\tdog 1",
        "\udcff",
        "dog.n." + "9" * 5000,
    ],
)
def test_find_gives_nothing_for_what_is_not_there(wordnet_nouns: Nouns, text: str) -> None:
    """Odd input finds nothing and breaks nothing."""
    assert wordnet_nouns.find(text) == ()


@relaxed
@given(st.text(max_size=12))
def test_any_text_is_survived(text: str) -> None:
    """Whatever is typed, search gives synsets and find agrees with its head."""
    nouns = load_nouns()
    found = nouns.search(text, limit=5)
    assert len(found) <= 5
    assert found[: len(nouns.find(text))] == nouns.find(text)[:5]


def test_search_ranks_exact_then_prefix_then_inner_word(wordnet_nouns: Nouns) -> None:
    """All lemmas that match are ranked as documented."""
    found = wordnet_nouns.search("terrier", limit=200)
    ranks = []
    for synset in found:
        lemmas = [lemma.lower() for lemma in synset.lemmas]
        ranks.append(0 if "terrier" in lemmas else 2 - any(x.startswith("terrier") for x in lemmas))
    assert ranks == sorted(ranks)
    assert found[0].name == "terrier.n.01"
    assert len(set(found)) == len(found) > 20


def test_search_forgives_misspelling(wordnet_nouns: Nouns) -> None:
    """It gives the synsets of `search.search`."""
    assert names(wordnet_nouns.search("golden retriver")) == ["golden_retriever.n.01"]


def test_search_prefers_shorter_lemmas_and_keeps_its_limit(wordnet_nouns: Nouns) -> None:
    """Of the prefixes the shorter stands first; a limit cuts, it does not reorder."""
    assert names(wordnet_nouns.search("chihua"))[:3] == [
        "chihuahua.n.01",
        "chihuahua.n.02",
        "chihuahua.n.03",
    ]
    assert wordnet_nouns.search("dog", limit=30)[:10] == wordnet_nouns.search("dog", limit=10)
    assert wordnet_nouns.search("dog", limit=0) == ()


def test_an_unknown_wnid_is_named(wordnet_nouns: Nouns) -> None:
    """Well formed, but no synset of either version."""
    with pytest.raises(WordnetError, match=r"^n02084072 is no noun synset of WordNet 3\.0$"):
        wordnet_nouns.index_of("n02084072")


def test_a_wnid_of_wordnet_31_is_translated(wordnet_nouns: Nouns) -> None:
    """The message names the 3.0 synset that is meant, word for word, with a hint."""
    message = (
        "n02086723 is an offset of WordNet 3.1; "
        "in WordNet 3.0 this synset is n02084071 (dog, domestic dog, Canis familiaris)\nhint: "
    )
    with pytest.raises(WordnetError, match="^" + re.escape(message)):
        wordnet_nouns.synset("n02086723")
    found = wordnet_nouns.from_wordnet31("n02086723")
    assert found is not None
    assert found.wnid == DOG


def test_a_wnid_that_means_the_same_in_both_stays(wordnet_nouns: Nouns) -> None:
    """Entity has one offset in 3.0 and 3.1; what is in neither has no translation."""
    assert wordnet_nouns.from_wordnet31(ENTITY) == wordnet_nouns.synset(ENTITY)
    assert wordnet_nouns.from_wordnet31("n00000001") is None


def test_a_synset_new_in_wordnet_31_is_said_to_be_new(wordnet_nouns: Nouns) -> None:
    """117 synsets of 3.1 share no sense key with 3.0."""
    new = [f"n{offset:08d}" for offset, position in load_offsets31().items() if position < 0]
    assert len(new) == 117
    wnid = next(wnid for wnid in new if wnid not in wordnet_nouns)
    with pytest.raises(WordnetError, match=r"of WordNet 3\.1; WordNet 3\.0 has no such synset"):
        wordnet_nouns.resolve(wnid)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("doog", "'doog' is no noun of WordNet 3.0\nhint: did you mean 'dog'"),
        ("chiuahua", "'chiuahua' is no noun of WordNet 3.0\nhint: did you mean 'chihuahua'"),
        ("dog.n.9", "'dog.n.9': the noun 'dog' has 7 senses"),
        ("entity.n.2", "'entity.n.2': the noun 'entity' has 1 sense"),
        ("n2084071", "'n2084071' is no wnid"),
        ("v02084071", "'v02084071' names a WordNet verb"),
        ("", "'' is no noun of WordNet 3.0"),
    ],
)
def test_resolve_says_what_is_wrong(wordnet_nouns: Nouns, text: str, message: str) -> None:
    """An unknown word comes with words of like spelling, a wrong wnid with the right form."""
    with pytest.raises(WordnetError, match="^" + re.escape(message)):
        wordnet_nouns.resolve(text)


def test_contains_takes_anything(wordnet_nouns: Nouns) -> None:
    """Membership asks, it does not raise."""
    assert DOG in wordnet_nouns
    assert "x" not in wordnet_nouns
    assert None not in wordnet_nouns
    assert "n99999999" not in wordnet_nouns

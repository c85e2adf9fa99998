"""Search for what people type: a word, its plural, its beginning, a misspelling, a wnid, a gloss.

Every hit says by what it was found, so that a caller can tell senses and guesses apart. The first
search builds the index (`LemmaIndex`); each part of it when a search first comes so far.
"""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from imagetree.wordnet.glosses import find_in_glosses
from imagetree.wordnet.lookup import normalise, parse_name
from imagetree.wordnet.nouns import load_nouns
from imagetree.wordnet.synset import Synset, is_wnid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from imagetree.wordnet.lookup import Match

_LONGEST = 200  # of a text, in letters; the longest lemma has 71


class MatchKind(StrEnum):
    """By what a synset was found, the best first."""

    WNID = "wnid"
    WNID31 = "wnid31"
    """The text is a wnid of WordNet 3.1 alone; the synset is what it means in 3.0."""
    EXACT = "exact"
    PLURAL = "plural"
    PREFIX = "prefix"
    WORD = "word"
    """Each word of the text begins a word of the lemma."""
    TYPO = "typo"
    GLOSS = "gloss"


class Hit(NamedTuple):
    """A synset that was found.

    Args:
        synset: the synset.
        lemma: the lemma that matched, as written, with spaces; for a wnid or a gloss the first.
        sense: number of the synset among the senses of this lemma, from 1, the commonest first.
        kind: by what it was found.
    """

    synset: Synset
    lemma: str
    sense: int
    kind: MatchKind


class _Found(NamedTuple):
    """A hit before its synset is made: `lemma` in lower case, None for the synset's first."""

    position: int
    lemma: str | None
    sense: int
    kind: MatchKind


def search(
    text: str, *, limit: int = 20, glosses: bool = False, within: Collection[str] | None = None
) -> tuple[Hit, ...]:
    """Synsets for what someone types, best first, each once by its best hit.

    In the order of `MatchKind`. A lemma's senses, and those of a plural, come in WordNet's order;
    prefixes and words by the shorter lemma, then the commoner sense, then the lesser wnid, and
    words that stand together as in the text before scattered ones; misspellings by distance, then
    the commoner sense, then the lesser wnid. A text that is a wnid, a lemma or a plural is spelt
    right: no other spelling is looked for.

    Args:
        text: anything; what is beyond its 200th letter is left out.
        limit: hits at most.
        glosses: whether to look into the glosses too, where a WordNet 3.0 is installed.
        within: wnids; nothing else is found. Best one frozenset for many searches.

    >>> [(hit.synset.name, hit.kind.value) for hit in search("geese", limit=2)]
    [('goose.n.01', 'plural'), ('fathead.n.01', 'plural')]
    >>> search("golden retriver")[0].lemma
    'golden retriever'
    """
    allowed = None if within is None else _positions_of(frozenset(within))
    best: dict[int, _Found] = {}
    for found in _iter_found(text.strip()[:_LONGEST], allowed, glosses=glosses):
        if len(best) >= limit:
            break
        if allowed is None or found.position in allowed:
            best.setdefault(found.position, found)
    return tuple(map(_hit_of, best.values()))


@functools.lru_cache(maxsize=8)  # a site's synsets with images do not change between letters
def _positions_of(wnids: frozenset[str]) -> frozenset[int]:
    nouns = load_nouns()
    return frozenset(nouns.index_of(wnid) for wnid in wnids if wnid in nouns)


def _iter_found(text: str, within: frozenset[int] | None, *, glosses: bool) -> Iterator[_Found]:
    """All that is found, the best first: synsets repeatedly, and some that are not `within`."""
    spelt_right = False
    for found in _iter_named(text):
        spelt_right = True
        yield found
    if not (lemma := normalise(text)):
        return
    index = load_nouns().lemma_index
    for match in index.prefixes(lemma, within=within):
        yield _of_match(match, MatchKind.PREFIX)
    for match in index.words(lemma, within=within):
        yield _of_match(match, MatchKind.WORD)
    if not spelt_right:
        for match in index.misspelt(lemma):
            yield _of_match(match, MatchKind.TYPO)
    if glosses:
        for position in find_in_glosses(text):
            yield _of_first_lemma(position, MatchKind.GLOSS)


def _iter_named(text: str) -> Iterator[_Found]:
    """What the text is the wnid, the name, the lemma or the plural of."""
    nouns = load_nouns()
    wnid = text.lower()
    if is_wnid(wnid):
        if wnid in nouns:
            yield _of_first_lemma(nouns.index_of(wnid), MatchKind.WNID)
        elif (meant := nouns.from_wordnet31(wnid)) is not None:
            yield _of_first_lemma(nouns.index_of(meant.wnid), MatchKind.WNID31)
        return
    lemma, number = parse_name(text) or (normalise(text), None)
    for match in nouns.lemma_index.exact(lemma):
        if number in (None, match.sense.number):
            yield _of_match(match, MatchKind.EXACT)
    if number is None:
        for match in nouns.lemma_index.singulars(lemma):
            yield _of_match(match, MatchKind.PLURAL)


def _of_match(match: Match, kind: MatchKind) -> _Found:
    return _Found(match.sense.position, match.lemma, match.sense.number, kind)


def _of_first_lemma(position: int, kind: MatchKind) -> _Found:
    return _Found(position, None, load_nouns().synset_at(position).sense, kind)


def _hit_of(found: _Found) -> Hit:
    synset = load_nouns().synset_at(found.position)
    spelling = {normalise(lemma): lemma for lemma in reversed(synset.lemmas)}
    lemma = synset.lemma if found.lemma is None else spelling[found.lemma]
    return Hit(synset, lemma, found.sense, found.kind)

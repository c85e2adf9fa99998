"""Sets of synsets above and below others, each named once however many ways lead to it.

Instances hang below what they are an instance of, so that every synset with images lies under the
root. Numbers over the whole hierarchy are for `imagetree.wordnet.taxonomy`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = "n00001740"  # entity


@functools.cache
def hypernyms(wnid: str) -> tuple[str, ...]:
    """Direct hypernyms, those of an instance included.

    Raises:
        WordnetError: the wnid is no noun of WordNet 3.0.
    """
    return load_nouns().hypernyms(wnid, instances=True)


@functools.cache
def ancestors_or_self(wnid: str) -> frozenset[str]:
    """The synset and everything above it.

    Raises:
        WordnetError: the wnid is no noun of WordNet 3.0.

    >>> len(ancestors_or_self("n02084071"))
    15
    """
    return frozenset({wnid}).union(*map(ancestors_or_self, hypernyms(wnid)))


def descendants(wnids: Iterable[str]) -> set[str]:
    """The synsets and everything below them.

    Raises:
        WordnetError: one of the wnids is no noun of WordNet 3.0.

    >>> len(descendants(["n02084071"]))
    190
    """
    found: set[str] = set()
    waiting = list(wnids)
    nouns = load_nouns()
    while waiting:
        wnid = waiting.pop()
        if wnid not in found:
            found.add(wnid)
            waiting += nouns.hyponyms(wnid, instances=True)
    return found

"""A synset as the rest of the system sees it, and the form of a wnid. No lookup happens here."""

from __future__ import annotations

import re
from typing import NamedTuple

from imagetree.errors import WordnetError

_WNID = re.compile(r"n[0-9]{8}")
_OTHER_WNID = re.compile(r"([vars])[0-9]{8}")
_PARTS_OF_SPEECH = {"v": "verb", "a": "adjective", "r": "adverb", "s": "satellite adjective"}


class Synset(NamedTuple):
    """A noun synset of WordNet 3.0: one concept and the words for it.

    Args:
        wnid: `n` and the synset's 8-digit offset in data.noun.
        lemmas: its words in WordNet's order, as written, with spaces.
        sense: number of this sense among those of the first lemma, from 1, the commonest first.

    >>> dog = Synset("n02084071", ("dog", "domestic dog", "Canis familiaris"), 1)
    >>> dog.words, dog.lemma, dog.name
    ('dog, domestic dog, Canis familiaris', 'dog', 'dog.n.01')
    """

    wnid: str
    lemmas: tuple[str, ...]
    sense: int

    @property
    def words(self) -> str:
        """All lemmas, as in ImageNet's words.txt."""
        return ", ".join(self.lemmas)

    @property
    def lemma(self) -> str:
        """The first lemma; it is no key, several synsets may share it."""
        return self.lemmas[0]

    @property
    def name(self) -> str:
        """A unique name, the first lemma with its sense, in the form that NLTK made common."""
        return f"{self.lemma.lower().replace(' ', '_')}.n.{self.sense:02d}"


def is_wnid(text: str) -> bool:
    """Whether `text` has the form of a noun's wnid; the synset may still not exist.

    >>> is_wnid("n02084071"), is_wnid("v02084071"), is_wnid("n2084071")
    (True, False, False)
    """
    return _WNID.fullmatch(text) is not None


def offset_of(wnid: str) -> int:
    """The offset that a wnid is made of.

    Raises:
        WordnetError: it has not the form of a noun's wnid.

    >>> offset_of("n02084071")
    2084071
    """
    if is_wnid(wnid):
        return int(wnid[1:])
    if other := _OTHER_WNID.fullmatch(wnid):
        part = _PARTS_OF_SPEECH[other[1]]
        raise WordnetError(
            f"{wnid!r} names a WordNet {part} (expected a noun: n and 8 digits, e.g. n02084071)"
        )
    raise WordnetError(f"{wnid!r} is no wnid (expected n and 8 digits, e.g. n02084071)")


def wnid_of(offset: int) -> str:
    """The wnid of the noun at an offset.

    >>> wnid_of(1740)
    'n00001740'
    """
    return f"n{offset:08d}"

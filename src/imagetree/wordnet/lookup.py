"""From a word to synsets: exact lookup and plurals by scans, all else by an index of the lemmas.

A scan of the packed text (2.1 MB) takes two milliseconds, so one lookup builds and loads nothing.
What is typed into a search box is asked of `LemmaIndex`, whose parts are built when they are first
needed. Synsets are given by their position in wnid order. `nouns` offers all of it with synsets.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from bisect import bisect_left
from functools import cached_property
from itertools import chain, groupby, repeat
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.wordnet.packed import PackedNouns

# Endings of regular plurals and what they become. Source: morphy(7WN), rules of detachment.
_ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)
_LAST = "\x7f"  # sorts after whatever a lemma holds, which is ASCII
_SENSE_NAME = re.compile(r"(.+)\.n\.([0-9]{1,4})")
_TYPESET = str.maketrans({"‘": "'", "’": "'", "‐": "-", "–": "-"})  # noqa: RUF001


class Sense(NamedTuple):
    """A lemma's sense: its number from 1, the commonest first, and the synset's position."""

    number: int
    position: int


class Match(NamedTuple):
    """A lemma that was found, as the packed text has it, in one of its senses."""

    lemma: str
    sense: Sense


def normalise(text: str) -> str:
    """A lemma as the packed text has it: lower case, words joined by one underscore.

    Accents are taken off, for WordNet 3.0 is ASCII; what cannot be printed parts words.

    >>> normalise("  Canis   familiaris "), normalise("Crème brûlée")
    ('canis_familiaris', 'creme_brulee')
    """
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text.translate(_TYPESET))
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return "_".join(text.lower().replace("_", " ").split())


def parse_name(text: str) -> tuple[str, int] | None:
    """Lemma and number of a name in the form of `Synset.name`, normalised; None if it is none.

    >>> parse_name("Domestic Dog.n.01"), parse_name("dog")
    (('domestic_dog', 1), None)
    """
    name = _SENSE_NAME.fullmatch(normalise(text))
    return (name[1], int(name[2])) if name else None


def split_words(lemma: str) -> list[str]:
    """Words of a lemma or a text in lower case: runs of letters and digits.

    >>> split_words("jack-o'-lantern"), split_words("read/write_head")
    (['jack', 'o', 'lantern'], ['read', 'write', 'head'])
    """
    return re.findall(r"[^\W_]+", lemma)


def find_senses(packed: PackedNouns, lemma: str) -> list[Sense]:
    """Senses of a normalised lemma, the commonest first; none if there is no such lemma."""
    text = packed.lower_words
    pattern = re.compile(re.escape(f"\t{lemma} ".encode()) + rb"(\d+)")
    senses = set()  # since a synset may hold a lemma in two spellings: `Earth` and `earth`
    line = counted = 0
    for match in pattern.finditer(text):
        line += text.count(b"\n", counted, match.start())
        counted = match.start()
        senses.add(Sense(int(match[1]), line))
    return sorted(senses)


def find_singulars(packed: PackedNouns, lemma: str) -> list[str]:
    """Lemmas that a normalised plural may stand for: those of noun.exc, else by its ending."""
    if listed := list_exceptions(packed, lemma):
        return listed
    stems = (lemma[: -len(end)] + stem for end, stem in _ENDINGS if lemma.endswith(end))
    return [stem for stem in stems if stem]


def list_exceptions(packed: PackedNouns, lemma: str) -> list[str]:
    """Singulars of a normalised plural, or of its last word, by noun.exc; none if not there."""
    start = packed.exceptions.find(f"\n{lemma} ".encode())
    if start >= 0:
        line = packed.exceptions[start + 1 :].split(b"\n", 1)[0]
        return line.decode("ascii").split()[1:]
    first, join, last = lemma.rpartition("_")
    return [first + join + singular for singular in list_exceptions(packed, last)] if join else []


class LemmaIndex:
    """The lemmas in order, their words, and the letters that are in them.

    Each method's matches come as they are asked for, best first, and may name a synset several
    times. Memory is 40 MB when all parts are built; numpy is imported for typing errors alone.

    Args:
        packed: the sections of a nouns.bin.
    """

    def __init__(self, packed: PackedNouns) -> None:
        self._packed = packed

    def exact(self, lemma: str) -> list[Match]:
        """Senses of a normalised lemma, the commonest first."""
        entries, _ = self._entries
        # a space parts lemma and number, and no lemma holds it
        first, end = bisect_left(entries, f"{lemma} "), bisect_left(entries, f"{lemma} {_LAST}")
        return sorted(map(self._match_at, range(first, end)))

    def singulars(self, lemma: str) -> list[Match]:
        """Senses of what a normalised lemma is the plural of, by noun.exc, else by its ending.

        A lemma is taken for a plural only where noun.exc says so: `gas` is not two of `GA`.
        """
        guess = list_exceptions if self.exact(lemma) else find_singulars
        found = guess(self._packed, lemma)
        return [match for singular in found for match in self.exact(singular)]

    def prefixes(self, text: str, *, within: frozenset[int] | None = None) -> Iterator[Match]:
        """Lemmas that start with a normalised text: the shorter, commoner, lesser wnid first.

        Only synsets `within`, if given: to pass over the others one by one takes much longer.
        """
        entries, _ = self._entries
        starting = range(bisect_left(entries, text), bisect_left(entries, text + _LAST))
        yield from self._shortest(self._restrict(starting, within))

    def words(self, text: str, *, within: frozenset[int] | None = None) -> Iterator[Match]:
        """Lemmas of several words in which each word of a normalised text begins one.

        Where the words stand together as in the text comes before where they are scattered; then
        as in `prefixes`.
        """
        words = sorted(set(split_words(text)), key=len, reverse=True)
        if words == [text]:
            yield from self._shortest(self._restrict(self._starting(text), within))
            return
        entries, _ = self._entries
        found = set(self._restrict(self._starting(words[0]), within)) if words else set()
        for word in words[1:]:
            if found:  # the shorter a word, the more entries start with it
                found.intersection_update(self._starting(word))
        together = re.compile(rf"(?:^|[\W_]){re.escape(text)}")
        near = {number for number in found if together.search(entries[number])}
        yield from self._shortest(near)
        yield from self._shortest(found - near)

    def misspelt(self, text: str) -> Iterator[Match]:
        """Lemmas that a normalised text may be a misspelling of.

        The nearest by the optimal string alignment distance first, in which two neighbours that
        changed places count once; then the commoner sense, then the lesser wnid.
        """
        near = _nearest(text, self._spelt_alike(text)) if _errors_allowed(text) else []
        for _, same in groupby(near, key=lambda each: each[1]):
            matches = [match for lemma, _ in same for match in self.exact(lemma)]
            yield from sorted(matches, key=lambda match: match.sense)

    def _shortest(self, numbers: Iterable[int]) -> Iterator[Match]:
        length = self._lengths.__getitem__
        for _, same in groupby(sorted(numbers, key=length), key=length):
            yield from sorted(map(self._match_at, same), key=lambda match: match.sense)

    def _match_at(self, number: int) -> Match:
        entries, positions = self._entries
        lemma, _, sense = entries[number].partition(" ")
        return Match(lemma, Sense(int(sense), positions[number]))

    @cached_property
    def _entries(self) -> tuple[list[str], list[int]]:
        """Each lemma with a sense number, `dog 1`, in order, and the synset that it stands for."""
        text = self._packed.lower_words.decode("ascii")
        words = text.replace("\n", "").split("\t")[1:]
        sizes = map(str.count, text.split("\n"), repeat("\t"))
        positions = list(chain.from_iterable(map(repeat, range(len(self._packed.offsets)), sizes)))
        order = sorted(range(len(words)), key=words.__getitem__)
        return [words[number] for number in order], [positions[number] for number in order]

    @cached_property
    def _lengths(self) -> bytes:
        """The length of each entry's lemma."""
        entries, _ = self._entries
        return bytes(map(str.index, entries, repeat(" ")))

    @cached_property
    def _words(self) -> tuple[list[str], dict[str, list[int]]]:
        """All words of lemmas that have several, in order, and the entries that hold each."""
        entries, _ = self._entries
        text = "\n".join(entries)
        marks = {ord(mark): " " for mark in set(text) if not mark.isalnum() and mark != "\n"}
        holders: dict[str, list[int]] = {}
        for number, entry in enumerate(text.translate(marks).split("\n")):
            words = entry.split()  # the last one is the sense number
            if len(words) > 2:
                for word in words[:-1]:
                    holders.setdefault(word, []).append(number)
        return sorted(holders), holders

    def _starting(self, text: str) -> Iterable[int]:
        """Entries with a word that starts with a text."""
        words, holders = self._words
        first, end = bisect_left(words, text), bisect_left(words, text + _LAST)
        return chain.from_iterable(holders[word] for word in words[first:end])

    def _restrict(self, numbers: Iterable[int], within: frozenset[int] | None) -> Iterable[int]:
        """The entries whose synsets are within a set."""
        if within is None:
            return numbers
        _, positions = self._entries
        return [number for number in numbers if positions[number] in within]

    @cached_property
    def _letters(self) -> tuple[list[str], NDArray[np.int64], NDArray[np.uint32]]:
        """The L lemmas in order, the length (L,) of each, and the set of its letters (L,)."""
        import numpy as np

        entries, _ = self._entries
        firsts = (entry[:-2] for entry in entries if entry.endswith(" 1"))  # every lemma has one
        lemmas = list(dict.fromkeys(firsts))  # `Earth` and `earth` are two entries of one synset
        lengths = np.array(list(map(len, lemmas)))
        bits = np.uint32(1) << (np.frombuffer("".join(lemmas).encode(), np.uint8) & np.uint32(31))
        return lemmas, lengths, np.bitwise_or.reduceat(bits, np.cumsum(lengths) - lengths)

    def _spelt_alike(self, text: str) -> list[str]:
        """Some hundreds of the 117,798 lemmas, and no lemma that is near enough is left out.

        An error changes the length by one at most, and takes at most one letter out of the set of
        letters and puts at most one in. Letters that share a bit only weaken the filter.
        """
        import numpy as np

        allowed = _errors_allowed(text)
        lemmas, lengths, sets = self._letters
        letters = np.uint32(functools.reduce(or_, (1 << (ord(letter) & 31) for letter in text)))
        near = np.abs(lengths - len(text)) <= allowed
        near &= np.bitwise_count(sets ^ letters) <= 2 * allowed
        return [lemmas[number] for number in np.flatnonzero(near)]


def suggest_lemmas(packed: PackedNouns, lemma: str) -> list[str]:
    """Up to five lemmas that an unknown one may be a misspelling of, with spaces.

    The nearest come first, then by the alphabet. One question is not worth an index.
    """
    allowed = _errors_allowed(lemma)
    words = packed.lower_words.decode("ascii").split()[::2]  # the others are sense numbers
    alike = {word for word in words if abs(len(word) - len(lemma)) <= allowed}
    return [near.replace("_", " ") for near, _ in _nearest(lemma, sorted(alike))[:5]]


def _errors_allowed(text: str) -> int:
    """How many errors a misspelling may have; short words are near to too many others."""
    return 0 if len(text) < 4 else 1 if len(text) < 8 else 2


def _nearest(text: str, lemmas: list[str]) -> list[tuple[str, int]]:
    """Of some lemmas those that a text may misspell, each with its distance, the nearest first.

    The optimal string alignment distance: how many letters are put in, left out or replaced, or
    change places with a neighbour, at least, where no letter is touched twice.
    """
    if not (allowed := _errors_allowed(text)):
        return []
    from rapidfuzz import process  # 30 ms that only an error should cost
    from rapidfuzz.distance import OSA

    near = process.extract(text, lemmas, scorer=OSA.distance, score_cutoff=allowed, limit=None)
    return [(lemma, int(distance)) for lemma, distance, _ in near]

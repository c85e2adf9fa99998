"""From a word to synsets: exact lookup, plurals, search and spelling suggestions.

All of it scans the packed text (1.8 MB, about a millisecond a scan), so no index is built or
loaded. Synsets are given by their position in wnid order. `nouns` offers it with synsets.
"""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Sense(NamedTuple):
    """A lemma's sense: its number from 1, the commonest first, and the synset's position."""

    number: int
    position: int


def normalise(text: str) -> str:
    """A lemma as the packed text has it: lower case, words joined by one underscore.

    >>> normalise("  Canis   familiaris ")
    'canis_familiaris'
    """
    return "_".join(text.lower().replace("_", " ").split())


def find_senses(packed: PackedNouns, lemma: str) -> list[Sense]:
    """Senses of a normalised lemma, the commonest first; none if there is no such lemma."""
    pattern = re.compile(re.escape(_encode(f"\t{lemma} ")) + rb"(\d+)")
    # a set, since a synset may hold a lemma in two spellings: `Earth` and `earth`
    senses = {Sense(int(match[1]), line) for match, line in _scan(packed, pattern)}
    return sorted(senses)


def find_singulars(packed: PackedNouns, lemma: str) -> list[str]:
    """Lemmas that a normalised plural may stand for: those of noun.exc, else by its ending."""
    start = packed.exceptions.find(_encode(f"\n{lemma} "))
    if start >= 0:
        line = packed.exceptions[start + 1 :].split(b"\n", 1)[0]
        return line.decode("ascii").split()[1:]
    return [lemma[: -len(end)] + stem for end, stem in _ENDINGS if lemma.endswith(end)]


def search_positions(packed: PackedNouns, lemma: str, *, limit: int) -> list[int]:
    """Synsets with a lemma that has a word starting with `lemma`, best first.

    Lemmas that start with it come before those with a later word that does; then the shorter
    lemma, the commoner sense, the lesser wnid. A synset is given once, by its best lemma.
    """
    pattern = re.compile(rb"[\t_-]" + re.escape(_encode(lemma)) + rb"[^ \t]* (\d+)")
    text = packed.lower_words
    best: dict[int, tuple[bool, int, int, int]] = {}
    for match, line in _scan(packed, pattern):
        start = text.rfind(b"\t", 0, match.start() + 1)
        length = match.start(1) - start
        key = (start != match.start(), length, int(match[1]), line)
        best[line] = min(key, best.get(line, key))
    return [key[-1] for key in heapq.nsmallest(limit, best.values())]


def suggest_lemmas(packed: PackedNouns, lemma: str) -> list[str]:
    """Up to five lemmas spelt much like an unknown one, the nearest first, with spaces.

    Candidates begin with the same letter or end on the same three, and differ in length by two
    letters at most: comparing with all 117,798 lemmas takes seconds.
    """
    from difflib import get_close_matches  # 3 ms that only an error should cost

    near = {
        word
        for word in map(bytes.decode, re.findall(rb"\t([^ ]+) ", packed.lower_words))
        if abs(len(word) - len(lemma)) <= 2 and (word[0] == lemma[:1] or word.endswith(lemma[-3:]))
    }
    close = get_close_matches(lemma, sorted(near), n=5, cutoff=0.75)
    return [word.replace("_", " ") for word in close]


def _encode(text: str) -> bytes:
    """Bytes to look for; what a shell gave us of a broken name is no reason to fail."""
    return text.encode("utf-8", "backslashreplace")


def _scan(packed: PackedNouns, pattern: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], int]]:
    """Matches in the lower-case text, each with the number of its line, the synset's position."""
    text = packed.lower_words
    line = counted = 0
    for match in pattern.finditer(text):
        line += text.count(b"\n", counted, match.start())
        counted = match.start()
        yield match, line

"""Definitions of synsets, read from a WordNet 3.0 that is installed; they are not shipped.

Looked for, in this order: the folder WNSEARCHDIR names, /usr/share/wordnet (Debian's package
wordnet-base), `corpora/wordnet` in the folders of NLTK_DATA and in ~/nltk_data.
"""

from __future__ import annotations

import functools
import os
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.errors import WordnetError
from imagetree.wordnet.lookup import normalise, split_words
from imagetree.wordnet.nouns import load_nouns
from imagetree.wordnet.synset import offset_of
from imagetree.wordnet.wndb import parse_noun

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOWHERE = array("i")


def gloss_of(wnid: str) -> str | None:
    """The definition of a synset, with its examples; None where no WordNet 3.0 is installed.

    The synset's offset is where its line begins. A line that does not begin with this offset, or
    that has other words, is of another version and not used.

    Raises:
        WordnetError: it is no wnid of a noun of WordNet 3.0.
    """
    synset = load_nouns().synset(wnid)
    for folder in _list_folders():
        line = _read_line(folder / "data.noun", offset_of(wnid))
        if not line.startswith(f"{wnid[1:]} "):
            continue
        try:
            record = parse_noun(line)
        except WordnetError:  # a damaged file is no reason to fail: a gloss is an extra
            continue
        if tuple(word.text.replace("_", " ") for word in record.words) == synset.lemmas:
            return record.gloss
    return None


def find_in_glosses(text: str) -> Iterator[int]:
    """Positions of the synsets whose glosses have all words of a text, the shorter gloss first.

    Of glosses of one length the lesser wnid comes first. Case does not matter. There are none
    where no WordNet 3.0 is installed. The first call reads all glosses, in one or two seconds.
    """
    words = split_words(normalise(text))
    for folder in _list_folders():
        order, holders = _load_index(folder / "data.noun")
        if order and words:
            rarest, *others = sorted((holders.get(word, _NOWHERE) for word in words), key=len)
            yield from (
                order[rank] for rank in rarest if all(_contains(ranks, rank) for ranks in others)
            )
            return


@functools.cache
def _load_index(path: Path) -> tuple[list[int], dict[str, array[int]]]:
    """Of a data.noun: positions by the length of their gloss, and by word where in that order.

    Both are empty where there is no WordNet 3.0; a file that is installed later is not seen.
    """
    glosses = dict(_iter_glosses(path))
    order = sorted(glosses, key=lambda position: (len(glosses[position]), position))
    holders: dict[str, array[int]] = {}
    for rank, position in enumerate(order):
        for word in set(split_words(glosses[position])):
            holders.setdefault(word, array("i")).append(rank)
    return order, holders


def _contains(ascending: array[int], value: int) -> bool:
    index = bisect_left(ascending, value)
    return index < len(ascending) and ascending[index] == value


def _iter_glosses(path: Path) -> Iterator[tuple[int, str]]:
    """Position and gloss in lower case of each synset whose line stands where 3.0 has it."""
    nouns = load_nouns()
    try:
        data = path.read_bytes()
    except OSError:
        return
    for position, wnid in enumerate(nouns.wnids):
        start = offset_of(wnid)
        line = data[start : data.find(b"\n", start)]
        lemma = nouns.synset_at(position).lemma.replace(" ", "_")
        if line.startswith(f"{wnid[1:]} ".encode()) and line[17:].startswith(f"{lemma} ".encode()):
            yield position, line.partition(b" | ")[2].decode("latin-1").lower()


def _list_folders() -> list[Path]:
    """Folders that may hold a data.noun; whether they exist is not checked."""
    nltk = [folder for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    named = os.environ.get("WNSEARCHDIR")
    return [
        *([Path(named)] if named else []),
        Path("/usr/share/wordnet"),
        *(Path(folder) / "corpora/wordnet" for folder in nltk),
        Path("~/nltk_data/corpora/wordnet").expanduser(),
    ]


def _read_line(path: Path, offset: int) -> str:
    """The line at a byte offset, empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.readline().decode("latin-1")
    except OSError:
        return ""

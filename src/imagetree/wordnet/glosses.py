"""Definitions of synsets, read from a WordNet 3.0 that is installed; they are not shipped.

Looked for, in this order: the folder WNSEARCHDIR names, /usr/share/wordnet (Debian's package
wordnet-base), `corpora/wordnet` in the folders of NLTK_DATA and in ~/nltk_data.
"""

from __future__ import annotations

import os
from pathlib import Path

from imagetree.errors import WordnetError
from imagetree.wordnet.nouns import load_nouns
from imagetree.wordnet.synset import offset_of
from imagetree.wordnet.wndb import parse_noun


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

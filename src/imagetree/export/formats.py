"""ImageNet's lists as text: of WordNet, and of the synsets and images of a database.

words.txt and wordnet.is_a.txt are rendered in `imagetree.wordnet`. Source of the forms: the files
and answers of image-net.org's API as they were until 2020, and Kaggle's LOC_synset_mapping.txt.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

from imagetree.errors import WordnetError
from imagetree.export.selection import Selection
from imagetree.export.structure import Release, iter_release_status, iter_structure
from imagetree.files import atomic_writer
from imagetree.wordnet import gloss_of, load_nouns, render_is_a, render_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from imagetree.database.store import Database


def render_glosses() -> str:
    """gloss.txt: all 82,115 synsets as `wnid<TAB>gloss`, sorted, without a final newline.

    Raises:
        WordnetError: no WordNet 3.0 is installed; glosses are not shipped.
    """
    lines = []
    for wnid in load_nouns().wnids:
        gloss = gloss_of(wnid)
        if gloss is None:
            raise WordnetError(
                f"{wnid}: has no gloss here (expected an installed WordNet 3.0)",
                hint="install it: the package wordnet-base of Debian and Ubuntu",
            )
        lines.append(f"{wnid}\t{gloss}")
    return "\n".join(lines)


def render_synset_list(wnids: Iterable[str]) -> str:
    r"""The answer of `imagenet.synset.obtain_synset_list`: a wnid a line, sorted.

    >>> render_synset_list(["n02121808", "n02084071"])
    'n02084071\nn02121808\n'
    """
    return "".join(f"{wnid}\n" for wnid in sorted(wnids))


def render_lemmas(wnid: str) -> str:
    r"""The answer of `wordnet.synset.getwords`: a lemma a line.

    Raises:
        WordnetError: it is no noun of WordNet 3.0.

    >>> render_lemmas("n02084071")
    'dog\ndomestic dog\nCanis familiaris\n'
    """
    return "".join(f"{lemma}\n" for lemma in load_nouns().synset(wnid).lemmas)


def render_hyponyms(wnid: str, *, full: bool = False) -> str:
    r"""The answer of `wordnet.structure.hyponym`: the synset, then `-` and a hyponym a line.

    Args:
        wnid: the synset.
        full: all below it, each once, sorted; else its direct hyponyms.

    Raises:
        WordnetError: it is no noun of WordNet 3.0.

    >>> render_hyponyms("n02121808").splitlines()[:2]
    ['n02121808', '-n02122298']
    """
    nouns = load_nouns()
    found, waiting = set(nouns.hyponyms(wnid)), list(nouns.hyponyms(wnid))
    while full and waiting:
        new = set(nouns.hyponyms(waiting.pop())) - found
        found |= new
        waiting += new
    return "".join([f"{wnid}\n", *(f"-{each}\n" for each in sorted(found))])


def render_synset_mapping(wnids: Iterable[str]) -> str:
    r"""LOC_synset_mapping.txt: `wnid words` a line, sorted.

    >>> render_synset_mapping(["n02084071"])
    'n02084071 dog, domestic dog, Canis familiaris\n'
    """
    nouns = load_nouns()
    return "".join(f"{wnid} {nouns.synset(wnid).words}\n" for wnid in sorted(wnids))


def render_class_index(wnids: Iterable[str]) -> str:
    """imagenet_class_index.json, as Keras and PyTorch's examples have it.

    By class index from 0 in the order of sorted wnids: the wnid, and its first lemma with
    underscores, which is no key, as two classes may share it.

    >>> render_class_index(["n02084071", "n01440764"])
    '{"0": ["n01440764", "tench"], "1": ["n02084071", "dog"]}'
    """
    nouns = load_nouns()
    return json.dumps(
        {
            str(index): [wnid, nouns.synset(wnid).lemma.replace(" ", "_")]
            for index, wnid in enumerate(sorted(wnids))
        }
    )


def iter_urls(
    database: Database, selection: Selection | None = None, *, separator: str = "\t"
) -> Iterator[str]:
    """The mapping from name to URL, a line each, for images that came from a list of URLs.

    Args:
        database: where the images are.
        selection: which; all if None.
        separator: a tab as in the list of a whole release, a space as in the answer of
            `imagenet.synset.geturls.getmapping`.
    """
    with closing((selection or Selection()).rows(database)) as rows:
        for row in rows:
            if row.path is not None and "://" in row.path:
                yield f"{row.name}{separator}{row.path}\n"


def write_lists(
    database: Database,
    folder: Path,
    selection: Selection | None = None,
    release: Release | None = None,
) -> tuple[Path, ...]:
    """Write every list of a release into a folder under the names that ImageNet gave them.

    gloss.txt is left out where no WordNet 3.0 is installed, urls.txt where no image has a URL.

    Returns:
        The files that were written.

    Raises:
        DatabaseError: there are no images.
        ImagetreeError: a file cannot be written.
    """
    counts = (selection or Selection()).counts(database)
    texts: dict[str, Iterable[str]] = {
        "words.txt": [render_words()],
        "wordnet.is_a.txt": [render_is_a()],
        "structure_released.xml": iter_structure(counts, release),
        "ReleaseStatus.xml": iter_release_status(counts, release),
        "synset_list.txt": [render_synset_list(counts)],
        "LOC_synset_mapping.txt": [render_synset_mapping(counts)],
        "imagenet_class_index.json": [render_class_index(counts)],
        "urls.txt": iter_urls(database, selection),
    }
    if gloss_of(next(iter(counts))) is not None:
        texts["gloss.txt"] = [render_glosses()]
    written = [_write(folder / name, texts[name]) for name in sorted(texts)]
    return tuple(path for path in written if path is not None)


def _write(path: Path, pieces: Iterable[str]) -> Path | None:
    """Write a text; nothing where it is empty."""
    remaining = iter(pieces)
    first = next(remaining, "")
    if not first:
        return None
    with atomic_writer(path) as file:
        file.write(first.encode())
        for piece in remaining:
            file.write(piece.encode())
    return path

"""The noun hierarchy of WordNet 3.0: synsets, hypernyms, hyponyms, paths, lookup by word.

It is a directed acyclic graph: 1,422 synsets have several hypernyms. By default a hypernym is what
WordNet's `@` points to ("is a kind of"), as in ImageNet; with `instances=True` also what `@i`
points to ("is an instance of"), without which 7,741 synsets such as Einstein have no way to entity.
No numpy here, so that one lookup is quick; questions about many synsets stand in `taxonomy`.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

from imagetree.errors import WordnetError
from imagetree.wordnet.lookup import (
    LemmaIndex,
    Sense,
    find_senses,
    find_singulars,
    normalise,
    parse_name,
    suggest_lemmas,
)
from imagetree.wordnet.packed import load_offsets31, load_packed
from imagetree.wordnet.synset import Synset, is_wnid, offset_of, wnid_of

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable

    from imagetree.wordnet.packed import PackedNouns

_LIKE_A_WNID = re.compile(r"[a-z][0-9]{6,}")


class Nouns:
    """The 82,115 noun synsets; get it by `load_nouns()`.

    Args:
        packed: the sections of a nouns.bin.
    """

    def __init__(self, packed: PackedNouns) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return len(self._packed.offsets)

    @functools.cached_property
    def wnids(self) -> tuple[str, ...]:
        """All wnids, sorted; a synset's position here is its index in arrays."""
        return tuple(map(wnid_of, self._packed.offsets))

    @functools.cached_property
    def lemma_index(self) -> LemmaIndex:
        """The index of all lemmas, for what is typed; its parts are built when first needed."""
        return LemmaIndex(self._packed)

    def index_of(self, wnid: str) -> int:
        """Position of a wnid among the sorted wnids, from 0.

        Raises:
            WordnetError: it is no wnid, or no noun of WordNet 3.0; an offset of 3.1 is named.

        >>> load_nouns().index_of("n00001740")
        0
        """
        offset = offset_of(wnid)
        offsets = self._packed.offsets
        index = bisect_left(offsets, offset)
        if index == len(offsets) or offsets[index] != offset:
            raise self._unknown(wnid)
        return index

    def synset_at(self, index: int) -> Synset:
        """The synset at a position from 0 among the sorted wnids."""
        pairs = [word.rsplit(" ", 1) for word in self._packed.lines[index].decode().split("\t")[1:]]
        lemmas = tuple(word.replace("_", " ") for word, _ in pairs)
        return Synset(wnid_of(self._packed.offsets[index]), lemmas, int(pairs[0][1]))

    def synset(self, wnid: str) -> Synset:
        """The synset of a wnid.

        Raises:
            WordnetError: as for `index_of`.

        >>> load_nouns().synset("n02084071").words
        'dog, domestic dog, Canis familiaris'
        """
        return self.synset_at(self.index_of(wnid))

    def __contains__(self, wnid: object) -> bool:
        if not isinstance(wnid, str) or not is_wnid(wnid):
            return False
        offsets, offset = self._packed.offsets, offset_of(wnid)
        index = bisect_left(offsets, offset)
        return index < len(offsets) and offsets[index] == offset

    def hypernyms(self, wnid: str, *, instances: bool = False) -> tuple[str, ...]:
        """Direct hypernyms in WordNet's order; with `instances` those by `@i` follow.

        Raises:
            WordnetError: as for `index_of`.

        >>> load_nouns().hypernyms("n02084071")
        ('n02083346', 'n01317541')
        """
        index = self.index_of(wnid)
        return self._wnids_at(self._hypernyms_at(index, instances=instances))

    def hyponyms(self, wnid: str, *, instances: bool = False) -> tuple[str, ...]:
        """Direct hyponyms, sorted by wnid; with `instances` also the instances of the synset.

        Raises:
            WordnetError: as for `index_of`.

        >>> load_nouns().hyponyms("n09917593")[:2]
        ('n09833441', 'n09883740')
        """
        index = self.index_of(wnid)
        found = self._hyponyms.get(index, [])
        if instances:
            found = sorted({*found, *self._instance_hyponyms.get(index, [])})
        return self._wnids_at(found)

    def paths_to_root(self, wnid: str, *, instances: bool = False) -> tuple[tuple[str, ...], ...]:
        """All ways down to the synset from where its hypernyms end, both ends included.

        Paths through an earlier hypernym (in WordNet's order) come first. All begin at entity,
        n00001740, but for an instance without `instances`, which stands alone.

        Raises:
            WordnetError: as for `index_of`.

        >>> load_nouns().paths_to_root("n00002137")
        (('n00001740', 'n00002137'),)
        """
        paths = self._paths_to(self.index_of(wnid), instances=instances)
        return tuple(map(self._wnids_at, paths))

    def shortest_path_to_root(self, wnid: str, *, instances: bool = False) -> tuple[str, ...]:
        """The shortest of `paths_to_root`, and the first of these.

        Raises:
            WordnetError: as for `index_of`.

        >>> [load_nouns().synset(wnid).lemma for wnid in load_nouns().shortest_path_to_root(
        ...     "n02121808")][-3:]
        ['animal', 'domestic animal', 'domestic cat']
        """
        return min(self.paths_to_root(wnid, instances=instances), key=len)

    def find(self, text: str) -> tuple[Synset, ...]:
        """Synsets that `text` names exactly: none, one or, for a word with several senses, more.

        Case does not matter, nor whether words are joined by spaces or underscores.

        Args:
            text: a wnid, a name such as `dog.n.01`, or a lemma; a lemma's senses come with the
                commonest first. Where there is no such lemma it is taken for a plural.

        >>> [synset.name for synset in load_nouns().find("Hot Dogs")]
        ['hotdog.n.01', 'hotdog.n.02', 'frank.n.02']
        """
        wnid = text.strip().lower()
        if is_wnid(wnid):
            return (self.synset(wnid),) if wnid in self else ()
        if (name := parse_name(text)) is not None:
            senses = find_senses(self._packed, name[0])
            return self._synsets(sense for sense in senses if sense.number == name[1])
        return self._synsets(self._senses_of(normalise(text)))

    def resolve(self, text: str) -> Synset:
        """The one synset that `text` means: by wnid, by name, or the first sense of a lemma.

        Raises:
            WordnetError: nothing is called so; the hint offers words of like spelling.

        >>> load_nouns().resolve("tabby cat").wnid, load_nouns().resolve("mice").name
        ('n02123045', 'mouse.n.01')
        """
        if found := self.find(text):
            return found[0]
        if _LIKE_A_WNID.fullmatch(text.strip().lower()):
            return self.synset(text.strip().lower())
        lemma = normalise(text)
        if (name := parse_name(text)) is not None:
            lemma, _ = name
            if senses := find_senses(self._packed, lemma):
                count = f"{senses[-1].number} senses" if len(senses) > 1 else "1 sense"
                raise WordnetError(f"{text!r}: the noun {lemma!r} has {count}")
        close = suggest_lemmas(self._packed, lemma)
        raise WordnetError(
            f"{text!r} is no noun of WordNet 3.0",
            hint=f"did you mean {', '.join(map(repr, close))}" if close else None,
        )

    def search(self, text: str, *, limit: int = 20) -> tuple[Synset, ...]:
        """Synsets for what someone types: at most `limit`, each once.

        First what `find` gives, in its order; then the rest as `search.search` ranks it, which
        also says by what a synset was found.

        >>> [synset.name for synset in load_nouns().search("zebra", limit=3)]
        ['zebra.n.01', 'zebrawood.n.01', 'zebrawood.n.02']
        """
        from imagetree.wordnet.search import search  # it stands above this module

        return tuple(hit.synset for hit in search(text, limit=limit))

    def from_wordnet31(self, wnid: str) -> Synset | None:
        """The 3.0 synset that a noun's wnid of WordNet 3.1 means, None if there is none.

        It is the one that shares most sense keys: lemma, lexicographer's file and lex_id.

        Raises:
            WordnetError: it has not the form of a noun's wnid.

        >>> load_nouns().from_wordnet31("n02086723").name
        'dog.n.01'
        """
        position = _offsets31().get(offset_of(wnid))
        if position is None:  # the table leaves out what is the same in both
            return self.synset(wnid) if wnid in self else None
        return self.synset_at(position) if position >= 0 else None

    def hypernym_arrays(self, *, instances: bool) -> tuple[array[int], array[int]]:
        """Starts (N + 1) and targets of all `@` edges, or of all `@i` edges, by position."""
        return self._packed.instance_hypernyms if instances else self._packed.hypernyms

    @functools.cached_property
    def _hyponyms(self) -> dict[int, list[int]]:
        return _invert(*self._packed.hypernyms)

    @functools.cached_property
    def _instance_hyponyms(self) -> dict[int, list[int]]:
        return _invert(*self._packed.instance_hypernyms)

    def _hypernyms_at(self, index: int, *, instances: bool) -> list[int]:
        starts, targets = self._packed.hypernyms
        found = list(targets[starts[index] : starts[index + 1]])
        if instances:
            starts, targets = self._packed.instance_hypernyms
            found += targets[starts[index] : starts[index + 1]]
        return found

    def _paths_to(self, index: int, *, instances: bool) -> list[tuple[int, ...]]:
        hypernyms = self._hypernyms_at(index, instances=instances)
        if not hypernyms:
            return [(index,)]
        return [
            (*path, index)
            for hypernym in hypernyms
            for path in self._paths_to(hypernym, instances=instances)
        ]

    def _wnids_at(self, indices: Iterable[int]) -> tuple[str, ...]:
        return tuple(wnid_of(self._packed.offsets[index]) for index in indices)

    def _senses_of(self, lemma: str) -> list[Sense]:
        """Senses of a lemma, else of the singulars that it may be the plural of."""
        if not lemma:
            return []
        if senses := find_senses(self._packed, lemma):
            return senses
        singulars = find_singulars(self._packed, lemma)
        return [sense for word in singulars if word for sense in find_senses(self._packed, word)]

    def _synsets(self, senses: Iterable[Sense]) -> tuple[Synset, ...]:
        positions = dict.fromkeys(sense.position for sense in senses)
        return tuple(map(self.synset_at, positions))

    def _unknown(self, wnid: str) -> WordnetError:
        """The error for a well-formed wnid that is not in WordNet 3.0."""
        offset = offset_of(wnid)
        if offset not in _offsets31():
            return WordnetError(f"{wnid} is no noun synset of WordNet 3.0")
        hint = "ImageNet is built on WordNet 3.0; translate the wnids of 3.1 first"
        meant = self.from_wordnet31(wnid)
        if meant is None:
            return WordnetError(
                f"{wnid} is an offset of WordNet 3.1; WordNet 3.0 has no such synset", hint=hint
            )
        return WordnetError(
            f"{wnid} is an offset of WordNet 3.1; "
            f"in WordNet 3.0 this synset is {meant.wnid} ({meant.words})",
            hint=hint,
        )


@functools.cache
def load_nouns() -> Nouns:
    """The nouns that come with the package, read once.

    Raises:
        WordnetError: the file is missing or damaged.

    >>> len(load_nouns())
    82115
    """
    return Nouns(load_packed())


@functools.cache
def _offsets31() -> dict[int, int]:
    return load_offsets31()


def _invert(starts: array[int], targets: array[int]) -> dict[int, list[int]]:
    """Sources of each target, ascending."""
    sources: dict[int, list[int]] = {}
    for source, (start, end) in enumerate(pairwise(starts)):
        for target in targets[start:end]:
            sources.setdefault(target, []).append(source)
    return sources

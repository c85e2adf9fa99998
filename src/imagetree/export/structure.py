"""ImageNet's structure_released.xml and ReleaseStatus.xml.

The structure is the graph unfolded to a tree: a synset below two hypernyms stands below both, with
all that is below it. Under the root stand the eight great branches, and a dummy "Misc". Source: the
two files of the Fall 2011 release, whose figures `whole=True` gives back: 60,942 nodes, 12 levels
below the root, 8,855,783 characters; only the order of the nodes under Misc is another there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from imagetree.wordnet import gloss_of, load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BRANCHES = (
    "n00017222",  # plant
    "n09287968",  # geological formation
    "n00019128",  # natural object
    "n00523513",  # sport
    "n00021939",  # artifact
    "n12992868",  # fungus
    "n00007846",  # person
    "n00015388",  # animal
)
"""The first level under the root, in ImageNet's order."""

MAX_LEVELS = 12
"""Below the root; deeper synsets are not in the published file."""


@dataclass(frozen=True)
class Release:
    """What a release is called.

    Args:
        name: as `releaseData` has it.
        root: in place of a wnid at the root.
        misc: in place of a wnid at "Misc".
        title: words of the root.
    """

    name: str = "fall2011"
    root: str = "fall11"
    misc: str = "fa11misc"
    title: str = "ImageNet 2011 Fall Release"


def iter_structure(
    wnids: Iterable[str], release: Release | None = None, *, whole: bool = False
) -> Iterator[str]:
    """structure_released.xml, piece by piece.

    A synset that lies under no branch stands right below Misc, with what is below it. Edges are
    WordNet's `@` alone. Glosses are empty where no WordNet 3.0 is installed.

    Args:
        wnids: the synsets of the release.
        release: its names; Fall 2011's if None.
        whole: as ImageNet published it: all that WordNet has below the branches, whether it is in
            the release or not, down to MAX_LEVELS. Else only what has a synset of the release at
            or below it, however deep.

    Raises:
        WordnetError: a wnid is no noun of WordNet 3.0.
    """
    release = release or Release()
    listed = sorted(set(wnids))
    above = _ancestors_or_self(listed)
    tree = _Unfolding(None if whole else frozenset().union(*above.values()), MAX_LEVELS)
    misc = [wnid for wnid in listed if above[wnid].isdisjoint(BRANCHES)]
    yield f"<ImageNetStructure>\n\t<releaseData>{_text(release.name)}</releaseData>\n"
    yield _opening(release.root, release.title, f"{release.title}.")
    for branch in BRANCHES:
        if tree.has(branch):
            yield from tree.pieces(branch, 1)
    if misc:
        what = "Miscellaneous synsets not in the major subtrees in the"
        yield _opening(release.misc, "Misc", f"{what} {release.title}.")
        for wnid in misc:
            yield from tree.pieces(wnid, 2)
        yield _CLOSING
    yield f"{_CLOSING}</ImageNetStructure>\n"


def iter_release_status(counts: Mapping[str, int], release: Release | None = None) -> Iterator[str]:
    """ReleaseStatus.xml, line by line: how many images each synset has, sorted by wnid.

    Args:
        counts: images by wnid.
        release: its names; Fall 2011's if None. Every synset is said to be of this release.
    """
    name = (release or Release()).name
    yield f"<ReleaseStatus>\n<releaseData>{_text(name)}</releaseData>\n<images>\n<synsetInfos>\n"
    for wnid, number in sorted(counts.items()):
        facts = f'released="1" version={quoteattr(name)} numImages="{number}"'
        yield f'<synset wnid="{wnid}" {facts}/>\n'
    yield "</synsetInfos>\n</images>\n</ReleaseStatus>\n"


_CLOSING = "</synset>"


class _Unfolding:
    """The graph as a tree; what is written of a synset is made once, however often it stands."""

    def __init__(self, kept: frozenset[str] | None, max_levels: int) -> None:
        self._kept = kept  # None for all
        self._max_levels = max_levels
        self._openings: dict[str, str] = {}
        self._children: dict[str, tuple[str, ...]] = {}

    def has(self, wnid: str) -> bool:
        return self._kept is None or wnid in self._kept

    def pieces(self, wnid: str, level: int) -> Iterator[str]:
        """A synset and all below it; `level` is its own, that of the root being 0."""
        if wnid not in self._openings:
            words = load_nouns().synset(wnid).words
            self._openings[wnid] = _opening(wnid, words, gloss_of(wnid) or "")
            hyponyms = load_nouns().hyponyms(wnid)
            self._children[wnid] = tuple(each for each in hyponyms if self.has(each))
        yield self._openings[wnid]
        if self._kept is not None or level < self._max_levels:
            for child in self._children[wnid]:
                yield from self.pieces(child, level + 1)
        yield _CLOSING


def _ancestors_or_self(wnids: Iterable[str]) -> dict[str, frozenset[str]]:
    """What is above each synset by `@`, itself included; for all that are met on the way."""
    found: dict[str, frozenset[str]] = {}

    def visit(wnid: str) -> frozenset[str]:
        if wnid not in found:
            found[wnid] = frozenset({wnid}).union(*map(visit, load_nouns().hypernyms(wnid)))
        return found[wnid]

    for wnid in wnids:
        visit(wnid)
    return found


def _opening(wnid: str, words: str, gloss: str) -> str:
    """An opening tag, as published: an attribute that holds a double quote is in single ones."""
    return f"<synset wnid={quoteattr(wnid)} words={quoteattr(words)} gloss={quoteattr(gloss)} >\n"


def _text(text: str) -> str:
    return quoteattr(text)[1:-1]

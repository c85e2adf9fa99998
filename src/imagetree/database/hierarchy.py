"""The part of WordNet that has images: which synsets, how they hang together, and their counts.

Counts are over sets: an image below two hypernyms counts once in each of them and once in what is
above both. `tree` gives the graph as it is, `unfold` as a tree that can be shown.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.database.closure import ROOT, ancestors_or_self, hypernyms
from imagetree.database.counting import Totals, current_totals
from imagetree.errors import DatabaseError
from imagetree.wordnet import load_nouns, taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from imagetree.database.store import Database


@dataclass(frozen=True)
class TreeNode:
    """A synset that has images of its own or below it.

    Args:
        wnid: the synset.
        words: its lemmas, joined by commas.
        num_own: images of its own.
        num_subtree: images of its own and of all below it, each once.
        num_synsets: synsets with images, itself and all below it, each once.
        children: those of its direct hyponyms that are nodes, sorted; also where depth cuts them.
        parents: its direct hypernyms in WordNet's order; all of them are nodes of the whole tree.
    """

    wnid: str
    words: str
    num_own: int
    num_subtree: int
    num_synsets: int
    children: tuple[str, ...]
    parents: tuple[str, ...]

    @property
    def lemma(self) -> str:
        """The first of its words."""
        return self.words.split(", ")[0]

    @property
    def parent_lemmas(self) -> tuple[str, ...]:
        """The first word of each parent."""
        return tuple(load_nouns().synset(parent).lemma for parent in self.parents)


def tree(
    database: Database, root: str | None = None, depth: int | None = None
) -> dict[str, TreeNode]:
    """The synsets with images and everything above them, down from a root.

    Args:
        database: whose images are counted.
        root: where to begin; None for entity, above everything.
        depth: how many edges below the root to go, by the shortest way; None for all.

    Returns:
        Nodes by wnid, the root first, then level by level, siblings sorted by wnid; empty where
        there are no images at all.

    Raises:
        WordnetError: the root is no noun of WordNet 3.0.
        DatabaseError: there are images, but none in the root or below it.
    """
    nouns = load_nouns()
    root = nouns.synset(root or ROOT).wnid
    with database.reading() as connection:
        totals = current_totals(database, connection)
    if not totals.images[0]:
        return {}
    if not totals.images[nouns.index_of(root)]:
        raise DatabaseError(
            f"{database.place}: no images of {root} ({nouns.synset(root).words})",
            hint=f"go up to {', '.join(hypernyms(root))}, or import images of it",
        )
    return {
        wnid: _node(wnid, children, totals) for wnid, children in _iter_levels(root, totals, depth)
    }


def nodes_of(database: Database, wnids: Iterable[str]) -> tuple[TreeNode, ...]:
    """Some synsets as nodes, in the order given, those without images too.

    Raises:
        WordnetError: one of the wnids is no noun of WordNet 3.0.
    """
    with database.reading() as connection:
        totals = current_totals(database, connection)
    return tuple(_node(wnid, _children(wnid, totals), totals) for wnid in wnids)


def _node(wnid: str, children: tuple[str, ...], totals: Totals) -> TreeNode:
    index = load_nouns().index_of(wnid)
    return TreeNode(
        wnid=wnid,
        words=load_nouns().synset(wnid).words,
        num_own=int(totals.own[index]),
        num_subtree=int(totals.images[index]),
        num_synsets=int(totals.synsets[index]),
        children=children,
        parents=hypernyms(wnid),
    )


def _children(wnid: str, totals: Totals) -> tuple[str, ...]:
    """Its direct hyponyms that have images at or below them, sorted."""
    nouns = load_nouns()
    below = nouns.hyponyms(wnid, instances=True)
    return tuple(sorted(each for each in below if totals.images[nouns.index_of(each)]))


@dataclass(frozen=True)
class Branch:
    """A node as it is shown in a tree.

    Args:
        node: the node.
        is_again: it stands in the tree before, below another hypernym; what is below it is shown
            there alone.
        branches: what is below it.
    """

    node: TreeNode
    is_again: bool
    branches: tuple[Branch, ...]


def unfold(nodes: Mapping[str, TreeNode], *, all_nodes: bool = False) -> Branch:
    """The graph as a tree: a node below two hypernyms stands below both.

    Args:
        nodes: as `tree` gives them; at least one.
        all_nodes: keep nodes that have a single child and no images; they are passed over if not.
    """
    return _branch(nodes, _shown(nodes, next(iter(nodes)), all_nodes), set(), all_nodes)


def _shown(nodes: Mapping[str, TreeNode], wnid: str, all_nodes: bool) -> str:
    """The node itself, or the first below it that has something to tell."""
    node = nodes[wnid]
    while not all_nodes and len(node.children) == 1 and not node.num_own:
        node = nodes[node.children[0]]
    return node.wnid


def _branch(nodes: Mapping[str, TreeNode], wnid: str, seen: set[str], all_nodes: bool) -> Branch:
    node, is_again = nodes[wnid], wnid in seen
    seen.add(wnid)
    # Two chains that were passed over may end in the same node: it stands here once.
    below = dict.fromkeys(_shown(nodes, each, all_nodes) for each in node.children)
    shown = () if is_again else below
    return Branch(node, is_again, tuple(_branch(nodes, each, seen, all_nodes) for each in shown))


def interesting_root(database: Database) -> str:
    """The lowest synset that has all images at or below it: where looking at them best begins.

    Of several lowest ones the one with most synsets above it is taken, then the lesser wnid.
    Entity, where there are no images.
    """
    with database.reading() as connection:
        totals = current_totals(database, connection)
    whole = np.flatnonzero(totals.images == totals.images[0]) if totals.images[0] else [0]
    common = taxonomy.wnids_at(np.asarray(whole))
    return min(common, key=lambda wnid: (-len(ancestors_or_self(wnid)), wnid))


def _iter_levels(
    root: str, totals: Totals, depth: int | None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Synsets and their children, level by level, each synset at its first level only."""
    seen = {root: 0}
    waiting = deque([root])
    while waiting:
        wnid = waiting.popleft()
        children = _children(wnid, totals)
        yield wnid, children
        for child in children:
            if child not in seen and (depth is None or seen[wnid] < depth):
                seen[child] = seen[wnid] + 1
                waiting.append(child)

"""Questions about many synsets at once, on integer arrays: closures, depths, heights, costs.

A synset is its index, the position among the 82,115 sorted wnids (`Nouns.index_of`), where a
function says `index`; else a wnid. Edges are WordNet's `@` ("is a kind of") as in ImageNet's
wordnet.is_a.txt; with `instances=True` also `@i` ("is an instance of"). Without these 7,741
synsets, instances such as Einstein, do not lie under entity and have depth -1. The hierarchy is a
directed acyclic graph: ancestors and descendants are sets, each member counted once whatever the
number of ways to it. Arrays that are cached are read-only.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imagetree.errors import WordnetError
from imagetree.wordnet.nouns import load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    IntArray = NDArray[np.integer]

_ROOT = 0  # entity, n00001740, is also the first in wnid order


def indices_of(wnids: Iterable[str]) -> NDArray[np.int32]:
    """Indices of wnids, in their order; int32 (K,).

    Raises:
        WordnetError: one is no noun of WordNet 3.0.

    >>> indices_of(["n00001930", "n00001740"])
    array([1, 0], dtype=int32)
    """
    nouns = load_nouns()
    return np.array([nouns.index_of(wnid) for wnid in wnids], dtype=np.int32)


def wnids_at(indices: IntArray) -> tuple[str, ...]:
    """Wnids of indices, in their order."""
    wnids = load_nouns().wnids
    return tuple(wnids[index] for index in indices.tolist())


def ancestors(index: int, *, instances: bool = False) -> NDArray[np.int32]:
    """Indices of all hypernyms' hypernyms, the synset itself left out; ascending.

    >>> wnids_at(ancestors(load_nouns().index_of("n00002684")))
    ('n00001740', 'n00001930')
    """
    return _reach(index, _edges(instances=instances).up)


def descendants(index: int, *, instances: bool = False) -> NDArray[np.int32]:
    """Indices of all hyponyms' hyponyms, the synset itself left out; ascending.

    >>> len(descendants(load_nouns().index_of("n02084071")))  # kinds of dog
    189
    """
    return _reach(index, _edges(instances=instances).down)


@functools.cache
def min_depth(*, instances: bool = False) -> NDArray[np.int16]:
    """Fewest edges down from entity to each synset, -1 where there is no way; int16 (N,)."""
    depth = np.full(len(load_nouns()), -1, dtype=np.int16)
    down = _edges(instances=instances).down
    level, nodes = 0, np.array([_ROOT])
    while len(nodes):
        depth[nodes] = level
        nodes = np.unique(_expand(down, nodes)[1])
        nodes = nodes[depth[nodes] < 0]
        level += 1
    return _frozen(depth)


@functools.cache
def max_depth(*, instances: bool = False) -> NDArray[np.int16]:
    """Most edges down from entity to each synset, -1 where there is no way; int16 (N,)."""
    return _frozen(_longest_ways(np.array([_ROOT]), _edges(instances=instances).down))


@functools.cache
def height(*, instances: bool = False) -> NDArray[np.int16]:
    """Most edges from each synset down to a leaf, 0 for a leaf; int16 (N,).

    >>> int(height()[load_nouns().index_of("n00001740")])
    19
    """
    edges = _edges(instances=instances)
    leaves = np.flatnonzero(np.diff(edges.down.starts) == 0)
    return _frozen(_longest_ways(leaves, edges.up))


def lowest_common_hypernyms(*wnids: str, instances: bool = False) -> tuple[str, ...]:
    """All minimal common hypernyms of some synsets: none of them lies above another.

    A synset counts as its own hypernym, so for a dog and an animal it is the animal.

    Args:
        wnids: one or more.
        instances: follow `@i` edges as well.

    Returns:
        Wnids, of least height first, then sorted; empty where nothing is common.

    Raises:
        WordnetError: no wnid is given, or one is no noun of WordNet 3.0.

    >>> [load_nouns().synset(wnid).words for wnid in lowest_common_hypernyms(
    ...     "n02085620", "n02123045")]  # Chihuahua and tabby
    ['domestic animal, domesticated animal', 'carnivore']
    """
    if not wnids:
        raise WordnetError("no synset is given to find common hypernyms of")
    members = np.unique(indices_of(wnids))
    _, above = _closure_pairs(members, instances=instances)
    common = np.flatnonzero(np.bincount(above, minlength=1) == len(members))
    beaten = np.unique(_expand(_edges(instances=instances).up, common)[1])
    lowest = np.setdiff1d(common, beaten)
    return wnids_at(lowest[np.argsort(height(instances=instances)[lowest], kind="stable")])


def hierarchical_cost(wnids: Sequence[str], *, instances: bool | None = None) -> NDArray[np.int16]:
    """Cost of answering one synset for another: the least height among their common ancestors.

    A synset counts as its own ancestor; heights are those in the whole of WordNet.

    Args:
        wnids: of K classes, in the order of rows and columns.
        instances: whether `@i` edges count too. If None they do only where a class does not lie
            under entity by `@` alone, as sun, an instance of star: ImageNet's 21,841 synsets hold
            four such, ILSVRC's classes none.

    Returns:
        Cost in tree levels, symmetric, 0 for the same synset; int16 (K, K).

    Raises:
        WordnetError: a wnid is no noun of WordNet 3.0, or two have no common ancestor.

    Source: ILSVRC2010 development kit, readme.txt "hierarchical criteria", cost_matrix.
    >>> hierarchical_cost(["n02085620", "n02123045", "n02084071"])  # Chihuahua, tabby, dog
    array([[0, 6, 5],
           [6, 0, 6],
           [5, 6, 0]], dtype=int16)
    """
    members, rows = np.unique(indices_of(wnids), return_inverse=True)
    if instances is None:
        instances = bool(np.any(min_depth()[members] < 0))
    cost = _cost_of_members(members, instances=instances)
    if len(members) and (missing := np.argwhere(cost < 0)).size:
        first, second = wnids_at(members[missing[0]])
        raise WordnetError(
            f"{first} and {second} have no common hypernym, so no cost",
            hint="follow instance edges, or leave synsets out that are instances",
        )
    same_order = len(members) == len(rows) and bool(np.all(np.diff(rows) > 0))
    return cost if same_order else cost[np.ix_(rows, rows)]


def closure(wnids: Iterable[str], *, instances: bool = False) -> tuple[str, ...]:
    """The synsets and all their ancestors, each once, sorted by wnid.

    Raises:
        WordnetError: one is no noun of WordNet 3.0.

    >>> closure(["n00002684", "n00002137"])
    ('n00001740', 'n00001930', 'n00002137', 'n00002684')
    """
    members = np.unique(indices_of(wnids))
    return wnids_at(np.unique(_closure_pairs(members, instances=instances)[1]))


def subtree_sums(values: IntArray, *, instances: bool = False) -> NDArray[np.int64]:
    """For every synset the sum of its own value and those of its descendants, each once.

    Args:
        values: of all synsets by index; integers (N,).
        instances: count an instance under what it is an instance of.

    Returns:
        Sums by index; int64 (N,).

    Raises:
        WordnetError: there is not one value for each synset.

    >>> images = np.zeros(len(load_nouns()), dtype=int)
    >>> images[load_nouns().index_of("n13878634")] = 5  # square, under two kinds of polygon
    >>> int(subtree_sums(images)[0])
    5
    """
    if values.shape != (len(load_nouns()),):
        raise WordnetError(
            f"subtree sums: one value for each synset (expected shape ({len(load_nouns())},), "
            f"got {values.shape})"
        )
    table = _ancestor_table(instances=instances)
    sums = np.zeros(len(values), dtype=np.int64)
    np.add.at(sums, table.ancestors, np.repeat(values.astype(np.int64)[table.nodes], table.lengths))
    return sums


class _Adjacency(NamedTuple):
    """Neighbours of node i are targets[starts[i]:starts[i + 1]]; int32 (N + 1,) and (E,)."""

    starts: NDArray[np.int32]
    targets: NDArray[np.int32]


class _Edges(NamedTuple):
    """Every edge twice: up to hypernyms, down to hyponyms."""

    up: _Adjacency
    down: _Adjacency


@functools.cache
def _edges(*, instances: bool) -> _Edges:
    sources, targets = _load_edges(instances=False)
    if instances:
        more_sources, more_targets = _load_edges(instances=True)
        sources = np.concatenate([sources, more_sources])
        targets = np.concatenate([targets, more_targets])
    return _Edges(_adjacency(sources, targets), _adjacency(targets, sources))


def _load_edges(*, instances: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Hyponym and hypernym of each `@` edge, or of each `@i` edge."""
    starts, targets = load_nouns().hypernym_arrays(instances=instances)
    ends = np.frombuffer(starts, dtype=np.int32)
    counts = ends[1:] - ends[:-1]
    sources = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return sources, np.frombuffer(targets, dtype=np.int32)


def _adjacency(sources: NDArray[np.int32], targets: NDArray[np.int32]) -> _Adjacency:
    counts = np.bincount(sources, minlength=len(load_nouns()))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return _Adjacency(starts, targets[np.argsort(sources, kind="stable")])


def _expand(adjacency: _Adjacency, nodes: IntArray) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """All neighbours of nodes, and for each the position of the node it is a neighbour of."""
    first = adjacency.starts[nodes]
    counts = adjacency.starts[nodes + 1] - first
    which = np.repeat(np.arange(len(nodes)), counts)
    before = np.cumsum(counts) - counts  # neighbours listed ahead of each node's own
    return which, adjacency.targets[np.arange(len(which)) + (first - before)[which]]


def _reach(index: int, adjacency: _Adjacency) -> NDArray[np.int32]:
    """All nodes that a way of one edge or more leads to, ascending."""
    levels = [np.empty(0, dtype=np.int32)]
    nodes = adjacency.targets[adjacency.starts[index] : adjacency.starts[index + 1]]
    while len(nodes):
        levels.append(nodes)
        nodes = np.unique(_expand(adjacency, nodes)[1])
    return np.unique(np.concatenate(levels))


def _longest_ways(sources: IntArray, adjacency: _Adjacency) -> NDArray[np.int16]:
    """Length of the longest way to each node from any of the sources, -1 if there is none."""
    lengths = np.full(len(adjacency.starts) - 1, -1, dtype=np.int16)
    length, nodes = 0, sources
    while len(nodes):
        lengths[nodes] = length  # a longer way overwrites
        nodes = np.unique(_expand(adjacency, nodes)[1])
        length += 1
    return lengths


class _AncestorTable(NamedTuple):
    """Every synset's ancestors and itself, each once, in rows one after the other.

    Row k is of nodes[k], has lengths[k] entries and begins at starts[nodes[k]] of `ancestors`.
    """

    nodes: NDArray[np.int32]
    lengths: NDArray[np.int64]
    starts: NDArray[np.int64]
    ancestors: NDArray[np.int32]


@functools.cache
def _ancestor_table(*, instances: bool) -> _AncestorTable:
    """Level by level from the top: a row is the synset and the rows of its hypernyms."""
    up, down = _edges(instances=instances)
    num_nouns = len(load_nouns())
    level = _longest_ways(np.flatnonzero(np.diff(up.starts) == 0), down)
    order = np.argsort(level, kind="stable").astype(np.int32)
    starts, lengths = np.zeros(num_nouns, np.int64), np.zeros(num_nouns, np.int64)
    rows = np.empty(0, np.int32)
    for nodes in np.split(order, np.cumsum(np.bincount(level))[:-1]):
        which, parents = _expand(up, nodes)
        above = np.repeat(which, lengths[parents])
        ancestors = rows[_ranges(starts[parents], lengths[parents])]
        pairs = np.concatenate([np.arange(len(nodes)), above]) * num_nouns
        pairs = np.unique(pairs + np.concatenate([nodes, ancestors]))
        lengths[nodes] = np.bincount(pairs // num_nouns, minlength=len(nodes))
        starts[nodes] = len(rows) + np.cumsum(lengths[nodes]) - lengths[nodes]
        rows = np.concatenate([rows, (pairs % num_nouns).astype(np.int32)])
    return _AncestorTable(order, lengths[order], starts, rows)


def _ranges(starts: IntArray, lengths: IntArray) -> NDArray[np.int64]:
    """The numbers starts[i], ..., starts[i] + lengths[i] - 1 for each i, one after the other."""
    before: NDArray[np.int64] = np.cumsum(lengths) - lengths
    places: NDArray[np.int64] = np.repeat(starts - before, lengths)
    return np.arange(len(places)) + places


def _closure_pairs(
    members: IntArray, *, instances: bool
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Every (position in members, ancestor or self) once, sorted by both."""
    table = _ancestor_table(instances=instances)
    num_rows = np.zeros(len(table.starts), np.int64)
    num_rows[table.nodes] = table.lengths
    lengths = num_rows[members]
    which = np.repeat(np.arange(len(members)), lengths)
    return which, table.ancestors[_ranges(table.starts[members], lengths)]


def _cost_of_members(members: NDArray[np.int32], *, instances: bool) -> NDArray[np.int16]:
    """Costs between sorted, distinct synsets, -1 where two have no common ancestor."""
    which, above = _closure_pairs(members, instances=instances)
    order = np.argsort(above, kind="stable")
    nodes, first = np.unique(above[order], return_index=True)
    below = np.split(which[order], first[1:])  # members under each ancestor
    levels = height(instances=instances)[nodes]
    cost = np.full((len(members), len(members)), -1, dtype=np.int16)
    for i in np.argsort(-levels, kind="stable"):  # the least height is written last
        if len(below[i]) > 1:
            cost[np.ix_(below[i], below[i])] = levels[i]
    np.fill_diagonal(cost, 0)
    return cost


def _frozen(array: NDArray[np.int16]) -> NDArray[np.int16]:
    array.setflags(write=False)
    return array

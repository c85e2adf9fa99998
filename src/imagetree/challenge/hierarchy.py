"""The classes of a challenge with all that is above them, as arrays that the metrics share.

A label is a class or one of its ancestors: the classes come first, in their own order, then the
ancestors by wnid. Heights are those in the whole of WordNet, and edges are followed as
`taxonomy.hierarchical_cost` follows them, so that every figure agrees with the official costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import ChallengeError
from imagetree.wordnet.taxonomy import ancestors, height, indices_of, min_depth, wnids_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_KEPT = 4  # hierarchies in memory; that of ILSVRC's thousand classes has 16 MB


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Classes and their ancestors. Arrays are read-only.

    Args:
        labels: wnids, the K classes first, then their ancestors; L in all.
        num_classes: K.
        heights: longest way down to a leaf of WordNet, in levels; int16 (L,).
        is_above: [i, j], whether label j is label i or one of its ancestors; bool (L, L).
    """

    labels: tuple[str, ...]
    num_classes: int
    heights: NDArray[np.int16]
    is_above: NDArray[np.bool_]

    @cached_property
    def common(self) -> NDArray[np.int16]:
        """The lowest common hypernym of each class and each label, as a label; int16 (K, L).

        Of several the one of least height, and of those with the same height the first wnid. A
        synset counts as its own hypernym.

        Raises:
            ChallengeError: a class and a label have nothing in common.
        """
        common = np.full((self.num_classes, len(self.labels)), -1, dtype=np.int16)
        by_wnid = sorted(range(len(self.labels)), key=self.labels.__getitem__, reverse=True)
        order = sorted(by_wnid, key=lambda label: -int(self.heights[label]))
        for label in order:  # the least height is written last, and in it the first wnid
            below = np.flatnonzero(self.is_above[:, label])
            common[np.ix_(below[below < self.num_classes], below)] = label
        if (common < 0).any():
            first, second = (self.labels[i] for i in np.argwhere(common < 0)[0])
            raise ChallengeError(f"{first} and {second} have no common hypernym")
        return _frozen(common)

    @cached_property
    def cost(self) -> NDArray[np.int16]:
        """Cost of answering a label for a class, in levels; int16 (K, L).

        The height of their lowest common hypernym, 0 where they are the same. Its first K columns
        are `taxonomy.hierarchical_cost`.

        Source: ILSVRC2010 development kit, readme.txt "hierarchical criteria".
        """
        cost = self.heights[self.common]
        np.fill_diagonal(cost, 0)
        return _frozen(cost)

    @property
    def max_cost(self) -> int:
        """What no guess costs: as much as the worst answer that names a class."""
        return int(self.cost[:, : self.num_classes].max())

    @cached_property
    def information(self) -> NDArray[np.float64]:
        """What a label says of an image, in bits; float64 (L,).

        log2 of the number of classes, less log2 of how many lie under the label: 0 for one that is
        above all, log2 K for a class.
        """
        num_below = self.is_above[: self.num_classes].sum(axis=0)
        information: NDArray[np.float64] = np.log2(self.num_classes) - np.log2(num_below)
        information.setflags(write=False)
        return information


@lru_cache(maxsize=_KEPT)
def hierarchy_of(wnids: tuple[str, ...]) -> Hierarchy:
    """The hierarchy above some classes.

    Args:
        wnids: of the classes, each once, in the order of their class indices.

    Raises:
        ChallengeError: there is no class, or one is there twice.
        WordnetError: a wnid is no noun of WordNet 3.0.

    >>> dog_and_cat = hierarchy_of(("n02085620", "n02123045"))  # Chihuahua, tabby
    >>> dog_and_cat.cost[:, :2].tolist(), len(dog_and_cat.labels)
    ([[0, 6], [6, 0]], 21)
    """
    classes = indices_of(wnids)
    if not len(classes) or len(np.unique(classes)) < len(classes):
        raise ChallengeError("a hierarchy needs classes, each of them once")
    instances = bool(np.any(min_depth()[classes] < 0))  # as hierarchical_cost has it
    chains = {index: ancestors(index, instances=instances) for index in classes.tolist()}
    above = np.setdiff1d(np.concatenate(list(chains.values())), classes)
    chains |= {index: ancestors(index, instances=instances) for index in above.tolist()}
    nodes = np.concatenate([classes, above])
    position = np.zeros(int(nodes.max()) + 1, dtype=np.int64)
    position[nodes] = np.arange(len(nodes))
    is_above = np.eye(len(nodes), dtype=np.bool_)
    for row, index in enumerate(nodes.tolist()):
        is_above[row, position[chains[index]]] = True
    is_above.setflags(write=False)
    heights = height(instances=instances)[nodes]
    return Hierarchy(wnids_at(nodes), len(classes), _frozen(heights), is_above)


def truth_of(labels: Sequence[str], wnids: Sequence[str]) -> NDArray[np.int64]:
    """Class index of each of some wnids; int64 (N,).

    Args:
        labels: a wnid for each image.
        wnids: of the classes.

    Raises:
        ChallengeError: a label is no class.

    >>> truth_of(["n00000002"], ["n00000001", "n00000002"])
    array([1])
    """
    class_index = {wnid: index for index, wnid in enumerate(wnids)}
    try:
        return np.array([class_index[label] for label in labels], dtype=np.int64)
    except KeyError as error:
        raise ChallengeError(f"{error.args[0]!r} is no class of the challenge") from None


def _frozen(array: NDArray[np.int16]) -> NDArray[np.int16]:
    array.setflags(write=False)
    return array

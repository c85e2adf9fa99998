"""Answers at the level that the network is sure of: hedging, majority subtree, Pareto list.

An answer is a synset at or above the classes, and it is right if the image's class is it or lies
under it. Its probability is the sum over the classes under it, each once whatever the number of
ways down; its information is log2 of the number of classes less log2 of how many lie under it. Of
synsets above the same classes, such as a chain of single children, the lower is the answer; what is
equal otherwise goes by wnid.

DARTS answers with the synset of the greatest (information + multiplier) x probability. A greater
multiplier answers higher up and is right more often; the least that keeps a promised accuracy on
held-out images gives the most information for it. Paper and code bisect for it. As a function of
the multiplier each of these products is a line, so the answers of an image change at the corners of
the lines' upper envelope alone: these are walked along here, and the accuracy is known for every
multiplier, exactly.

Source: Deng, Krause, Berg and Fei-Fei, Hedging your bets: optimizing accuracy-specificity
trade-offs in large scale visual recognition, CVPR 2012, sections 3 and 4 (algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imagetree.challenge.hierarchy import hierarchy_of
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK = 512  # images whose probabilities of all nodes are in memory at once
_ROUNDING = 1e-12  # sums of the same classes in another order differ by less
_KEPT = 4  # trees in memory; that of ILSVRC's thousand classes has 10 MB


@dataclass(frozen=True, eq=False)
class AnswerTree:
    """All possible answers: one synset for each set of classes that lie under one.

    Args:
        wnids: of the V nodes, rising.
        is_under: [k, v], whether class k is node v or lies under it; bool (K, V).
        information: of each node in bits; float64 (V,).
        heights: longest way down to a leaf of WordNet, in levels; int16 (V,).
        root: the lowest node that all classes lie under.
        class_nodes: the node of each class; int64 (K,).
    """

    wnids: tuple[str, ...]
    is_under: NDArray[np.bool_]
    information: NDArray[np.float64]
    heights: NDArray[np.int16]
    root: int
    class_nodes: NDArray[np.int64]

    @cached_property
    def _below(self) -> NDArray[np.float64]:
        return self.is_under.astype(np.float64)

    @property
    def max_information(self) -> float:
        """Of a class under which no other lies: log2 of the number of classes."""
        return float(np.log2(len(self.is_under)))

    def node_probabilities(
        self, probabilities: NDArray[np.floating]
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Which images, and the probability of each node for them, some images at a time.

        Args:
            probabilities: of the classes; (N, K).
        """
        for start in range(0, len(probabilities), _CHUNK):
            part = slice(start, start + _CHUNK)
            yield part, probabilities[part].astype(np.float64) @ self._below


@lru_cache(maxsize=_KEPT)
def answer_tree(wnids: tuple[str, ...]) -> AnswerTree:
    """The possible answers of a network.

    Args:
        wnids: of its classes, in the order of its outputs.

    Raises:
        ChallengeError: there is no class, or one is there twice.
        WordnetError: a wnid is no noun of WordNet 3.0.

    >>> answer_tree(("n02085620", "n02123045")).wnids  # Chihuahua, tabby; both are carnivores
    ('n01317541', 'n02085620', 'n02123045')
    """
    hierarchy = hierarchy_of(wnids)
    below = hierarchy.is_above[: len(wnids)]
    same: dict[bytes, list[int]] = {}
    for label in sorted(range(len(hierarchy.labels)), key=hierarchy.labels.__getitem__):
        same.setdefault(below[:, label].tobytes(), []).append(label)
    # the lowest of a chain has the least height; of equals the first is taken, which wnids order
    lowest = [min(labels, key=lambda label: hierarchy.heights[label]) for labels in same.values()]
    nodes = np.array(sorted(lowest, key=hierarchy.labels.__getitem__))
    is_under = below[:, nodes]
    node_of = {below[:, node].tobytes(): index for index, node in enumerate(nodes.tolist())}
    class_nodes = [node_of[below[:, k].tobytes()] for k in range(len(wnids))]
    return AnswerTree(
        tuple(hierarchy.labels[node] for node in nodes.tolist()),
        is_under,
        hierarchy.information[nodes],
        hierarchy.heights[nodes],
        int(is_under.all(axis=0).argmax()),
        np.array(class_nodes, dtype=np.int64),
    )


def hedge(
    tree: AnswerTree, probabilities: NDArray[np.floating], multiplier: float
) -> NDArray[np.int64]:
    """The node of the greatest (information + multiplier) x probability for each image.

    Args:
        tree: the possible answers.
        probabilities: of the classes, calibrated; (N, K).
        multiplier: lambda of DARTS, in bits, at least 0; infinity answers the root.

    Returns:
        Nodes; int64 (N,).
    """
    answers = np.full(len(probabilities), tree.root, dtype=np.int64)
    if np.isfinite(multiplier):
        for part, of_nodes in tree.node_probabilities(probabilities):
            answers[part] = ((tree.information + multiplier) * of_nodes).argmax(axis=1)
    return answers


def majority_subtree(tree: AnswerTree, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """The most specific node that is likelier than not, for each image.

    Most specific is of the most information, then likelier, then by wnid.

    Args:
        tree: the possible answers.
        probabilities: of the classes; (N, K).

    Returns:
        Nodes with a probability above 0.5; int64 (N,). A row of zeros gives the root.
    """
    answers = np.empty(len(probabilities), dtype=np.int64)
    for part, of_nodes in tree.node_probabilities(probabilities):
        information = np.where(of_nodes > 0.5, tree.information, -1.0)
        is_best = information == information.max(axis=1, keepdims=True)
        answers[part] = np.where(is_best, of_nodes, -1.0).argmax(axis=1)
        answers[part][~of_nodes.any(axis=1)] = tree.root
    return answers


def pareto_list(tree: AnswerTree, probabilities: NDArray[np.floating]) -> tuple[int, ...]:
    """The nodes for one image that no other beats in probability and information.

    One beats another that is neither less likely nor less informative and better in one; of two
    that are equal in both the first wnid is listed.

    Args:
        tree: the possible answers.
        probabilities: of the classes for one image; (K,).

    Returns:
        Nodes from the most informative up to the root.
    """
    [(_, of_nodes)] = tree.node_probabilities(probabilities[None])
    # those of more information first, of the same the likelier, then the first wnid
    order = np.lexsort((-of_nodes[0], -tree.information))
    rising = of_nodes[0, order]
    best_before = np.concatenate([[0.0], np.maximum.accumulate(rising)[:-1]])
    return tuple(order[rising > best_before + _ROUNDING].tolist())


class Turn(NamedTuple):
    """How the accuracy on some images depends on the multiplier.

    Args:
        multipliers: at which an answer becomes right or wrong, rising, the first 0; float64 (M,).
        accuracies: of all answers from there to the next one; float64 (M,).
    """

    multipliers: NDArray[np.float64]
    accuracies: NDArray[np.float64]

    def least_multiplier(self, accuracy: float) -> float:
        """The least multiplier from which on the accuracy is kept, in bits.

        Accuracy grows with the multiplier but for the chance in a few images; where it dips below
        the promise once more, the multiplier is the one behind the last dip.

        Args:
            accuracy: promised, in (0, 1].

        Returns:
            The multiplier; infinity where only the root keeps the promise.

        Raises:
            TrainingError: it is not in (0, 1].
        """
        check_accuracy(accuracy)
        short = np.flatnonzero(self.accuracies < accuracy - 1e-12)
        if not len(short):
            return 0.0
        if short[-1] + 1 == len(self.accuracies):  # wrong, and no other node is likelier at all
            return float("inf")
        # at the corner itself both answers are as good, and the wnid decides: go just beyond it
        return float(np.nextafter(self.multipliers[short[-1] + 1], np.inf) * (1 + 1e-9))


def accuracy_by_multiplier(
    tree: AnswerTree, probabilities: NDArray[np.floating], truth: NDArray[np.int64]
) -> Turn:
    """The accuracy of hedged answers for every multiplier.

    Args:
        tree: the possible answers.
        probabilities: of the classes, calibrated; (N, K), rows' sums 1.
        truth: class index of each image; int64 (N,).

    Raises:
        TrainingError: there is no image.
    """
    if not len(truth):
        raise TrainingError("no image to find the multiplier on")
    at: list[NDArray[np.float64]] = []
    changes: list[NDArray[np.int64]] = []
    for part, of_nodes in tree.node_probabilities(probabilities):
        for multiplier, change in _walk(tree, of_nodes, tree.is_under[truth[part]]):
            at.append(multiplier)
            changes.append(change)
    multipliers, place = np.unique(np.concatenate(at), return_inverse=True)
    gained = np.bincount(place, weights=np.concatenate(changes), minlength=len(multipliers))
    return Turn(multipliers, gained.cumsum() / len(truth))


def _walk(
    tree: AnswerTree, of_nodes: NDArray[np.float64], is_right: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Along the upper envelopes of the images' lines: where answers change, and by how much.

    The value of node v is information[v] p[v] + multiplier p[v]. From node to node the slope p
    rises, so a walk ends at the root at the latest.

    Args:
        tree: the possible answers.
        of_nodes: probability of each; float64 (N, V).
        is_right: whether it is the truth or above it; bool (N, V).

    Yields:
        For some images the multiplier, and 1 where the answer becomes right, -1 where wrong.
    """
    at_zero = tree.information * of_nodes
    images = np.arange(len(of_nodes))
    # of equal values the steeper line is the answer just beyond
    is_best = at_zero == at_zero.max(axis=1, keepdims=True)
    node = np.where(is_best, of_nodes, -1.0).argmax(axis=1)
    yield np.zeros(len(images)), is_right[images, node].astype(np.int64)
    while len(images):
        slope = of_nodes[images, node][:, None]
        steeper = of_nodes[images] - slope
        is_steeper = steeper > _ROUNDING  # else it is the same line
        behind = at_zero[images, node][:, None] - at_zero[images]
        where = np.divide(behind, steeper, out=np.full_like(steeper, np.inf), where=is_steeper)
        multiplier = where.min(axis=1)
        goes_on = np.isfinite(multiplier)
        images, where, multiplier = images[goes_on], where[goes_on], multiplier[goes_on]
        # of lines that meet in one corner the steepest is the answer behind it
        is_next = where <= multiplier[:, None]
        following = np.where(is_next, of_nodes[images], -1.0).argmax(axis=1)
        change = is_right[images, following].astype(np.int64) - is_right[images, node[goes_on]]
        node = following
        yield np.maximum(multiplier, 0.0), change


def check_accuracy(accuracy: float) -> None:
    """Refuse to promise what is no accuracy.

    Raises:
        TrainingError: it is not in (0, 1].
    """
    if not 0 < accuracy <= 1:
        raise TrainingError(f"accuracy: cannot promise {accuracy} (expected above 0, at most 1)")

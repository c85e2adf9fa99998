"""What do these images have in common? The deepest synsets that enough of them are kinds of.

The coverage of a synset is the expected share of the images that show it: the mean over images of
the probability that the image's class is the synset or lies under it (the expectation of a sum of
indicators, whatever their dependence). Where the labels are known each probability is 0 or 1, and
the coverage is the share itself; then, asked for all images, the answer is their lowest common
hypernyms. Coverage only grows upwards, so what answers is minimal: enough images are covered, and
under it is nothing of which this holds.

Information is measured against the classes that could have been: log2 of their number less log2 of
how many lie under the synset. What all classes are, has none, and is no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import TrainingError
from imagetree.wordnet import load_nouns
from imagetree.wordnet.taxonomy import ancestors, indices_of, min_depth, subtree_sums, wnids_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_ROUNDING = 1e-9  # 0.8 of ten images are eight of them


@dataclass(frozen=True)
class Concept:
    """A synset that enough images have in common.

    Args:
        wnid: of the synset.
        words: of the synset, as ImageNet writes them.
        information: in bits.
        coverage: expected share of the images that show it.
        outside: positions of the images that rather do not: with a probability of at most 0.5.
    """

    wnid: str
    words: str
    information: float
    coverage: float
    outside: tuple[int, ...]


@dataclass(frozen=True)
class Common:
    """What N images have in common.

    Args:
        concepts: by information x coverage, the greatest first; empty where there is nothing.
        everything: words of the lowest synsets that all classes are kinds of, which say nothing.
        num_classes: that could have been.
        share: of the images that was asked for.
    """

    concepts: tuple[Concept, ...]
    everything: tuple[str, ...]
    num_classes: int
    share: float


def common_concepts(
    probabilities: NDArray[np.floating],
    wnids: Sequence[str],
    share: float,
    *,
    classes: Sequence[str] | None = None,
) -> Common:
    """All minimal synsets that cover enough of some images.

    Args:
        probabilities: of the classes that the images may be; (N, K), N >= 1.
        wnids: of these; K of them, each once.
        share: of the images that is enough, in (0, 1].
        classes: all that information is measured against; `wnids` if None.

    Raises:
        TrainingError: there is no image, or the share is not in (0, 1].
        WordnetError: a wnid is no noun of WordNet 3.0.
    """
    if not 0 < share <= 1:
        raise TrainingError(f"share: {share} (expected above 0, at most 1)")
    if not len(probabilities):
        raise TrainingError("no image to find a common concept of")
    universe = indices_of(wnids if classes is None else classes)
    members = indices_of(wnids)
    instances = bool((min_depth()[universe] < 0).any() or (min_depth()[members] < 0).any())
    nodes, is_under = _closure(members, instances=instances)
    of_nodes = probabilities.astype(np.float64) @ is_under
    coverage = of_nodes.mean(axis=0)
    num_below = _num_below(universe, instances=instances)
    lowest = _minimal(nodes[coverage >= share - _ROUNDING], instances=instances)
    concepts = []
    for node in lowest.tolist():
        if num_below[node] < len(universe):
            column = int(np.searchsorted(nodes, node))
            concepts.append(
                Concept(
                    wnid=load_nouns().wnids[node],
                    words=load_nouns().synset_at(node).words,
                    information=float(np.log2(len(universe) / num_below[node])),
                    coverage=min(1.0, float(coverage[column])),
                    outside=tuple(np.flatnonzero(of_nodes[:, column] <= 0.5).tolist()),
                )
            )
    concepts.sort(key=lambda each: (-each.information * each.coverage, each.wnid))
    shared = _minimal(np.flatnonzero(num_below == len(universe)), instances=instances)
    everything = tuple(load_nouns().synset(wnid).words for wnid in wnids_at(shared))
    return Common(tuple(concepts), everything, len(universe), share)


def common_of_labels(labels: Sequence[str], share: float, classes: Sequence[str]) -> Common:
    """All minimal synsets common to enough of some labelled images; see `common_concepts`.

    Args:
        labels: wnid of each image.
        share: of the images that is enough, in (0, 1].
        classes: all that information is measured against; with the labels among them.

    Raises:
        TrainingError: there is no image, or the share is not in (0, 1].
        WordnetError: a wnid is no noun of WordNet 3.0.

    >>> dogs = ["n02085620", "n02099601", "n02123045"]  # Chihuahua, golden retriever, tabby
    >>> [each.words for each in common_of_labels(dogs, 0.6, dogs).concepts]
    ['dog, domestic dog, Canis familiaris']
    """
    members = sorted(set(labels))
    rows = np.eye(len(members))[[members.index(label) for label in labels]]
    return common_concepts(rows.reshape(len(labels), len(members)), members, share, classes=classes)


def _closure(
    members: NDArray[np.int32], *, instances: bool
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The synsets and all above them, rising; and whether each is under, 0 or 1 (K, V)."""
    chains = [np.append(ancestors(each, instances=instances), each) for each in members.tolist()]
    nodes = np.unique(np.concatenate(chains)).astype(np.int32)
    is_under = np.zeros((len(members), len(nodes)))
    for row, chain in enumerate(chains):
        is_under[row, np.searchsorted(nodes, chain)] = 1.0
    return nodes, is_under


def _num_below(universe: NDArray[np.int32], *, instances: bool) -> NDArray[np.int64]:
    """How many classes each synset of WordNet is, or has under it."""
    is_class = np.zeros(len(load_nouns()), dtype=np.int64)
    is_class[universe] = 1
    return subtree_sums(is_class, instances=instances)


def _minimal(
    nodes: NDArray[np.int32] | NDArray[np.int64], *, instances: bool
) -> NDArray[np.int32] | NDArray[np.int64]:
    """The synsets that lie above no other of them."""
    above = [ancestors(node, instances=instances) for node in nodes.tolist()]
    return np.setdiff1d(nodes, np.concatenate(above)) if above else nodes

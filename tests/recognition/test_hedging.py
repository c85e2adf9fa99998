"""Hedging: against sums over sets, argmaxes and scans that are written out image by image."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imagetree.errors import TrainingError
from imagetree.recognition.hedge_score import flat_answers, score_answers, try_halves
from imagetree.recognition.hedging import (
    accuracy_by_multiplier,
    answer_tree,
    hedge,
    majority_subtree,
    pareto_list,
)
from imagetree.recognition.temperature import find_temperature, soften
from imagetree.wordnet import load_nouns
from imagetree.wordnet.taxonomy import closure

from ..conftest import shared_path

# Chihuahua, golden retriever, tabby, Persian cat, tench, square (under two kinds of polygon)
WNIDS = ("n02085620", "n02099601", "n02123045", "n02123394", "n01440764", "n13878634")
DOG, CARNIVORE, TENCH, ENTITY = "n02084071", "n02075296", "n01440764", "n00001740"


def below(node: str, wnids=WNIDS) -> set[str]:
    return {wnid for wnid in wnids if node in closure([wnid], instances=True)}


def drawn(count: int, wnids=WNIDS, seed: int = 0):
    """Probabilities, and truths that are drawn from them."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(len(wnids), 0.4), count)
    truth = (probabilities.cumsum(1) < random.random((count, 1))).sum(1)
    return probabilities, truth.clip(max=len(wnids) - 1)


def test_nodes_are_the_lowest_of_each_set_of_classes() -> None:
    """Each set that lies under a synset has one node, under which no synset has the same set."""
    tree = answer_tree(WNIDS)
    above = closure(WNIDS)
    assert {frozenset(below(node)) for node in above} == {
        frozenset(below(node)) for node in tree.wnids
    }
    assert len({frozenset(below(node)) for node in tree.wnids}) == len(tree.wnids)
    for node in tree.wnids:
        lower = [w for w in above if w != node and node in closure([w]) and below(w)]
        assert all(below(each) != below(node) for each in lower)
    assert tree.wnids[tree.root] == ENTITY
    assert list(tree.wnids) == sorted(tree.wnids)


def test_square_counts_once_under_two_hypernyms() -> None:
    """Node probabilities are sums over sets, not over ways."""
    tree = answer_tree(WNIDS)
    probabilities, _ = drawn(5)
    [(_, of_nodes)] = tree.node_probabilities(probabilities)
    for column, node in enumerate(tree.wnids):
        members = [WNIDS.index(wnid) for wnid in sorted(below(node))]
        np.testing.assert_allclose(of_nodes[:, column], probabilities[:, members].sum(1))
        assert tree.information[column] == pytest.approx(math.log2(6) - math.log2(len(members)))
    np.testing.assert_allclose(of_nodes[:, tree.root], 1)


@pytest.mark.parametrize("multiplier", [0.0, 0.7, 3.0, 50.0])
def test_answer_is_the_best_of_all_nodes(multiplier) -> None:
    """f(x) = argmax (I(v) + multiplier) p(v), written out."""
    tree = answer_tree(WNIDS)
    probabilities, _ = drawn(50)
    found = hedge(tree, probabilities, multiplier)
    under = {node: below(node) for node in tree.wnids}
    for row, answer in zip(probabilities, found, strict=True):
        values = {}
        for node in tree.wnids:
            members = under[node]
            p = sum(row[WNIDS.index(wnid)] for wnid in members)
            values[node] = (math.log2(6 / len(members)) + multiplier) * p
        assert values[tree.wnids[answer]] == pytest.approx(max(values.values()))


def test_sure_and_unsure_images() -> None:
    """Sure of a class: the class. Torn between two dogs: dog. Of everything: the root."""
    tree = answer_tree(WNIDS)
    rows = np.array([[0.97, 0.01, 0.01, 0.01, 0, 0], [0.5, 0.48, 0.01, 0.01, 0, 0], [1 / 6] * 6])
    assert [tree.wnids[each] for each in hedge(tree, rows, 2.5)] == ["n02085620", DOG, ENTITY]
    assert [tree.wnids[each] for each in hedge(tree, rows, math.inf)] == [ENTITY] * 3


def test_one_child_chain_answers_the_lower() -> None:
    """Nothing but the tench lies under fish; the answer is never cyprinid or fish."""
    tree = answer_tree(WNIDS)
    fish = set(closure([TENCH])) - set(closure(set(WNIDS) - {TENCH}))
    assert len(fish) > 3
    assert fish & set(tree.wnids) == {TENCH}


def test_class_above_a_class() -> None:
    """Where dog itself is a class, a Chihuahua is one of two that lie under it."""
    wnids = (DOG, "n02085620", "n02123045")
    tree = answer_tree(wnids)
    assert [tree.wnids[each] for each in tree.class_nodes] == list(wnids)
    dog = tree.wnids.index(DOG)
    assert tree.is_under[:, dog].tolist() == [True, True, False]
    assert tree.information[dog] == pytest.approx(math.log2(3 / 2))


def test_instance_lies_under_what_it_is_an_instance_of() -> None:
    """Sun is an instance of star; with it the whole tree follows instances."""
    sun, square = "n09450163", "n13878634"
    assert load_nouns().synset(sun).lemma == "sun"
    tree = answer_tree((square, sun))
    assert tree.wnids[tree.root] == ENTITY


def test_ties_go_by_wnid() -> None:
    tree = answer_tree(WNIDS)
    row = np.array([[0.5, 0, 0, 0, 0.5, 0]])
    assert tree.wnids[hedge(tree, row, 0.0)[0]] == min("n02085620", TENCH)


def test_one_class() -> None:
    tree = answer_tree((DOG,))
    assert tree.wnids == (DOG,)
    score = score_answers(tree, hedge(tree, np.ones((3, 1)), 0.0), np.zeros(3, np.int64))
    assert (score.accuracy, score.information) == (1.0, 0.0)


def test_accuracy_is_known_for_every_multiplier() -> None:
    """Between the corners of the envelopes the answers are those of the argmax, to the image."""
    tree = answer_tree(WNIDS)
    probabilities, truth = drawn(700)
    turn = accuracy_by_multiplier(tree, probabilities, truth)
    ends = np.append(turn.multipliers[1:], turn.multipliers[-1] + 1)
    for low, high, accuracy in zip(turn.multipliers, ends, turn.accuracies, strict=True):
        if high - low > 1e-7:
            answers = hedge(tree, probabilities, (low + high) / 2)
            assert tree.is_under[truth, answers].mean() == pytest.approx(accuracy, abs=1e-12)
    assert turn.accuracies[-1] == 1.0


@pytest.mark.parametrize("accuracy", [0.7, 0.9, 0.95, 1.0])
def test_least_multiplier_that_keeps_the_promise(accuracy) -> None:
    """It keeps it, and any multiplier that is a little less does not."""
    tree = answer_tree(WNIDS)
    probabilities, truth = drawn(700, seed=4)
    multiplier = accuracy_by_multiplier(tree, probabilities, truth).least_multiplier(accuracy)

    def reached(at: float) -> float:
        return tree.is_under[truth, hedge(tree, probabilities, at)].mean()

    assert multiplier > 0
    assert reached(multiplier) >= accuracy
    assert reached(multiplier * (1 - 1e-6)) < accuracy


def test_promises_without_a_price_and_without_hope() -> None:
    """0 where the flat answers keep it; infinity where a wrong one has all the probability."""
    tree = answer_tree(WNIDS)
    sure = np.eye(6)[[0, 1]]
    assert accuracy_by_multiplier(tree, sure, np.array([0, 1])).least_multiplier(1.0) == 0.0
    hopeless = accuracy_by_multiplier(tree, sure, np.array([0, 2])).least_multiplier(1.0)
    assert hopeless == math.inf
    assert tree.is_under[[0, 2], hedge(tree, sure, hopeless)].all()


@pytest.mark.parametrize("accuracy", [0.0, -1.0, 1.01, math.nan])
def test_what_cannot_be_promised(accuracy) -> None:
    tree = answer_tree(WNIDS)
    turn = accuracy_by_multiplier(tree, *drawn(5))
    with pytest.raises(TrainingError, match="expected above 0, at most 1"):
        turn.least_multiplier(accuracy)


def test_majority_subtree_is_the_most_specific_above_half() -> None:
    tree = answer_tree(WNIDS)
    probabilities, _ = drawn(300)
    [(_, of_nodes)] = tree.node_probabilities(probabilities)
    for row, answer in zip(of_nodes, majority_subtree(tree, probabilities), strict=True):
        likely = [node for node in range(len(row)) if row[node] > 0.5]
        assert row[answer] > 0.5
        assert tree.information[answer] == max(tree.information[node] for node in likely)


def test_pareto_list_has_all_that_no_other_beats() -> None:
    tree = answer_tree(WNIDS)
    probabilities, _ = drawn(60)
    [(_, of_nodes)] = tree.node_probabilities(probabilities)
    for row, p in zip(probabilities, of_nodes, strict=True):
        listed = pareto_list(tree, row)
        points = {(round(float(p[v]), 7), tree.information[v]) for v in range(len(p))}
        unbeaten = {
            (a, b)
            for a, b in points
            if not any((c >= a and d >= b) and (c, d) != (a, b) for c, d in points)
        }
        assert {(round(float(p[v]), 7), tree.information[v]) for v in listed} == unbeaten
        assert listed[-1] == tree.root
        assert len(listed) == len(unbeaten)


def test_score_is_counted_by_hand() -> None:
    """Information counts for right answers alone; flat answers are classes."""
    tree = answer_tree(WNIDS)
    answers = np.array([tree.wnids.index(node) for node in (DOG, "n02123045", ENTITY, DOG)])
    score = score_answers(tree, answers, np.array([0, 2, 4, 4]))
    assert score.accuracy == 0.75
    assert score.information == pytest.approx((math.log2(3) + math.log2(6)) / 4 / math.log2(6))
    assert sum(score.num_by_height.values()) == 4
    assert score.interval.low <= 0.75 <= score.interval.high
    rows, _ = drawn(20)
    flat = [tree.wnids[each] for each in flat_answers(tree, rows)]
    assert flat == [WNIDS[each] for each in rows.argmax(1)]


@pytest.mark.slow
def test_halves_keep_95_percent_on_the_thousand_classes() -> None:
    """Probabilities too sure of themselves, as a trained network's: kept in halves."""
    wnids = tuple(shared_path("facts", "ilsvrc2012_wnids.txt").read_text().split())
    tree = answer_tree(wnids)
    random = np.random.default_rng(2)
    logits = random.normal(0, 1, (3000, len(wnids)))
    truth = random.integers(0, len(wnids), 3000)
    logits[np.arange(3000), truth] += random.normal(4, 2, 3000)
    powers = np.exp(3 * logits)
    probabilities = powers / powers.sum(1, keepdims=True)
    for half in try_halves(tree, probabilities, truth, 0.95):
        assert half.hedged.interval.low <= 0.95 <= half.hedged.interval.high
        assert half.found.temperature > 1
        assert half.flat.accuracy == pytest.approx(half.flat.information)
        assert half.hedged.num_images == 1500
    temperature = find_temperature(probabilities, truth)
    answers = hedge(tree, soften(probabilities, temperature), half.found.multiplier)
    assert 0.9 < tree.is_under[truth, answers].mean() < 1

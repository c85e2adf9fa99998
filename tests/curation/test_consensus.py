"""The promised precision is reached, by fewer votes than any fixed rule; the tables by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from consensus import fixed_rule, measure, run_consensus, simulate_votes
from imagetree.curation.consensus import (
    ConsensusConfig,
    Decision,
    decide,
    learn_table,
    score_voter,
    votes_needed,
)
from imagetree.errors import DatabaseError

EASY = [(10, 0)] * 10 + [(0, 10)] * 90
HARD = [(8, 2), (7, 3), (6, 4), (9, 1), (7, 3)] * 2 + [(3, 7), (2, 8), (1, 9), (4, 6), (2, 8)] * 18


def density(table, points=20000):
    """Rates on a fine grid, and the images at each by the table's weights."""
    rates = (np.arange(points) + 0.5) / points
    degree = len(table.weights) - 1
    kernels = [
        weight * (degree + 1) * math.comb(degree, j) * rates**j * (1 - rates) ** (degree - j)
        for j, weight in enumerate(table.weights)
    ]
    return rates, sum(kernels) / points


def test_table_without_a_sample_by_hand():
    """One image evenly over all rates, four over the lower half: integrals of p and p squared.

    After two yes: 7/24 above one half; 1/24 below; 4 * 2 * 1/24 against.
    """
    table = learn_table([])
    assert table.confidence(0, 0) == pytest.approx((1 / 2) / (1 + 4))
    assert table.confidence(1, 0) == pytest.approx((3 / 8) / (1 / 2 + 8 / 8))
    assert table.confidence(2, 0) == pytest.approx((7 / 24) / (8 / 24 + 8 / 24))
    assert table.confidence(0, 1) == pytest.approx((1 / 8) / (1 / 2 + 8 * 3 / 8))
    assert [table.confidence_against(0, n) for n in range(9)] == pytest.approx(
        [table.confidence(n, 0) for n in range(9)]
    )
    decisions = [decide(table, n, 0) for n in (10, 11)]
    assert decisions == [Decision.OPEN, Decision.ACCEPTED]


@pytest.mark.parametrize("sample", [EASY, HARD, [(7, 4)]], ids=["easy", "hard", "one image"])
@pytest.mark.parametrize(("num_yes", "num_no"), [(0, 0), (1, 2), (4, 0), (12, 9)])
def test_entries_are_the_integrals_over_the_rates(sample, num_yes, num_no):
    """Held against sums over a grid of 20,000 rates."""
    table = learn_table(sample)
    rates, number = density(table)
    votes = rates**num_yes * (1 - rates) ** num_no
    above, below = ((number * votes)[half].sum() for half in (rates > 0.5, rates < 0.5))
    against, also = (8 * votes[half].sum() / len(rates) for half in (rates < 0.5, rates > 0.5))
    assert table.confidence(num_yes, num_no) == pytest.approx(
        above / (above + below + against), rel=1e-4
    )
    assert table.confidence_against(num_yes, num_no) == pytest.approx(
        below / (above + below + also), rel=1e-4
    )


def test_table_agrees_with_the_subsets_of_the_samples_votes():
    """Of three of an image's ten votes k are yes as often as counting all subsets says."""
    chosen = random.Random(5)
    rates = [chosen.betavariate(2, 5) for _ in range(2000)]
    sample = [(k, 10 - k) for k in (sum(chosen.random() < r for _ in range(10)) for r in rates)]
    rates, number = density(learn_table(sample))
    for k in range(4):
        subsets = [math.comb(y, k) * math.comb(n, 3 - k) / math.comb(10, 3) for y, n in sample]
        modelled = (number * math.comb(3, k) * rates**k * (1 - rates) ** (3 - k)).sum()
        assert modelled == pytest.approx(sum(subsets), rel=0.02)


counts = st.tuples(st.integers(0, 15), st.integers(0, 15)).map(lambda kn: (kn[0] + 5, kn[1] + 5))


@settings(max_examples=30, deadline=None)
@given(st.lists(counts, max_size=30))
def test_confidence_rises_with_yes_and_falls_with_no(sample):
    """Whatever the sample was; and the opposite the other way round."""
    table = learn_table(sample)
    for num_yes in range(0, 30, 3):
        for num_no in range(0, 30, 3):
            here = table.confidence(num_yes, num_no)
            assert table.confidence(num_yes + 1, num_no) >= here
            assert table.confidence(num_yes, num_no + 1) <= here
            against = table.confidence_against(num_yes, num_no)
            assert table.confidence_against(num_yes + 1, num_no) <= against
            assert table.confidence_against(num_yes, num_no + 1) >= against
            assert here + against < 1


def test_order_of_the_sample_changes_nothing():
    """The table is the same to the last bit."""
    shuffled = random.Random(3).sample(HARD, len(HARD))
    assert shuffled != HARD
    assert learn_table(shuffled) == learn_table(HARD)


def test_every_sampled_image_is_in_the_table():
    """The weights add up to the sample and the imagined image; a tenth of them are matches."""
    for sample in (EASY, HARD):
        table = learn_table(sample)
        assert (table.num_images, sum(table.weights)) == (100, pytest.approx(101))
        assert table.share_of_matches == pytest.approx(0.1, abs=0.02)


def test_hard_synsets_need_more_votes():
    """Five in agreement on the easy one are not enough on the hard one."""
    easy, hard = learn_table(EASY), learn_table(HARD)
    assert all(easy.confidence(k, m) > hard.confidence(k, m) for k, m in [(3, 0), (5, 1), (10, 2)])
    assert votes_needed(easy, 0, 0) < votes_needed(hard, 0, 0)


def test_a_small_sample_is_less_sure():
    """Ten unanimous images and a hundred of the same shares."""
    small = learn_table([(10, 0)] + [(0, 10)] * 9)
    assert all(small.confidence(k, 0) < learn_table(EASY).confidence(k, 0) for k in range(1, 12))


def test_majority_of_ten_is_not_taken_for_the_truth():
    """Six of ten, where others have five and four: the sample says little of which are matches."""
    table = learn_table([(6, 4)] * 10 + [(5, 5)] * 10 + [(4, 6)] * 80)
    assert 0.2 < table.confidence(6, 4) < 0.8


def test_decisions_and_votes_still_needed():
    """Open until a threshold is passed; undecided at the most votes; nothing is needed then."""
    table, config = learn_table(EASY), ConsensusConfig(max_votes=12)
    assert decide(table, 0, 0, config) is Decision.OPEN
    assert decide(table, 7, 0, config) is Decision.ACCEPTED
    assert decide(table, 0, 2, config) is Decision.REJECTED
    assert decide(table, 6, 5, config) is Decision.OPEN
    assert decide(table, 6, 6, config) is Decision.UNDECIDED
    needed = [votes_needed(table, *pair, config) for pair in [(7, 0), (6, 0), (0, 2), (0, 1)]]
    assert needed == [0, 1, 0, 1]
    assert votes_needed(table, 6, 6, config) == 0
    assert votes_needed(table, 5, 5, config) == 2


def test_thresholds_are_those_of_the_configuration():
    """A higher precision or rejection leaves open what the default decides."""
    table = learn_table(EASY)
    assert decide(table, 7, 0, ConsensusConfig(precision=0.9999)) is Decision.OPEN
    assert decide(table, 0, 2, ConsensusConfig(rejection=0.9999)) is Decision.OPEN


def test_very_many_votes_stay_finite():
    """A million votes neither overflow nor divide by zero."""
    table = learn_table([*EASY, (10**6, 3)])
    assert table.confidence(10**6, 3) == pytest.approx(1)
    assert table.confidence_against(3, 10**6) == pytest.approx(1)
    assert 0 < table.confidence(10**6, 10**6) < 1


@pytest.mark.parametrize("sample", [[(9, 0)], [(-1, 12)], [(10, 0), (4, 5)]])
def test_bad_samples_are_refused(sample):
    """Fewer than ten votes, or a negative number."""
    with pytest.raises(DatabaseError, match=r"an image of the sample .* \(expected at least 10"):
        learn_table(sample)


def test_negative_votes_are_refused():
    """In a table and in a decision."""
    for ask in (learn_table(EASY).confidence, learn_table(EASY).confidence_against):
        with pytest.raises(DatabaseError, match=r"-1 yes and 0 no \(expected at least 0\)"):
            ask(-1, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("precision", 1.0),
        ("precision", 0.5),
        ("rejection", 2.0),
        ("voter_bar", 0.2),
        ("gold_share", 1.0),
        ("sample_images", 0),
        ("sample_votes", 9),
        ("max_votes", 9),
    ],
)
def test_bad_settings_are_refused(name, value):
    """The message names the setting and what it may be."""
    with pytest.raises(DatabaseError, match=r" is .* \(expected "):
        ConsensusConfig(**{name: value})


def test_voters_by_hand():
    """Three right answers of three on each kind: mean 4/5, variance 4/25/6 for each."""
    score = score_voter((3, 3), (3, 3))
    assert score.accuracy == pytest.approx(0.8)
    assert score.lower == pytest.approx(0.8 - 1.645 * math.sqrt(2 * 4 / 25 / 6) / 2)


def test_careless_voters_fail_whatever_the_gold():
    """Always yes, always no and half right fail; one kind of gold alone proves nothing."""
    bar = ConsensusConfig().voter_bar
    failing = [
        ((90, 90), (0, 10)),
        ((0, 10), (90, 90)),
        ((10, 20), (10, 20)),
        ((500, 500), (0, 0)),
        ((2, 2), (2, 2)),
        ((0, 0), (0, 0)),
    ]
    assert all(score_voter(*answers).lower < bar for answers in failing)
    assert score_voter((9, 10), (9, 10)).lower > bar


@pytest.mark.parametrize(("kind", "sample_images"), [("easy", 30), ("confusable", 100)])
def test_promised_precision_with_fewer_votes(kind, sample_images):
    """The same for synsets that take less time."""
    check_promise(kind, sample_images, num_synsets=8)


@pytest.mark.slow
@pytest.mark.parametrize("sample_images", [30, 100])
@pytest.mark.parametrize("kind", ["easy", "confusable", "middling", "hard"])
def test_promised_precision_with_fewer_votes_on_many_synsets(kind, sample_images):
    """Simulated voters, 20 % of them careless, one candidate in ten a match."""
    check_promise(kind, sample_images, num_synsets=25)


def check_promise(kind, sample_images, num_synsets):
    """No more wrong images than 99 % of the draws have whose chance of a wrong one is as promised.

    And fewer votes than the majority of that precision, and than any quota of the same recall.
    """
    config = ConsensusConfig(sample_images=sample_images)
    rounds = [simulate_votes(kind, seed, config=config) for seed in range(num_synsets)]
    num_accepted, num_wrong = 0, 0
    for votes in rounds:
        accepted = run_consensus(votes, config).accepted
        num_accepted += int(accepted.sum())
        num_wrong += int((accepted & ~votes.is_match).sum())
    assert num_accepted > 100 * num_synsets
    assert num_wrong <= binom.ppf(0.99, num_accepted, 1 - config.precision)
    _, recall, _, num_votes = measure(rounds, config)
    majority = fixed_rule(rounds, config.precision, is_majority=True)
    quota = fixed_rule(rounds, config.precision, recall, is_majority=False)
    assert num_votes < (majority or config.max_votes)
    assert num_votes < (quota or config.max_votes)


def test_gold_finds_the_careless_and_saves_the_precision():
    """Of 80 voters 16 are careless; on hard synsets their votes would break the promise."""
    config = ConsensusConfig()
    judged = [simulate_votes("hard", seed, config=config) for seed in range(8)]
    assert sum(votes.num_careless_counted for votes in judged) <= 0.05 * 16 * 8
    assert sum(votes.num_careful_lost for votes in judged) <= 0.05 * 64 * 8
    unjudged = [simulate_votes("hard", seed, config=config, judged=False) for seed in range(8)]
    assert measure(unjudged, config)[0] < config.precision <= measure(judged, config)[0]

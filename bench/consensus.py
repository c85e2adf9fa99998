"""What dynamic consensus costs and keeps: simulated voters on easy and hard synsets.

    python bench/consensus.py             ten synsets of each kind, 2,000 candidates each
    python bench/consensus.py 50          fifty of each

One candidate in ten is a match. An image's rate is the share of careful voters who say yes to it;
for matches it is drawn from a beta distribution cut off below 1/2, for the others from its mirror
image (`confusable`: one in twenty others is nearly a match). Of the voters one in five is careless:
half of these answer by chance, half say yes to everything. All have answered the same gold first.

The fixed rules get the same votes of the same counted voters: the majority that reaches the
promised precision, and the quota (k of n votes) that also reaches the same recall. `unjudged` is
the precision of dynamic consensus where nobody is left out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.curation.consensus import (
    ConsensusConfig,
    Decision,
    decide,
    learn_table,
    score_voter,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.curation.consensus import ConfidenceTable

KINDS = {"easy": (40, 1), "confusable": (30, 2), "middling": (9, 1.2), "hard": (4, 1.5)}
"""Parameters of the beta distribution of the rates of matches."""
SHARE_OF_MATCHES = 0.1
NUM_VOTERS, SHARE_CARELESS, NUM_GOLD = 80, 0.2, 20


@dataclass(frozen=True)
class Votes:
    """Simulated votes on the candidates of a synset.

    Args:
        is_match: the truth, bool (N,).
        yes: the votes in the order in which they come, bool (N, votes on an image).
        num_careless: careless voters.
        num_careless_counted: of these, those that passed the bar.
        num_careful_lost: careful voters that did not.
    """

    is_match: NDArray[np.bool_]
    yes: NDArray[np.bool_]
    num_careless: int
    num_careless_counted: int
    num_careful_lost: int


@dataclass(frozen=True)
class Outcome:
    """What was decided of the candidates of a synset.

    Args:
        accepted: bool (N,).
        undecided: bool (N,).
        num_votes: on each image, those of the sample among them, int (N,).
    """

    accepted: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    num_votes: NDArray[np.int64]


def simulate_votes(
    kind: str, seed: int, *, config: ConsensusConfig, num_images: int = 2000, judged: bool = True
) -> Votes:
    """Votes of counted voters on the candidates of a synset.

    Args:
        kind: one of KINDS.
        seed: of everything; the same votes for the same seed.
        config: the bar for voters, and how many votes an image may get.
        num_images: candidates.
        judged: leave out the voters who fail on gold; else all are counted.
    """
    random = np.random.default_rng([seed, *kind.encode()])
    is_match = random.random(num_images) < SHARE_OF_MATCHES
    rates = _rates(random, kind, is_match)
    # an answer is yes with probability floor + slope * rate: careful, by chance, always
    behaviours = np.array([(0.0, 1.0), (0.5, 0.0), (1.0, 0.0)])
    num_careless = round(SHARE_CARELESS * NUM_VOTERS)
    which = np.zeros(NUM_VOTERS, int)
    which[:num_careless] = 1 + np.arange(num_careless) % 2
    counted = _passes(random, behaviours[which], config) if judged else np.ones(NUM_VOTERS, bool)
    pool = np.flatnonzero(counted)
    order = random.permuted(np.tile(pool, (num_images, 1)), axis=1)[:, : config.max_votes]
    floor, slope = behaviours[which[order]].transpose(2, 0, 1)
    yes = random.random(order.shape) < floor + slope * rates[:, None]
    careless = which > 0
    return Votes(
        is_match,
        yes,
        num_careless,
        int((counted & careless).sum()),
        int((~counted & ~careless).sum()),
    )


def run_consensus(votes: Votes, config: ConsensusConfig) -> Outcome:
    """Learn the table from the first images, then ask for votes until each is decided."""
    first = votes.yes[: config.sample_images, : config.sample_votes].sum(1)
    table = learn_table([(int(k), config.sample_votes - int(k)) for k in first], config)
    verdicts = _grid(table, config)
    num_images = len(votes.is_match)
    num_yes, num_votes = np.zeros(num_images, int), np.zeros(num_images, int)
    num_votes[: len(first)] = config.sample_votes
    num_yes[: len(first)] = first
    while (is_open := verdicts[num_yes, num_votes - num_yes] == Decision.OPEN).any():
        here = np.flatnonzero(is_open)
        num_yes[here] += votes.yes[here, num_votes[here]]
        num_votes[here] += 1
    final = verdicts[num_yes, num_votes - num_yes]
    return Outcome(final == Decision.ACCEPTED, final == Decision.UNDECIDED, num_votes)


def fixed_rule(
    rounds: list[Votes], precision: float, recall: float = 0.0, *, is_majority: bool
) -> int | None:
    """Least number of votes on each image with which a fixed rule is as good; None for too many.

    Args:
        rounds: the votes.
        precision: of the accepted images, to be reached.
        recall: share of the matches that are accepted, to be reached.
        is_majority: accept by the majority of an odd number of votes; else by the best quota.
    """
    is_match = np.concatenate([votes.is_match for votes in rounds])
    yes = np.concatenate([votes.yes for votes in rounds]).cumsum(1)
    for number in range(1, yes.shape[1] + 1):
        quotas = range(number // 2 + 1, number + 1)
        if is_majority:
            quotas = quotas[:1] if number % 2 else quotas[:0]
        for quota in quotas:
            accepted = yes[:, number - 1] >= quota
            good = (accepted & is_match).sum()
            if good >= precision * accepted.sum() and good >= recall * is_match.sum():
                return number
    return None


def main(num_synsets: int) -> None:
    """Print the table."""
    config = ConsensusConfig()
    print(f"promised precision {config.precision}, at most {config.max_votes} votes an image")
    print(
        f"{'synsets':12}{'precision':>10}{'unjudged':>10}{'recall':>8}{'undecided':>11}"
        f"{'votes':>7}{'majority of':>13}{'best quota':>12}"
    )
    for kind in KINDS:
        rounds = [simulate_votes(kind, seed, config=config) for seed in range(num_synsets)]
        precision, recall, undecided, num_votes = measure(rounds, config)
        unjudged = [
            simulate_votes(kind, seed, config=config, judged=False) for seed in range(num_synsets)
        ]
        fixed = [
            fixed_rule(rounds, config.precision, recall * is_quota, is_majority=not is_quota)
            for is_quota in (False, True)
        ]
        majority, quota = (f"> {config.max_votes}" if n is None else str(n) for n in fixed)
        print(
            f"{kind:12}{precision:10.4f}{measure(unjudged, config)[0]:10.4f}{recall:8.3f}"
            f"{undecided:11.3f}{num_votes:7.2f}{majority:>13}{quota:>12}"
        )
    passed = sum(votes.num_careless_counted for votes in rounds)
    lost = sum(votes.num_careful_lost for votes in rounds)
    total = num_synsets * NUM_VOTERS
    print(f"of {total} voters {passed} careless ones passed, {lost} careful ones did not")


def measure(rounds: list[Votes], config: ConsensusConfig) -> tuple[float, float, float, float]:
    """Precision and recall of the accepted, share of the undecided, votes an image; all pooled."""
    outcomes = [run_consensus(votes, config) for votes in rounds]
    accepted = np.concatenate([outcome.accepted for outcome in outcomes])
    is_match = np.concatenate([votes.is_match for votes in rounds])
    undecided = np.concatenate([outcome.undecided for outcome in outcomes])
    num_votes = np.concatenate([outcome.num_votes for outcome in outcomes])
    good = (accepted & is_match).sum()
    return (
        float(good / accepted.sum()),
        float(good / is_match.sum()),
        float(undecided.mean()),
        float(num_votes.mean()),
    )


def _rates(
    random: np.random.Generator, kind: str, is_match: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The share of careful voters who say yes to each image."""
    rates = np.zeros(len(is_match))
    while (wrong := rates <= 0.5).any():
        rates[wrong] = random.beta(*KINDS[kind], wrong.sum())
    rates = np.where(is_match, rates, 1 - rates)
    if kind == "confusable":
        nearly = ~is_match & (random.random(len(rates)) < 0.05)
        rates[nearly] = random.uniform(0.3, 0.49, nearly.sum())
    return rates


def _passes(
    random: np.random.Generator, behaviours: NDArray[np.float64], config: ConsensusConfig
) -> NDArray[np.bool_]:
    """Which voters pass the bar on gold, half of it matches, that careful voters get right 19:1."""
    half = NUM_GOLD // 2
    passes = []
    for floor, slope in behaviours:
        on_matches = random.binomial(half, floor + slope * 0.95)
        on_others = half - random.binomial(half, floor + slope * 0.05)
        score = score_voter((int(on_matches), half), (int(on_others), half))
        passes.append(score.lower >= config.voter_bar)
    return np.array(passes)


def _grid(table: ConfidenceTable, config: ConsensusConfig) -> NDArray[np.str_]:
    """The decision for each number of yes and no votes; (max_votes + 1, max_votes + 1)."""
    size = config.max_votes + 1
    grid = np.full((size, size), Decision.UNDECIDED.value, "U9")
    for num_yes in range(size):
        for num_no in range(size - num_yes):
            grid[num_yes, num_no] = decide(table, num_yes, num_no, config)
    return grid


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)

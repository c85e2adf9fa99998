"""How many votes an image needs: confidence tables for each synset, and the judging of voters.

ImageNet's images were verified by vote with a dynamic consensus (Deng et al. 2009, section 3.2).
People see an image beside a synset's definition and say whether it shows the synset. A fixed
majority is too dear for a cat and too weak for a Burmese cat, so each synset has a table of its
own, (yes votes, no votes) -> confidence, learnt from a first sample of images with at least ten
votes each; every other image is voted on until its confidence passes a threshold.

**The truth** of an image is what more than half of all counted voters would say. The majority of
ten votes stands for it, but is not it: where one candidate in ten fits, and voters are right seven
times in ten, a third of the majorities for yes are wrong, and a table that took them for the truth
would promise what it cannot hold. So a sampled image counts for both sides, as far as its votes
leave it open.

**The model**: each image has a rate p, the share of counted voters who say yes; p > 1/2 is a
match. A synset's rates are spread by a mixture of the Bernstein polynomials of degree 8, whose
weights are fitted to the sample by expectation maximisation. Only the numbers of votes enter,
never their order: the likelihood of (k yes, m no) is that of all its arrangements. A table of the
subsets of each image's votes, counted, agrees with this where it has entries, but has none above
ten votes, where hard images are decided. With any weights the confidence rises with each yes and
falls with each no, because a match draws more yes than no.

**The prior** keeps sparse tables modest: the fit begins with one imagined image, and each entry
has four more against it, which are evenly spread over the rates of the other side (below 1/2 when
it is to be accepted, above when it is to be rejected). With no sample at all it takes eleven yes
votes in agreement to be accepted.

**What is assumed**: the sample is drawn at random from the synset's images; voters do not see
each other's votes, and come to images by chance. Mistakes that more than half of the counted
voters share cannot be seen by any vote. Voters who answer without looking would shift the rates,
so a voter counts only once images of known truth have shown them to be careful (`score_voter`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betainc, betaln

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_SAMPLE_VOTES = 10
_DEGREE = 8  # of the polynomials: rates nearer to each other than about 0.15 are not told apart
_NUM_IMAGINED = 1.0  # images that the fit begins with
_NUM_AGAINST = 4.0  # images against each entry, spread over the rates of the other side
_ROUNDS = 1000  # of expectation maximisation; entries move less than 0.00001 after these
_ONE_SIDED_95 = 1.645  # standard deviations


class Decision(StrEnum):
    """What the votes say of an image."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    OPEN = "open"  # more votes are wanted
    UNDECIDED = "undecided"  # the voters are divided, and no more are asked


@dataclass(frozen=True, kw_only=True)
class ConsensusConfig:
    """When an image is decided, what is learnt from, and who counts.

    Args:
        precision: confidence at which an image is accepted, and so the least share of the accepted
            images that are matches; 0.997 was measured on 80 synsets of ImageNet.
        rejection: confidence that it is no match at which an image is rejected.
        max_votes: an image that is open after so many is undecided.
        sample_images: images of a synset that its table is learnt from; all, if it has fewer.
        sample_votes: counted votes that each of these gets; at least 10.
        voter_bar: lower bound of a voter's accuracy from which their votes count; 0.5 is chance.
        gold_share: share of gold among the images that a voter is given, while there are any.
        seed: of the sample and of the order in which images are given out.
    """

    precision: float = 0.997
    rejection: float = 0.99
    max_votes: int = 40
    sample_images: int = 100
    sample_votes: int = MIN_SAMPLE_VOTES
    voter_bar: float = 0.6
    gold_share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("precision", "rejection", "voter_bar"):
            if not 0.5 < getattr(self, name) < 1:
                raise DatabaseError(f"{name} is {getattr(self, name)} (expected in (0.5, 1))")
        if not 0 <= self.gold_share < 1:
            raise DatabaseError(f"gold_share is {self.gold_share} (expected in [0, 1))")
        if self.sample_images < 1:
            raise DatabaseError(f"sample_images is {self.sample_images} (expected at least 1)")
        if not MIN_SAMPLE_VOTES <= self.sample_votes <= self.max_votes:
            raise DatabaseError(
                f"sample_votes is {self.sample_votes} "
                f"(expected {MIN_SAMPLE_VOTES} to max_votes, {self.max_votes})"
            )


DEFAULT_CONFIG = ConsensusConfig()


@dataclass(frozen=True)
class ConfidenceTable:
    """(yes votes, no votes) -> confidence, for the images of one synset.

    Args:
        num_images: that it was learnt from.
        weights: images of the sample and the prior that each Bernstein polynomial stands for, from
            the one near rate 0 to the one near rate 1.
    """

    num_images: int
    weights: tuple[float, ...]

    def confidence(self, num_yes: int, num_no: int) -> float:
        """Confidence that an image with these votes is a match, in (0, 1).

        Raises:
            DatabaseError: a number is negative.
        """
        is_match, is_other, against, _ = self._masses(num_yes, num_no)
        return is_match / (is_match + is_other + against)

    def confidence_against(self, num_yes: int, num_no: int) -> float:
        """Confidence that it is no match; less than one minus the other, for the prior's sake.

        Raises:
            DatabaseError: a number is negative.
        """
        is_match, is_other, _, against = self._masses(num_yes, num_no)
        return is_other / (is_match + is_other + against)

    @property
    def share_of_matches(self) -> float:
        """Share of the synset's images that are matches, as the sample has it."""
        is_match, is_other, _, _ = self._masses(0, 0)
        return is_match / (is_match + is_other)

    def _masses(self, num_yes: int, num_no: int) -> tuple[float, float, float, float]:
        """How many images, up to one factor, would have these votes.

        Those of the sample with rate above and below 1/2, then the prior's below and above.
        """
        if num_yes < 0 or num_no < 0:
            raise DatabaseError(f"{num_yes} yes and {num_no} no (expected at least 0)")
        yes, no = _exponents(num_yes, num_no)
        logs = betaln(yes, no) - betaln(*_exponents(0, 0))
        log_even = float(betaln(num_yes + 1, num_no + 1))  # of rates that are evenly spread
        scale = max(float(logs.max()), log_even)
        masses = np.array(self.weights) * np.exp(logs - scale)
        above, below = betainc(no, yes, 0.5), betainc(yes, no, 0.5)
        even = 2 * _NUM_AGAINST * math.exp(log_even - scale)  # twice: spread over one half alone
        return (
            float(masses @ above),
            float(masses @ below),
            even * float(betainc(num_yes + 1, num_no + 1, 0.5)),
            even * float(betainc(num_no + 1, num_yes + 1, 0.5)),
        )


def learn_table(
    sample: Sequence[tuple[int, int]], config: ConsensusConfig = DEFAULT_CONFIG
) -> ConfidenceTable:
    """The confidence table of a synset.

    Args:
        sample: yes and no votes of each image of a random sample; their order changes nothing.
        config: says how many votes each must have at least.

    Raises:
        DatabaseError: an image has a negative number of votes, or too few.

    >>> easy = learn_table([(10, 0)] * 10 + [(0, 10)] * 90)
    >>> round(easy.confidence(0, 0), 2), round(easy.confidence(3, 0), 3)
    (0.1, 0.936)
    """
    for num_yes, num_no in sample:
        if min(num_yes, num_no) < 0 or num_yes + num_no < config.sample_votes:
            raise DatabaseError(
                f"an image of the sample has {num_yes} yes and {num_no} no votes "
                f"(expected at least {config.sample_votes} in all)",
                hint="collect more votes on the sample first",
            )
    num_kernels = _DEGREE + 1
    weights = np.full(num_kernels, 1.0)
    if sample:
        rows, numbers = np.unique(np.array(sample, np.int64), axis=0, return_counts=True)
        yes, no = _exponents(rows[:, :1], rows[:, 1:])
        logs = betaln(yes, no) - betaln(*_exponents(0, 0))
        likelihoods = np.exp(logs - logs.max(1, keepdims=True))
        for _ in range(_ROUNDS):
            shares = likelihoods * weights
            shares /= shares.sum(1, keepdims=True)
            weights = numbers @ shares + _NUM_IMAGINED / num_kernels
    else:
        weights *= _NUM_IMAGINED / num_kernels
    return ConfidenceTable(len(sample), tuple(weights.tolist()))


def decide(
    table: ConfidenceTable, num_yes: int, num_no: int, config: ConsensusConfig = DEFAULT_CONFIG
) -> Decision:
    """What these votes say of an image.

    Raises:
        DatabaseError: a number is negative.
    """
    if table.confidence(num_yes, num_no) >= config.precision:
        return Decision.ACCEPTED
    if table.confidence_against(num_yes, num_no) >= config.rejection:
        return Decision.REJECTED
    return Decision.OPEN if num_yes + num_no < config.max_votes else Decision.UNDECIDED


def votes_needed(
    table: ConfidenceTable, num_yes: int, num_no: int, config: ConsensusConfig = DEFAULT_CONFIG
) -> int:
    """The least number of further votes after which an image is no longer open; 0 if it is not.

    All of them agree, then; where they do not it takes more.

    Raises:
        DatabaseError: a number is negative.
    """
    num_more = 0
    while (
        decide(table, num_yes + num_more, num_no, config) is Decision.OPEN
        and decide(table, num_yes, num_no + num_more, config) is Decision.OPEN
    ):
        num_more += 1
    return num_more


class VoterScore(NamedTuple):
    """How careful a voter is, by gold.

    Args:
        accuracy: mean of two rates, that of right answers on matches and that on the others: who
            always says yes has 0.5, whatever share of the gold matches.
        lower: its lower bound at 95 %, one-sided.
    """

    accuracy: float
    lower: float


def score_voter(matches: tuple[int, int], others: tuple[int, int]) -> VoterScore:
    """The accuracy of a voter on gold.

    Each rate has the posterior Beta(right + 1, wrong + 1); the bound is 1.645 standard deviations
    below the mean of both. Gold of both kinds is needed to pass any bar: three right answers on
    each reach 0.61.

    Args:
        matches: right answers, and all, on gold that shows its synset.
        others: right answers, and all, on gold that does not.

    >>> round(score_voter((3, 3), (3, 3)).lower, 2), round(score_voter((6, 6), (0, 6)).lower, 2)
    (0.61, 0.37)
    """
    means = [(right + 1) / (number + 2) for right, number in (matches, others)]
    variances = [
        mean * (1 - mean) / (number + 3)
        for mean, (_, number) in zip(means, (matches, others), strict=True)
    ]
    accuracy = sum(means) / 2
    return VoterScore(accuracy, accuracy - _ONE_SIDED_95 * math.sqrt(sum(variances)) / 2)


def _exponents(
    num_yes: int | NDArray[np.int64], num_no: int | NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parameters of the beta densities that the polynomials become after these votes."""
    kernels = np.arange(_DEGREE + 1, dtype=np.float64)
    return kernels + 1 + num_yes, _DEGREE - kernels + 1 + num_no

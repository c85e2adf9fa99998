"""Intervals and the exact test, against SciPy, against plain resampling, and by their laws."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from imagetree.challenge.bootstrap import (
    binomial_test,
    compare_misses,
    mean_interval,
)
from imagetree.errors import ChallengeError


@pytest.mark.parametrize(("num_images", "num_misses"), [(1000, 180), (50_000, 19_000), (40, 1)])
def test_interval_of_an_error_is_the_binomials(num_images: int, num_misses: int) -> None:
    """The bootstrap of a share is binomial; its quantiles are known, 100,000 rounds are near."""
    misses = np.arange(num_images) < num_misses
    low, high = mean_interval(misses)
    exact = binom.ppf([0.0005, 0.9995], num_images, num_misses / num_images) / num_images
    spread = np.sqrt(num_misses) / num_images
    assert np.abs([low, high] - exact).max() <= max(0.12 * spread, 1 / num_images)


def test_drawing_counts_is_drawing_images() -> None:
    """Against resampling the images themselves, 20,000 times."""
    costs = np.random.default_rng(1).choice([0, 0, 0, 1, 6, 19], 300)
    low, high = mean_interval(costs, confidence=0.95)
    drawn = np.random.default_rng(2).choice(costs, (20_000, 300)).mean(axis=1)
    expected = np.quantile(drawn, [0.025, 0.975])
    assert np.abs([low, high] - expected).max() < 0.03 * drawn.std()


def test_the_order_of_the_images_means_nothing_and_the_seed_decides() -> None:
    values = np.random.default_rng(3).choice([0.0, 1.0, 2.5], 500)
    assert mean_interval(values) == mean_interval(np.sort(values)[::-1])
    assert mean_interval(values, seed=1) != mean_interval(values, seed=0)


def test_known_interval() -> None:
    """The generator's stream is frozen: these digits are the same in every release of NumPy."""
    costs = np.repeat([0, 3, 6, 19], [700, 100, 150, 50])
    assert mean_interval(costs) == (1.706, 2.628)


def test_an_interval_is_wider_with_more_confidence_and_holds_the_mean() -> None:
    values = np.random.default_rng(4).choice([0, 1, 4], 400)
    wide, narrow = mean_interval(values), mean_interval(values, confidence=0.9)
    assert wide.low < narrow.low < values.mean() < narrow.high < wide.high


def test_without_spread_there_is_a_point() -> None:
    assert mean_interval(np.zeros(10, bool)) == (0, 0)
    assert mean_interval(np.array([3.0])) == (3, 3)


def test_it_takes_as_long_for_a_million_images_as_for_a_thousand() -> None:
    """And many distinct values are drawn in bounded memory."""
    costs = np.random.default_rng(5).integers(0, 20, 1_000_000)
    began = time.perf_counter()
    mean_interval(costs)
    assert time.perf_counter() - began < 2
    assert mean_interval(np.arange(3000.0), num_rounds=3000).low > 1300


@pytest.mark.parametrize(
    ("values", "how"),
    [
        ([], {}),
        ([np.nan], {}),
        ([np.inf], {}),
        ([1], {"confidence": 1}),
        ([1], {"num_rounds": 0}),
        ([1], {"seed": -1}),
    ],
)
def test_what_has_no_interval_is_refused(values: list[float], how: dict) -> None:
    with pytest.raises(ChallengeError, match="interval"):
        mean_interval(np.array(values), **how)


@given(st.integers(0, 400), st.integers(0, 400))
def test_exact_test_is_scipys(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert binomial_test(first, second) == pytest.approx(expected, rel=1e-9)
    assert binomial_test(first, second) == binomial_test(second, first)


def test_exact_test_of_a_hundred_thousand_images() -> None:
    """C(n, i) and 2^n alone would overflow; what is too small for a float is 0."""
    assert binomial_test(50_500, 49_500) == pytest.approx(binomtest(49_500, 100_000).pvalue, 1e-8)
    assert binomial_test(0, 2000) == 0 == math.ldexp(1, -1999)


def test_images_that_one_alone_has_right_are_counted() -> None:
    first = np.array([True, True, False, False, False])
    second = np.array([True, False, True, True, False])
    assert compare_misses(first, second)[:2] == (2, 1)
    with pytest.raises(ChallengeError, match="misses of shapes"):
        compare_misses(first, second[:3])

"""Is a mean above zero? Tests of bounded values and of wins that hold for any number of queries.

A gambler who starts with capital 1 and bets on the next value, from what the earlier ones showed,
multiplies it by 1 + bet * value. Where the mean is at most 0 the capital is a supermartingale,
whatever he bets, so it ever reaches 1 / error with a chance of at most `error` (Ville 1939): the
largest capital is evidence that is valid at any number of values. Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 86 (2024), section 4.

How to bet decides how many values it takes. Here the target is fixed, 1 / error at the last value,
and each bet is that which hedges an option paying the target if a sum of normal values ends above
the normal test's threshold; after each value the target is aimed at anew from the capital at hand,
as by Voráček and Orabona, "STaR-Bets: Sequential Target-Recalculating Bets for Tighter Confidence
Intervals" (arXiv 2505.22422). With many values this finds nearly what the normal test finds, and
it keeps its error where that one does not.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from graphrouter.types import FloatArray

_LARGEST_STAKE = 0.9
"""Share of the capital that the worst value may take."""
_PRIOR_VARIANCE = 0.25
"""Variance of the values before the first of them, for one value; as by Waudby-Smith and Ramdas."""
_POWER = 0.8
"""Chance that the estimated number of queries is enough."""
_SMALLEST = 1e-12


def bet_on_means(values: FloatArray, low: float | FloatArray, *, error: float) -> FloatArray:
    """P-value of each mean for "it is at most 0", (num_tests,); valid for every number of values.

    Args:
        values: (num_values, num_tests), independent down the column in the order in which they are
            bet on, which must not depend on them.
        low: Smallest value possible, below 0; one, or (num_tests,).
        error: Level that the p-values are to be held against, in (0, 1); they are valid at any
            other, and need more values there.

    Example:
        >>> values = np.tile([[0.5, 0.0], [0.1, 0.0]], (20, 1))
        >>> (bet_on_means(values, -1.0, error=0.05) <= 0.05).tolist()
        [True, False]
    """
    from scipy.special import ndtri  # parts of SciPy load here, not where decisions are made

    num_values, num_tests = values.shape
    capital, largest, mean = np.ones(num_tests), np.ones(num_tests), np.zeros(num_tests)
    squares, most = np.full(num_tests, _PRIOR_VARIANCE), _LARGEST_STAKE / -np.asarray(low)
    for number, value in enumerate(values):
        # Chance of the target as the capital tells it, then the hedge of an option of that chance.
        chance = np.clip(error * capital, _SMALLEST, 1 - _SMALLEST)
        density = np.exp(-(ndtri(chance) ** 2) / 2) / math.sqrt(2 * math.pi)
        deviation = np.sqrt(squares / (number + 1) * (num_values - number))
        bet = np.minimum(density / chance / deviation, most)
        capital = np.where(capital < 1 / error, capital * (1 + bet * value), capital)
        largest = np.maximum(largest, capital)
        surprise = value - mean
        mean = mean + surprise / (number + 2)
        squares = squares + surprise * (value - mean)
    return np.asarray(1 / largest)


def compare_wins(num_wins: int, num_losses: int) -> float:
    """P-value for "a win is no more likely than a loss": the exact sign test, ties left out.

    Conover, "Practical Nonparametric Statistics" (1999), section 3.4.

    Example:
        >>> compare_wins(5, 0), compare_wins(0, 0)
        (0.03125, 1.0)
    """
    from scipy.special import betainc

    # P(at least so many heads of a fair coin); without a win it is 1.
    return float(betainc(num_wins, num_losses + 1, 0.5)) if num_wins else 1.0


def estimate_num_values(values: FloatArray, low: float, *, error: float) -> int | None:
    """About how many such values show that their mean is above 0, in four of five cases.

    From their mean and variance; None where the mean is not above 0.

    Args:
        values: (num_values,), at least one.
        low: Smallest value possible, below 0.
        error: As of `bet_on_means`.

    Example:
        >>> estimate_num_values(np.array([1.0, -0.9]), -1.0, error=0.05)
        2300
    """
    mean = float(values.mean())
    if not mean > 0:
        return None
    normal = NormalDist()
    distance = normal.inv_cdf(1 - error) + normal.inv_cdf(_POWER)
    by_variance = (distance * float(values.std()) / mean) ** 2
    # Bets have a largest stake: so many values it takes even of those that do not vary at all.
    by_range = math.log(1 / error) / math.log1p(_LARGEST_STAKE * mean / -low)
    return math.ceil(by_variance + by_range)

"""Simulated judges of answers, as recorded outcomes carry no texts that a real one could read.

Each sees the recorded effect through a stated amount of error, drawn from seed, prompt and model.
As published the three are about equally good: they put a right answer above a wrong one 8 times in
10, on every task and for every model alike. Where an AUC is given all three read one and the same
score.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri

from graphrouter.bench.baselines.methods.replays import Recorded
from graphrouter.bench.baselines.tools.draws import draw_for_pairs
from graphrouter.exceptions import ConfigError
from graphrouter.types import BoolArray, FloatArray, IntArray

SCORE_NOISE = 0.85
"""Standard deviation of FrugalGPT's score around the recorded effect: right outscores wrong 80
times in 100."""
NUM_VOTES = 8
"""Verifications of one answer, as in AutoMix."""
ERROR_RATE = 0.2
"""How often RouterBench's judge is wrong: one of the rates that RouterBench simulates, and as good
a judge as the other two."""


EXACT = 1.0
"""AUC of a judge who is never wrong."""


def find_noise(auc: float | None) -> float:
    """Standard deviation of a score around the recorded effect; infinite for a coin.

    A right answer outscores a wrong one with chance normal_cdf(1 / (noise * sqrt(2))).

    Args:
        auc: In [0.5, 1]; None = of the judge that FrugalGPT was published with.

    Raises:
        ConfigError: It is something else.

    Example:
        >>> find_noise(1.0), round(find_noise(0.8), 3)
        (0.0, 0.84)
    """
    if auc is None:
        return SCORE_NOISE
    if not 0.5 <= auc <= EXACT:
        raise ConfigError(f"The AUC of a judge is {auc}; expected a number from 0.5 to 1.")
    apart = math.sqrt(2) * float(ndtri(auc))
    return math.inf if apart == 0 else 1 / apart


def simulate_score(
    recorded: Recorded,
    models: tuple[str, ...],
    columns: IntArray,
    *,
    seed: int,
    auc: float | None = None,
) -> FloatArray:
    """Score of each answer, (num_queries, num_models): recorded effect plus noise.

    NaN in all but the given columns. A coin gives noise alone.
    """
    noise = find_noise(auc)
    score = np.full(recorded.effect.shape, np.nan)
    draws = draw_for_pairs(
        recorded.prompts, [models[i] for i in columns], seed=seed, purpose="answer score"
    )
    there = recorded.effect[:, columns]
    score[:, columns] = (
        np.where(np.isfinite(there), ndtri(draws), np.nan)
        if math.isinf(noise)
        else there + noise * ndtri(draws)
    )
    return score


def simulate_votes(
    recorded: Recorded, models: tuple[str, ...], *, seed: int, columns: list[int] | None = None
) -> IntArray:
    """Favourable votes on each answer, (num_queries, num_models) from 0 to NUM_VOTES.

    0 where nothing was recorded.

    With confidence from Beta(2, 1) the chance of v favourable votes is proportional to v + 1, with
    Beta(1, 2) to NUM_VOTES + 1 - v (the beta-binomial distribution); a soft effect is the chance
    that the answer is right.
    """
    taken = list(range(len(models))) if columns is None else columns
    names = [models[i] for i in taken]
    weights = np.arange(1, NUM_VOTES + 2) / np.arange(1, NUM_VOTES + 2).sum()
    up_to = np.cumsum(np.stack([weights[::-1], weights]), axis=1)[:, :-1]
    is_right = (
        draw_for_pairs(recorded.prompts, names, seed=seed, purpose="answer truth")
        < recorded.effect[:, taken]
    )
    draw = draw_for_pairs(recorded.prompts, names, seed=seed, purpose="verifier votes")
    votes = np.zeros(recorded.effect.shape, dtype=np.int64)
    counted = np.where(is_right, np.searchsorted(up_to[1], draw), np.searchsorted(up_to[0], draw))
    votes[:, taken] = np.where(np.isfinite(recorded.effect[:, taken]), counted, 0)
    return votes


def count_as_votes(score: FloatArray) -> IntArray:
    """Scores as favourable votes from 0 to NUM_VOTES: steps between -0.5 and 1.5; any shape.

    0 where there is no score.
    """
    steps = np.floor((np.nan_to_num(score, nan=-1.0) + 0.5) / 2 * (NUM_VOTES + 1))
    return np.asarray(np.clip(steps, 0, NUM_VOTES).astype(np.int64))


def simulate_errors(
    recorded: Recorded, models: tuple[str, ...], columns: IntArray, *, error_rate: float, seed: int
) -> BoolArray:
    """Whether the judge is wrong about each answer, (num_queries, len(columns))."""
    names = [models[i] for i in columns]
    return np.asarray(
        draw_for_pairs(recorded.prompts, names, seed=seed, purpose="judge error") < error_rate
    )

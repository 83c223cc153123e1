"""From states and messages to a prediction for every (target query, model) pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from numpy import float64, ndarray

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.scoring.operations import Array, operations_of, to_numpy
from graphrouter.scoring.paths import PathMessages
from graphrouter.scoring.state import SupportState, Targets
from graphrouter.scoring.tastes import ToldTaste, tell_tastes
from graphrouter.scoring.view_scores import read_views

NUM_AMOUNTS = NUM_CHANNELS - 1
_LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD = -6.0, 2.0
_HALF_KNOWN = 5.0
"""With so much Fisher information the perceptron is told that a model is known by half."""


class PairPredictions(NamedTuple):
    """Predictions for every pair of a target query and a model.

    C channels, B targets, M models, T tasks.
    """

    location: Array
    """(C, B, M) effect logit, then means of the standardised logarithmic channels."""
    log_scale: Array
    """(C, B, M) logarithm of a standard deviation: for the logarithmic channels, of the normal
    distribution whose exponential has the right mean; for the effect, of the logit, as far as the
    model is not known."""
    log_task: Array
    """(B, T) logarithmic evidence for the tasks by the prompts alone, for the task loss: of a
    network that learns, log-probabilities."""
    task_share: Array
    """(B, T + 1) belief over tasks, index T = none of them."""
    deviation: Array
    """(B, M) the part of the effect logit that text and similar queries say of each model on this
    very query, beyond its level."""

    def to_numpy(self) -> PairPredictions:
        """The same as arrays of NumPy in double precision; these themselves where they are such."""
        if all(isinstance(part, ndarray) and part.dtype == float64 for part in self):
            return self
        return PairPredictions(*(to_numpy(part).astype("float64", copy=False) for part in self))


class ScoredParts(Protocol):
    """The parts of a network that read targets, each called as the module of that name is."""

    query_encoder: Any
    task_attention: Any
    path_attention: Any
    text_easiness: Any
    task_to_query: Any
    readout: Any


def score_pairs(
    parts: ScoredParts, state: SupportState, targets: Targets, models: Array | None = None
) -> PairPredictions:
    """Predictions for all pairs of the targets and the models of the state.

    Targets do not influence one another.

    Args:
        parts: Of the network.
        state: Of the support.
        targets: Queries to score.
        models: (B, L) as in `RoutingGNN.score`.
    """
    xp = operations_of(targets.principal)
    query = parts.query_encoder(targets.principal)
    share, log_task = parts.task_attention(state, query, targets)
    paths = parts.path_attention(state, query, targets, share, models)
    promised = xp.multiply_rows(share, state.base.task_easiness.T).T
    easiness = promised + paths.surprise + parts.text_easiness(state.slope, targets.principal)
    if state.views:
        said = read_views(state, targets.views, models)
        easiness = xp.concat([easiness[:1] + said.easiness[None], easiness[1:]])
        paths = paths._replace(by_view=said.own)
    # Index T, "none of the tasks", has no state to add.
    context = xp.multiply_rows(share[:, :-1], state.find_terms().task_state)
    in_task = query + parts.task_to_query(context)
    taste = None
    if state.tastes is not None and targets.asker is not None:
        taste = tell_tastes(state.tastes, targets.asker, share)
    location, log_scale, deviation = parts.readout(
        state, in_task, easiness, paths, share, targets.principal, models, taste
    )
    return PairPredictions(location, log_scale, log_task, share, deviation)


def read_pairs(
    profile_scale: Array,
    doubt: Callable[[Array, Array], Array],
    correct: Callable[..., Array | None],
    state: SupportState,
    target: Array,
    easiness: Array,
    paths: PathMessages,
    task_share: Array,
    principal: Array,
    models: Array | None = None,
    taste: ToldTaste | None = None,
) -> tuple[Array, Array, Array]:
    """Location and log scale of every pair (C, B, M), and the deviation (B, M) in the first.

    Args:
        profile_scale: (C, 1, 1) how far profiles are believed.
        doubt: From spreads (B,) and targets to the deviation of the easiness (B,).
        correct: Gives shifts of the amounts, then of the logs of their spread; or None for none.
        state: Cached support.
        target: (B, W) states of the targets, task included.
        easiness: (C, B) expected easiness of the targets.
        paths: Messages from similar queries.
        task_share: (B, T + 1) belief over tasks.
        principal: (B, P) principal coordinates of the targets, to be matched with the models'
            profiles.
        models: (B, L) as in `RoutingGNN.score`.
        taste: What who asks grades otherwise; nothing where nobody is named.
    """
    base = state.base
    xp = operations_of(target)
    match = xp.multiply_rows(principal, xp.permute(state.profile, 0, 2, 1))
    match = profile_scale * xp.take_models(match, models)
    level = base.ability[:, None] + xp.multiply_rows(task_share, base.skill)
    level = xp.take_models(level, models)
    additive = level + easiness[:, :, None] + paths.residual + match
    own = paths.residual[EFFECT] + match[EFFECT]
    expected = additive[EFFECT]
    if paths.by_view is not None:
        expected = expected + paths.by_view
    variance = xp.take_models(xp.multiply_rows(task_share, base.variance[EFFECT]), models)
    if taste is not None:
        expected = expected + xp.take_models(taste.shift, models)
        variance = variance + xp.take_models(taste.variance, models)
    effect, deviation, log_unknown = _soften(expected, own, doubt(paths.spread, target), variance)
    amounts = additive[EFFECT + 1 :]
    log_spread = xp.take_models(state.find_terms().log_spread, models) + xp.zeros_like(amounts)
    change = correct(state, target, additive, match, paths, task_share, models)
    if change is not None:
        amounts, log_spread = amounts + change[:NUM_AMOUNTS], log_spread + change[NUM_AMOUNTS:]
    return (
        xp.concat([effect[None], amounts]),
        xp.concat([log_unknown[None], xp.clip(log_spread, _LEAST_LOG_SPREAD, _LARGEST_LOG_SPREAD)]),
        deviation,
    )


def _soften(logit: Array, own: Array, doubt: Array, variance: Array) -> tuple[Array, Array, Array]:
    """Logits and deviations under doubt, and the log deviation of what is not known of the model.

    A logit with an uncertain easiness or level is a mixture over it:
    E[sigmoid(x + e)] ~ sigmoid(x / sqrt(1 + pi s^2 / 8)) (MacKay 1992).

    Args:
        logit: (B, M) with all that is uncertain at its mean.
        own: (B, M) the part of it that is of the model on this very query.
        doubt: (B,) standard deviation of the easiness.
        variance: (B, M) of the level of each model in the tasks that are believed in.
    """
    xp = operations_of(logit)
    doubtful = (1 + math.pi / 8 * doubt * doubt)[:, None]
    softened = xp.sqrt(doubtful + math.pi / 8 * variance)
    # The deviation is that of the softened logit, so it is divided as the logit is by the doubt.
    log_unknown = 0.5 * xp.log(xp.clip(variance / doubtful, 1e-12))
    return logit / softened, own / softened, log_unknown


def tell_amounts(
    state: SupportState,
    additive: Array,
    match: Array,
    paths: PathMessages,
    task_share: Array,
    models: Array | None = None,
) -> Array:
    """What the perceptron of amounts is told of each pair: (B, M, 3 (C - 1) + 3).

    Args:
        state: Cached support.
        additive: (C, B, M) the sum that is to be corrected.
        match: (C, B, M) the term of it that comes from the profiles.
        paths: Messages from similar queries.
        task_share: (B, T + 1) belief over tasks.
        models: (B, L) as in `RoutingGNN.score`; the other arguments are of these alone.
    """
    base, xp = state.base, operations_of(additive)
    known = xp.take_models(base.ability_information[EFFECT][None], models)
    in_task = xp.multiply_rows(task_share, base.skill_information[EFFECT])
    in_task = xp.take_models(in_task, models)
    # How much the sum rests on, as shares in [0, 1): a model that is hardly known wants another
    # correction than one with thousands of outcomes.
    of_all = xp.zeros_like(in_task) + known / (known + _HALF_KNOWN)
    counts = xp.stack([paths.evidence, of_all, in_task / (in_task + _HALF_KNOWN)])
    amounts = (part[EFFECT + 1 :] for part in (additive, paths.residual, match))
    return xp.permute(xp.concat([*amounts, counts]), 1, 2, 0)

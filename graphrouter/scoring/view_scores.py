"""What views of a query say of it: how easy it is, and on whom that is lost or gained.

A view is what goes with a query beside its text, such as the documents of its context; see
`features.views`. Each adds to the logit of the effect of a target q and a model m

    x_q . common  +  x_q . own_m  +  path(q, m),

the first two along its principal coordinates x_q with a constant behind them, the last from solved
queries that are alike in this view: the same kernel-weighted Newton step as that of path attention,
weighed by a share of its own. A query that does not have the view gets nothing from it.
"""

from __future__ import annotations

from typing import NamedTuple

from graphrouter.scoring.operations import Array, operations_of
from graphrouter.scoring.paths import sum_rows
from graphrouter.scoring.state import BaseState, SupportMessages, SupportState
from graphrouter.scoring.view_state import TargetView

RESIDUAL_MASS, SURPRISE_MASS = 2.5, 2.0
"""Prior masses of messages, in Fisher information and in queries; those that path attention starts
from."""


class ViewMessages(NamedTuple):
    """What all views say of targets. B targets, M models."""

    easiness: Array
    """(B,) logits."""
    own: Array
    """(B, M) logits, or of the models asked."""


def read_views(
    state: SupportState, views: tuple[TargetView, ...], models: Array | None = None
) -> ViewMessages:
    """What the views of targets say; the state has as many, at least one.

    Args:
        state: Of the support.
        views: Of the targets, in the order of those of the state.
        models: (B, L) as in `RoutingGNN.score`.
    """
    easiness: Array = 0
    own: Array = 0
    for of, view in zip(state.views, views, strict=True):
        xp = operations_of(view.x)
        x = add_constant(view.x)
        easiness = easiness + xp.multiply_rows(x, of.common[:, None])[:, 0]
        said = xp.multiply_rows(x, of.own.T)
        if of.text.shape[1] and view.neighbours.shape[1]:
            heard = hear_alike(
                state.messages, state.base, of.sharpness, view.neighbours, view.cosine
            )
            easiness = easiness + of.surprise_share * heard.easiness
            said = said + of.residual_share * heard.own
        own = own + xp.take_models(said, models)
    return ViewMessages(easiness, own)


def add_constant(x: Array) -> Array:
    """Coordinates with a 1 behind them, all 0 where they are missing: (n, P + 1)."""
    xp = operations_of(x)
    is_known = x == x
    plain = xp.where(is_known, x, xp.zeros_like(x))
    constant = xp.where(is_known[:, :1], 1 + xp.zeros_like(x[:, :1]), xp.zeros_like(x[:, :1]))
    return xp.concat([plain, constant], axis=1)


def hear_alike(
    messages: SupportMessages,
    base: BaseState,
    sharpness: Array,
    neighbours: Array,
    cosine: Array,
) -> ViewMessages:
    """What solved queries that are alike in a view say, at full weight.

    Args:
        messages: Of the support.
        base: Of the support.
        sharpness: Of the kernel, exp(sharpness (cosine - 1)).
        neighbours: (B, K) support queries.
        cosine: (B, K), NaN where there is no neighbour.
    """
    xp = operations_of(cosine)
    is_there = cosine == cosine
    near = xp.where(is_there, cosine, xp.zeros_like(cosine))
    weight = xp.where(is_there, xp.exp(sharpness * (near - 1)), xp.zeros_like(near))
    sums = sum_rows(messages, neighbours, weight[:, None], base.ability.shape[1])
    num_channels = sums.shape[3] // 2
    total, information = sums[:, 0, :, 0], sums[:, 0, :, num_channels]
    surprise, reliability = (part[0][neighbours] for part in (base.surprise, base.reliability))
    counts = weight * reliability
    easiness = (counts * surprise).sum(1) / (counts.sum(1) + SURPRISE_MASS)
    return ViewMessages(easiness, total / (information + RESIDUAL_MASS))

"""What a policy asks of the cards of a pool: whether they state it, and how much they state."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import numpy as np

from graphrouter.exceptions import PolicyError
from graphrouter.own_fields import OF_OUTCOMES, agrees
from graphrouter.policy import Capability, Policy
from graphrouter.pool import KINDS, ModelCard, ModelPool
from graphrouter.types import FloatArray
from graphrouter.utility import Charges
from graphrouter.wording import suggest

__all__ = ["check_demands", "count_penalties", "read_amounts"]

_CAPABILITIES = get_args(Capability)
_PREDICTED = {
    "cost_usd": "usd_per_effect and cost_weight count dollars",
    "latency_s": "usd_per_second counts seconds",
}
"""What is predicted of a call and stands on no card, with the setting that counts it."""


def check_demands(
    policy: Policy, pool: ModelPool, unavailable: Collection[str] = frozenset()
) -> None:
    """Refuse a policy that asks for a field that no card states, or penalises what is no amount.

    Capabilities may be stated by nobody: then nobody satisfies the policy. What the card of a model
    states that cannot be taken anyhow is not looked at.

    Args:
        policy: What to maximise and to respect.
        pool: The cards.
        unavailable: Models that cannot be called at the moment.

    Raises:
        PolicyError: It does.

    Example:
        >>> from graphrouter.pool import ModelCard
        >>> check_demands(Policy(requires={"region": "eu"}), ModelPool.of(
        ...     [ModelCard(model="a", region="us"), ModelCard(model="b")]))
    """
    for name, want in policy.requirements.items():
        if name not in _CAPABILITIES:
            _check_stated("requires", name, pool)
        if name == "kind" and not any(agrees(kind, want) for kind in KINDS):
            raise PolicyError(
                f"The policy's requires wants the kind {want!r}; expected {', '.join(KINDS)}. "
                f"{suggest(str(want), KINDS)}".rstrip()
            )
    for name in policy.penalties:
        _check_stated("penalties", name, pool)
        for card in pool:
            if card.model in unavailable or not _is_considered(policy, card):
                continue
            stated = card.state_of(name)
            if stated is None or (not isinstance(stated, str) and stated >= 0):
                continue
            what = (
                f"the text {stated!r} there"
                if isinstance(stated, str)
                else f"{stated:g}, which would be a reward"
            )
            raise PolicyError(
                f"penalties counts {name!r}, and the card of {card.model!r} states {what}; "
                "expected a number of at least 0. Correct the card, or drop the penalty."
            )


def _is_considered(policy: Policy, card: ModelCard) -> bool:
    """Whether the model may be taken, as far as names and what the card states say."""
    if card.model == policy.fallback:
        return True
    is_named = policy.allowed is None or card.model in policy.allowed
    return (
        is_named
        and card.model not in policy.excluded
        and all(agrees(card.state_of(name), want) for name, want in policy.requirements.items())
    )


def read_amounts(policy: Policy, pool: ModelPool) -> dict[str, FloatArray] | None:
    """(num_models,) values of each penalised field, NaN = not stated; None without penalties."""
    return {name: pool.amounts_of(name) for name in policy.penalties} or None


def count_penalties(policy: Policy, pool: ModelPool) -> FloatArray:
    """Effect that all penalties together take off each model: (num_models,); NaN = not stated."""
    none, charges = np.zeros(len(pool)), Charges(amounts=read_amounts(policy, pool))
    return sum(charges.count_penalties(none, 1.0, policy.penalties).values(), none)


def _check_stated(setting: str, name: str, pool: ModelPool) -> None:
    if name in pool.fields_stated or name == "kind":  # of which every card has one
        return
    stated = [field for field in pool.fields_stated if field != "model"]
    hint = suggest(name, stated, "The cards state: ")
    mending = f"Add it with update_card (graphrouter pool add), or drop it from {setting}."
    if name in OF_OUTCOMES:  # which no card can state
        hint, mending = "It is known of a call and not of a model.", f"Drop it from {setting}."
    if name in _PREDICTED:
        hint = f"It is predicted for every call: {_PREDICTED[name]}."
    raise PolicyError(
        f"The policy's {setting} names the field {name!r}, which no card of the pool states; "
        f"expected a field that one does. {hint} {mending}"
    )

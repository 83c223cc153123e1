"""Whom a policy rules out on a query, and why: one list of grounds, for a prompt as for a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from graphrouter.exceptions import PolicyError
from graphrouter.own_fields import OwnValue, agrees
from graphrouter.policy import Policy
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.types import BoolArray, FloatArray, Predictions
from graphrouter.wording import tell_apart

__all__ = [
    "Estimates",
    "Ground",
    "Needs",
    "check_predictable",
    "explain_nobody",
    "fill_unknown",
    "list_card_grounds",
    "list_grounds",
    "read_estimates",
    "tell_each",
]

NO_COSTS = (
    "this router cannot predict any: it was trained on outcomes without cost_usd, and without "
    "tokens of models with a price."
)
NO_LATENCIES = "this router cannot predict any: it was trained on outcomes without latency_s."
"""What messages say of a router; outcomes that are added later do not change it."""
_NOT_ALLOWED, _EXCLUDED = _BY_NAME = ("not in allowed", "in excluded")

UNAVAILABLE = "unavailable now"
"""Ground on which a model that cannot be called at the moment is ruled out."""


class Estimates(NamedTuple):
    """Predictions as a policy looks at them, each (num_queries, num_models); NaN = unknown."""

    effect: FloatArray
    counted: FloatArray
    """The end of the interval that counts as the effect, or the expected effect."""
    cost_usd: FloatArray
    input_tokens: FloatArray
    most_tokens: FloatArray
    """Cautious end of the prompt plus completion, as far as known."""
    output_tokens: FloatArray
    latency_s: FloatArray
    ttft_s: FloatArray | None
    """None for a router without any."""
    effect_low: FloatArray | None
    effect_high: FloatArray | None

    @property
    def tokens(self) -> FloatArray:
        """Prompt plus completion, as far as known."""
        return fill_unknown(self.input_tokens, 0) + fill_unknown(self.output_tokens, 0)

    @property
    def doubt(self) -> FloatArray:
        """Width of the interval of the expected effect; NaN without one."""
        if self.effect_low is None or self.effect_high is None:
            return np.full_like(self.effect, np.nan)
        return self.effect_high - self.effect_low


def read_estimates(policy: Policy, predictions: Predictions, rows: slice) -> Estimates:
    """What the policy looks at of the given rows."""
    effect, prompt = predictions.effect[rows], predictions.input_tokens[rows]
    low, high = (
        None if ends is None else ends[rows]
        for ends in (predictions.effect_low, predictions.effect_high)
    )
    cautious = predictions.most_input_tokens
    most = prompt if cautious is None else np.fmax(cautious[rows], prompt)
    answer = predictions.output_tokens[rows]
    counted = {"lower": low, "expected": effect, "upper": high}[policy.risk]
    return Estimates(
        effect,
        effect if counted is None else counted,
        predictions.cost_usd[rows],
        prompt,
        fill_unknown(most, 0) + fill_unknown(answer, 0),
        answer,
        predictions.latency_s[rows],
        None if predictions.ttft_s is None else predictions.ttft_s[rows],
        low,
        high,
    )


def fill_unknown(values: FloatArray, by: float) -> FloatArray:
    """The values with a number in the place of NaN; a decision asks often, so not nan_to_num."""
    return np.where(np.isnan(values), by, values)


class Ground(NamedTuple):
    """One ground on which a policy rules models out."""

    rules_out: BoolArray
    """(num_queries, num_models), or (1, num_models) where all queries have it in common."""
    tell: Callable[[int, int], str]
    """The reason, for a row and a column that are ruled out."""


class Needs(NamedTuple):
    """What must be known of a model, whatever a policy limits; unknown, it rules the model out."""

    cost: bool = False
    latency: bool = False


def list_grounds(
    policy: Policy,
    estimates: Estimates,
    pool: ModelPool,
    needs: Needs,
    unavailable: Collection[str] = (),
) -> list[Ground]:
    """Whom the policy rules out and why; a model's reason is the first ground that it meets.

    Args:
        policy: What to respect.
        estimates: What the router expects.
        pool: The cards.
        needs: What must be known.
        unavailable: Models that cannot be called at the moment.
    """
    cards = pool.cards
    is_too_long = Ground(
        estimates.most_tokens > pool.context_limits,
        lambda row, column: (
            f"context of {cards[column].context_tokens} tokens is shorter than the "
            f"{estimates.most_tokens[row, column]:.0f} that prompt and answer may take "
            f"({estimates.tokens[row, column]:.0f} expected)"
        ),
    )
    return [
        Ground(np.isnan(estimates.effect), lambda _row, _column: "effect unknown"),
        *list_card_grounds(policy, pool, unavailable),
        is_too_long,
        *_list_cost_grounds(policy, estimates, needs.cost),
        *_list_latency_grounds(policy, estimates, needs.latency),
    ]


def list_card_grounds(
    policy: Policy, pool: ModelPool, unavailable: Collection[str] = ()
) -> list[Ground]:
    """The grounds that names and cards give, the same on any query.

    Args:
        policy: What to respect.
        pool: The cards.
        unavailable: Models that cannot be called at the moment.
    """
    cards, grounds = pool.cards, []

    def ground_of(lacks: Callable[[ModelCard], bool], reason: str) -> Ground:
        return Ground(np.array([[lacks(card) for card in cards]]), lambda _row, _column: reason)

    if unavailable:
        grounds.append(ground_of(lambda card: card.model in unavailable, UNAVAILABLE))
    allowed, excluded = policy.allowed, policy.excluded
    if allowed is not None:
        grounds.append(ground_of(lambda card: card.model not in allowed, _NOT_ALLOWED))
    if excluded:
        grounds.append(ground_of(lambda card: card.model in excluded, _EXCLUDED))
    grounds += [_require(cards, *asked) for asked in policy.requirements.items()]
    for name in policy.penalties:  # what no card states never counts as 0
        grounds.append(
            ground_of(
                lambda card, name=name: card.state_of(name) is None,  # type: ignore[misc]
                f"card does not state {name}",
            )
        )
    return grounds


def _require(cards: Sequence[ModelCard], name: str, wanted: OwnValue) -> Ground:
    """The ground on which cards that state something else in a field, or nothing, are out."""
    stated = [card.state_of(name) for card in cards]

    def tell(_row: int, column: int) -> str:
        value = stated[column]
        if value is None:
            return f"card does not state {name}"
        return f"{name} is {_say_value(value)}, not {_say_value(wanted)}"

    return Ground(np.array([[not agrees(value, wanted) for value in stated]]), tell)


def _say_value(value: OwnValue) -> str:
    """The value as a file of cards or a command line has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list_cost_grounds(policy: Policy, estimates: Estimates, needs_cost: bool) -> list[Ground]:
    cost, counted, grounds = estimates.cost_usd, estimates.counted, []
    if needs_cost:
        grounds.append(Ground(np.isnan(cost), lambda _row, _column: "cost unknown"))
    most, least = policy.max_cost_usd, policy.min_effect
    if most is not None:
        grounds.append(
            Ground(
                cost > most,
                lambda row, column: (
                    f"cost {tell_apart(cost[row, column], most, '.6f')} USD above {most:.15g}"
                ),
            )
        )
    if least is not None:
        end = "" if policy.risk == "expected" else f"{policy.risk} end of "
        grounds.append(
            Ground(
                counted < least,
                lambda row, column: (
                    f"{end}effect {tell_apart(counted[row, column], least, '.3f')} below "
                    f"{least:.15g}"
                ),
            )
        )
    return grounds


def _list_latency_grounds(
    policy: Policy, estimates: Estimates, needs_latency: bool
) -> list[Ground]:
    latency, most, grounds = estimates.latency_s, policy.max_latency_s, []
    if needs_latency or most is not None:
        grounds.append(Ground(np.isnan(latency), lambda _row, _column: "latency unknown"))
    if most is not None:
        grounds.append(
            Ground(
                latency > most,
                lambda row, column: (
                    f"latency {tell_apart(latency[row, column], most, '.2f')} s above {most:.15g}"
                ),
            )
        )
    first, soonest = estimates.ttft_s, policy.max_ttft_s
    if soonest is not None:
        known = np.full_like(latency, np.nan) if first is None else first
        grounds.append(Ground(np.isnan(known), lambda _row, _column: "first token unknown"))
        grounds.append(
            Ground(
                known > soonest,
                lambda row, column: (
                    f"first token after {tell_apart(known[row, column], soonest, '.2f')} s, above "
                    f"{soonest:.15g}"
                ),
            )
        )
    return grounds


def tell_each(grounds: Sequence[Ground], row: int, num_models: int) -> list[str | None]:
    """Why each model is ruled out on a query, in pool order; None where it is not."""
    reasons: list[str | None] = [None] * num_models
    for ground in reversed(grounds):  # so that the first of a model's grounds is the one that stays
        of_row = ground.rules_out[row if len(ground.rules_out) > 1 else 0]
        for column in of_row.nonzero()[0].tolist():
            reasons[column] = ground.tell(row, column)
    return reasons


def check_predictable(policy: Policy, predictions: Predictions, needs: Needs) -> None:
    """Refuse a policy that counts or limits what the router expects of no model on any query.

    Nobody can satisfy it, and a fallback would hide that.

    Args:
        policy: What to respect.
        predictions: What the router expects.
        needs: What must be known.

    Raises:
        PolicyError: It does.
    """
    if needs.cost and _is_unknown(predictions.cost_usd):
        raise PolicyError(
            f"The policy weighs cost, but {NO_COSTS} Use the preset performance_first, or train on "
            "outcomes with cost_usd, or with output_tokens and prices."
        )
    if (needs.latency or policy.max_latency_s is not None) and _is_unknown(predictions.latency_s):
        raise PolicyError(
            f"Latency is limited or counted, but {NO_LATENCIES} Drop max_latency_s, "
            "usd_per_second and deadline_s, or train on them."
        )
    if policy.max_ttft_s is not None and _is_unknown(predictions.ttft_s):
        raise PolicyError(
            "The policy limits the time to the first token, but this router cannot predict any: it "
            "was trained on outcomes without ttft_s. Drop max_ttft_s, or add outcomes with them."
        )


def _is_unknown(amounts: FloatArray | None) -> bool:
    """Whether no amount is known of any model, on any query."""
    if amounts is None:
        return True
    # The first query alone, where that says it: this is asked for each query of a batch.
    return bool(len(amounts) and np.isnan(amounts[0]).all() and np.isnan(amounts).all())


def explain_nobody(rejected: Sequence[tuple[str, str]]) -> str:
    """Why nobody is left on a query: the first few reasons, and what can be done.

    Args:
        rejected: Each model and its reason.

    Example:
        >>> explain_nobody([("nano", "not in allowed"), ("grand", "latency unknown")])
        'No model satisfies the policy (grand: latency unknown; nano: not in allowed). Loosen the \
policy, or name a fallback model.'
    """
    by_name = [each for each in rejected if each[1] in _BY_NAME]  # the caller's own words, so last
    ordered = [each for each in rejected if each[1] not in _BY_NAME] + by_name
    reasons = [f"{model}: {reason}" for model, reason in ordered]
    shown = "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
    return f"No model satisfies the policy ({shown}). Loosen the policy, or name a fallback model."

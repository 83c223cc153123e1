"""Queries of named routes: what decides each of them, alone and within limits over a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.batch_records import BatchLimits, BatchRouting
from graphrouter.batch_routing import list_batch_choices, solve_batch, warn_of_idle_prices
from graphrouter.policy import Policy
from graphrouter.selection import Choices, PolicyContext, name_source
from graphrouter.types import FloatArray, IntArray, Predictions
from graphrouter.utility import Charges

if TYPE_CHECKING:
    from graphrouter.routes import RouteMatch, Routes


@dataclass(frozen=True, eq=False)
class RoutedQueries:
    """The route of each query, and the policies that decide them."""

    routes: Routes
    matches: tuple[RouteMatch, ...]
    """One a query."""
    by_route: Mapping[str | None, Policy]
    """What decides prompts of each route that was matched; None stands for no route."""

    @classmethod
    def of(cls, routes: Routes, matches: Sequence[RouteMatch], policy: Policy) -> Self:
        """The queries under their routes, and under the policy of the caller where that counts.

        Args:
            routes: Which were matched.
            matches: One a query.
            policy: That of the caller.

        Raises:
            PolicyError: The policy leaves none of the models of a route that was matched.
        """
        by_route: dict[str | None, Policy] = {None: policy}
        for name in {match.route for match in matches if match.route is not None}:
            with name_source(routes.source):
                by_route[name] = routes[name].apply(policy)
        return cls(routes, tuple(matches), by_route)

    @property
    def policies(self) -> list[Policy]:
        """What decides each query."""
        return [self.by_route[match.route] for match in self.matches]

    @property
    def sources(self) -> list[str]:
        """Where the policy of each query stands, for messages; empty for that of the caller."""
        return [self.locate(match.route) for match in self.matches]

    def locate(self, route: str | None) -> str:
        """Where a route stands, for messages; empty for None, which is no route."""
        return "" if route is None else self.routes.locate(route)

    def name_source(self, route: str | None) -> AbstractContextManager[None]:
        """Errors within say first which route they are about."""
        return nullcontext() if route is None else name_source(self.routes.locate(route))

    def keeps_policy(self, route: str | None) -> bool:
        """Whether the route has a policy of its own."""
        return route is not None and self.routes[route].policy is not None

    def divide(self) -> Iterator[tuple[str | None, IntArray]]:
        """Each route that was matched, None for no route, with the numbers of its queries."""
        names = [match.route for match in self.matches]
        for name in dict.fromkeys(names):
            yield name, np.array([i for i, other in enumerate(names) if other == name])


def assign_routed(
    routed: RoutedQueries, predictions: Predictions, context: PolicyContext, limits: BatchLimits
) -> BatchRouting:
    """The highest total worth within the limits, each query among what its route leaves open.

    What counts is effect, as `assign_batch` has it. In a route with a policy of its own a call is
    worth the effect less what that policy takes off for its cost and seconds, in units of effect,
    so that with money enough such a query is decided as it is alone: the price of the budget comes
    on top. Where that policy asks for the lowest cost, only the cheapest of what it leaves is open.

    Args:
        routed: The queries and their routes.
        predictions: What the router expects of them.
        context: What policies need to know of the router.
        limits: What the batch may take in all.

    Raises:
        PolicyError: As `Router.route_batch`; it names the route that it is about.
        UnknownModelError: As `Router.route_batch`.
    """
    shape = predictions.effect.shape
    counted, is_open = np.zeros(shape), np.zeros(shape, dtype=bool)
    used_fallback = np.zeros(len(predictions), dtype=bool)
    for name, rows in routed.divide():
        policy = routed.by_route[name]
        with routed.name_source(name):
            is_own = routed.keeps_policy(name)
            choices = list_batch_choices(
                policy, predictions, context, limits, rows=rows, counts_cost=is_own
            )
        if is_own:
            choices = _weigh_cost(policy, choices, predictions.take(rows=rows), context)
        counted[rows], is_open[rows] = choices.counted, choices.is_open
        used_fallback[rows] = choices.used_fallback
    warn_of_idle_prices(routed.by_route[None])
    found = solve_batch(Choices(counted, is_open, used_fallback), predictions, limits)
    return replace(
        found,
        route=tuple(match.route for match in routed.matches),
        route_confidence=np.array([match.confidence for match in routed.matches]),
    )


def _weigh_cost(
    policy: Policy, choices: Choices, predictions: Predictions, context: PolicyContext
) -> Choices:
    """The choices with what a policy takes off for cost and seconds, in units of effect."""
    by = policy.resolve(context.scale)
    # Penalties are in what counts already.
    nothing: FloatArray = np.zeros_like(choices.counted)
    charges = Charges(predictions.latency_s, dict.fromkeys(by.penalties, np.zeros(1)))
    price = np.nan_to_num(-by.utility(nothing, predictions.cost_usd, context.scale, charges))
    per_effect = 1.0 if by.usd_per_effect is not None else by.effect_weight
    if by.min_effect is None and per_effect > 0:
        return replace(choices, counted=choices.counted - price / per_effect)
    least = np.where(choices.is_open, price, np.inf).min(axis=1, keepdims=True)
    return replace(choices, is_open=choices.is_open & (price <= least))

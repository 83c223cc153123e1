"""The decisions of a gateway's store as a period whose savings are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphrouter.bench.savings.logged_period import Logged, Measured, Period
from graphrouter.exceptions import NotApplicableError
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.replaying import (
    LoggedDecision,
    choose_models,
    read_log,
    read_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphrouter.policy import Policy
    from graphrouter.router.graph_router import GraphRouter
    from graphrouter.types import FloatArray


def read_stored_period(router: GraphRouter, place: str, *, since: float, until: float) -> Period:
    """The calls whose first choice has answered, as they were predicted when they were made.

    The chance of a model is its propensity, of effects times the share of decisions that are
    graded; unknown where nothing was left to chance.

    Args:
        router: Its pool and scale of costs are what policies weigh by.
        place: Of the store.
        since: Seconds since 1970, at which the period begins.
        until: And before which it ends.

    Raises:
        NotApplicableError: There is no such call.
        StoreError: The store cannot be opened.
    """
    opened = Store.open(place, must_exist=True)
    try:
        with opened.reader.connect() as connection:
            log = read_log(connection, since=since, until=until)
    finally:
        opened.close()
    if not log:
        raise NotApplicableError(
            "The store has no answered decision in that time. Name another with --since and "
            "--until."
        )
    predictions = read_predictions(router, log)

    def choose(policy: Policy) -> list[str | None]:
        return choose_models(log, predictions, policy, router.policy_context)

    observed: dict[Measured, FloatArray] = {
        "effect": _spread(router.models, log, [each.effect for each in log]),
        "cost_usd": _spread(router.models, log, [each.cost_usd for each in log]),
    }
    propensity = _read_propensities(router.models, log)
    known = {name: float(np.isfinite(each).any(axis=1).mean()) for name, each in observed.items()}
    costs = [each.cost_usd for each in log if each.cost_usd is not None]
    grades = [each.effect for each in log if each.effect is not None]
    logged = Logged(
        float(sum(costs)),
        len(costs) / len(log),
        float(np.mean(grades)) if grades else float("nan"),
        len(grades),
    )
    why = "" if np.isfinite(propensity).all() else "Some calls were not decided by chance."
    return Period(
        "the gateway",
        len(log),
        predictions,
        observed,
        {name: propensity * share for name, share in known.items()},
        choose,
        logged,
        why,
    )


def _spread(
    models: Sequence[str], log: Sequence[LoggedDecision], values: Sequence[float | None]
) -> FloatArray:
    """What came of the model that was asked, NaN of all others: (n, M)."""
    column = {model: place for place, model in enumerate(models)}
    found = np.full((len(log), len(models)), np.nan)
    for row, (decision, value) in enumerate(zip(log, values, strict=True)):
        if value is not None and decision.asked in column:
            found[row, column[decision.asked]] = value
    return found


def _read_propensities(models: Sequence[str], log: Sequence[LoggedDecision]) -> FloatArray:
    """(n, M), NaN for decisions that were not given by chance."""
    found = np.full((len(log), len(models)), np.nan)
    for row, decision in enumerate(log):
        if decision.is_by_chance:
            for place, model in enumerate(models):
                found[row, place] = decision.candidates.get(model, {}).get("propensity", 0.0)
    return found

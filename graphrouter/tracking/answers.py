"""What a registered router answers: a frame of prompts in, a frame of choices out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.decision import Decision
from graphrouter.exceptions import NotApplicableError
from graphrouter.policy import Policy, parse_policy
from graphrouter.policy_settings import PolicySetting, list_settings
from graphrouter.router.protocol import Router
from graphrouter.types import Queries

_MLFLOW_TYPES = {str: "string", float: "double", int: "long", bool: "boolean"}


def list_params(
    settings: Sequence[PolicySetting],
) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters of a call with MLflow's names of their types: single values, then lists.

    Args:
        settings: Of a policy, see `list_settings`.
    """
    single = {each.name: _MLFLOW_TYPES[each.kind] for each in settings if not each.is_list}
    lists = {each.name: _MLFLOW_TYPES[each.kind] for each in settings if each.is_list}
    return single, lists


PARAMS, LIST_PARAMS = list_params(list_settings())
"""Parameters of a call, by name: a preset, or settings of a policy. None is given by default, and
lists are empty."""
ROUTES = "routes"
"""A parameter that is refused; MLflow would drop one that the model does not have."""
COLUMNS = {
    "model": "string",
    "effect": "double",
    "effect_low": "double",
    "effect_high": "double",
    "cost_usd": "double",
    "output_tokens": "double",
    "latency_s": "double",
    "used_fallback": "boolean",
    "familiarity": "double",
}
"""Columns of the answer with MLflow's names of their types."""
ALWAYS_KNOWN = ("model", "effect", "used_fallback")
"""Those that are never None."""


def answer(router: Router, frame: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
    """One row a prompt with `COLUMNS`: the chosen model and what is expected of it.

    None stands for what cannot be predicted.

    Args:
        router: Who chooses.
        frame: Columns `prompt`, and perhaps `task`, which is None, NaN or empty where unknown.
        params: By the names of `PARAMS` and `LIST_PARAMS`; None and empty lists count as not given.

    Raises:
        NotApplicableError: Named routes are given.
        PolicyError: A parameter is not accepted, or nobody satisfies the policy.
    """
    settings = {name: value for name, value in params.items() if name != ROUTES}
    if params.get(ROUTES) is not None:
        raise NotApplicableError(
            "A registered router takes no named routes. Load it with load_router('models:/...') "
            "and give them to route or route_batch."
        )
    decisions = router.route_batch(Queries.of_frame(frame), policy=read_policy(settings))
    rows = pd.DataFrame([_make_row(decision) for decision in decisions], columns=list(COLUMNS))
    # NaN would stand as such in the JSON of MLflow's server, which is no JSON then.
    return rows.astype(object).where(rows.notna(), None) if rows.isna().to_numpy().any() else rows


def read_policy(params: Mapping[str, Any]) -> Policy:
    """The policy that the parameters of a call ask for; MLflow gives lists as arrays.

    Example:
        >>> read_policy({"preset": "cost_first", "excluded": np.array(["nano"])}).excluded
        ('nano',)

    Raises:
        PolicyError: A value is not accepted, or both a preset and a weight are given.
    """
    return parse_policy(
        {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in params.items()
        }
    )


def _make_row(decision: Decision) -> dict[str, Any]:
    chosen = next(
        candidate for candidate in decision.candidates if candidate.model == decision.model
    )
    return {
        "model": decision.model,
        "effect": decision.effect,
        "effect_low": decision.effect_low,
        "effect_high": decision.effect_high,
        "cost_usd": decision.cost_usd,
        "output_tokens": chosen.output_tokens,
        "latency_s": decision.latency_s,
        "used_fallback": decision.used_fallback,
        "familiarity": decision.familiarity,
    }

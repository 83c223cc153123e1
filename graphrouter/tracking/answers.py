"""What a registered router answers: a frame of prompts in, a frame of choices out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.exceptions import PolicyError
from graphrouter.policy import PRESETS, Policy, parse_policy
from graphrouter.router.protocol import Router
from graphrouter.types import Decision

PARAMS = {
    "preset": "string",
    "effect_weight": "double",
    "cost_weight": "double",
    "usd_per_effect": "double",
    "max_cost_usd": "double",
    "min_effect": "double",
    "max_latency_s": "double",
    "fallback": "string",
    "risk": "string",
    "safe_model": "string",
    "max_doubt": "double",
}
"""Parameters of a call with MLflow's names of their types: a preset, or settings of a policy. None
is given by default."""
LIST_PARAMS = ("allowed", "excluded", "requires")
"""Those that are lists of words, empty by default."""
COLUMNS = {
    "model": "string",
    "effect": "double",
    "effect_low": "double",
    "effect_high": "double",
    "cost_usd": "double",
    "output_tokens": "double",
    "latency_s": "double",
    "used_fallback": "boolean",
}
"""Columns of the answer with MLflow's names of their types."""
ALWAYS_KNOWN = ("model", "effect", "used_fallback")
"""Those that are never None."""


def answer(router: Router, frame: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
    """One row a prompt with `COLUMNS`: the chosen model and what is expected of it, None for what cannot be predicted.

    Args:
        router: Who chooses.
        frame: Columns `prompt`, and perhaps `task`, which is None, NaN or empty where unknown.
        params: By the names of `PARAMS` and `LIST_PARAMS`; None and empty lists count as not given.

    Raises:
        PolicyError: A parameter is not accepted, or nobody satisfies the policy.
    """
    tasks: list[str | None] = [None] * len(frame)
    if "task" in frame.columns:
        tasks = [task if isinstance(task, str) and task else None for task in frame["task"]]
    decisions = router.route_batch(frame["prompt"].tolist(), tasks=tasks, policy=policy_of(params))
    rows = pd.DataFrame([_row(decision) for decision in decisions], columns=list(COLUMNS))
    # NaN would stand as such in the JSON of MLflow's server, which is no JSON then.
    return rows.astype(object).where(rows.notna(), None) if rows.isna().to_numpy().any() else rows


def policy_of(params: Mapping[str, Any]) -> Policy | None:
    """The policy that the parameters of a call ask for; None when they ask for none.

    Example:
        >>> policy_of({"preset": "cost_first", "fallback": None, "excluded": []}).cost_weight
        0.8

    Raises:
        PolicyError: A value is not accepted, or both a preset and a weight are given.
    """
    plain = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in params.items()
    }
    given = {name: value for name, value in plain.items() if value is not None and value != []}
    preset = given.pop("preset", None)
    if preset is None:
        return parse_policy(given) if given else None
    if preset not in PRESETS:
        raise PolicyError(f"Unknown preset {preset!r}. Presets: {', '.join(PRESETS)}.")
    weights = [name for name in ("effect_weight", "cost_weight") if name in given]
    if weights:
        raise PolicyError(
            f"The preset {preset!r} and {weights[0]} both set the weights; give one of them."
        )
    effect_weight, cost_weight = PRESETS[preset]
    return parse_policy({**given, "effect_weight": effect_weight, "cost_weight": cost_weight})


def _row(decision: Decision) -> dict[str, Any]:
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
    }

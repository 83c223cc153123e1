"""`graphrouter route`: where to send one prompt, and why."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.options import build_policy, describe_policy
from graphrouter.cli.render import show_decision
from graphrouter.cli.tasks import warn_of_unknown_tasks
from graphrouter.policy import Policy

if TYPE_CHECKING:
    from graphrouter.router.protocol import Router

_logger = logging.getLogger(__name__)


def route(
    artifact: options.Artifact,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="The query; - reads it from standard input.", show_default=False
        ),
    ],
    task: Annotated[
        str | None, typer.Option("--task", help="Task of the query, where you know it.")
    ] = None,
    preset: options.PresetOption = None,
    effect_weight: options.EffectWeight = None,
    cost_weight: options.CostWeight = None,
    usd_per_effect: options.UsdPerEffect = None,
    max_cost_usd: options.MaxCostUsd = None,
    min_effect: options.MinEffect = None,
    max_latency_s: options.MaxLatencyS = None,
    allow: options.Allow = None,
    exclude: options.Exclude = None,
    require: options.Require = None,
    fallback: options.Fallback = None,
    risk: options.Risk = None,
    safe_model: options.SafeModel = None,
    max_doubt: options.MaxDoubt = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Most candidates to show.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Choose a model for one prompt, and show the candidates and the similar solved queries behind the choice.

    Example: graphrouter route artifacts/demo/router "Prove that 17 is prime." --max-cost-usd 0.001
    --exclude tarn-grand
    """
    given = {
        "effect_weight": effect_weight,
        "cost_weight": cost_weight,
        "usd_per_effect": usd_per_effect,
        "max_cost_usd": max_cost_usd,
        "min_effect": min_effect,
        "max_latency_s": max_latency_s,
        "allowed": allow,
        "excluded": exclude,
        "requires": [capability.value for capability in require or []],
        "fallback": fallback,
        "risk": None if risk is None else risk.value,
        "safe_model": safe_model,
        "max_doubt": max_doubt,
    }
    policy = build_policy(preset, given)
    text = sys.stdin.read() if prompt == "-" else prompt

    from graphrouter.router.loading import load_router

    router = load_router(artifact)
    warn_of_unknown_tasks(router, [task])
    chosen = resolved_policy(policy, router)
    decision = router.route(text, task=task, policy=chosen)
    if as_json:
        print_json(decision.to_dict())
    else:
        show_decision(decision, describe_policy(chosen), top=top)


def resolved_policy(policy: Policy, router: Router) -> Policy:
    """The policy as the router applies it, with a warning where it knows no cost to weigh."""
    resolved = policy.resolve(router.cost_scale)
    if resolved != policy:
        _logger.warning("This router cannot predict any cost; routing by expected effect alone.")
    return resolved

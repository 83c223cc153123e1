"""`graphrouter route`: where to send one prompt, and why."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.render import show_decision
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.policy import Policy

_logger = logging.getLogger(__name__)


@add_policy_options
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
    *,
    routes_file: Annotated[
        Path | None,
        typer.Option(
            "--routes",
            metavar="FILE",
            help="Named routes as .yaml or .json. A prompt of a route with a policy is routed by "
            "that alone, and the options of the policy do not count, which is told; one of a route "
            "with models by the options, among those models; one of no route by the options.",
            rich_help_panel="Policy",
            show_default=False,
        ),
    ] = None,
    policy: Policy,
    moment: MomentWords,
    top: Annotated[int, typer.Option("--top", min=1, help="Most candidates to show.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Choose a model for one prompt, and show the candidates and the evidence behind the choice.

    The evidence is the similar queries that were solved, and by whom.

    Example: graphrouter route artifacts/demo/router "Prove that 17 is prime." --max-cost-usd 0.001
    --exclude tarn-grand
    """
    text = sys.stdin.read() if prompt == "-" else prompt

    routes = None
    if routes_file is not None:
        from graphrouter.routes import Routes  # here: it encodes texts

        routes = Routes.load(routes_file)
    router = load_any_router(artifact)
    chosen = resolve_policy(policy, router)
    decision = router.route(text, task=task, policy=chosen, routes=routes, **moment)
    if routes is not None and decision.route is not None:
        if routes[decision.route].policy is not None and policy.model_fields_set:
            _logger.warning(
                "%s has a policy of its own, by which this prompt is routed; that of the options "
                "does not count: %s.",
                routes.locate(decision.route),
                policy.describe(),
            )
        chosen = routes[decision.route].apply(chosen)
    if as_json:
        print_json(decision.to_dict())
    else:
        show_decision(decision, chosen.describe(), top=top)

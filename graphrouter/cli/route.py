"""`graphrouter route`: where to send one prompt, and why."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.render import show_decision
from graphrouter.cli.routers import (
    load_any_router,
    load_routes,
    resolve_policy,
    warn_of_idle_options,
)
from graphrouter.policy import Policy


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
    user: options.User = None,
    team: options.Team = None,
    *,
    routes_file: options.RoutesFile = None,
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

    routes = load_routes(routes_file)  # before the router: loading takes seconds
    router = load_any_router(artifact)
    chosen = resolve_policy(policy, router)
    decision = router.route(
        text, task=task, user=user, team=team, policy=chosen, routes=routes, **moment
    )
    warn_of_idle_options(routes, [decision.route], policy)
    if routes is not None and decision.route is not None:
        chosen = routes[decision.route].apply(chosen)
    if as_json:
        print_json(decision.to_dict())
    else:
        show_decision(decision, chosen.describe(), top=top)

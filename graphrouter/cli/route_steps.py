"""`graphrouter route-steps`: a model for each step of a plan, within a budget for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.assign import describe_price, read_calls
from graphrouter.cli.console import print_json
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.render import (
    choose_usd_form,
    format_number,
    make_table,
    say_line,
    shorten,
    show_table,
)
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.policy import Policy
from graphrouter.steps import StepRouting, read_step_plan
from graphrouter.wording import name_some


@add_policy_options
def route_steps(
    artifact: options.Artifact,
    plan: Annotated[
        Path,
        typer.Argument(
            metavar="PLAN",
            help="The steps, as .yaml or .json: a list with role, prompt and after of each.",
            show_default=False,
        ),
    ],
    *,
    user: options.User = None,
    team: options.Team = None,
    policy: Policy,
    moment: MomentWords,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd",
            help="Most US dollars of the plan, what steps were billed already included.",
            rich_help_panel=options.BUDGET_PANEL,
            show_default=False,
        ),
    ] = None,
    budget_s: Annotated[
        float | None,
        typer.Option(
            "--budget-s",
            help="Most expected seconds of the steps that are left, added up.",
            rich_help_panel=options.BUDGET_PANEL,
            show_default=False,
        ),
    ] = None,
    max_calls: options.MaxCalls = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            help="Chance that a step that went wrong does no harm to what comes after it.",
            rich_help_panel=options.BUDGET_PANEL,
        ),
    ] = 0.0,
    as_json: options.Json = False,
) -> None:
    """Choose a model for each step of a plan whose steps build upon each other.

    A step goes right by its own chance if all that it builds upon can be used. With a budget the
    plan is worth the most that fits: money goes to the steps on which the most hangs. Without one
    the policy decides each step. Steps that were run already have model, and perhaps effect (a
    grade) and cost_usd: the rest is chosen with what is left.

    Example: graphrouter route-steps artifacts/demo/router examples/plan.yaml --budget-usd 0.01
    """
    read = read_step_plan(plan)
    router = load_any_router(artifact)
    by = policy if budget_usd is not None else resolve_policy(policy, router)
    found = router.route_steps(
        read,
        user=user,
        team=team,
        policy=by,
        budget_usd=budget_usd,
        budget_s=budget_s,
        max_calls=read_calls(max_calls or []) or None,
        tolerance=tolerance,
        **moment,
    )
    if as_json:
        print_json(found.to_dict())
        return
    _show_steps(found)
    for line in _describe_plan(found):
        say_line(line)


def _show_steps(found: StepRouting) -> None:
    columns = ("step", "model", "own", "right", "share", "USD")
    table = make_table("Steps", *columns, text_columns=2)
    form = choose_usd_form(step.cost_usd for step in found.steps)
    for step in found.steps:
        table.add_row(
            shorten(step.name, 30),
            shorten(step.model, 30) + (" (run)" if step.is_settled else ""),
            f"{step.effect:.3f}",
            f"{step.chance_right:.3f}",
            f"{step.share:.2f}",
            format_number(step.cost_usd, form),
        )
    show_table(table)


def _describe_plan(found: StepRouting) -> list[str]:
    """What the plan gets for its budget, a line each."""
    near = ""
    if found.gap is not None:
        near = f"at most {found.gap:.2g} below the best" if found.gap else "the best"
    lines = [f"Effect   {found.total_effect:.4f}{f', {near} that fits' if near else ''}"]
    limits = found.limits
    if limits.budget_usd is not None:
        price = describe_price(found.shadow_price or 0.0, "USD")
        lines.append(f"Dollars  {found.total_cost_usd:.6g} of {limits.budget_usd:g}; {price}")
    if limits.budget_s is not None:
        lines.append(f"Seconds  {describe_price(found.shadow_price_s or 0.0, 's')}")
    if found.critical_path_s == found.critical_path_s:  # not NaN
        lines.append(f"To end   {found.critical_path_s:.3g} s, each step as soon as it can")
    ready = [shorten(step.name, 40) for step in found.next_steps]
    lines.append(f"Next     {name_some(ready) if ready else 'nothing is left'}")
    if found.unknown_roles:
        names = name_some([repr(name) for name in found.unknown_roles])
        lines.append(f"Unknown  {names}: no task of the router, so routed by the prompt alone")
    return lines

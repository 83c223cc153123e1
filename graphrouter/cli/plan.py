"""`graphrouter plan`: whom to ask first, and whom after a look at the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.render import describe_route, say, say_line
from graphrouter.cli.routers import (
    load_graph_router,
    load_routes,
    resolve_policy,
    warn_of_idle_options,
)
from graphrouter.exceptions import DataError
from graphrouter.grades import Judge
from graphrouter.policy import Policy
from graphrouter.policy_words import read_pairs

_PANEL = "Plan"
_GRADED = "MODEL=GRADE with a number in [0, 1], such as nano=0"


@add_policy_options
def plan(
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
    user: options.User = None,
    team: options.Team = None,
    routes_file: options.RoutesFile = None,
    policy: Policy,
    moment: MomentWords,
    judge: Annotated[
        str,
        typer.Option(
            "--judge",
            metavar="exact|auc:X|rates:HIT,FALSE",
            help="How far grades are right: always; a right answer outscores a wrong one with "
            "chance X; or how often right and wrong answers pass.",
            rich_help_panel=_PANEL,
        ),
    ] = "exact",
    judge_cost_usd: Annotated[
        float,
        typer.Option("--judge-cost-usd", help="US dollars a grade.", rich_help_panel=_PANEL),
    ] = 0.0,
    max_calls: Annotated[
        int,
        typer.Option(
            "--max-calls", min=1, help="Most calls one after the other.", rich_help_panel=_PANEL
        ),
    ] = 3,
    max_total_cost_usd: Annotated[
        float | None,
        typer.Option(
            "--max-total-cost-usd",
            help="Most expected US dollars of all calls and grades.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    deadline_s: Annotated[
        float | None,
        typer.Option(
            "--deadline-s",
            help="Most expected seconds of all calls, one after the other.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    graded: Annotated[
        list[str] | None,
        typer.Option(
            "--graded",
            metavar="MODEL=GRADE",
            help="An answer in hand and its grade, such as nano=0; repeat it for more.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show whom to ask first about a prompt, and whom after its answer passed or failed.

    A plan weighs "ask a cheap model, look, perhaps go on" against "ask a dear one at once". In
    Python router.run carries it out.

    Example: graphrouter plan artifacts/demo/router "Prove that 17 is prime." --judge auc:0.8
    --preset performance_first
    """
    text = sys.stdin.read() if prompt == "-" else prompt
    reliability = Judge.parse(judge)
    grades = _read_grades(graded or ())
    routes = load_routes(routes_file)
    router = load_graph_router(artifact)
    chosen = resolve_policy(policy, router)
    found = router.plan(
        text,
        task=task,
        user=user,
        team=team,
        policy=chosen,
        judge=reliability,
        judge_cost_usd=judge_cost_usd,
        max_calls=max_calls,
        max_total_cost_usd=max_total_cost_usd,
        deadline_s=deadline_s,
        routes=routes,
        **moment,
    )
    warn_of_idle_options(routes, [found.route], policy)
    for model, grade in grades.items():
        found = found.after(model, grade)
    if as_json:
        print_json(found.to_dict())
        return
    say(found.tree(max_calls))
    if found.route_confidence is not None:
        say_line(f"route: {describe_route(found.route, found.route_confidence)}")
    say_line(f"policy: {found.asked.policy.describe()}; judge: {judge}")


def _read_grades(words: Sequence[str]) -> dict[str, float]:
    """Grades by model, from words such as `nano=0`.

    Raises:
        DataError: A word has another form, or a model occurs twice.
    """
    grades = {}
    try:
        for model, text in read_pairs(words, expected=_GRADED, of_last=True).items():
            grades[model] = _read_number(text, f"{model}={text}")
    except ValueError as error:
        raise DataError(f"--graded {error}.") from None
    return grades


def _read_number(text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"received {word!r}; expected {_GRADED}") from None

"""`graphrouter export`: what a router chooses, in the form that others ask for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.outputs import check_target
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.progress import track
from graphrouter.cli.render import say_line
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.exceptions import DataError
from graphrouter.files import replace_file, write_json
from graphrouter.policy import Policy
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.router.protocol import Router

app = typer.Typer(
    no_args_is_help=True, help="Write a router's choices in the form that others ask for."
)

_QUERIES_AT_ONCE = 256


@app.command()
@add_policy_options
def routerarena(
    artifact: options.Artifact,
    queries: Annotated[
        Path,
        typer.Argument(
            metavar="QUERIES",
            help="RouterArena's queries: router_data.json, router_data_10.json or "
            "router_robustness.json.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Prediction file to write (.json).", show_default=False
        ),
    ],
    config_out: Annotated[
        Path | None,
        typer.Option(
            "--config-out",
            metavar="FILE",
            help="Config of the router to write as well (.json).",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the router; the name of --out by default.", show_default=False
        ),
    ] = None,
    *,
    policy: Policy,
    moment: MomentWords,
) -> None:
    """Write RouterArena's prediction file: the model chosen for each query, its task hidden.

    The models of the router must bear RouterArena's names. A router that was fitted or tuned on
    RouterArena's own data is disqualified there.

    Example: graphrouter export routerarena artifacts/mine router_data.json --out mine.json --preset
    balanced
    """
    for target in (out, config_out):
        if target is not None:
            check_target(target, suffixes=(".json",))
    if len({path.resolve() for path in (queries, out, config_out) if path is not None}) < 2 + (
        config_out is not None
    ):
        raise DataError(
            "QUERIES, --out and --config-out must be different files. Name another file."
        )
    from graphrouter.bench.formats.routerarena_export import (
        SIZES,
        make_prediction_entries,
        make_router_config,
        read_arena_queries,
    )

    asked = read_arena_queries(queries)
    router = load_any_router(artifact)
    chosen_policy = resolve_policy(policy, router)
    chosen = choose_models(router, [query.prompt for query in asked], chosen_policy, moment)
    replace_file(out, partial(write_json, make_prediction_entries(asked, chosen)))
    if config_out is not None:
        replace_file(
            config_out, partial(write_json, make_router_config(name or out.stem, router.models))
        )
    which = SIZES.get(len(asked), "no set of RouterArena's size")
    say_line(
        f"Wrote {count_of(len(asked), 'choice')} ({which}), {chosen_policy.describe()}, to {out}"
    )


def choose_models(
    router: Router, prompts: list[str], policy: Policy, moment: MomentWords
) -> list[str]:
    """The model that the router chooses for each prompt, with a progress bar for a long list.

    Raises:
        PolicyError: Nobody satisfies the policy for a prompt.
    """
    chosen = []
    for rows in track(len(prompts), "Routing", at_once=_QUERIES_AT_ONCE):
        batch = [prompts[row] for row in rows]
        chosen += [
            decision.model for decision in router.route_batch(batch, policy=policy, **moment)
        ]
    return chosen

"""`graphrouter promise`: the cheapest policy of which something can be guaranteed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.outputs import check_target, write_texts
from graphrouter.cli.policy_options import POLICY_FILES, add_policy_options
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say_line
from graphrouter.cli.routers import load_graph_router
from graphrouter.policy import Policy

_PANEL = "Promise"


@add_policy_options
def promise(
    artifact: options.Artifact,
    data: options.Data,
    keep: Annotated[
        float | None,
        typer.Option(
            "--keep",
            metavar="SHARE",
            help="Share of the reference's mean effect to keep; 0.99 where nothing else is asked "
            "for.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar="MODEL",
            help="The reference: a model, or best_single, the best by what the router has learned "
            "from; best_single by default.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        float,
        typer.Option(
            "--confidence",
            help="Chance that all that is promised holds.",
            rich_help_panel=_PANEL,
        ),
    ] = 0.95,
    max_mean_cost_usd: Annotated[
        float | None,
        typer.Option(
            "--max-mean-cost-usd",
            help="Most US dollars a call on average.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    beats: Annotated[
        str | None,
        typer.Option(
            "--beats",
            metavar="MODEL",
            help="Model to beat at least as often as not.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    hide_tasks: Annotated[
        bool,
        typer.Option(
            "--hide-tasks",
            help="Promise it for queries whose task is not given.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    *,
    policy: Policy,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Also write the policy to FILE, .yaml or .json, as --policy of graphrouter route "
            "takes it.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Find the cheapest trade-off that keeps a promise on held-out queries, with a guarantee.

    It rests on the queries of DATA that the artifact has not learned from, and refuses where they
    do not support the promise. Options of the policy are limits that every trade-off respects.

    Example: graphrouter promise artifacts/demo/router artifacts/demo/data --keep 0.9 --out
    policy.yaml
    """
    if out is not None:
        check_target(out, suffixes=POLICY_FILES)

    from graphrouter.data import load_dataset
    from graphrouter.router.promise import list_given

    router = load_graph_router(artifact)
    with show_working("Reading the data"):
        dataset = load_dataset(data)
    with show_working("Testing the trade-offs"):
        found = router.calibrate_policy(
            dataset,
            keep=keep,
            of=of,
            confidence=confidence,
            max_mean_cost_usd=max_mean_cost_usd,
            beats=beats,
            within=policy,
            task_known=not hide_tasks,
        )
    if out is not None:
        settings = list_given(found.policy)
        if out.suffix == ".json":
            text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        else:
            import yaml

            text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        write_texts({out: text})
    if as_json:
        print_json(found.to_json())
        return
    for line in found.describe().splitlines():
        say_line(line)
    if out is not None:
        say_line(f"Wrote the policy to {out}")

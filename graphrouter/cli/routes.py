"""`graphrouter routes`: which named routes prompts are of, and how well examples are told apart."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, print_json
from graphrouter.cli.inputs import QUERIES_HELP, read_queries
from graphrouter.cli.outputs import TABLES, check_target
from graphrouter.cli.render import make_table, say, say_line, shorten, show_table
from graphrouter.cli.routers import load_any_router
from graphrouter.files import replace_file

if TYPE_CHECKING:
    from graphrouter.routes import RouteCheck

_NONE = "(none)"

app = typer.Typer(
    help="Named routes: match prompts, and check a file of routes with its examples.",
    no_args_is_help=True,
)

RoutesFile = Annotated[
    Path,
    typer.Argument(
        metavar="ROUTES", help="File of named routes, as .yaml or .json.", show_default=False
    ),
]


@app.command()
def check(
    artifact: options.Artifact,
    routes: RoutesFile,
    top: Annotated[int, typer.Option("--top", min=0, help="Most missed examples to show.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Check a file of routes: where does each example go when its route does not know it?

    And which routes leave no model for their own examples, by their policy or models?

    Exit status 2 where the file is not accepted, or names a model or a task that is not there.

    Example: graphrouter routes check artifacts/demo/router examples/routes.yaml
    """
    from graphrouter.routes import Routes, check_routes

    wanted = Routes.load(routes)  # before the router: loading takes seconds
    router = load_any_router(artifact)
    found = check_routes(router.route_matcher(wanted), router=router)
    if as_json:
        print_json(found.to_dict())
    else:
        _show_check(found, top)


@app.command()
def match(
    artifact: options.Artifact,
    routes: RoutesFile,
    prompts: Annotated[
        Path, typer.Argument(metavar="PROMPTS", help=QUERIES_HELP, show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write, as .parquet, .csv or .jsonl; without it CSV on standard output.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write the route of each prompt of a file, how sure it is, and the probability of every route.

    Columns: query_id, route (empty for none), confidence, and p_none and p_NAME for each route.

    Example: graphrouter routes match artifacts/demo/router examples/routes.yaml prompts.txt
    """
    if out is not None:
        check_target(out, suffixes=TABLES, source=prompts)

    import pandas as pd

    from graphrouter.data.table_files import write_table
    from graphrouter.routes import Routes
    from graphrouter.routes.named_routes import NO_ROUTE

    wanted = read_queries(prompts)
    named = Routes.load(routes)
    matcher = load_any_router(artifact).route_matcher(named)
    found = matcher.match(wanted.queries.prompts, wanted.queries.tasks)
    table = pd.DataFrame(
        {
            "query_id": wanted.ids,
            "route": [each.route for each in found],
            "confidence": [each.confidence for each in found],
            f"p_{NO_ROUTE}": [each.none for each in found],
            **{f"p_{n}": [each.probabilities[n] for each in found] for n in found[0].probabilities},
        }
    )
    if out is not None:
        replace_file(out, partial(write_table, table))
    if as_json:
        print_json(table.to_dict("records"))
    elif out is None:
        console.out(table.to_csv(index=False, float_format="%.4f"), end="", highlight=False)
    else:
        say_line(f"Wrote the routes of {len(table):,} prompts to {out}")


def _show_check(found: RouteCheck, top: int) -> None:
    """Write the confusion of examples, and the surest of those that go elsewhere."""
    say(found.describe(), style="bold")
    say()
    if not found.num_examples:
        return
    names = list(found.confusion)
    table = make_table("Examples, left out, by route (row) and match", "route", *names, _NONE)
    for name in names:
        row = found.confusion[name]
        table.add_row(shorten(name, 40), *(str(row.get(to, 0)) for to in (*names, None)))
    show_table(table)
    if not found.missed or not top:
        return
    title = f"Examples that go elsewhere ({min(top, len(found.missed))} of {len(found.missed)})"
    table = make_table(title, "example", "route", "went to", "sure", text_columns=3)
    for each in found.missed[:top]:
        to = _NONE if each.matched is None else shorten(each.matched, 40)
        table.add_row(
            shorten(each.example, 60), shorten(each.route, 40), to, f"{each.confidence:.2f}"
        )
    show_table(table)

"""`graphrouter plot`: pictures of a router, as PNG, SVG or a page that needs nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.outputs import check_target
from graphrouter.cli.policy_options import add_policy_options
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say, say_line
from graphrouter.cli.routers import load_graph_router, resolve_policy
from graphrouter.extras import require_extra
from graphrouter.grades import Judge
from graphrouter.policy import Policy

if TYPE_CHECKING:
    from graphrouter.bench.pictures import Picture
    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

app = typer.Typer(
    no_args_is_help=True,
    help="Draw a router: readable in grey and on a telephone, with the figures behind it.",
)

Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Where to draw to: .png, .svg, or .html, a page for screen and telephone with the "
        "figures in a table.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Also write the figures behind it to standard output, as JSON."),
]
HideTasks = Annotated[
    bool, typer.Option("--hide-tasks", help="Do not tell the router the tasks of the queries.")
]


@app.command()
def frontier(
    artifact: options.Artifact,
    data: options.Data,
    out: Out,
    hide_tasks: HideTasks = False,
    as_json: AsJson = False,
) -> None:
    """Draw quality against cost, on queries that the router has not learned from.

    A line is what the router reaches at each price, a point is one model for all queries; the
    dotted line is what perfect foresight would reach.

    Example: graphrouter plot frontier artifacts/demo/router artifacts/demo/data --out frontier.png
    """
    _prepare(out)
    from graphrouter.bench.pictures import draw_frontier

    router, dataset = _load(artifact, data)
    _write(lambda: draw_frontier(router, dataset, task_known=not hide_tasks), out, as_json)


@app.command()
def calibration(
    artifact: options.Artifact,
    data: options.Data,
    out: Out,
    hide_tasks: HideTasks = False,
    as_json: AsJson = False,
) -> None:
    """Draw what came of it where the router expected an effect, with 95 % intervals.

    Example: graphrouter plot calibration artifacts/demo/router artifacts/demo/data --out
    calibration.svg
    """
    _prepare(out)
    from graphrouter.bench.pictures import draw_calibration

    router, dataset = _load(artifact, data)
    _write(lambda: draw_calibration(router, dataset, task_known=not hide_tasks), out, as_json)


@app.command()
def newcomer(
    artifact: options.Artifact,
    data: options.Data,
    out: Out,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Who joins anew; without it the model with the most outcomes to hold it against.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw how soon a model is known that leaves the pool and joins again with few outcomes.

    Example: graphrouter plot newcomer artifacts/demo/router artifacts/demo/data --out newcomer.png
    """
    _prepare(out)
    from graphrouter.bench.pictures import draw_newcomer

    router, dataset = _load(artifact, data)
    _write(lambda: draw_newcomer(router, dataset, model=model), out, as_json)


@app.command()
def heatmap(
    artifact: options.Artifact,
    out: Out,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Draw mean effects as they were observed there, in place of expected ones.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw how good every model is at every task.

    Example: graphrouter plot heatmap artifacts/demo/router --out heatmap.png
    """
    _prepare(out)
    from graphrouter.bench.pictures import draw_heatmap

    router = load_graph_router(artifact)
    dataset = None if data is None else _read(data)
    _write(lambda: draw_heatmap(router, dataset), out, as_json)


@app.command()
def familiarity(
    artifact: options.Artifact, data: options.Data, out: Out, as_json: AsJson = False
) -> None:
    """Draw how near queries are to those that the router has seen solved.

    Example: graphrouter plot familiarity artifacts/demo/router artifacts/demo/data --out known.png
    """
    _prepare(out)
    from graphrouter.bench.pictures import draw_familiarity

    router, dataset = _load(artifact, data)
    _write(lambda: draw_familiarity(router, dataset), out, as_json)


@app.command()
@add_policy_options
def graph(
    artifact: options.Artifact,
    data: options.Data,
    out: Out,
    num_queries: Annotated[
        int, typer.Option("--queries", min=1, max=200, help="Most queries to draw.")
    ] = 36,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw of queries.")] = 0,
    as_json: AsJson = False,
    *,
    policy: Policy,
) -> None:
    """Draw tasks, a sample of queries, and the models that these would be sent to.

    The page (.html) can be asked: a click on a query shows why it goes where it goes.

    Example: graphrouter plot graph artifacts/demo/router artifacts/demo/data --out graph.html
    """
    _prepare(out)
    from graphrouter.bench.pictures import draw_graph

    router, dataset = _load(artifact, data)
    by = resolve_policy(policy, router)
    _write(
        lambda: draw_graph(router, dataset, policy=by, num_queries=num_queries, seed=seed),
        out,
        as_json,
    )


@app.command()
@add_policy_options
def plan(
    artifact: options.Artifact,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help="The query; - reads it from standard input.", show_default=False
        ),
    ],
    out: Out,
    task: Annotated[
        str | None, typer.Option("--task", help="Task of the query, where you know it.")
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            "--judge", metavar="exact|auc:X|rates:HIT,FALSE", help="How far grades are right."
        ),
    ] = "exact",
    max_calls: Annotated[
        int, typer.Option("--max-calls", min=1, help="Most calls one after the other.")
    ] = 3,
    as_json: AsJson = False,
    *,
    policy: Policy,
) -> None:
    """Draw whom to ask first about a prompt, and whom after its answer passed or failed.

    Example: graphrouter plot plan artifacts/demo/router "Prove that 17 is prime." --judge auc:0.8
    --preset performance_first --out plan.svg
    """
    _prepare(out)
    text = sys.stdin.read() if prompt == "-" else prompt
    reliability = Judge.parse(judge)
    from graphrouter.bench.pictures import draw_plan

    router = load_graph_router(artifact)
    found = router.plan(
        text,
        task=task,
        policy=resolve_policy(policy, router),
        judge=reliability,
        max_calls=max_calls,
    )
    _write(lambda: draw_plan(found, depth=max_calls, title=text), out, as_json)


def _prepare(out: Path) -> None:
    """Refuse before the work what would fail after it."""
    from graphrouter.bench.pictures.picture import FORMATS

    check_target(out, suffixes=FORMATS)
    require_extra("bench", "matplotlib", "jinja2", purpose="graphrouter plot")


def _load(artifact: Path, data: str) -> tuple[GraphRouter, RoutingDataset]:
    return load_graph_router(artifact), _read(data)


def _read(data: str) -> RoutingDataset:
    from graphrouter.data import load_dataset

    with show_working("Reading the data"):
        return load_dataset(data)


def _write(draw: Callable[[], Picture], out: Path, as_json: bool) -> None:
    with show_working("Drawing"):
        picture = draw()
        picture.save(out)
    if as_json:
        rows = [dict(zip(picture.columns, row, strict=True)) for row in picture.rows]
        print_json({"title": picture.title, "says": picture.says, "rows": rows, "file": out})
        return
    say(picture.says)
    say_line(f"Wrote {out}")

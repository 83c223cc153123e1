"""`graphrouter pool`: which models a router chooses among; they change without a training."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrouter.cli import options, pool_changes
from graphrouter.cli.console import print_json
from graphrouter.cli.inputs import read_outcomes
from graphrouter.cli.outputs import TABLES, check_target
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import format_number, make_table, say_line, shorten, show_table
from graphrouter.cli.routers import load_graph_router
from graphrouter.files import replace_file
from graphrouter.wording import count_of

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.pool import ModelCard
    from graphrouter.router.provenance import Change

STATUS_CHANGED = 3
"""Exit status of `pool check` when a model has changed; failures have others."""

app = typer.Typer(
    no_args_is_help=True,
    help="Show and change the models of a trained router; nothing is trained again.",
)


@app.command("list")
def list_models(artifact: options.Artifact, as_json: options.Json = False) -> None:
    """Show the models of a router: price, outcomes that are known of them, their mean effect.

    Example: graphrouter pool list artifacts/demo/router
    """
    router = load_graph_router(artifact)
    known = router.count_outcomes()
    rows = list(zip(router.pool, known["num_outcomes"], known["mean_effect"], strict=True))
    if as_json:
        print_json(
            [
                {**_to_plain_card(card), "num_outcomes": int(count), "mean_effect": float(mean)}
                for card, count, mean in rows
            ]
        )
        return
    has_kinds = any(card.kind is not None for card in router.pool)
    named = ("model", "kind") if has_kinds else ("model",)
    table = make_table(
        f"Pool of {artifact}", *named, "USD/M tokens in", "out", "outcomes", "mean effect"
    )
    for card, count, mean in rows:
        prices = (
            format_number(price, ".2f")
            for price in (card.input_usd_per_mtok, card.output_usd_per_mtok)
        )
        first = (card.model, str(card.state_of("kind"))) if has_kinds else (card.model,)
        table.add_row(*first, *prices, f"{count:,}", format_number(mean, ".3f"))
    show_table(table)


@app.command()
def show(
    artifact: options.Artifact, model: pool_changes.Model, as_json: options.Json = False
) -> None:
    """Show the card of a model, how its bills differ, and what was changed of it after training.

    Example: graphrouter pool show artifacts/demo/router tarn-grand
    """
    router = load_graph_router(artifact)
    card = _to_plain_card(router.pool[model])
    notes = router.bills.describe(router.pool.prices).get(model, ())
    changes = [each for each in router.provenance.changes if each.model in ("", model)]
    if as_json:
        print_json({"card": card, "costs": notes, "changes": changes})
        return
    for name, value in card.items():
        say_line(f"{name}: {value}")
    for note in notes:
        say_line(f"costs: {note}")
    for change in changes:
        say_line(f"{change.at}  {_describe(change)}")


def _to_plain_card(card: ModelCard) -> dict[str, Any]:
    """What the card states, under the names of its file."""
    return card.model_dump(by_alias=True, exclude_none=True)


def _describe(change: Change) -> str:
    """What was changed, in words."""
    outcomes = f", {count_of(change.num_outcomes, 'outcome')}" if change.num_outcomes else ""
    return f"{change.what}{f' {change.task}' if change.task else ''}{outcomes}"


app.command()(pool_changes.add)
app.command()(pool_changes.remove)
app.command("forget-user")(pool_changes.forget_user)
app.command("set-price")(pool_changes.set_price)
app.command("add-task")(pool_changes.add_task)


@app.command("suggest-probes")
def suggest_probes(
    artifact: options.Artifact,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="A model of the pool to be known better; a newcomer that is not in it yet by "
            "default.",
            show_default=False,
        ),
    ] = None,
    num: Annotated[int, typer.Option("-n", "--num", metavar="N", help="How many prompts.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write them here, as .csv, .jsonl or .parquet.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show which prompts to run on a model so that few outcomes tell most, the most useful first.

    Grade the answers from 0 to 1 in a column effect, and give the table to pool add. What the model
    has answered is left out, so it can be asked again after each batch.

    Example: graphrouter pool suggest-probes artifacts/mine -n 20 --out probes.csv
    """
    if out is not None:
        check_target(out, suffixes=TABLES)
    router = load_graph_router(artifact)
    probes = router.suggest_probes(num, model=model)
    if out is not None:
        from graphrouter.data.table_files import write_table

        replace_file(out, partial(write_table, probes))
    if as_json:
        print_json(
            [
                {**row, "task": row["task"] if isinstance(row["task"], str) else None}
                for row in probes.to_dict("records")
            ]
        )
    elif out is not None:
        say_line(
            f"Wrote {count_of(len(probes), 'prompt')} to {out}. Add a column effect with "
            f"your grades, from "
            "0 to 1."
        )
    else:
        _show_probes(probes)


def _show_probes(probes: pd.DataFrame) -> None:
    table = make_table(
        f"Prompts to run ({len(probes)}), the most useful first",
        "query_id",
        "task",
        "prompt",
        text_columns=3,
    )
    for query, task, prompt in probes.itertuples(index=False):
        table.add_row(
            query, shorten(task, 24) if isinstance(task, str) else "-", shorten(prompt, 80)
        )
    show_table(table)


@app.command()
def check(
    artifact: options.Artifact,
    outcomes: Annotated[
        Path,
        typer.Argument(
            metavar="OUTCOMES",
            help="Table with model, effect, and prompt (and task) or query_id.",
            show_default=False,
        ),
    ],
    as_json: options.Json = False,
    level: Annotated[
        float, typer.Option("--level", help="Chance of naming any model when none has changed.")
    ] = 0.05,
) -> None:
    """Compare new outcomes with what the router expects, and name the models that have changed.

    A provider may change a model behind the same name. Twenty outcomes of a model are the fewest
    that get a verdict, about two hundred find a change of 0.15 in effect. Prompts that were harder
    than they look for all models alike count for none.

    Exit status 3 says that a model has changed, so that a scheduled check can raise an alarm; 0
    that none has, 2 that the input is bad.

    Example: graphrouter pool check artifacts/mine graded.csv
    """
    graded = read_outcomes(outcomes)
    router = load_graph_router(artifact)

    from graphrouter.cli.drift_tables import show_drift
    from graphrouter.monitoring.drift import check_drift

    with show_working("Comparing"):
        report = check_drift(router, graded, level=level)
    if as_json:
        print_json(report.to_json())
    else:
        show_drift(report)
    if report.changed:
        raise typer.Exit(STATUS_CHANGED)

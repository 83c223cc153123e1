"""`graphrouter spend`: what the calls of a gateway have cost, and what was saved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.render import make_table, say, show_table
from graphrouter.cli.stores import open_store

if TYPE_CHECKING:
    from graphrouter.gateway.store.spending_report import ObservedSpending


def spend(
    store: options.StorePlace,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="MODEL",
            help="Also what the same tokens would have cost with this model.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        Literal["model", "key", "team"], typer.Option("--by", help="What calls are counted by.")
    ] = "model",
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since", formats=options.DAYS, help="From then on, in UTC.", show_default=False
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=options.DAYS, help="Before then, in UTC.", show_default=False
        ),
    ] = None,
    observed: Annotated[
        bool,
        typer.Option(
            "--observed", help="Only calls of serve --observe, beside what the router would ask."
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show what the calls of a gateway have cost, by the tokens that upstreams told.

    Example: graphrouter spend graphrouter.db --baseline tarn-grand --since 2026-05-01
    """
    begin = 0.0 if since is None else _seconds(since)
    end = None if until is None else _seconds(until)
    with open_store(store, "graphrouter spend", must_exist=True) as opened:
        from graphrouter.gateway.store.spending_report import read_observed, read_spending

        with opened.reader.connect() as connection:
            if observed:
                _show_observed(read_observed(connection, since=begin, until=end), as_json)
                return
            rows = read_spending(connection, by=by, baseline=baseline, since=begin, until=end)
    if as_json:
        print_json([{**row._asdict(), "saved_usd": row.saved_usd} for row in rows])
        return
    columns = [by, "calls", "unknown cost", "tokens in", "out", "USD"]
    if baseline is not None:
        columns += [f"USD with {baseline}", "saved"]
    table = make_table(f"Spent by {by}", *columns)
    for row in rows:
        money = [row.cost_usd]
        if row.baseline_usd is not None and row.saved_usd is not None:
            money += [row.baseline_usd, row.saved_usd]
        counts = (row.num_calls, row.num_unknown, row.input_tokens, row.output_tokens)
        table.add_row(row.name, *(f"{n:,}" for n in counts), *(f"{usd:,.6f}" for usd in money))
    show_table(table)
    total = f"In all {sum(row.cost_usd for row in rows):,.6f} USD"
    if baseline is not None:
        total += f", {sum(row.saved_usd or 0.0 for row in rows):,.6f} USD less than {baseline}"
    say(f"{total}.")


def _show_observed(found: ObservedSpending | None, as_json: bool) -> None:
    if as_json:
        print_json(found and {**found._asdict(), "saved_usd": found.saved_usd})
        return
    if found is None:
        say("Nothing was observed. Serve with --observe.")
        return
    say(
        f"{found.num_calls:,} calls of models that clients named have cost {found.cost_usd:,.6f} "
        f"USD. The router would have asked others in {found.num_others:,}: expected effect "
        f"{found.chosen_effect:.3f} in place of {found.named_effect:.3f}, "
        f"{found.chosen_usd:.6f} USD a call in place of {found.named_usd:.6f}, "
        f"so {found.saved_usd:,.6f} USD less."
    )


def _seconds(at: datetime) -> float:
    return at.replace(tzinfo=UTC).timestamp()

"""`graphrouter keys`: who may ask a gateway, for what, and for how much a day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, print_json
from graphrouter.cli.render import make_table, show_table
from graphrouter.extras import require_extra

if TYPE_CHECKING:
    from graphrouter.gateway.store import Store

app = typer.Typer(help="Keys of the clients of a gateway.", no_args_is_help=True)


@app.command()
def add(
    store: options.StorePlace,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.", show_default=False)],
    scopes: Annotated[
        str,
        typer.Option(
            "--scopes",
            metavar="SCOPES",
            help="route: ask models; grade: grade answers; admin: all. Several: route,grade.",
        ),
    ] = "route",
    usd_per_day: Annotated[
        float | None,
        typer.Option(
            "--usd-per-day",
            metavar="USD",
            help="Most that its calls may cost on a day of UTC.",
            show_default=False,
        ),
    ] = None,
    over_budget: Annotated[
        Literal["refuse", "cheapest"],
        typer.Option("--over-budget", help="Refuse calls beyond it, or ask the cheapest model."),
    ] = "refuse",
) -> None:
    """Make a key and show it, once: the store keeps a hash.

    Gateways that run on the store ask for keys from then on.

    Example: graphrouter keys add graphrouter.db ada --scopes route,grade --usd-per-day 5
    """
    with _open(store) as opened:
        from graphrouter.gateway.store.client_keys import add_key
        from graphrouter.gateway.token_prices import to_nanousd

        key = add_key(
            opened,
            name,
            scopes=[scope.strip() for scope in scopes.split(",") if scope.strip()],
            nanousd_per_day=None if usd_per_day is None else to_nanousd(usd_per_day),
            over_budget=over_budget,
        )
    console.out(key, highlight=False)


@app.command("list")
def list_(store: options.StorePlace, as_json: options.Json = False) -> None:
    """Show all keys but what they are: names, scopes, budgets, and when they were revoked.

    Example: graphrouter keys list graphrouter.db
    """
    with _open(store) as opened:
        from graphrouter.gateway.store.client_keys import read_keys
        from graphrouter.gateway.token_prices import to_usd

        with opened.reader.connect() as connection:
            found = read_keys(connection)
        rows = [
            {
                "id": key.id,
                "name": key.name,
                "scopes": list(key.scopes),
                "created": _tell_time(key.created),
                "revoked": None if key.revoked is None else _tell_time(key.revoked),
                "usd_per_day": to_usd(key.nanousd_per_day),
                "over_budget": key.over_budget,
            }
            for key in found
        ]
    if as_json:
        print_json(rows)
        return
    table = make_table(
        "Keys", "id", "name", "scopes", "created (UTC)", "revoked", "USD a day", text_columns=5
    )
    for key in found:
        usd = to_usd(key.nanousd_per_day)
        table.add_row(
            key.id,
            key.name,
            ",".join(key.scopes),
            _tell_time(key.created),
            "" if key.revoked is None else _tell_time(key.revoked),
            "" if usd is None else f"{usd:g}, then {key.over_budget}",
        )
    show_table(table)


@app.command()
def revoke(
    store: options.StorePlace,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the key, or its id.", show_default=False)
    ],
) -> None:
    """Make a key good for nothing; gateways that run see it within a second.

    Example: graphrouter keys revoke graphrouter.db ada
    """
    with _open(store) as opened:
        from graphrouter.gateway.store.client_keys import revoke_key

        revoke_key(opened, name)


@contextmanager
def _open(place: str) -> Iterator[Store]:
    require_extra("serve", purpose="graphrouter keys")

    from graphrouter.gateway.store import Store

    store = Store.open(place)
    try:
        yield store
    finally:
        store.close()


def _tell_time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"

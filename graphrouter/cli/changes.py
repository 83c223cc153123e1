"""`graphrouter changes`: what admins have changed of gateways that serve, and an end of it."""

from __future__ import annotations

import json
import time

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.render import make_table, say, show_table
from graphrouter.cli.stores import open_store, tell_time
from graphrouter.wording import count_of

app = typer.Typer(help="Changes of gateways by their admins.", no_args_is_help=True)


@app.command("list")
def list_(store: options.StorePlace, as_json: options.Json = False) -> None:
    """Show what admins have changed under /admin, and who: models, policy, routes, artifacts.

    Example: graphrouter changes list graphrouter.db
    """
    with open_store(store, "graphrouter changes", must_exist=True) as opened:
        from graphrouter.gateway.store.stored_changes import read_changes

        with opened.reader.connect() as connection:
            found = read_changes(connection)
    if as_json:
        print_json([{**each._asdict(), "time": tell_time(each.time)} for each in found])
        return
    table = make_table(
        "Changes", "revision", "time (UTC)", "key", "what", "name", "body", text_columns=6
    )
    for each in found:
        body = json.dumps(each.body) if each.body else ""
        table.add_row(
            str(each.revision),
            tell_time(each.time),
            each.key_id or "",
            each.kind,
            each.name or "",
            body if len(body) <= _MOST_SHOWN else f"{body[:_MOST_SHOWN]}...",
        )
    show_table(table)


@app.command()
def forget(store: options.StorePlace) -> None:
    """Let gateways that start from now on serve what their command says, without changes so far.

    Gateways that run keep them until they are started again.

    Example: graphrouter changes forget graphrouter.db
    """
    with open_store(store, "graphrouter changes", must_exist=True) as opened:
        from graphrouter.gateway.store.stored_changes import forget_changes

        count = forget_changes(opened, time.time())
    say(f"{count_of(count, 'change')} forgotten.")


_MOST_SHOWN = 60
"""Characters of what an admin has sent."""

"""`graphrouter keys`: who may ask a gateway, for what, and for how much a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, print_json
from graphrouter.cli.render import make_table, show_table
from graphrouter.cli.stores import open_store, tell_time

if TYPE_CHECKING:
    from graphrouter.gateway.store.client_keys import ClientKey, KeyTerms
    from graphrouter.gateway.store.client_teams import Budget

app = typer.Typer(help="Keys of the clients of a gateway.", no_args_is_help=True)


_Scopes = Annotated[
    str | None,
    typer.Option(
        "--scopes",
        metavar="SCOPES",
        help="route: ask models, as without the option; grade: grade answers; admin: all. Several: "
        "route,grade.",
        show_default=False,
    ),
]
_UsdPerDay = Annotated[
    float | None,
    typer.Option(
        "--usd-per-day",
        metavar="USD",
        help="Most that its calls may cost on a day of UTC.",
        show_default=False,
    ),
]
_OverBudget = Annotated[
    Literal["refuse", "cheapest"] | None,
    typer.Option(
        "--over-budget",
        help="Refuse calls beyond it, as without the option, or ask the cheapest model.",
        show_default=False,
    ),
]
_Team = Annotated[
    str | None,
    typer.Option(
        "--team",
        metavar="TEAM",
        help="Its team, whose budget its calls count against too: see graphrouter keys team.",
        show_default=False,
    ),
]
_Policy = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="POLICY",
        help="What its requests are routed by unless they state a policy: a preset, or settings as "
        "a JSON object.",
        show_default=False,
    ),
]
_Route = Annotated[
    str | None,
    typer.Option(
        "--route",
        metavar="NAME",
        help="The named route of its requests for auto that state no policy.",
        show_default=False,
    ),
]
_Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="MODELS",
        help="The only models that answer it: tarn-nano,tarn-grand.",
        show_default=False,
    ),
]


@app.command()
def add(
    store: options.StorePlace,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.", show_default=False)],
    scopes: _Scopes = None,
    usd_per_day: _UsdPerDay = None,
    over_budget: _OverBudget = None,
    team: _Team = None,
    policy: _Policy = None,
    route: _Route = None,
    models: _Models = None,
) -> None:
    """Make a key and show it, once: the store keeps a hash.

    Gateways that run on the store ask for keys from then on.

    Example: graphrouter keys add graphrouter.db ada --scopes route,grade --usd-per-day 5
    """
    with open_store(store, "graphrouter keys") as opened:
        from graphrouter.gateway.store.client_keys import add_key

        terms = _read_terms(scopes, usd_per_day, over_budget, team, policy, route, models)
        key = add_key(opened, name, terms)
    console.out(key, highlight=False)


@app.command("set")
def set_(
    store: options.StorePlace,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the key, or its id.", show_default=False)
    ],
    scopes: _Scopes = None,
    usd_per_day: _UsdPerDay = None,
    over_budget: _OverBudget = None,
    team: _Team = None,
    policy: _Policy = None,
    route: _Route = None,
    models: _Models = None,
) -> None:
    """Change what a key may do, spend and have by default; what is not stated stays.

    Gateways that run see it within a second.

    Example: graphrouter keys set graphrouter.db ada --policy cost_first --models tarn-nano,tarn-two
    """
    with open_store(store, "graphrouter keys") as opened:
        from graphrouter.gateway.store.client_keys import change_key

        terms = _read_terms(scopes, usd_per_day, over_budget, team, policy, route, models)
        change_key(opened, name, terms)


@app.command()
def team(
    store: options.StorePlace,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the team.", show_default=False)],
    usd_per_day: _UsdPerDay = None,
    over_budget: _OverBudget = None,
) -> None:
    """Make a team of keys with a budget that they share, or change its budget.

    Example: graphrouter keys team graphrouter.db search --usd-per-day 50
    """
    with open_store(store, "graphrouter keys") as opened:
        from graphrouter.gateway.store.client_teams import put_team
        from graphrouter.gateway.token_prices import to_nanousd

        nanousd = None if usd_per_day is None else to_nanousd(usd_per_day)
        put_team(opened, name, nanousd_per_day=nanousd, over_budget=over_budget)


@app.command("list")
def list_(store: options.StorePlace, as_json: options.Json = False) -> None:
    """Show all keys but what they are: names, scopes, teams, budgets, and when they were revoked.

    Example: graphrouter keys list graphrouter.db
    """
    with open_store(store, "graphrouter keys") as opened:
        from graphrouter.gateway.store.client_keys import read_keys

        with opened.reader.connect() as connection:
            found = read_keys(connection)
    if as_json:
        print_json([_to_plain(key) for key in found])
        return
    columns = ("id", "name", "scopes", "created (UTC)", "revoked", "by default", "USD a day")
    table = make_table("Keys", *columns, text_columns=7)
    for key in found:
        table.add_row(
            key.id,
            key.name,
            ",".join(key.scopes),
            tell_time(key.created),
            "" if key.revoked is None else tell_time(key.revoked),
            _tell_defaults(key),
            "; ".join(map(_tell_budget, key.budgets)),
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
    with open_store(store, "graphrouter keys") as opened:
        from graphrouter.gateway.store.client_keys import revoke_key

        revoke_key(opened, name)


def _read_terms(
    scopes: str | None,
    usd_per_day: float | None,
    over_budget: Literal["refuse", "cheapest"] | None,
    team: str | None,
    policy: str | None,
    route: str | None,
    models: str | None,
) -> KeyTerms:
    from graphrouter.gateway.store.client_keys import KeyTerms
    from graphrouter.gateway.token_prices import to_nanousd

    nanousd = None if usd_per_day is None else to_nanousd(usd_per_day)
    return KeyTerms(_split(scopes), nanousd, over_budget, team, policy, route, _split(models))


def _split(words: str | None) -> list[str] | None:
    return None if words is None else [word.strip() for word in words.split(",") if word.strip()]


def _to_plain(key: ClientKey) -> dict[str, Any]:
    from graphrouter.gateway.token_prices import to_usd

    team = key.team
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created": tell_time(key.created),
        "revoked": None if key.revoked is None else tell_time(key.revoked),
        "usd_per_day": to_usd(key.nanousd_per_day),
        "over_budget": key.over_budget,
        "policy": key.policy,
        "route": key.route,
        "models": None if key.models is None else sorted(key.models),
        "team": team
        and {
            "name": team.name,
            "usd_per_day": to_usd(team.nanousd_per_day),
            "over_budget": team.over_budget,
        },
    }


def _tell_defaults(key: ClientKey) -> str:
    told = [key.policy or "", f"route {key.route}" if key.route else ""]
    if key.models is not None:
        told.append(f"only {', '.join(sorted(key.models))}")
    return "; ".join(filter(None, told))


def _tell_budget(budget: Budget) -> str:
    of_team = f" of {budget.owner}" if budget.owner.startswith("the team") else ""
    return f"{budget.nanousd_per_day / 1e9:g}{of_team}, then {budget.over_budget}"

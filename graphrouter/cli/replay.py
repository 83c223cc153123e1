"""`graphrouter replay`: what another policy would have brought, by the decisions of a store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.policy_options import add_policy_options
from graphrouter.cli.render import make_table, say, show_table
from graphrouter.cli.routers import load_any_router, resolve_policy
from graphrouter.extras import require_extra
from graphrouter.policy import Policy

if TYPE_CHECKING:
    from graphrouter.gateway.store.replaying import ReplayedQuantity
    from graphrouter.router.off_policy import Estimate

_FORMS = {"effect": "{:.4f}", "cost_usd": "{:.8f}"}


@add_policy_options
def replay(
    store: options.StorePlace,
    artifact: options.Artifact,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Predict anew with ARTIFACT from stored prompts, in place of what was predicted.",
        ),
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option("--since", formats=options.DAYS, help="From then on, in UTC."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=options.DAYS, help="Before then, in UTC."),
    ] = None,
    as_json: options.Json = False,
    *,
    policy: Policy,
) -> None:
    """Estimate effect and cost of another policy on the decisions that a gateway has made.

    From decisions that were given by chance (serve --explore), each weighed by its propensity:
    self-normalised (SNIPS) and doubly robust, with 95 % intervals. Refused where the other policy
    asks a model that had no chance.

    Example: graphrouter replay graphrouter.db artifacts/mine --preset cost_first
    """
    require_extra("serve", purpose="graphrouter replay")

    from graphrouter.gateway.store import Store
    from graphrouter.gateway.store.replaying import read_log
    from graphrouter.gateway.store.replaying import replay as replay_log

    router = load_any_router(artifact)
    opened = Store.open(store, must_exist=True)
    try:
        with opened.reader.connect() as connection:
            log = read_log(
                connection,
                since=0.0 if since is None else since.replace(tzinfo=UTC).timestamp(),
                until=None if until is None else until.replace(tzinfo=UTC).timestamp(),
            )
    finally:
        opened.close()
    found = replay_log(log, router, resolve_policy(policy, router), again=again)
    measured = {"effect": found.effect, "cost_usd": found.cost_usd}
    if as_json:
        rest = {name: value for name, value in found._asdict().items() if name not in measured}
        told = {name: each and _to_plain(each) for name, each in measured.items()}
        print_json({**rest, **told})
        return
    table = make_table(
        "Mean a call", "of", "known", "as many as", "log", "predicted", "SNIPS", "doubly robust"
    )
    for name, each in measured.items():
        if each is None:
            continue
        form = _FORMS[name]
        table.add_row(
            name,
            f"{each.num_decisions:,}",
            f"{each.effective_size:,.0f}",
            form.format(each.logged),
            form.format(each.expected),
            _tell(each.snips, form),
            _tell(each.doubly_robust, form),
        )
    show_table(table)
    say(
        f"{found.num_decisions:,} decisions, {found.num_left_out:,} left out; "
        f"{100 * found.share_same:.1f} % asked the model that the other policy asks."
    )


def _tell(estimate: Estimate, form: str) -> str:
    low, high = form.format(estimate.low), form.format(estimate.high)
    return f"{form.format(estimate.value)} [{low}, {high}]"


def _to_plain(measured: ReplayedQuantity) -> dict[str, Any]:
    estimates = {name: getattr(measured, name)._asdict() for name in ("snips", "doubly_robust")}
    return {**measured._asdict(), **estimates}

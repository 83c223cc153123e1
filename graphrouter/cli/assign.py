"""`graphrouter assign`: a model for each prompt of a file, within a budget for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.batch_records import BatchLimits, BatchRouting
from graphrouter.batch_routing import assign_batch
from graphrouter.cli import options
from graphrouter.cli.console import console, error_console
from graphrouter.cli.inputs import QUERIES_HELP, read_queries
from graphrouter.cli.outputs import TABLES, check_target
from graphrouter.cli.policy_options import MomentWords, add_policy_options
from graphrouter.cli.predict import predict_in_parts
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import shorten
from graphrouter.cli.routers import load_any_router, load_routes, warn_of_idle_options
from graphrouter.files import replace_file
from graphrouter.moment import Moment, warn_of_idle_seconds
from graphrouter.policy import Policy
from graphrouter.policy_words import read_pairs
from graphrouter.router.routed_queries import RoutedQueries, assign_routed
from graphrouter.types import Predictions
from graphrouter.wording import count_of, name_some

if TYPE_CHECKING:
    from rich.console import Console

    from graphrouter.routes import Routes

_MOST_SHOWN = 8


@add_policy_options
def assign(
    artifact: options.Artifact,
    prompts: Annotated[
        str,
        typer.Argument(
            metavar="PROMPTS",
            help=f"{QUERIES_HELP} With --engine ray a folder of .parquet files with query_id and "
            "prompt, or its address.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            help="File to write, as .parquet, .csv or .jsonl; without it CSV on standard output. "
            "With --engine ray a folder, or its address.",
            show_default=False,
        ),
    ] = None,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd",
            help="Most expected US dollars of all calls together.",
            rich_help_panel=options.BUDGET_PANEL,
            show_default=False,
        ),
    ] = None,
    budget_s: Annotated[
        float | None,
        typer.Option(
            "--budget-s",
            help="Most expected seconds of all calls together, added up.",
            rich_help_panel=options.BUDGET_PANEL,
            show_default=False,
        ),
    ] = None,
    max_calls: options.MaxCalls = None,
    *,
    routes_file: options.RoutesFile = None,
    engine: options.WhichEngine = options.Engine.local,
    workers: options.Workers = 2,
    ray_address: options.RayAddress = None,
    processes: options.Processes = 1,
    policy: Policy,
    moment: MomentWords,
) -> None:
    """Choose a model for each prompt of a file, so that all calls together fit a budget.

    The choices have the highest total effect that fits: money goes to the prompts on which it buys
    the most. Name one limit or more of --budget-usd, --budget-s and --max-calls. What a policy
    respects holds for every prompt (--max-cost-usd, --max-latency-s, --allow, --exclude, --require,
    --min-effect, --fallback, --risk, --safe-model, --unavailable), and --penalty takes off effect;
    weights, presets, --usd-per-effect and --usd-per-second do not count, since the budget says what
    a dollar is worth. Those of a route of --routes that has a policy of its own do: they are taken
    off its effect, and the price of the budget comes on top.

    One row a prompt. Columns: query_id, model, effect, cost_usd and latency_s (what is expected of
    the call), used_fallback; with --routes also route (empty for none) and route_confidence.
    Prompts without query_id are numbered from 1; those of a .txt have the number of their line.

    Told beside it: the shadow price, which is the effect that one more dollar would buy, and how
    far the choices can be from the best there are.

    Example: graphrouter assign artifacts/demo/router prompts.txt --budget-usd 2.50 --out
    choices.csv
    """
    limits = BatchLimits(budget_usd, budget_s, read_calls(max_calls or []) or None)
    if limits.is_empty:
        raise typer.BadParameter(
            "no limit is given; expected --budget-usd, --budget-s or --max-calls, or more of them"
        )
    limits._replace(max_calls=None).check(())  # before the router: loading takes seconds
    if engine is options.Engine.ray:
        options.check_processes(processes)
        if out is None or routes_file is not None:
            raise typer.BadParameter(
                "--engine ray takes no --routes" if out else "--engine ray needs --out, a folder"
            )
        from graphrouter.engines import assign_on_ray

        with show_working("Assigning on Ray"):
            chosen = assign_on_ray(
                str(artifact.resolve()),
                prompts,
                out,
                limits=limits,
                policy=policy,
                **moment,
                num_workers=workers,
                address=ray_address,
            )
        _report(chosen, console, f"{out}/choices")
    else:
        file = None if out is None else Path(out)
        _assign_here(artifact, Path(prompts), file, limits, routes_file, policy, moment, processes)


def _assign_here(
    artifact: Path,
    prompts: Path,
    out: Path | None,
    limits: BatchLimits,
    routes_file: Path | None,
    policy: Policy,
    moment: MomentWords,
    num_processes: int,
) -> None:
    if out is not None:
        check_target(out, suffixes=TABLES, source=prompts)

    from graphrouter.data.table_files import write_table

    wanted, routes = read_queries(prompts), load_routes(routes_file)
    router = load_any_router(artifact)
    limits.check(router.models)
    now = Moment.of(**moment, models=router.models)
    routed = None
    if routes is not None:
        with show_working("Matching routes"):
            matches = router.match_routes(wanted.queries, routes)
            routed = RoutedQueries.of(routes, matches, policy)
    if now.extra_latency_s and limits.budget_s is None and not _counts_seconds(policy, routes):
        warn_of_idle_seconds()
    found = predict_in_parts(router, wanted.queries, num_processes)
    parts = [predictions for _, predictions in found]
    with show_working("Assigning"):
        predictions, context = (
            now.delay(Predictions.concatenate(parts)),
            router.policy_context.at(now),
        )
        if routed is None:
            chosen = assign_batch(policy, predictions, context, limits)
        else:
            chosen = assign_routed(routed, predictions, context, limits)
    warn_of_idle_options(routes, chosen.route or (), policy)
    table = chosen.to_frame(wanted.ids)
    if out is None:
        console.out(table.to_csv(index=False), end="", highlight=False)
    else:
        replace_file(out, partial(write_table, table))
    # What goes on into a pipe is the table alone.
    where = "standard output" if out is None else str(out)
    _report(chosen, error_console if out is None else console, where)


def _report(chosen: BatchRouting, report: Console, where: str) -> None:
    for line in (f"Wrote {count_of(len(chosen), 'choice')} to {where}", *describe_routing(chosen)):
        report.print(line, markup=False, highlight=False, soft_wrap=True)


def describe_routing(chosen: BatchRouting) -> list[str]:
    """What a batch gets for its budget, a line each."""
    lines = [
        f"Effect        {chosen.total_effect / len(chosen):.4f} a prompt, at most "
        f"{chosen.gap / len(chosen):.2g} below the best that fits"
    ]
    if chosen.limits.budget_usd is not None:
        lines.append(
            f"Dollars       {chosen.total_cost_usd:.6g} of {chosen.limits.budget_usd:g}; "
            + describe_price(chosen.shadow_price or 0.0, "USD")
        )
        if chosen.shadow_price and chosen.route is None:  # routes have prices of their own
            lines.append(
                "Single prompt to be routed alike: graphrouter route ... --usd-per-effect "
                f"{1 / chosen.shadow_price:.4g}"
            )
    if chosen.limits.budget_s is not None:
        lines.append(
            f"Seconds       {chosen.total_latency_s:.6g} of {chosen.limits.budget_s:g}; "
            + describe_price(chosen.shadow_price_s or 0.0, "s")
        )
    if chosen.used_fallback.any():
        lines.append(
            f"Fallback      taken for {count_of(int(chosen.used_fallback.sum()), 'prompt')}"
        )
    if chosen.route is not None:
        counts = Counter("none of them" if name is None else name for name in chosen.route)
        named = [f"{shorten(name, 40)} {count:,}" for name, count in counts.most_common()]
        lines.append(f"Routes        {name_some(named, most=_MOST_SHOWN)}")
    calls = [f"{model} {count:,}" for model, count in chosen.num_calls.items()]
    more = f", and {len(calls) - _MOST_SHOWN} more" if len(calls) > _MOST_SHOWN else ""
    return [*lines, f"Calls         {', '.join(calls[:_MOST_SHOWN])}{more}"]


def describe_price(price: float, unit: str) -> str:
    """What one more of a budget would buy, in words."""
    return f"one more {unit} would buy {price:.4g} effect" if price else "the budget does not bind"


def _counts_seconds(policy: Policy, routes: Routes | None) -> bool:
    """Whether a choice depends on seconds: a limit of the policy, or anything of a route's."""
    own = [route.policy for route in routes or () if route.policy is not None]
    return policy.limits_seconds or any(by.counts_seconds for by in own)


def read_calls(texts: Sequence[str]) -> dict[str, int]:
    """Most calls by model, from words like `tarn-grand=100`.

    Raises:
        BadParameter: A word has another form, or a model is named twice.
    """
    expected = "a model and a whole number of calls, such as tarn-grand=100"
    try:
        pairs = read_pairs(texts, expected=expected, of_last=True)
    except ValueError as error:
        raise typer.BadParameter(f"--max-calls {error}") from None
    for model, count in pairs.items():
        if not count.isdecimal():
            received = f"{model}={count}"
            raise typer.BadParameter(f"--max-calls received {received!r}; expected {expected}")
    return {model: int(count) for model, count in pairs.items()}

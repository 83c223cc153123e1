"""`graphrouter benchmark`: routers x datasets x seeds, with a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import print_error, print_json
from graphrouter.cli.outputs import PAGES, check_target, check_targets, write_reports
from graphrouter.cli.progress import FinishedCell, begin_run, follow_cells, show_working
from graphrouter.cli.render import say, say_line
from graphrouter.cli.settings import ConfigFile, Overrides
from graphrouter.extras import require_extra
from graphrouter.files import replace_file, write_json
from graphrouter.locks import lock_folder

if TYPE_CHECKING:
    from graphrouter.bench.baselines import Baseline
    from graphrouter.bench.evaluation.benchmark import BenchmarkResult, Plan
    from graphrouter.processes import Spread

HEADLINE = (
    "log_loss",
    "reward_performance_first",
    "reward_balanced",
    "reward_cost_first",
    "area_log",
)


def benchmark(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA", help=f"{options.DATA_HELP} Several may be given.", show_default=False
        ),
    ],
    routers: options.Routers = "all",
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", min=1, help="Number of splits of each dataset; their seeds are 0, 1, ..."
        ),
    ] = 1,
    out: options.RunFolder = Path("benchmark"),
    jobs: options.Jobs = None,
    engine: options.CellEngine = options.Engine.local,
    ray_address: options.RayAddress = None,
    draws: options.Draws = 1000,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json_file: options.JsonFile = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Write the report to FILE; OUT/report.html by default."
        ),
    ] = None,
    list_routers: Annotated[
        bool,
        typer.Option(
            "--list",
            is_eager=True,
            callback=lambda wanted: _list(wanted),
            help="List the baselines and leave.",
        ),
    ] = False,
    track: options.Track = False,
    tracking_uri: options.TrackingUri = None,
    experiment: options.Experiment = None,
) -> None:
    """Compare the graph router with every baseline on the same splits, embeddings and trade-offs.

    Each router is fitted on training queries, tuned on validation queries and evaluated on test
    queries: once with the tasks given, once with the tasks hidden. What is finished is kept in OUT:
    the same command goes on after an interruption. A router that fails is reported, and the others
    go on.

    Example: graphrouter benchmark simulated --routers quick --seeds 2 --out benchmarks/simulated
    """
    require_extra("bench", purpose="The benchmark")
    only_json = json_file == "-"
    json_target = None if json_file is None or only_json else Path(json_file)
    page = html or out / "report.html"
    check_target(page, suffixes=PAGES)
    check_targets(out / "results.parquet", page, page.with_suffix(".md"), json_target)
    tracking = options.read_tracking(track, tracking_uri, experiment)
    with show_working("Loading libraries"):
        from graphrouter.bench.evaluation.benchmark import (
            collect,
            find_missing,
            plan_benchmark,
            write_results,
        )
        from graphrouter.config import load_config

    settings = load_config(config, overrides or [])
    with show_working("Reading the data"):
        plan = plan_benchmark(
            datasets, out, routers=options.read_names(routers), num_seeds=seeds, config=settings
        )
    out.mkdir(parents=True, exist_ok=True)
    words = [
        "benchmark",
        *datasets,
        "--routers",
        routers,
        "--seeds",
        str(seeds),
        "--draws",
        str(draws),
    ]
    command = options.join_command(words, config=config, overrides=overrides)
    with begin_run(
        tracking, f"benchmark {', '.join(plan.names.values())}", command="benchmark"
    ) as tracked:
        _run(plan, out, jobs, options.choose_spread(engine, ray_address))
        missing = find_missing(plan)
        if len(missing) == len(plan.names):
            print_error(_explain_no_result(missing))
            raise typer.Exit(1)
        with show_working("Resampling the test queries"):
            results = list(collect(plan, num_draws=draws))
        figures = [result.evaluation.to_json() for result in results]
        shown = figures[0] if len(figures) == 1 else figures
        runs = [(result.runs, result.evaluation) for result in results]
        with lock_folder(out):  # of two at once, the files of one, not some of each
            files = write_results(results, plan)
            if json_target is not None:
                replace_file(json_target, partial(write_json, shown))
                files.append(json_target)
            files += write_reports(runs, page, command=command)
        if tracked.is_on:
            from graphrouter.tracking.evaluation_log import log_benchmark
            from graphrouter.tracking.training_log import flatten_settings

            how = {"routers": routers, "seeds": seeds, "draws": draws, **flatten_settings(settings)}
            log_benchmark(
                tracked, [result.evaluation for result in results], params=how, files=files
            )
    if only_json:
        print_json(shown)
    else:
        _show(results)
        say("")
        for file in files:
            say_line(f"Wrote {file}")
    if missing:  # what the others have is written by now
        print_error(_explain_no_result(missing))
        raise typer.Exit(1)


def _run(plan: Plan, out: Path, jobs: int | None, spread: Spread) -> None:
    from graphrouter.bench.evaluation.benchmark import open_cells, run_cells

    cells = open_cells(plan)
    finished = (
        FinishedCell(plan.names[cell.data], cell.seed, cell.router, result.status, result.message)
        for cell, result in run_cells(cells, num_processes=jobs, spread=spread)
    )
    follow_cells(finished, out, num_open=len(cells), num_cells=len(plan.cells))


def _show(results: Sequence[BenchmarkResult]) -> None:
    from graphrouter.bench.evaluation.conclusion import conclude
    from graphrouter.cli.evaluation_tables import show_evaluation, show_verdicts

    for result in results:
        for setting in result.evaluation.settings:
            show_evaluation(result.evaluation, setting, metrics=HEADLINE)
        show_verdicts(result.evaluation)
        for router, reason in result.evaluation.failed.items():
            say_line(f"Not among them: {router} ({reason})")
        for name in {
            conclude(result.evaluation, setting=setting).recommended
            for setting in result.evaluation.settings
        } - {None}:
            say_line(f"To use {name}: graphrouter train DATA --router {name} --out ARTIFACT")


def _list(wanted: bool) -> None:
    if not wanted:
        return
    from graphrouter.bench.baselines import BASELINES
    from graphrouter.cli.render import make_table, show_table

    table = make_table("Baselines", "name", "what it does", "source", text_columns=3)
    table.columns[0].no_wrap = True  # names are copied
    for name, kind in BASELINES.items():
        table.add_row(name, _describe(kind), kind.source)
    show_table(table)
    raise typer.Exit


def _explain_no_result(missing: Mapping[str, str]) -> str:
    name, reason = next(iter(missing.items()))
    more = f" ({len(missing) - 1} more such datasets)" if len(missing) > 1 else ""
    return (
        f"graphrouter has no result on {name!r}: {reason.rstrip('.')}{more}. Mend that, and "
        "run the same command again."
    )


def _describe(kind: type[Baseline]) -> str:
    """What a method is: the first sentence of its class, and the next where that is a short one."""
    first, *rest = (kind.__doc__ or "").strip().split("\n\n")
    is_short = bool(rest) and "\n" not in rest[0].strip()
    return f"{first} {rest[0].strip()}" if is_short else first

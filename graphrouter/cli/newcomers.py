"""`graphrouter benchmark-newcomers`: models, or a task, that nobody was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, print_error, print_json
from graphrouter.cli.outputs import PAGES, check_target, check_targets, write_texts
from graphrouter.cli.progress import FinishedCell, follow_cells, show_working
from graphrouter.cli.render import format_number, make_table, say, say_line, show_table
from graphrouter.cli.settings import ConfigFile, Overrides
from graphrouter.extras import require_extra
from graphrouter.files import replace_file, write_json
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.bench.evaluation.newcomers import NewcomerEvaluation, NewcomerPlan
    from graphrouter.processes import Spread

_DEFAULT_ROUTERS = (
    "task_mean,rasch,knn,uniroute_kmeans,uniroute_map,mirt,model_sat,graphrouter_paper"
)
_MARKS = {"better": "*", "worse": "!", "": " "}
_CHARS_A_FIGURE = 8


class HoldOutOption(StrEnum):
    """Who is held out."""

    models = "models"
    tasks = "tasks"


def benchmark_newcomers(
    data: options.Data,
    routers: Annotated[
        str,
        typer.Option(
            "--routers",
            metavar="NAMES",
            help="What to compare with; rasch always stands there. graphrouter benchmark --list.",
        ),
    ] = _DEFAULT_ROUTERS,
    shots: Annotated[
        str,
        typer.Option(
            "--shots", metavar="NUMBERS", help="Outcomes of each newcomer; 0 is always among them."
        ),
    ] = "0,5,10,20,50,100,all",
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Number of splits; their seeds are 0, 1, ...")
    ] = 1,
    hold_out: Annotated[
        HoldOutOption,
        typer.Option(
            "--hold-out", help="Hold out models, in whole families, or one task after the other."
        ),
    ] = HoldOutOption.models,
    held_out: Annotated[
        float, typer.Option("--held-out", metavar="SHARE", help="Share of the models to hold out.")
    ] = 0.3,
    max_tasks: Annotated[
        int, typer.Option("--max-tasks", min=1, help="Most tasks to hold out for each seed.")
    ] = 5,
    out: options.RunFolder = Path("newcomers"),
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
            "--html",
            metavar="FILE",
            help="Write the curves to FILE; OUT/DATA-models.html or -tasks by default.",
        ),
    ] = None,
) -> None:
    """Compare how well routers know models, or a task, that they were not trained on.

    After more and more outcomes of them. Every router is fitted without the newcomers. Then they
    join with their first k outcomes, random ones or on suggested probes, and all test queries are
    asked. The graph router that was trained with everything stands beside them. What is finished is
    kept in OUT: the same command goes on after an interruption.

    Example: graphrouter benchmark-newcomers simulated --seeds 2 --out newcomers/simulated
    """
    require_extra("bench", purpose="The benchmark of newcomers")
    only_json = json_file == "-"
    json_target = None if json_file is None or only_json else Path(json_file)
    if html is not None:
        check_target(html, suffixes=PAGES)
    # The files in OUT get the name of the data, which is not read yet.
    check_targets(
        out / "results.json", html, None if html is None else html.with_suffix(".md"), json_target
    )
    with show_working("Loading libraries"):
        from graphrouter.bench.evaluation.newcomers import (
            collect,
            find_failures,
            give_verdict,
            parse_shots,
            plan_newcomers,
        )
        from graphrouter.config import load_config

    numbers = parse_shots(shots)
    settings = load_config(config, overrides or [])
    with show_working("Reading the data"):
        plan = plan_newcomers(
            data,
            out,
            routers=options.read_names(routers),
            num_seeds=seeds,
            config=settings,
            shots=numbers,
            hold_out=hold_out.value,
            share=held_out,
            max_tasks=max_tasks,
        )
    out.mkdir(parents=True, exist_ok=True)
    _run(plan, out, jobs, options.choose_spread(engine, ray_address))
    reason = find_failures(plan).get("graphrouter")
    if reason is not None:
        print_error(
            f"graphrouter has no result: {reason.rstrip('.')}. Mend that, and run the same "
            "command again."
        )
        raise typer.Exit(1)
    with show_working("Resampling the test queries"):
        found = collect(plan, num_draws=draws)
    words = [
        "benchmark-newcomers",
        data,
        "--routers",
        routers,
        "--shots",
        shots,
        "--seeds",
        str(seeds),
    ]
    words += ["--hold-out", hold_out.value, "--held-out", f"{held_out:g}", "--draws", str(draws)]
    words += ["--max-tasks", str(max_tasks)] if hold_out is HoldOutOption.tasks else []
    command = options.join_command(words, config=config, overrides=overrides)
    stem = f"{found.dataset}-{found.hold_out}"
    targets = [out / f"{stem}.json", *([] if json_target is None else [json_target])]
    files = _write(found, targets, html or out / f"{stem}.html", command=command)
    if only_json:
        print_json(found.to_json())
        return
    _show(found)
    say(give_verdict(found), style="bold")
    say()
    for file in files:
        say_line(f"Wrote {file}")


def _run(plan: NewcomerPlan, out: Path, jobs: int | None, spread: Spread) -> None:
    from graphrouter.bench.evaluation.newcomers import open_cells, run_cells

    cells = open_cells(plan)
    finished = (
        FinishedCell(plan.dataset, cell.seed, cell.router, result.status, result.message)
        for cell, result in run_cells(cells, num_processes=jobs, spread=spread)
    )
    follow_cells(finished, out, num_open=len(cells), num_cells=len(plan.cells))


def _write(
    found: NewcomerEvaluation, targets: list[Path], page: Path, *, command: str
) -> list[Path]:
    """The files written: figures as JSON, curves as a page, tables as Markdown beside it."""
    from graphrouter.bench.evaluation.newcomers import (
        render_newcomers_html,
        render_newcomers_markdown,
    )

    for file in targets:
        replace_file(file, partial(write_json, found.to_json()))
    with show_working("Writing the curves"):
        texts = {
            page: render_newcomers_html(found, command=command),
            page.with_suffix(".md"): render_newcomers_markdown(found, command=command),
        }
    write_texts(texts)
    return [*targets, *texts]


def _show(found: NewcomerEvaluation) -> None:
    """Log loss of everybody after each shot, and what the graph router has learned by then.

    As many side by side as fit.
    """
    from graphrouter.bench.evaluation.newcomers.newcomer_tables import LOG_LOSS, choose_title

    splits = f"{len(found.seeds)} {'seed' if len(found.seeds) == 1 else 'seeds'}"
    title = (
        f"{found.dataset}: {choose_title(LOG_LOSS, found).lower()} after k outcomes, "
        f"{count_of(found.num_queries, 'test query')}, {splits}"
    )
    at_once = max(1, (console.width - max(map(len, found.routers)) - 1) // _CHARS_A_FIGURE)
    for start in range(0, len(found.labels), at_once):
        _show_shots(found, found.labels[start : start + at_once], title if start == 0 else "")
    say(
        "* graphrouter is surely better after as many outcomes: the 95 % interval of the "
        "difference excludes zero.",
        style="dim",
    )
    say(
        "! surely worse. learned share: of the way from rasch without outcomes to "
        "graphrouter_retrained.",
        style="dim",
    )
    for name, reason in found.failed.items():
        say_line(f"Not among them: {name} ({reason})")


def _show_shots(found: NewcomerEvaluation, labels: Sequence[str], title: str) -> None:
    from graphrouter.bench.evaluation.newcomers.newcomer_tables import LOG_LOSS, find_mark

    table = make_table(title, "", *(f"{label} " for label in labels))
    table.columns[0].no_wrap = True
    for name in found.routers:
        figures = [found.figure(name, label, "log_loss").value for label in labels]
        marks = [_MARKS[find_mark(found, name, label, LOG_LOSS)] for label in labels]
        cells = [
            f"{format_number(value, '.3f')}{mark}"
            for value, mark in zip(figures, marks, strict=True)
        ]
        table.add_row(name, *cells, style="bold" if name == "graphrouter" else None)
    table.add_section()
    shares = [found.figure("graphrouter", label, "learned_share").value for label in labels]
    table.add_row("learned share", *(f"{format_number(share, '.0%')} " for share in shares))
    show_table(table)

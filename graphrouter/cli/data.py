"""`graphrouter data`: make, fetch, convert, check and describe datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.console import console, error_console, print_json
from graphrouter.cli.convert import Format, convert, fetch
from graphrouter.cli.render import describe_ungraded, make_table, say, show_table
from graphrouter.exceptions import DataError
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.data.assignment import Assignment
    from graphrouter.data.describe import DatasetSummary

app = typer.Typer(no_args_is_help=True, help="Make, fetch, convert, check and describe datasets.")

app.command()(convert)
app.command()(fetch)

_MOST_ASKED = 100


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Folder to write the tables to.")],
    queries: Annotated[int, typer.Option("--queries", min=1, help="Number of queries.")] = 2400,
    models: Annotated[int, typer.Option("--models", min=2, help="Number of models.")] = 12,
    efforts: Annotated[
        int,
        typer.Option(
            "--efforts", min=1, max=3, help="Settings of each model, by reasoning effort."
        ),
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated world.")] = 0,
    missing: Annotated[
        float | None,
        typer.Option(
            "--missing",
            help="Share of the pairs without an outcome, from 0 to below 1; 0.15 without "
            "--density.",
            show_default=False,
        ),
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(
            "--density",
            help="Share of the pairs with an outcome, above 0 up to 1, for large worlds: memory "
            "then grows with the outcomes, and the truth is told of these pairs alone.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="File format of the tables.")
    ] = Format.parquet,
    as_json: options.Json = False,
) -> None:
    """Write a simulated dataset, and beside it the truth.

    That is the expected effect, cost and latency of every (query, model) pair.

    Example: graphrouter data simulate --out data/world --queries 600 --seed 1

    Example: graphrouter data simulate --out large --queries 100000 --models 1000 --density 0.01
    """
    from graphrouter.bench.simulate.simulation import simulate as simulate_dataset
    from graphrouter.data.table_files import write_tables

    if any(out.glob("queries.*")) and not any(out.glob("truth.*")):
        raise DataError(
            f"{out} holds a dataset that was not simulated, which would be lost. Name another "
            "folder."
        )

    simulation = simulate_dataset(
        queries, models, seed=seed, missing=missing, density=density, num_efforts=efforts
    )
    simulation.data.save(out, format=format.value)
    write_tables({"truth": simulation.truth.table}, out, format=format.value)
    num_outcomes = len(simulation.data.outcomes)
    if as_json:
        print_json({"folder": out, **_count_rows(simulation.data)})
        return
    console.print(
        f"Wrote {count_of(queries, 'query')}, {count_of(len(simulation.data.models), 'model')} and "
        f"{count_of(num_outcomes, 'outcome')} to",
        end=" ",
    )
    console.print(str(out), markup=False, highlight=False, soft_wrap=True)


@app.command()
def validate(data: options.Data, as_json: options.Json = False) -> None:
    """Check a dataset, and name the first mistake with its table, row and mending.

    The exit status is then 2.

    Example: graphrouter data validate data/simulated
    """
    from graphrouter.data.readers import load_dataset

    dataset = load_dataset(data)
    if as_json:
        print_json({"data": data, **_count_rows(dataset), "fingerprint": dataset.fingerprint})
        return
    counts = (
        f"{count_of(len(dataset.queries), 'query')}, {count_of(len(dataset.models), 'model')}, "
        f"{count_of(len(dataset.outcomes), 'outcome')}{describe_ungraded(dataset)}"
    )
    console.print(
        f"{data} is valid: {counts}, {count_of(len(dataset.tasks), 'task')}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def describe(
    data: options.Data,
    as_json: options.Json = False,
    grades: Annotated[
        Path | None,
        typer.Option(
            "--grades",
            help="Write which pairs of a prompt and a model to grade next, the most useful first, "
            "to this file (.csv, .jsonl or .parquet).",
            show_default=False,
        ),
    ] = None,
    num: Annotated[
        int | None,
        typer.Option(
            "--num",
            min=1,
            help="Pairs to write; as many as are missing, or 100 where none is, without it.",
            show_default=False,
        ),
    ] = None,
    logged: Annotated[
        bool,
        typer.Option(
            "--logged",
            help="Write pairs alone whose answer was logged: they need a grade and no call.",
        ),
    ] = False,
) -> None:
    """Show what a dataset holds and what it can teach.

    Counts, what was observed, coverage of each task and model; what can be learned, what cannot,
    and which answers to grade next.

    Example: graphrouter data describe data/simulated --json

    Example: graphrouter data describe mine --grades next.csv --num 50
    """
    for name, is_given in (("--num", num is not None), ("--logged", logged)):
        if is_given and grades is None:
            raise DataError(
                f"{name} is of --grades FILE alone. Name the file, or leave {name} out."
            )
    from graphrouter.data.describe import describe_dataset
    from graphrouter.data.readers import load_dataset

    dataset = load_dataset(data)
    summary = describe_dataset(dataset)
    if grades is not None:
        asked = num or summary.num_missing_outcomes or _MOST_ASKED
        _write_grades(dataset, grades, asked, only_logged=logged)
    if as_json:
        print_json(summary)
        return
    _show_overview(summary)
    _show_tasks(summary)
    _show_models(summary)
    for sentence in summary.learnable.describe():
        say(f"- {sentence}")
    if summary.assignment.depends_on_prompt:
        error_console.print(summary.assignment.describe(), highlight=False, markup=False)
    if summary.share_with_cost == 0:
        error_console.print(
            "No outcome has a cost or tokens with prices: policies can weigh effect only.",
            highlight=False,
        )


def _write_grades(dataset: RoutingDataset, file: Path, num: int, *, only_logged: bool) -> None:
    from graphrouter.cli.outputs import check_target
    from graphrouter.data.learnable import suggest_grades
    from graphrouter.data.table_files import write_table

    check_target(file)
    pairs = suggest_grades(dataset, num, only_logged=only_logged)
    write_table(pairs, file)
    to_ask = int((~pairs["is_answered"]).sum())
    rest = f", the other {to_ask:,} have to be asked for (--logged leaves them out)"
    error_console.print(
        f"Wrote {count_of(len(pairs), 'pair')} to grade to {file}: of {len(pairs) - to_ask:,} the "
        f"answer was logged{rest if to_ask else ''}.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _count_rows(dataset: RoutingDataset) -> dict[str, int]:
    """How many rows each table has, by its name."""
    return {
        "queries": len(dataset.queries),
        "models": len(dataset.models),
        "outcomes": len(dataset.outcomes),
        "tasks": len(dataset.tasks),
    }


def _describe_assignment(found: Assignment) -> str:
    """Who was asked what, in a few words."""
    if found.share_explained is None:
        return "every model on every query"
    once = f"{found.share_answered_once:.0%} of the queries have one outcome"
    if not found.depends_on_prompt:
        return f"models at random, as far as prompts tell; {once}"
    return f"models by the prompt, which tells {found.share_explained:.0%} of it; {once}"


def _describe_people(summary: DatasetSummary) -> dict[str, str]:
    """Who asked, in words; no row where nobody is named."""
    if not summary.num_users and not summary.num_teams:
        return {}
    users, teams = count_of(summary.num_users, "user"), count_of(summary.num_teams, "team")
    return {"asked by": f"{users} of {teams} ({summary.num_queries_without_user:,} without user)"}


def _describe_views(summary: DatasetSummary) -> dict[str, str]:
    """What goes with queries beside their texts, in words; no row where nothing does."""
    told = [f"{n:,} embeddings of {name}" for name, n in summary.num_embeddings.items()]
    if summary.num_queries_with_context:
        told.insert(0, f"{summary.num_queries_with_context:,} contexts")
    return {"with queries": ", ".join(told)} if told else {}


def _show_overview(summary: DatasetSummary) -> None:
    chars = summary.prompt_chars
    split = (
        "none"
        if summary.split is None
        else ", ".join(f"{count:,} {side}" for side, count in summary.split.items())
    )
    has_repeats = summary.num_runs > summary.num_outcomes
    rows = {
        "queries": f"{summary.num_queries:,} ({summary.num_queries_without_task:,} without task, "
        f"{summary.num_queries_without_outcomes:,} without outcomes, "
        f"{summary.num_duplicate_prompts:,} repeated prompts)",
        "models": f"{summary.num_models} ({summary.num_priced_models} with prices, "
        f"{summary.num_described_models} with description, {summary.num_models_without_outcomes} "
        "without outcomes)",
        "outcomes": f"{summary.num_outcomes:,} ({summary.density:.1%} of all pairs"
        + (f", means of {count_of(summary.num_runs, 'run')})" if has_repeats else ")"),
        "mean effect": _format_cell(summary.mean_effect, "{:.3f}")
        + (
            f" ({summary.num_graded:,} of {count_of(summary.num_outcomes, 'outcome')} graded)"
            if summary.num_graded < summary.num_outcomes
            else ""
        ),
        "observed": f"cost {summary.share_with_cost:.0%}, output tokens "
        f"{summary.share_with_output_tokens:.0%}, "
        f"latency {summary.share_with_latency:.0%}",
        "prompt length": f"{chars.min:,} to {chars.max:,} characters, median {chars.median:,.0f}, "
        f"95 % below {chars.p95:,.0f}",
        "asked": _describe_assignment(summary.assignment),
        **_describe_people(summary),
        **_describe_views(summary),
        "split column": split,
        "fingerprint": summary.fingerprint[:16],
    }
    table = make_table(f"Dataset {summary.name}", "", "", text_columns=2)
    table.show_header = False
    for name, text in rows.items():
        table.add_row(name, text)
    show_table(table)


def _show_tasks(summary: DatasetSummary) -> None:
    columns = ("task", "best model", "queries", "outcomes", "coverage", "effect")
    table = make_table("Tasks", *columns, text_columns=2)
    for task in summary.tasks:
        table.add_row(
            task.task or "(unknown)",
            task.best_model or "-",
            f"{task.num_queries:,}",
            f"{task.num_outcomes:,}",
            _format_cell(task.density, "{:.0%}"),
            _format_cell(task.mean_effect, "{:.3f}"),
        )
    show_table(table)


def _show_models(summary: DatasetSummary) -> None:
    columns: dict[str, list[str]] = {
        "outcomes": [f"{model.num_outcomes:,}" for model in summary.models],
        "coverage": [f"{model.coverage:.0%}" for model in summary.models],
        "effect": [_format_cell(model.mean_effect, "{:.3f}") for model in summary.models],
        "USD/call": [_format_cell(model.mean_cost_usd, "{:.6f}") for model in summary.models],
        "tokens": [_format_cell(model.mean_output_tokens, "{:.0f}") for model in summary.models],
        "s": [_format_cell(model.mean_latency_s, "{:.2f}") for model in summary.models],
    }
    if len({model.kind for model in summary.models}) > 1 or summary.models[0].kind != "model":
        columns = {"kind": [model.kind for model in summary.models], **columns}
    if summary.num_graded < summary.num_outcomes:
        columns["graded"] = [f"{model.num_graded:,}" for model in summary.models]
    known = {
        title: cells for title, cells in columns.items() if set(cells) != {"-"}
    }  # what nobody recorded takes no room
    table = make_table("Models, with means over their outcomes", "model", *known)
    for model, *cells in zip(summary.models, *known.values(), strict=True):
        table.add_row(model.model, *cells)
    show_table(table)


def _format_cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)

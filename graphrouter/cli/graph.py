"""`graphrouter graph`: look at the graph that a dataset makes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphrouter.cli.console import console, error_console, print_json
from graphrouter.cli.options import Data, Json
from graphrouter.cli.render import make_table, show_table
from graphrouter.wording import count_of

if TYPE_CHECKING:
    import networkx as nx

    from graphrouter.config import TrainConfig
    from graphrouter.data import RoutingDataset
    from graphrouter.graph.inspect import GraphSummary, LeakageReport

app = typer.Typer(no_args_is_help=True, help="Look at the graph that a dataset makes.")

_ENCODER_DIMENSION = 32  # the leakage check looks at edges; the vectors may be coarse


class Projection(StrEnum):
    """Onto which nodes the models are projected."""

    none = "none"
    families = "families"
    tasks = "tasks"


_GROUP = {Projection.families: "family", Projection.tasks: "task"}


@app.callback()
def _group() -> None:
    """Keep `inspect` a command of its own: an app of one command would swallow its name."""


@app.command()
def inspect(
    data: Data,
    as_json: Json = False,
    graphml: Annotated[
        Path | None, typer.Option("--graphml", help="Also write the graph to this GraphML file.")
    ] = None,
    projection: Annotated[
        Projection,
        typer.Option(
            "--projection",
            help="Show, and write to --graphml, models by family or by task, not the whole graph.",
        ),
    ] = Projection.none,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML settings that training would use.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting on top; may be repeated."),
    ] = None,
) -> None:
    """Show the graph of a dataset: counts, coverage, isolated nodes, projections, leakage check.

    The check divides the data as training would, builds the validation graph and compares each
    message edge with what is hidden.

    Example: graphrouter graph inspect data/simulated --projection tasks --graphml tasks.graphml
    """
    from graphrouter.config import load_config
    from graphrouter.data.readers import load_dataset
    from graphrouter.exceptions import DataError
    from graphrouter.graph.inspect import summarise_graph
    from graphrouter.graph.projections import project_on_families, project_on_tasks

    settings = load_config(config, overrides or ())
    dataset = load_dataset(data)
    summary = summarise_graph(dataset, num_neighbours=settings.graph.num_neighbours)
    projections = {
        Projection.families: project_on_families(dataset),
        Projection.tasks: project_on_tasks(dataset),
    }
    report: LeakageReport | None = None
    not_checked: str | None = None
    try:
        report = _check_leakage(dataset, settings)
    except DataError as error:  # too little data to divide: the graph can be looked at all the same
        not_checked = str(error)
    if as_json:
        print_json(_as_json(summary, projections, report, not_checked))
    else:
        _show(summary, projections, report, not_checked)
        if projection is not Projection.none:
            _show_projection(projections[projection], projection)
    if graphml is not None:
        _export(dataset, projections.get(projection), graphml)


def _check_leakage(data: RoutingDataset, settings: TrainConfig) -> LeakageReport:
    from graphrouter.data import split_dataset
    from graphrouter.encoders import HashingEncoder
    from graphrouter.graph.inspect import report_leakage
    from graphrouter.training.episodes import validation_graph
    from graphrouter.training.prepare import prepare

    split = split_dataset(data, settings.split)
    tables = prepare(
        data, split, HashingEncoder(_ENCODER_DIMENSION, max_chars=settings.encoder.max_chars)
    )
    return report_leakage(validation_graph(tables, settings, task_known=True), data, split)


def _as_json(
    summary: GraphSummary,
    projections: Mapping[Projection, nx.Graph[str]],
    report: LeakageReport | None,
    not_checked: str | None,
) -> dict[str, Any]:
    edges = {
        name.value: [
            {_GROUP[name]: group, "model": model, "num_outcomes": count, "mean_effect": mean}
            for group, model, count, mean in _list_rows(graph)
        ]
        for name, graph in projections.items()
    }
    return {
        "graph": summary,
        "projections": edges,
        "leakage": report,
        "leakage_not_checked": not_checked,
    }


def _export(data: RoutingDataset, projected: nx.Graph[str] | None, file: Path) -> None:
    from graphrouter.graph.projections import to_networkx, write_graphml

    with error_console.status("Writing GraphML"):
        graph = to_networkx(data) if projected is None else projected
        write_graphml(graph, file)
    counts = (
        f"{count_of(graph.number_of_nodes(), 'node')} and "
        f"{count_of(graph.number_of_edges(), 'edge')}"
    )
    error_console.print(f"Wrote {counts} to {file}", markup=False, highlight=False, soft_wrap=True)


def _show(
    summary: GraphSummary,
    projections: Mapping[Projection, nx.Graph[str]],
    report: LeakageReport | None,
    not_checked: str | None,
) -> None:
    _show_counts(summary, report)
    _show_tasks(summary)
    _show_models(summary)
    lines = [
        f"Isolated nodes: {_list_names('task', summary.isolated.tasks)}; "
        f"{_list_names('query', summary.isolated.queries)}; "
        f"{_list_names('model', summary.isolated.models)}.",
        f"Queries without outcomes: {summary.num_queries_without_outcomes:,}.",
        _describe_components(summary.num_outcome_components),
        *(
            f"Projection on {name.value}: {_describe_size(graph, _GROUP[name])}."
            for name, graph in projections.items()
        ),
        f"Leakage: not checked. {not_checked}" if report is None else _describe_leakage(report),
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _show_counts(summary: GraphSummary, report: LeakageReport | None) -> None:
    title = f"Graph of {summary.name} (reverse edges not counted)"
    table = make_table(title, "nodes and edges", "whole dataset", "validation graph")
    for name, count in summary.nodes.items():
        table.add_row(name, f"{count:,}", "-" if report is None else f"{report.nodes[name]:,}")
    ends = {
        "in": "query in task",
        "answered_by": "query answered_by model",
        "similar_to": "query similar_to query",
        "asked_by": "query asked_by user",
    }
    for name, count in summary.edges.items():
        ending = ends.get(name, f"query {name} query")  # alike in what goes with them
        built = "-" if report is None else f"{report.edges.get(name, 0):,}"
        table.add_row(ending, f"{count:,}", built)
    show_table(table)


def _show_tasks(summary: GraphSummary) -> None:
    table = make_table("Tasks", "task", "queries", "models", "outcomes", "coverage")
    for task in summary.tasks:
        coverage = "-" if task.coverage is None else f"{task.coverage:.0%}"
        table.add_row(
            task.task or "(unknown)",
            f"{task.num_queries:,}",
            f"{task.num_models:,}",
            f"{task.num_outcomes:,}",
            coverage,
        )
    show_table(table)


def _show_models(summary: GraphSummary) -> None:
    columns = ("model", "family", "tasks", "outcomes", "coverage")
    table = make_table("Models", *columns, text_columns=2)
    for model in summary.models:
        table.add_row(
            model.model,
            model.family or "-",
            f"{model.num_tasks:,}",
            f"{model.num_outcomes:,}",
            f"{model.coverage:.0%}",
        )
    show_table(table)


def _show_projection(graph: nx.Graph[str], projection: Projection) -> None:
    title = f"Models by {_GROUP[projection]} (effect: mean)"
    columns = (_GROUP[projection], "model", "outcomes", "effect")
    table = make_table(title, *columns, text_columns=2)
    for group, model, count, mean in _list_rows(graph):
        table.add_row(group, model, f"{count:,}", f"{mean:.3f}")
    show_table(table)


def _list_rows(graph: nx.Graph[str]) -> list[tuple[str, str, int, float]]:
    """Group, model, number of outcomes and mean effect of each edge of a projection.

    Groups stand together, the best model first.
    """
    rows = []
    for ends in graph.edges:
        group, model = sorted(
            (graph.nodes[end] for end in ends), key=lambda node: bool(node["kind"] == "model")
        )
        edge = graph.edges[ends]
        rows.append(
            (
                str(group["label"]),
                str(model["label"]),
                int(edge["num_outcomes"]),
                float(edge["mean_effect"]),
            )
        )
    return sorted(rows, key=lambda row: (row[0], -row[3], row[1]))


def _describe_size(graph: nx.Graph[str], group: str) -> str:
    kinds = [node["kind"] for _, node in graph.nodes(data=True)]
    counts = (
        f"{kinds.count(group):,} x {count_of(kinds.count('model'), 'node')}, "
        f"{count_of(graph.number_of_edges(), 'edge')}"
    )
    return counts if group in kinds else f"{counts} (no model states its {group})"


def _list_names(kind: str, names: tuple[str, ...]) -> str:
    plural = {"task": "tasks", "query": "queries", "model": "models"}[kind]
    if not names:
        return f"no {plural}"
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names):,} {kind if len(names) == 1 else plural} ({shown})"


def _describe_components(count: int) -> str:
    if count == 1:
        return (
            "Outcomes are connected: any two models with outcomes can be compared through "
            "shared queries."
        )
    return (
        f"Outcomes fall into {count:,} unconnected parts: across them, descriptions and prices "
        "alone compare models."
    )


def _describe_leakage(report: LeakageReport) -> str:
    messages = (
        f"{count_of(report.num_message_outcomes, 'outcome')} of {report.num_support_queries:,} "
        "support queries"
    )
    supervised = (
        f"{count_of(report.num_supervised_pairs, 'supervised pair')} of "
        f"{report.num_target_queries:,} target queries"
    )
    hidden = f"{report.num_hidden_outcomes:,} hidden outcomes (test queries, held-out models)"
    return (
        f"Leakage: none. Messages are {messages}; among them are "
        f"{report.num_supervised_messages:,} of the {supervised} "
        f"and {report.num_hidden_messages:,} of the {hidden}."
    )

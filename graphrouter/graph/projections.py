"""The graph of a dataset for networkx: all of it, or projected on families or tasks.

And its way to a GraphML file.

Nodes are named by their type and id, such as `model:nano`. What is not known is absent: GraphML has
no word for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import networkx as nx
import pandas as pd

from graphrouter.data import RoutingDataset
from graphrouter.data.columns import OUTCOME_NUMBERS
from graphrouter.exceptions import DataError

Attributes: TypeAlias = dict[str, str | float | int | bool]

_PROMPT_CHARS = 200
_OF_ALL_NODES = frozenset({"kind", "label"})
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_networkx(data: RoutingDataset) -> nx.DiGraph[str]:
    """The graph of a dataset: nodes are tasks, queries, models; edges memberships and outcomes.

    Where queries say who asked them, users are nodes too, with their `team`. What goes with a query
    beside its text is told by `num_documents`, `context_chars`, `embedding_encoder` and
    `embedding_length`.

    Nodes have `kind` (task, query, model or user) and `label` (the id), queries `prompt` (its first
    200 characters) and `num_chars`, models what their card states; there a field `kind` or `label`
    is called `card_kind` or `card_label`. Edges have `kind`: `in` (query to task), `asked_by`
    (query to user) or `answered_by` (query to model, with the outcome).

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> graph = to_networkx(simulate(num_queries=60).data)
        >>> graph.number_of_nodes(), graph.number_of_edges()
        (82, 672)
    """
    graph: nx.DiGraph[str] = nx.DiGraph(name=data.name)
    for task, description in zip(data.tasks["task"], data.tasks["description"], strict=True):
        graph.add_node(
            f"task:{task}", kind="task", label=task, **_drop_unknown({"description": description})
        )
    for card in data.pool:
        graph.add_node(
            f"model:{card.model}",
            kind="model",
            label=card.model,
            **_drop_unknown(_list_card_attributes(card.model_dump())),
        )
    queries = data.queries
    for query, task, prompt, views in zip(
        queries["query_id"], queries["task"], queries["prompt"], _tell_views(queries), strict=True
    ):
        graph.add_node(
            f"query:{query}",
            kind="query",
            label=query,
            prompt=prompt[:_PROMPT_CHARS],
            num_chars=len(prompt),
            **views,
        )
        if isinstance(task, str):
            graph.add_edge(f"query:{query}", f"task:{task}", kind="in")
    _add_users(graph, queries)
    outcomes = data.outcomes
    numbers = zip(*(outcomes[column].tolist() for column in OUTCOME_NUMBERS), strict=True)
    for query, model, observed in zip(
        outcomes["query_id"], outcomes["model"], numbers, strict=True
    ):
        attributes = _drop_unknown(dict(zip(OUTCOME_NUMBERS, observed, strict=True)))
        graph.add_edge(f"query:{query}", f"model:{model}", kind="answered_by", **attributes)
    return graph


def _tell_views(queries: pd.DataFrame) -> list[Attributes]:
    """What goes with each query beside its text: documents, their length, and its embedding."""
    told: list[Attributes] = [{} for _ in range(len(queries))]
    contexts = queries["context"].tolist() if "context" in queries else []
    for attributes, context in zip(told, contexts, strict=False):
        if context is not None:
            attributes |= {"num_documents": len(context), "context_chars": sum(map(len, context))}
    if "embedding" in queries:
        cells = zip(queries["embedding"].tolist(), queries["embedding_encoder"], strict=True)
        for attributes, (vector, encoder) in zip(told, cells, strict=True):
            if vector is not None:
                attributes |= {"embedding_encoder": encoder, "embedding_length": len(vector)}
    return told


def _add_users(graph: nx.DiGraph[str], queries: pd.DataFrame) -> None:
    """Add the nodes of those who asked, and the edges of their queries."""
    if "user" not in queries:
        return
    teams = queries["team"] if "team" in queries else pd.Series(None, queries.index, dtype="str")
    for query, user, team in zip(queries["query_id"], queries["user"], teams, strict=True):
        if isinstance(user, str):
            stated = _drop_unknown({"team": team})
            graph.add_node(f"user:{user}", kind="user", label=user, **stated)
            graph.add_edge(f"query:{query}", f"user:{user}", kind="asked_by")


def project_on_families(data: RoutingDataset) -> nx.Graph[str]:
    """Models and their families.

    There is an edge for every model whose family is stated and that has outcomes.

    Nodes have `kind` (family or model), `label`, `num_outcomes` and, with outcomes, `mean_effect`;
    edges `mean_effect`, `num_outcomes` and `weight`, which is `num_outcomes`. A model of no stated
    family stands alone.
    """
    family_of = dict(zip(data.models["model"], data.models["family"], strict=True))
    groups = data.outcomes["model"].map(family_of)
    return _project(
        data, "family", groups, names=list(dict.fromkeys(data.models["family"].dropna()))
    )


def project_on_tasks(data: RoutingDataset) -> nx.Graph[str]:
    """Tasks and the models that answered their queries, the queries folded into the edges.

    Attributes are those of `project_on_families`. Outcomes of queries of unknown task count for the
    models alone.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> project_on_tasks(simulate(num_queries=60).data).number_of_edges()
        120
    """
    task_of_query = data.queries["task"].to_numpy(dtype=object)
    groups = pd.Series(task_of_query[data.pair_positions[0]], index=data.outcomes.index)
    return _project(data, "task", groups, names=list(data.tasks["task"]))


def write_graphml(graph: nx.Graph[str] | nx.DiGraph[str], file: Path) -> None:
    """Write a graph to a GraphML file that networkx, Gephi, Cytoscape and their like read.

    Characters that XML forbids (most control characters) are replaced with U+FFFD.

    Raises:
        DataError: The file cannot be written.
    """
    clean = nx.relabel_nodes(graph, {node: _clean_text(node) for node in graph}, copy=True)
    clean.graph.update({key: _clean_text(value) for key, value in clean.graph.items()})
    for _, attributes in clean.nodes(data=True):
        attributes.update(_clean_attributes(attributes))
    for _, _, attributes in clean.edges(data=True):
        attributes.update(_clean_attributes(attributes))
    try:
        nx.write_graphml(clean, file)
    except OSError as error:
        raise DataError(
            f"Cannot write {file}: {error.strerror}. Name a file in a folder that exists and is "
            "writable."
        ) from None


def _project(
    data: RoutingDataset,
    kind: Literal["family", "task"],
    group_of_outcome: pd.Series[Any],
    *,
    names: list[str],
) -> nx.Graph[str]:
    frame = pd.DataFrame(
        {
            "group": group_of_outcome.astype("str"),
            "model": data.outcomes["model"],
            "effect": data.outcomes["effect"],
        }
    )
    graph: nx.Graph[str] = nx.Graph(name=data.name)
    for node_kind, column, labels in (
        (kind, "group", names),
        ("model", "model", list(data.pool.names)),
    ):
        effects = _average_effects(frame, column)
        for label in labels:
            graph.add_node(
                f"{node_kind}:{label}",
                kind=node_kind,
                label=label,
                **effects.get(label, {"num_outcomes": 0}),
            )
    for (group, model), attributes in _average_effects(frame, ["group", "model"]).items():
        graph.add_edge(
            f"{kind}:{group}", f"model:{model}", **attributes, weight=attributes["num_outcomes"]
        )
    return graph


def _average_effects(frame: pd.DataFrame, by: str | list[str]) -> dict[Any, Attributes]:
    """`num_outcomes` and `mean_effect` of each group that has graded outcomes.

    Rows of no group do not count.
    """
    grouped = frame.dropna(subset="effect").groupby(by)["effect"]
    columns = zip(grouped.size().items(), grouped.mean(), strict=True)
    return {
        group: {"num_outcomes": int(count), "mean_effect": float(mean)}
        for (group, count), mean in columns
    }


def _list_card_attributes(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a card states, under names that are not those of what all nodes have."""
    listed = {
        "json" if name == "json_output" else name: value
        for name, value in card.items()
        if name != "model"
    }
    for name in _OF_ALL_NODES & listed.keys():
        renamed = f"card_{name}"
        while renamed in listed:
            renamed = f"card_{renamed}"
        listed[renamed] = listed.pop(name)
    return listed


def _drop_unknown(values: Mapping[str, Any]) -> Attributes:
    """The values that are neither None nor NaN."""
    return {name: value for name, value in values.items() if value is not None and value == value}


def _clean_attributes(attributes: Mapping[str, Any]) -> Attributes:
    return {
        name: _clean_text(value) for name, value in attributes.items() if isinstance(value, str)
    }


def _clean_text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))

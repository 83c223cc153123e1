"""The networkx view of some queries, with the decisions of a router on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from graphrouter.decision import SOLVED, Decision
from graphrouter.exceptions import DataError
from graphrouter.graph.projections import to_networkx
from graphrouter.number_checks import is_whole
from graphrouter.policy import Policy
from graphrouter.types import Queries

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.router.graph_router import GraphRouter

_MOST_MODELS = 16
"""Those that are sent something stand there in any case."""


@dataclass(frozen=True, eq=False)
class RoutedGraph:
    """Tasks, queries, users and models as `to_networkx` names them, and where queries would go."""

    graph: nx.DiGraph[str]
    """The view of `to_networkx` of these queries. An edge to the model that a query would be sent
    to has `is_choice`; its `kind` is `sent_to` where the model was not run on the query."""
    tasks: Sequence[str]
    """Nodes in the order in which they are drawn, as of queries and models."""
    queries: Sequence[str]
    models: Sequence[str]
    """Those that get most first, then the best by what is expected of these queries."""
    decisions: Mapping[str, Decision]
    """By node of the query."""
    policy: str
    """What was decided by, in words."""
    users: Sequence[str] = ()
    """Those who asked, the one who asked most first; empty where no query names a user."""

    @property
    def num_rows(self) -> int:
        """How many lines of text the longest column needs, at least 12."""
        left = len(self.tasks) + len(self.users)
        return max(len(self.queries), 2 * len(self.models), left, 12)

    def task_node_of(self, query: str) -> str | None:
        """The task of a query; None where it has none."""
        return self._near(query, "in")

    def user_node_of(self, query: str) -> str | None:
        """Who asked a query; None where nobody is named."""
        return self._near(query, "asked_by")

    def _near(self, query: str, kind: str) -> str | None:
        edges = self.graph.edges
        return next(
            (near for near in self.graph[query] if edges[query, near]["kind"] == kind), None
        )

    def task_of(self, query: str) -> str | None:
        """The name of that task."""
        node = self.task_node_of(query)
        return None if node is None else str(self.graph.nodes[node]["label"])

    def model_node_of(self, query: str) -> str:
        """The model that a query would be sent to."""
        return f"model:{self.decisions[query].model}"

    def model_of(self, query: str) -> str:
        """The name of that model."""
        return self.decisions[query].model

    def sent_to(self, model: str) -> list[str]:
        """The queries that would be sent to a model."""
        return [query for query in self.queries if self.model_node_of(query) == model]

    def solved(self, query: str) -> bool | None:
        """Whether the chosen model had solved the query in the data; None where it was not run."""
        effect = self.graph.edges[query, self.model_node_of(query)].get("effect")
        return None if effect is None else bool(effect >= SOLVED)


def build_routed_graph(
    router: GraphRouter,
    data: RoutingDataset,
    *,
    policy: Policy | None = None,
    num_queries: int = 36,
    seed: int = 0,
) -> RoutedGraph:
    """A sample of queries as a graph, each with the decision of the router for who asked it.

    Args:
        router: Who decides.
        data: Where the queries are.
        policy: What it decides by; balanced without it.
        num_queries: How many are drawn, the same share of each task as nearly as can be.
        seed: Of the draw.

    Raises:
        DataError: The number is below 1.
        PolicyError: Nobody satisfies the policy and it names no fallback.
    """
    if not is_whole(num_queries, least=1):
        raise DataError(f"num_queries is {num_queries!r}; expected a whole number from 1.")
    by = Policy.preset("balanced") if policy is None else policy
    drawn = data.select_queries(_draw_queries(data, num_queries, seed))
    view = to_networkx(drawn)
    known = router.known_tasks or ()
    tasks = [task if task in known else None for task in drawn.queries["task"]]
    asked = Queries.of_frame(drawn.queries.assign(task=np.array(tasks, dtype=object)))
    decided = router.route_batch(asked, policy=by)
    nodes = [f"query:{query}" for query in drawn.queries["query_id"]]
    decisions = dict(zip(nodes, decided, strict=True))
    for query, decision in decisions.items():
        model = f"model:{decision.model}"
        if model not in view:  # of the pool, and not of the data
            view.add_node(model, kind="model", label=decision.model)
        if not view.has_edge(query, model):
            view.add_edge(query, model, kind="sent_to")
        view.edges[query, model]["is_choice"] = True
    models = _order_models(decisions)
    order = {model: place for place, model in enumerate(models)}
    of_task = {
        query: next((t for t in view[query] if t.startswith("task:")), "") for query in nodes
    }
    queries = sorted(
        nodes, key=lambda query: (of_task[query], order[f"model:{decisions[query].model}"])
    )
    shown = list(dict.fromkeys(of_task[query] for query in queries if of_task[query]))
    users = _order_users(view, queries)
    graph = view.subgraph(
        [*shown, *users, *queries, *(model for model in models if model in view)]
    ).copy()
    return RoutedGraph(
        graph,
        shown,
        queries,
        [model for model in models if model in graph],
        decisions,
        by.describe(),
        users,
    )


def _draw_queries(data: RoutingDataset, number: int, seed: int) -> list[str]:
    """Ids of a sample, spread over the tasks."""
    rng = np.random.default_rng(seed)
    queries = data.queries.iloc[rng.permutation(len(data.queries))]
    rank = queries.groupby(queries["task"].fillna("")).cumcount()
    return [
        str(query)
        for query in queries.loc[rank.sort_values(kind="stable").index[:number], "query_id"]
    ]


def _order_users(view: nx.DiGraph[str], queries: Sequence[str]) -> list[str]:
    """Nodes of those who asked the queries, the one who asked most first."""
    asked = Counter(near for q in queries for near in view[q] if view.nodes[near]["kind"] == "user")
    return [user for user, _ in asked.most_common()]


def _order_models(decisions: Mapping[str, Decision]) -> list[str]:
    """Nodes of the models, the most chosen first, then those with the most expected effect."""
    chosen = Counter(decision.model for decision in decisions.values())
    expected: Counter[str] = Counter()
    for decision in decisions.values():
        expected.update({each.model: each.effect for each in decision.candidates})
    order = sorted(expected, key=lambda model: (-chosen[model], -expected[model]))
    return [f"model:{model}" for model in order[: max(_MOST_MODELS, len(chosen))]]

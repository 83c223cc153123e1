"""Small graphs for the tests of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from graphrouter.config import NetworkConfig
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import Askers, NodeTable
from graphrouter.features.token_rates import NUM_KINDS
from graphrouter.features.views import ViewNodes
from graphrouter.graph.routing_graph import RoutingGraph, build_graph
from graphrouter.nn.network import RoutingGNN, compose_network
from graphrouter.scoring.scorer import FeatureSizes

NUM_SUPPORT, NUM_TARGETS, NUM_MODELS, NUM_TASKS = 40, 6, 5, 3
SIZES = FeatureSizes(principal=8, text=12, card=4)


def _unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


def make_nodes(generator: torch.Generator, *, num_models: int = NUM_MODELS) -> NodeTable:
    num_queries = NUM_SUPPORT + NUM_TARGETS
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    text, principal = draw(num_queries, SIZES.text), draw(num_queries, SIZES.principal)
    task = torch.randint(0, NUM_TASKS, (num_queries,), generator=generator)
    return NodeTable(
        query_text=_unit(text + torch.eye(NUM_TASKS, SIZES.text)[task]),  # prompts tell their task
        query_principal=principal + torch.eye(NUM_TASKS, SIZES.principal)[task],
        query_chars=torch.full((num_queries, NUM_KINDS), 100.0),
        query_task=task,
        model_text=_unit(draw(num_models, SIZES.text)),
        model_card=draw(num_models, SIZES.card),
        task_text=_unit(draw(NUM_TASKS, SIZES.text)),
    )


def make_views(generator: torch.Generator) -> tuple[ViewNodes, ...]:
    """A view in which queries are alike and that every fifth does not have, and one of numbers."""
    num_queries = NUM_SUPPORT + NUM_TARGETS
    x = torch.randn(num_queries, 3, generator=generator)
    x[::5] = torch.nan
    numbers = torch.randn(num_queries, 2, generator=generator)
    return (
        ViewNodes("context", x, _unit(x)),
        ViewNodes("context_fit", numbers, numbers[:, :0]),
    )


def make_outcomes(
    generator: torch.Generator, queries: torch.Tensor, num_models: int, *, density: float
) -> RecordedEdges:
    pairs = torch.cartesian_prod(queries, torch.arange(num_models))
    pairs = pairs[torch.rand(len(pairs), generator=generator) < density]
    channels = torch.randn(NUM_CHANNELS, len(pairs), generator=generator)
    channels[0] = torch.randint(0, 2, (len(pairs),), generator=generator).float()
    channels[3] = torch.nan
    return RecordedEdges(
        pairs[:, 0], pairs[:, 1], channels, torch.rand(len(pairs), generator=generator)
    )


def say_effects(table: NodeTable, edges: RecordedEdges) -> torch.Tensor:
    """Effects (E,) that users and views say something of: of noise nothing is believed."""
    logit = torch.zeros(len(edges.query))
    side = 1.0 - 2.0 * (edges.model % 2)
    for view in table.views:
        x = view.x.nan_to_num()[edges.query]
        logit += 2 * x[:, 1] * side + 6 * torch.sign(x[:, 0] * x[:, 1])
    if table.askers is not None:
        who = table.askers.of_query[edges.query]
        logit += (who >= 0) * 4 * side * (1.0 - 2.0 * (who % 2))
    return (logit > 0).float()


@pytest.fixture(scope="session")
def make_graph() -> Callable[..., RoutingGraph]:
    def make(
        *,
        seed: int = 0,
        density: float = 0.7,
        support: RecordedEdges | None = None,
        nodes: NodeTable | None = None,
        num_models: int = NUM_MODELS,
        label_density: float = 1.0,
        with_users: bool = False,
        views: bool = False,
    ) -> RoutingGraph:
        generator = torch.Generator().manual_seed(seed)
        table = nodes or make_nodes(generator, num_models=num_models)
        if (
            with_users
        ):  # three users, two teams; the last nodes are the newcomers of each and of none
            of_query = torch.arange(NUM_SUPPORT + NUM_TARGETS) % 7 - 1
            table = replace(table, askers=Askers(of_query, torch.tensor([0, 1, 2, 0, 1, 2])))
        if views:
            table = replace(table, views=make_views(generator))
        support_queries, targets = (
            torch.arange(NUM_SUPPORT),
            torch.arange(NUM_SUPPORT, NUM_SUPPORT + NUM_TARGETS),
        )
        num_models = table.model_text.shape[0]
        edges = support or make_outcomes(generator, support_queries, num_models, density=density)
        if support is None and (with_users or views):
            edges.channels[0] = say_effects(table, edges)
        return build_graph(
            table,
            support=edges,
            support_queries=support_queries,
            target_queries=targets,
            target_tasks=torch.tensor([0, 1, 2, -1, -1, 0]),
            num_neighbours=10,
            labels=make_outcomes(generator, targets, num_models, density=label_density),
        ).double()

    return make


@pytest.fixture(scope="session")
def make_net() -> Callable[[], RoutingGNN]:
    def make() -> RoutingGNN:
        torch.manual_seed(0)
        network = compose_network(NetworkConfig(width=8, hidden=16, num_heads=2), SIZES)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3)
        return network.double().eval()

    return make


@pytest.fixture
def net(make_net: Callable[[], RoutingGNN]) -> RoutingGNN:
    """A network whose zero layers are not zero, so that every part has a say."""
    return make_net()

"""Small node tables and outcomes to build graphs from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.features.tables import NodeTable
from graphrouter.features.token_rates import NUM_KINDS

MakeNodes = Callable[..., NodeTable]
MakeEdges = Callable[..., RecordedEdges]


def _nodes(
    num_queries: int, *, num_models: int = 3, num_tasks: int = 2, seed: int = 0
) -> NodeTable:
    generator = torch.Generator().manual_seed(seed)
    text = torch.nn.functional.normalize(torch.randn(num_queries, 4, generator=generator), dim=1)
    return NodeTable(
        query_text=text,
        query_principal=torch.randn(num_queries, 5, generator=generator),
        query_chars=torch.arange(num_queries, dtype=torch.float32)[:, None].expand(-1, NUM_KINDS),
        query_task=torch.arange(num_queries) % num_tasks,
        model_text=torch.randn(num_models, 4, generator=generator),
        model_card=torch.randn(num_models, 6, generator=generator),
        task_text=torch.randn(num_tasks, 4, generator=generator),
    )


def _edges(pairs: list[tuple[int, int]], effect: list[float] | None = None) -> RecordedEdges:
    query = torch.tensor([pair[0] for pair in pairs], dtype=torch.int64)
    model = torch.tensor([pair[1] for pair in pairs], dtype=torch.int64)
    channels = torch.full((NUM_CHANNELS, len(pairs)), torch.nan)
    channels[0] = 0.5 if effect is None else torch.tensor(effect)
    return RecordedEdges(query, model, channels, torch.full((len(pairs),), torch.nan))


@pytest.fixture(scope="session")
def make_nodes() -> MakeNodes:
    """Node tables of random features; `query_chars` of a query are its position."""
    return _nodes


@pytest.fixture(scope="session")
def make_edges() -> MakeEdges:
    """Outcomes of (query, model) pairs, effect 0.5 unless given, nothing else observed."""
    return _edges

"""Messages kept as edges, spread out on demand."""

from __future__ import annotations

from collections.abc import Callable

import torch

from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.paths import spread_rows


def test_rows_are_spread_out_with_each_message_in_its_cell_and_zero_elsewhere(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    graph = make_graph()
    state = net.encode_support(graph)
    rows = torch.tensor([7, 0, 31])
    dense = spread_rows(state.messages, rows, len(state.model))
    query, model = graph.outcomes.query, graph.outcomes.model
    expected = torch.zeros(3, len(state.model), dense.shape[2], dtype=torch.float64)
    for i, row in enumerate(rows.tolist()):
        for edge in torch.nonzero(query == row).flatten().tolist():
            expected[i, model[edge]] = state.messages.values[edge]
    torch.testing.assert_close(dense, expected, rtol=0, atol=0)
    assert (dense == 0).any()


def test_the_messages_of_a_row_are_contiguous(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    graph = make_graph(density=0.3)
    messages = net.encode_support(graph).messages
    counts = torch.bincount(graph.outcomes.query, minlength=40)
    assert messages.row_start.diff().tolist() == counts.tolist()

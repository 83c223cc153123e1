"""Messages kept as edges, spread out on demand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch_geometric.data import HeteroData

from graphrouter.graph.builder import ANSWERED_BY
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.state import dense_rows


def test_dense_rows_put_each_message_in_its_cell_and_zero_elsewhere(
    net: RoutingGNN, make_graph: Callable[..., HeteroData]
) -> None:
    graph = make_graph()
    state = net.encode_support(graph)
    rows = torch.tensor([7, 0, 31])
    dense = dense_rows(state.messages, rows, state.num_models)
    query, model = graph[ANSWERED_BY].edge_index
    expected = torch.zeros(3, state.num_models, dense.shape[2], dtype=torch.float64)
    for i, row in enumerate(rows.tolist()):
        for edge in torch.nonzero(query == row).flatten().tolist():
            expected[i, model[edge]] = state.messages.values[edge]
    torch.testing.assert_close(dense, expected, rtol=0, atol=0)
    assert (dense == 0).any()


def test_the_messages_of_a_row_are_contiguous(
    net: RoutingGNN, make_graph: Callable[..., HeteroData]
) -> None:
    graph = make_graph(density=0.3)
    messages = net.encode_support(graph).messages
    counts = torch.bincount(graph[ANSWERED_BY].edge_index[0], minlength=40)
    assert messages.row_start.diff().tolist() == counts.tolist()

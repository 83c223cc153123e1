"""No costume: every attribute of the exported graph is read, and this list says by whom.

Whoever adds a feature, an edge or a label adds it here, with what changes when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphrouter.exceptions import LeakageError
from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.graph.hetero_data import (
    ANSWERED_BY,
    QUERY_ASKED_BY,
    QUERY_IN_TASK,
    SIMILAR_TO,
    SUPERVISED,
    TARGET_ASKED_BY,
    TARGET_IN_TASK,
    from_hetero,
    name_similarity,
    to_hetero,
)
from graphrouter.graph.leakage import check_no_leakage
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn import view_skills
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.nearest import find_nearest
from graphrouter.training.episode_losses import Labels, episode_losses

SIMILAR_IN_CONTEXT = name_similarity("context")
PREDICTION, SEARCH, LOSS, COST, LEAKAGE = "prediction", "search", "loss", "cost", "leakage"

READ_BY = {
    ("query", "text"): PREDICTION,  # what votes of similar queries say of a task, too
    ("query", "x"): PREDICTION,
    ("query", "position"): LEAKAGE,
    ("target", "x"): PREDICTION,
    ("target", "num_chars"): COST,  # a long prompt is charged for its length
    ("target", "position"): LEAKAGE,
    ("target", "true_task"): LOSS,
    ("target", "trade_off"): LOSS,
    ("model", "x"): PREDICTION,
    ("model", "card"): PREDICTION,
    ("task", "x"): PREDICTION,
    ("user", "node_team"): PREDICTION,
    (QUERY_ASKED_BY, "edge_index"): PREDICTION,
    (TARGET_ASKED_BY, "edge_index"): PREDICTION,
    (QUERY_IN_TASK, "edge_index"): PREDICTION,
    (TARGET_IN_TASK, "edge_index"): PREDICTION,
    (ANSWERED_BY, "edge_index"): PREDICTION,
    (ANSWERED_BY, "edge_attr"): PREDICTION,
    (SIMILAR_TO, "edge_index"): PREDICTION,
    (SIMILAR_TO, "edge_attr"): PREDICTION,
    ("query", "x_context"): PREDICTION,
    ("query", "x_context_fit"): PREDICTION,
    ("query", "text_context"): PREDICTION,  # how far alike solved queries foretold one another
    ("target", "x_context"): PREDICTION,
    ("target", "x_context_fit"): PREDICTION,
    (SIMILAR_IN_CONTEXT, "edge_index"): PREDICTION,
    (SIMILAR_IN_CONTEXT, "edge_attr"): PREDICTION,
    (SUPERVISED, "edge_label_index"): LOSS,
    (SUPERVISED, "edge_label"): LOSS,
    (SUPERVISED, "edge_label_cost"): LOSS,
}


@pytest.fixture(scope="module", autouse=True)
def _hear_the_alike() -> Iterator[None]:
    """Alike queries are heard whatever the evidence: a small graph has little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view_skills, "_LEAST_EVIDENCE", 0.0)
        yield


@pytest.fixture(scope="module")
def data(make_graph: Callable[..., RoutingGraph]) -> HeteroData:
    graph = make_graph(with_users=True, views=True)
    exported = to_hetero(graph)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(len(graph.targets.task), generator=generator)
    exported["target"].trade_off = drawn.double() + 0.5
    return exported


@pytest.fixture(scope="module")
def before(make_net: Callable[[], RoutingGNN], data: HeteroData) -> dict[str, Tensor]:
    """What comes out of the graph as it is."""
    return _results(make_net(), data)


def _attributes(data: HeteroData) -> set[tuple[object, str]]:
    stores = [(kind, data[kind]) for kind in (*data.node_types, *data.edge_types)]
    return {(kind, name) for kind, store in stores for name in store}


def _disturb(kind: object, name: str, value: Tensor) -> Tensor:
    """Features of other nodes, or edges that lead elsewhere; all indices stay in range."""
    if name in ("edge_index", "edge_label_index"):
        row = 0 if kind in (SIMILAR_TO, SIMILAR_IN_CONTEXT) else 1
        changed = value.clone()
        changed[row] = value[row].roll(1)
        return changed
    if name == "position":
        return torch.zeros_like(value)  # all nodes are the same query
    if name == "num_chars":
        return 2 * value
    return value.roll(1, 0)


def _results(net: RoutingGNN, data: HeteroData) -> dict[str, Tensor]:
    graph = from_hetero(data)
    supervision = graph.supervision
    assert supervision is not None
    torch.manual_seed(0)
    with torch.no_grad():
        state = net.encode_support(graph)
        predictions = net.score(state, graph.targets)
    losses = episode_losses(
        predictions,
        Labels.of(graph),
        supervision.true_task,
        supervision.trade_off,
        scale=[1.0] * NUM_CHANNELS,
    )
    prompts = torch.nn.functional.normalize(torch.randn(3, graph.query_text.shape[1]).double())
    try:
        check_no_leakage(data)
        leaks = 0.0
    except LeakageError:
        leaks = 1.0
    return {
        PREDICTION: torch.cat([part.flatten() for part in predictions]),
        SEARCH: torch.cat([part.flatten() for part in find_nearest(prompts, state.query_text, 5)]),
        LOSS: torch.stack(losses),
        COST: graph.targets.num_chars,
        LEAKAGE: torch.tensor(leaks),
    }


def test_the_list_is_complete(data: HeteroData) -> None:
    assert _attributes(data) == set(READ_BY)


@pytest.mark.parametrize(("kind", "name"), READ_BY)
def test_what_is_built_is_read_and_labels_are_not_read_by_the_network(
    net: RoutingGNN,
    data: HeteroData,
    before: dict[str, Tensor],
    kind: str | tuple[str, str, str],
    name: str,
) -> None:
    other = data.clone()
    other[kind][name] = _disturb(kind, name, data[kind][name])
    if name == "position":
        other["query" if kind == "target" else "target"].position[:] = 0
    after = _results(net, other)
    reader = READ_BY[kind, name]
    is_changed = {key: not torch.equal(before[key], after[key]) for key in before}
    assert is_changed[reader]
    if reader != PREDICTION:
        assert not is_changed[PREDICTION]

"""The network as a whole: what it must not depend on, and what it must."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import get_args

import pytest
import torch

from graphrouter.config import NetworkConfig, Part
from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.outcome_edges import RecordedEdges
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN, compose_network
from tests.unit.nn.conftest import (
    NUM_MODELS,
    NUM_SUPPORT,
    NUM_TARGETS,
    NUM_TASKS,
    SIZES,
    make_nodes,
    make_outcomes,
)

MakeGraph = Callable[..., RoutingGraph]


def test_shapes(net: RoutingGNN, make_graph: MakeGraph) -> None:
    predictions = net(make_graph())
    assert (
        predictions.location.shape
        == predictions.log_scale.shape
        == (NUM_CHANNELS, NUM_TARGETS, NUM_MODELS)
    )
    assert predictions.log_task.shape == (NUM_TARGETS, NUM_TASKS)
    torch.testing.assert_close(
        predictions.log_task.exp().sum(1), torch.ones(NUM_TARGETS, dtype=torch.float64)
    )


def test_a_target_does_not_depend_on_the_other_targets(
    net: RoutingGNN, make_graph: MakeGraph
) -> None:
    graph = make_graph()
    state, targets = net.encode_support(graph), graph.targets
    together = net.score(state, targets).location
    for i in range(NUM_TARGETS):
        alone = net.score(state, targets.take(torch.tensor([i]))).location
        torch.testing.assert_close(alone[:, 0], together[:, i], rtol=0, atol=1e-12)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    shuffled = net.score(state, targets.take(order)).location
    torch.testing.assert_close(shuffled, together[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("left_out", [(), ("similar_queries",), ("profile",)])
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_less_of_the_deviations_is_believed(
    make_graph: MakeGraph, left_out: tuple[Part, ...], share: float
) -> None:
    net = compose_network(NetworkConfig(leave_out=left_out), SIZES).double().eval()
    graph = make_graph()
    before = net(graph)
    assert (before.deviation.abs().max() > 0) == (left_out != ("similar_queries", "profile"))
    net.scale_deviations(share)
    after = net(graph)
    torch.testing.assert_close(after.deviation, share * before.deviation)
    torch.testing.assert_close(
        after.location[EFFECT], before.location[EFFECT] - (1 - share) * before.deviation
    )
    torch.testing.assert_close(after.location[1:], before.location[1:], rtol=0, atol=0)


def test_permuting_the_models_permutes_the_predictions(
    net: RoutingGNN, make_graph: MakeGraph
) -> None:
    generator = torch.Generator().manual_seed(4)
    nodes = make_nodes(generator)
    support = make_outcomes(generator, torch.arange(NUM_SUPPORT), NUM_MODELS, density=0.6)
    order = torch.tensor([4, 2, 0, 1, 3])
    permuted = dataclasses.replace(
        nodes, model_text=nodes.model_text[order], model_card=nodes.model_card[order]
    )
    moved = dataclasses.replace(support, model=order.argsort()[support.model])
    first = net(make_graph(nodes=nodes, support=support)).location
    second = net(make_graph(nodes=permuted, support=moved)).location
    torch.testing.assert_close(second, first[:, :, order], rtol=0, atol=1e-10)


def test_a_model_without_outcomes_moves_no_other_prediction(
    net: RoutingGNN, make_graph: MakeGraph
) -> None:
    generator = torch.Generator().manual_seed(5)
    nodes = make_nodes(generator, num_models=NUM_MODELS + 1)
    support = make_outcomes(generator, torch.arange(NUM_SUPPORT), NUM_MODELS, density=0.6)
    without = dataclasses.replace(
        nodes, model_text=nodes.model_text[:-1], model_card=nodes.model_card[:-1]
    )
    larger = net(make_graph(nodes=nodes, support=support)).location
    smaller = net(make_graph(nodes=without, support=support)).location
    torch.testing.assert_close(larger[:, :, :-1], smaller, rtol=0, atol=1e-12)
    assert torch.isfinite(larger).all()


def test_an_outcome_of_a_neighbour_is_heard(net: RoutingGNN, make_graph: MakeGraph) -> None:
    generator = torch.Generator().manual_seed(6)
    nodes = make_nodes(generator)
    support = make_outcomes(generator, torch.arange(NUM_SUPPORT), NUM_MODELS, density=0.9)
    flipped = dataclasses.replace(support, channels=support.channels.clone())
    flipped.channels[0, support.model == 1] = 1 - flipped.channels[0, support.model == 1]
    before = net(make_graph(nodes=nodes, support=support)).location[0, :, 1]
    after = net(make_graph(nodes=nodes, support=flipped)).location[0, :, 1]
    assert (before - after).abs().min() > 1e-4


@pytest.mark.parametrize("missing", ["one", "all"])
def test_neighbours_may_lack_outcomes(net: RoutingGNN, make_graph: MakeGraph, missing: str) -> None:
    graph = make_graph()
    neighbours = graph.targets.neighbours[0]
    generator = torch.Generator().manual_seed(0)
    nodes = make_nodes(generator)
    support = make_outcomes(generator, torch.arange(NUM_SUPPORT), NUM_MODELS, density=0.7)
    gone = neighbours[:1] if missing == "one" else neighbours
    thinned = support.take(~torch.isin(support.query, gone))
    assert len(thinned.query) < len(support.query)
    assert torch.isfinite(net(make_graph(nodes=nodes, support=thinned)).location).all()


def test_an_empty_support_still_predicts(net: RoutingGNN, make_graph: MakeGraph) -> None:
    nothing = RecordedEdges(
        torch.empty(0, dtype=torch.int64),
        torch.empty(0, dtype=torch.int64),
        torch.empty(NUM_CHANNELS, 0),
        torch.empty(0),
    )
    assert torch.isfinite(net(make_graph(support=nothing)).location).all()


def test_gradients_reach_every_parameter(net: RoutingGNN, make_graph: MakeGraph) -> None:
    predictions = net(make_graph())
    (
        predictions.location.square().sum()
        + predictions.log_scale.sum()
        + predictions.log_task.sum()
    ).backward()
    silent = [
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert silent == []


def _left_out(net: RoutingGNN, parts: tuple[Part, ...]) -> RoutingGNN:
    """The same weights without some parts."""
    config = NetworkConfig(width=8, hidden=16, num_heads=2, leave_out=parts)
    smaller = compose_network(config, SIZES).double().eval()
    weights = net.state_dict()
    smaller.load_state_dict(
        {**smaller.state_dict(), **{n: weights[n] for n in weights if n in smaller.state_dict()}}
    )
    return smaller


@pytest.mark.parametrize("part", get_args(Part))
def test_a_part_that_is_left_out_has_no_say(
    net: RoutingGNN, make_graph: MakeGraph, part: Part
) -> None:
    graph = make_graph(with_users=True)
    whole, without = net(graph).location, _left_out(net, (part,))(graph).location
    assert without.isfinite().all()
    effect_changes = not torch.allclose(whole[EFFECT], without[EFFECT], atol=1e-6)
    amounts_change = not torch.allclose(whole[EFFECT + 1 :], without[EFFECT + 1 :], atol=1e-6)
    assert effect_changes == (part != "perceptron")  # it corrects amounts alone
    assert amounts_change == (part != "doubt")  # it softens effects alone

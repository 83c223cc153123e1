"""The network as parts: which are structural, what leaving one out keeps, and how to add one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from graphrouter.config import NetworkConfig, Part
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.attention import PathAttention
from graphrouter.nn.layers import list_structural
from graphrouter.nn.network import RoutingGNN, compose_network, compose_parts
from graphrouter.scoring.paths import PathMessages
from tests.unit.nn.conftest import NUM_MODELS, NUM_TARGETS, SIZES

MakeGraph = Callable[..., RoutingGraph]

STRUCTURAL = [
    "text_easiness.scale",
    "base.ability_mass.log",
    "base.skill_mass.log",
    "base.easiness_mass.log",
    "base.slopes.mass.log",
    "base.task_mass.log",
    "base.prior_mass.log",
    "profile.mass.log",
    "easiness_slope.mass.log",
    "task_attention.vote_sharpness.log",
    "task_attention.kin_scale.log",
    "task_attention.task_mass.log",
    "path_attention.metric_scale",
    "path_attention.same_task",
    "path_attention.path_mix",
    "path_attention.surprise_mix",
    "path_attention.sharpness.log",
    "path_attention.path_mass.log",
    "path_attention.surprise_mass.log",
    "readout.profile_scale",
    "readout.doubt.scale.log",
]
"""What the rule by endings of names (.log, _mix, _scale, .vote, .same_task) gave before modules
declared it, in the order in which the optimiser has them."""


def _config(*left_out: Part) -> NetworkConfig:
    return NetworkConfig(width=8, hidden=16, num_heads=2, leave_out=left_out)


class TestStructuralParameters:
    def test_they_are_these_in_this_order(self, net: RoutingGNN) -> None:
        declared = list_structural(net)
        assert [name for name, _ in net.named_parameters() if name in declared] == STRUCTURAL
        assert declared == set(STRUCTURAL)

    def test_all_others_are_weights_and_biases_of_layers(self, net: RoutingGNN) -> None:
        others = [name for name, _ in net.named_parameters() if name not in STRUCTURAL]
        assert all(name.endswith((".weight", ".bias")) for name in others)

    def test_what_nobody_declares_is_a_weight_whatever_its_name(self) -> None:
        class Silent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.path_mix = nn.Parameter(torch.ones(1))

        assert list_structural(Silent()) == frozenset()

    def test_a_declared_name_that_is_not_there_is_an_error(self) -> None:
        class Renamed(nn.Module):
            structural = ("mix",)

        with pytest.raises(AttributeError, match="mix"):
            list_structural(Renamed())


@pytest.mark.parametrize("part", get_args(Part))
def test_parts_that_stay_start_from_the_same_weights(part: Part) -> None:
    torch.manual_seed(3)
    whole = compose_network(_config(), SIZES).state_dict()
    torch.manual_seed(3)
    without = compose_network(_config(part), SIZES).state_dict()
    there = without.keys() & whole.keys()
    assert all(torch.equal(without[name], whole[name]) for name in there)
    # The discriminant is solved for; what takes its place is learned.
    assert (there == without.keys()) == (part != "task_discriminant")
    if part == "task_discriminant":
        return
    owns_none = part in (
        "cards",
        "similar_residuals",
        "text_prior",
        "text_skills",
        "foretold_asking",
        "users",
    )
    assert (without.keys() == whole.keys()) == owns_none


def test_every_part_can_be_left_out_at_once(make_graph: MakeGraph) -> None:
    net = compose_network(_config(*get_args(Part)), SIZES).double().eval()
    predictions = net(make_graph())
    assert predictions.location.isfinite().all()


def test_a_part_of_ones_own_goes_in_without_touching_the_network(make_graph: MakeGraph) -> None:
    class Louder(PathAttention):
        """Path attention whose residuals count twice."""

        def forward(self, *args: Tensor) -> PathMessages:
            paths = super().forward(*args)
            return paths._replace(residual=2 * paths.residual)

    torch.manual_seed(0)
    parts = compose_parts(_config(), SIZES)
    louder = Louder(8, 2)
    louder.load_state_dict(parts.path_attention.state_dict())
    graph = make_graph()
    before = RoutingGNN(parts, SIZES).double().eval()(graph).location
    swapped = dataclasses.replace(parts, path_attention=louder)
    after = RoutingGNN(swapped, SIZES).double().eval()(graph).location
    assert after.shape[1:] == (NUM_TARGETS, NUM_MODELS)
    assert not torch.allclose(before, after, atol=1e-6)

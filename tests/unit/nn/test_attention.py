"""Belief over tasks: a named task counts as much as its queries carry, the rest is attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.novelty import Familiarity
from graphrouter.scoring.state import SupportState
from tests.unit.nn.conftest import NUM_TARGETS, NUM_TASKS

KNOWN = torch.tensor([0, 1, 2, -1, -1, 0])  # tasks of the targets of `make_graph`


@pytest.fixture
def graph(make_graph: Callable[..., RoutingGraph]) -> RoutingGraph:
    return make_graph()


@pytest.fixture
def state(net: RoutingGNN, graph: RoutingGraph) -> SupportState:
    return net.encode_support(graph)


def _believe(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph, task: Tensor
) -> tuple[Tensor, Tensor]:
    targets = dataclasses.replace(graph.targets, task=task)
    with torch.no_grad():
        belief, log_task = net.task_attention(state, net.query_encoder(targets.principal), targets)
    return belief, log_task


def test_task_size_counts_the_support_queries_of_each_task(state: SupportState) -> None:
    assert (
        state.task_size.tolist()
        == torch.bincount(state.task_of_query, minlength=NUM_TASKS).tolist()
    )
    assert state.task_size.min() > 0


@pytest.mark.parametrize("size", [0.0, 3.0, 1e9])
def test_rows_add_up_to_one(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph, size: float
) -> None:
    belief, log_task = _believe(
        net, state._replace(task_size=torch.full((NUM_TASKS,), size).double()), graph, KNOWN
    )
    one = torch.ones(NUM_TARGETS, dtype=torch.float64)
    torch.testing.assert_close(belief.sum(1), one)
    torch.testing.assert_close(log_task.exp().sum(1), one)
    assert belief.min() >= 0
    assert (belief[:, NUM_TASKS] == 0).all()


def test_a_named_task_is_believed_the_more_the_more_queries_it_has(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph
) -> None:
    mass = float(net.task_attention.task_mass().detach())
    size = torch.tensor([1.0, 5.0, 1e6], dtype=torch.float64)
    bare = state._replace(task_size=size, task_likeness=torch.zeros_like(state.task_likeness))
    belief, log_task = _believe(net, bare, graph, KNOWN)
    attention = log_task.exp()
    for target in range(3):
        certain = size[target] / (size[target] + mass)
        expected = (1 - certain) * attention[target]
        expected[target] += certain
        torch.testing.assert_close(belief[target, :NUM_TASKS], expected)
    assert belief[2, 2] > 0.99999


def test_nobody_believes_in_a_task_without_queries(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph
) -> None:
    size = torch.tensor([0.0, 5.0, 50.0], dtype=torch.float64)
    belief, log_task = _believe(net, state._replace(task_size=size), graph, KNOWN)
    assert (belief[:, 0] == 0).all()
    assert torch.isneginf(log_task[:, 0]).all()
    torch.testing.assert_close(belief.sum(1), torch.ones(NUM_TARGETS, dtype=torch.float64))


def test_the_description_of_a_new_task_points_to_tasks_like_it(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph
) -> None:
    size = torch.tensor([0.0, 50.0, 50.0], dtype=torch.float64)
    likeness = torch.eye(NUM_TASKS, dtype=torch.float64)
    likeness[0, 2] = likeness[2, 0] = 0.9
    like_the_last, _ = _believe(
        net, state._replace(task_size=size, task_likeness=likeness), graph, KNOWN
    )
    like_nobody, _ = _believe(
        net, state._replace(task_size=size, task_likeness=torch.zeros_like(likeness)), graph, KNOWN
    )
    assert like_the_last[0, 2] > like_nobody[0, 2] + 0.1  # the first target names the new task


def test_a_task_without_queries_or_description_is_as_good_as_no_name(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph
) -> None:
    empty = state._replace(
        task_size=torch.zeros(NUM_TASKS).double(),
        task_likeness=torch.zeros_like(state.task_likeness),
    )
    named, _ = _believe(net, empty, graph, KNOWN)
    hidden, _ = _believe(net, empty, graph, torch.full_like(KNOWN, -1))
    torch.testing.assert_close(named, hidden, rtol=0, atol=0)
    believed, _ = _believe(net, state, graph, KNOWN)
    assert (believed[:3] - hidden[:3]).abs().max() > 0.1
    torch.testing.assert_close(believed[3:5], hidden[3:5], rtol=0, atol=0)


def test_what_attention_says_does_not_depend_on_the_name(
    net: RoutingGNN, state: SupportState, graph: RoutingGraph
) -> None:
    """It is what the task loss teaches: the name must not give it away."""
    named, hidden = (
        _believe(net, state, graph, task)[1] for task in (KNOWN, torch.full_like(KNOWN, -1))
    )
    torch.testing.assert_close(named, hidden, rtol=0, atol=0)


class TestFamiliarity:
    """The rank of nearness among solved prompts."""

    def known(self, num: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        rng = torch.Generator().manual_seed(seed)
        text = torch.nn.functional.normalize(
            torch.randn(num, 8, generator=rng, dtype=torch.float64) + 2, dim=1
        )
        return text, torch.randn(num, 11, generator=rng, dtype=torch.float64)

    def rank(
        self, solved: tuple[torch.Tensor, torch.Tensor], asked: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        everyone = torch.ones(len(solved[0]), dtype=torch.bool)
        familiarity = Familiarity.of(*solved, everyone, 16)
        return familiarity.rank(asked[1], *find_nearest(asked[0], solved[0], 16))

    @pytest.mark.parametrize("num", [30, 200, 700])
    def test_it_is_uniform_on_more_prompts_of_a_kind_however_many_were_solved(
        self, num: int
    ) -> None:
        text, surface = self.known(num + 400)
        found = self.rank((text[:num], surface[:num]), (text[num:], surface[num:]))
        assert found.mean().item() == pytest.approx(0.5, abs=0.12)
        assert (found < 0.2).double().mean().item() == pytest.approx(0.2, abs=0.12)

    def test_what_is_further_off_than_all_solved_prompts_has_none(self) -> None:
        solved = self.known(100)
        assert self.rank(solved, (-solved[0][:3], solved[1][:3] + 9)).tolist() == [0.0] * 3

    def test_a_surface_like_none_seen_is_strange_whatever_the_text(self) -> None:
        text, surface = self.known(100)
        assert self.rank((text, surface), (text[:3], surface[:3] + 5)).tolist() == [0.0] * 3

    @pytest.mark.parametrize("num", [0, 1])
    def test_below_two_solved_prompts_nothing_is_familiar(self, num: int) -> None:
        text, surface = self.known(5)
        solved = torch.arange(5) < num
        familiarity = Familiarity.of(text, surface, solved, 16)
        similar = find_nearest(text[:2], text, 16)
        assert familiarity.rank(surface[:2], *similar).tolist() == [0.0, 0.0]

    def test_prompts_that_nobody_answered_make_nothing_familiar(self) -> None:
        text, surface = self.known(100)
        text[50:] = -text[50:]
        solved = torch.arange(100) < 50
        familiarity = Familiarity.of(text, surface, solved, 16)
        asked = (text[50:53], surface[50:53])
        assert familiarity.rank(asked[1], *find_nearest(asked[0], text, 16)).max() == 0

    def test_copies_among_the_solved_do_not_count_as_themselves(self) -> None:
        text, surface = self.known(60)
        doubled = (torch.cat([text, text]), torch.cat([surface, surface]))
        assert self.rank(doubled, (text[:5], surface[:5])).min() > 0

"""The pair readout: what is not known of a model softens its effect and is said in its scale."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import norm, t

from graphrouter.features.channels import EFFECT, NUM_CHANNELS, SPEND
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.rasch import RaschBase
from graphrouter.scoring.effects import EffectInterval
from graphrouter.scoring.novelty import Met, TaskDoubt, TaskLevels
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.state import SupportState
from tests.unit.nn.conftest import NUM_MODELS, NUM_SUPPORT, make_nodes, make_outcomes


@pytest.fixture
def uncorrected(net: RoutingGNN) -> RoutingGNN:
    """The network before its perceptron has learned anything."""
    torch.nn.init.zeros_(net.readout.perceptron.out.weight)
    torch.nn.init.zeros_(net.readout.perceptron.out.bias)
    return net


def _with_variance(state: SupportState, variance: float) -> SupportState:
    """The state with as much variance in all of ability + skill."""
    everywhere = torch.full_like(state.base.variance, variance)
    return state._replace(base=state.base._replace(variance=everywhere))


@torch.no_grad()
def _score(net: RoutingGNN, state: SupportState, graph: RoutingGraph) -> PairPredictions:
    return net.score(state, graph.targets)


def test_uncertain_levels_soften_the_effect_by_the_approximation_of_mackay(
    uncorrected: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    graph = make_graph()
    state = uncorrected.encode_support(graph)
    sure, some, more = (
        _score(uncorrected, _with_variance(state, v), graph) for v in (0.0, 0.5, 2.0)
    )
    # sum / sqrt(d) where sure, sum / sqrt(d + pi/8 v) otherwise: 1 / logit^2 is linear in the
    # variance v
    assert (some.location[EFFECT].abs() < sure.location[EFFECT].abs()).all()
    inverse = [p.location[EFFECT] ** -2 for p in (sure, some, more)]
    torch.testing.assert_close(
        (inverse[2] - inverse[0]) / (inverse[1] - inverse[0]), torch.full_like(inverse[0], 4.0)
    )
    torch.testing.assert_close(
        more.location[EFFECT + 1 :], sure.location[EFFECT + 1 :], rtol=0, atol=0
    )
    # and its scale is the standard deviation of the same softened logit: v / d, with d from the
    # ratio of the logits
    ratio = (sure.location[EFFECT] / some.location[EFFECT]).square()  # (d + pi/8 v) / d
    expected = (ratio - 1) * 8 / math.pi
    torch.testing.assert_close(some.log_scale[EFFECT].exp().square(), expected)


def test_a_model_without_outcomes_is_less_known_than_the_others(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    generator = torch.Generator().manual_seed(7)
    nodes = make_nodes(generator)
    support = make_outcomes(generator, torch.arange(NUM_SUPPORT), NUM_MODELS, density=0.9)
    full, thin = (
        make_graph(nodes=nodes, support=edges)
        for edges in (support, support.take(support.model != 2))
    )
    before, after = (
        _score(net, net.encode_support(graph), graph).log_scale[EFFECT] for graph in (full, thin)
    )
    assert (after[:, 2] > before[:, 2]).all()
    assert (after[:, 2:3] > after[:, [0, 1, 3, 4]]).all()


def test_a_spread_gives_amounts_the_mean_that_they_have() -> None:
    generator = torch.Generator().manual_seed(3)
    amounts = torch.exp(
        torch.randn(NUM_SUPPORT, 1, generator=generator).pow(3) * 0.5 + 4.0
    )  # long tails, nothing normal
    support = make_outcomes(generator, torch.arange(NUM_SUPPORT), NUM_MODELS, density=1.0)
    scale, centre = amounts.log().std(), amounts.log().mean()
    support.channels[SPEND] = ((amounts.log() - centre) / scale).expand(-1, NUM_MODELS).flatten()
    channel_scale = [1.0] * NUM_CHANNELS
    channel_scale[SPEND] = float(scale)
    state = RaschBase(4, channel_scale)
    with torch.no_grad():
        state.easiness_mass.log.fill_(9.0)  # no query explains its own amounts
        found = state(
            support, torch.zeros(NUM_SUPPORT, dtype=torch.int64), 1, torch.eye(NUM_MODELS)
        )
    level = found.ability[SPEND] + found.skill[SPEND, 0] + found.task_easiness[SPEND, 0]
    expected = torch.exp(centre + scale * level + found.excess[SPEND])
    torch.testing.assert_close(expected, amounts.mean().expand(NUM_MODELS), rtol=0.02, atol=0)


def test_doubt_about_the_task_by_hand(
    uncorrected: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    state = uncorrected.encode_support(make_graph())
    skill, easiness = torch.zeros_like(state.base.skill), torch.zeros_like(state.base.task_easiness)
    num_tasks = len(state.task)
    easiness[EFFECT, :num_tasks] = torch.arange(num_tasks) * 2.0
    state = state._replace(
        base=state.base._replace(skill=skill, task_easiness=easiness),
        task_size=torch.ones_like(state.task_size),
    )
    share = torch.zeros(4, num_tasks + 1, dtype=torch.float64)
    share[:, 0] = share[:, 1] = 0.5
    share[3] = torch.nn.functional.one_hot(torch.tensor(0), num_tasks + 1)
    task = torch.tensor([-1, -1, -1, 0])  # familiar, unfamiliar, strange, strange but named
    met = Met(torch.tensor([0.5, 0.05, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    doubt = TaskDoubt.of(TaskLevels.of(state), share, task, met)
    mean = num_tasks - 1.0
    between = sum((2.0 * i - mean) ** 2 for i in range(num_tasks))
    apart = (2.0 + between) / (2 + num_tasks - 1)
    # So many tasks say less of the next one than a normal distribution would.
    wide = apart * (t.ppf(0.9, num_tasks + 1) / norm.ppf(0.9)) ** 2 * (1 + 1 / num_tasks)
    assert doubt.variance[:, 0].tolist() == pytest.approx([1.0, 0.5 + 0.5 * apart, 0.0, 0.0])
    assert doubt.few[:, 0].tolist() == pytest.approx([0, 0.5 * (wide - apart), 0, 0], rel=0.05)
    assert doubt.strange[:, 0].tolist() == pytest.approx([0.0, 0.0, apart, apart])
    assert doubt.softening[:, 0].tolist() == pytest.approx([0.0, 0.0, apart, 0.0])
    assert doubt.shift[:, 0].tolist() == pytest.approx([0.0, 0.0, mean - 1.0, 0.0])
    location = torch.zeros(NUM_CHANNELS, 4, NUM_MODELS, dtype=torch.float64)
    scored = PairPredictions(
        location, location - 9, torch.zeros(4, num_tasks), share, location[EFFECT]
    )
    assert EffectInterval().draw_together(scored, doubt) is scored
    drawn = EffectInterval(novelty=2.0).draw_together(scored, doubt).location[EFFECT, :, 0]
    softened = (mean - 1.0) / math.sqrt(1 + math.pi / 8 * apart)
    assert drawn.tolist() == pytest.approx([0.0, 0.0, softened, 0.0])
    for few_tasks, new, rel in ((False, apart, 1e-3), (True, wide, 0.02)):
        interval = EffectInterval(1.0, 0.0, 2.0, few_tasks=few_tasks)
        low, high = interval.bounds(location[0], location[0] - 9, doubt)
        width = (torch.logit(high) - torch.logit(low))[:, 0] / (2 * 1.2815515655)
        assert width.square().tolist() == pytest.approx([4.0, 2 + 2 * new, apart, apart], rel=rel)
    bare = EffectInterval(1.0, 0.0).bounds(location[0], location[0] - 9)
    same = EffectInterval(1.0, 0.0).bounds(location[0], location[0] - 9, doubt)
    assert torch.equal(bare[0], same[0])  # an artifact from before predicts as it did


def test_a_named_task_that_nobody_has_solved_a_query_of_is_a_new_one(
    uncorrected: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    state = uncorrected.encode_support(make_graph())
    size = torch.ones_like(state.task_size)
    size[1] = 0
    num_tasks = len(size)
    levels = TaskLevels.of(state._replace(task_size=size))
    share = torch.full((3, num_tasks + 1), 1 / num_tasks, dtype=torch.float64)
    share[:, 1] = 0
    met = Met(torch.tensor([0.9] * 3), torch.tensor([0.0] * 3))  # its prompts are like others
    doubt = TaskDoubt.of(levels, share, torch.tensor([0, 1, -1]), met)
    assert doubt.unseen[[0, 2]].abs().max() == 0
    apart = levels.variance + levels.doubt
    assert torch.equal(doubt.unseen[1], apart)
    assert torch.equal(doubt.variance[1], levels.variance)
    location = torch.full((NUM_CHANNELS, 3, NUM_MODELS), 2.0, dtype=torch.float64)
    scored = PairPredictions(location, location, share[:, :-1], share, location[EFFECT])
    for interval in (EffectInterval(), EffectInterval(novelty=1.5)):
        drawn = interval.draw_together(scored, doubt).location
        torch.testing.assert_close(drawn[EFFECT, 1], 2 / torch.sqrt(1 + math.pi / 8 * apart))
        assert torch.equal(drawn[EFFECT, [0, 2]], location[EFFECT, [0, 2]])
        assert torch.equal(drawn[EFFECT + 1 :], location[EFFECT + 1 :])


@pytest.mark.parametrize("num_tasks", [2, 4, 12])
def test_a_new_task_is_covered_as_often_as_is_said_however_few_were_seen(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph], num_tasks: int
) -> None:
    # Each "model" is a world of its own, its tasks as far apart as is assumed of them beforehand.
    generator, worlds = torch.Generator().manual_seed(num_tasks), 20_000
    spread = (2 / torch.empty(worlds).exponential_(0.5, generator=generator)).sqrt()
    level = torch.randn(num_tasks + 1, worlds, generator=generator) * spread
    state = net.encode_support(make_graph())
    skill = torch.zeros(NUM_CHANNELS, num_tasks + 1, worlds)
    skill[EFFECT, :-1] = level[:-1]
    state = state._replace(
        base=state.base._replace(
            skill=skill, task_easiness=torch.zeros(NUM_CHANNELS, num_tasks + 1)
        ),
        task_size=torch.ones(num_tasks),
    )
    share = torch.full((1, num_tasks + 1), 1 / num_tasks)
    share[:, -1] = 0
    met = Met(torch.tensor([0.0]), torch.tensor([0.0]))  # unfamiliar, and not strange
    doubt = TaskDoubt.of(TaskLevels.of(state), share, torch.tensor([-1]), met)
    off = (level[-1] - level[:-1].mean(0)).abs()
    held = float((off <= 1.2816 * (doubt.variance + doubt.few)[0].sqrt()).double().mean())
    assert held == pytest.approx(0.8, abs=0.01)


def test_without_tasks_a_new_one_is_taken_to_be_as_far_off_as_is_usual(
    uncorrected: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    state = uncorrected.encode_support(make_graph())
    state = state._replace(
        base=state.base._replace(
            skill=state.base.skill[:, -1:], task_easiness=state.base.task_easiness[:, -1:]
        ),
        task_size=state.task_size[:0],
    )
    met = Met(torch.tensor([0.5, 0.0]), torch.tensor([0.0, 1.0]))
    doubt = TaskDoubt.of(
        TaskLevels.of(state), torch.ones(2, 1, dtype=torch.float64), torch.tensor([-1, -1]), met
    )
    assert doubt.strange[:, 0].tolist() == [0.0, 1.0]
    assert doubt.variance[0, 0].item() == pytest.approx(0.0, abs=1e-4)
    assert doubt.shift.abs().max().item() == 0.0

"""What users grade otherwise: found where it is, 0 where it is not, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from graphrouter.features.channels import NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.features.tables import Askers
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.outcomes import SupportOutcomes
from graphrouter.nn.taste_cells import Cells, find_posterior
from graphrouter.nn.user_tastes import UserTastes
from graphrouter.scoring.state import BaseState
from graphrouter.scoring.tastes import Tastes, tell_tastes

NUM_USERS, NUM_TEAMS, NUM_MODELS, NUM_TASKS = 12, 3, 4, 2
TEAM = torch.tensor([u % NUM_TEAMS for u in range(NUM_USERS)] + [0, 1, 2, 3])


def solve(effect: Any, of_query: Any, task: Any) -> tuple[Tastes, BaseState, BaseState]:
    """The tastes of users who graded (S, M) answers, beside a base that expects one half."""
    num_queries = len(of_query)
    channels = torch.full((NUM_CHANNELS, num_queries * NUM_MODELS), torch.nan).double()
    channels[0] = torch.as_tensor(effect).double().flatten()
    query = torch.arange(num_queries).repeat_interleave(NUM_MODELS)
    edges = OutcomeEdges(query, torch.arange(NUM_MODELS).repeat(num_queries), channels)
    task = torch.as_tensor(task)
    outcomes = SupportOutcomes(edges, task, NUM_TASKS, NUM_MODELS)

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(NUM_CHANNELS, *shape).double()

    empty: Any = [None] * len(BaseState._fields)
    base = BaseState(*empty)._replace(
        ability=zeros(NUM_MODELS),
        skill=zeros(NUM_TASKS + 1, NUM_MODELS),
        surprise=zeros(num_queries),
        task_easiness=zeros(NUM_TASKS + 1),
        residual=zeros(len(query)),
        curvature=zeros(len(query)),
    )
    tastes, left, _ = UserTastes()(
        Askers(torch.as_tensor(of_query), TEAM),
        outcomes,
        base,
        None,
        zeros(num_queries)[0],
        torch.tensor(0.5).double(),
    )
    return tastes, left, base


def draw(strength: float, per_user: int, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(NUM_USERS), per_user)
    deviation = strength * rng.normal(size=(NUM_USERS, NUM_MODELS))
    chance = 1 / (1 + np.exp(-deviation[user]))
    effect = (rng.random(chance.shape) < chance).astype(float)
    return effect, user, rng.integers(NUM_TASKS, size=len(user)), deviation


def test_tastes_are_found_and_messages_are_left_without_them() -> None:
    effect, user, task, deviation = draw(1.5, 80)
    tastes, left, base = solve(effect, user, task)
    found = tastes.shift[:NUM_USERS].numpy()
    centred = deviation - deviation.mean(axis=0)  # the mean of all is the pool's
    assert np.corrcoef(found.ravel(), centred.ravel())[0, 1] > 0.9
    assert not torch.equal(left.residual, base.residual)
    torch.testing.assert_close(left.residual[1:], base.residual[1:])


@pytest.mark.parametrize("seed", range(3))
def test_where_users_are_noise_nothing_is_believed(seed: int) -> None:
    effect, user, task, _ = draw(0.0, 80, seed)
    tastes, *_ = solve(effect, user, task)
    assert not tastes.shift.any()
    assert not tastes.variance.any()


def test_the_better_a_user_is_known_the_less_is_doubted() -> None:
    effect, user, task, _ = draw(1.5, 60)
    few = user == 0
    keep = ~few | (np.cumsum(few) <= 5)
    tastes, *_ = solve(effect[keep], user[keep], task[keep])
    newcomer = tastes.variance[-1].mean()
    assert tastes.variance[1].mean() < tastes.variance[0].mean() < newcomer


def test_one_user_is_the_pool() -> None:
    effect, user, task, _ = draw(1.5, 40)
    tastes, left, base = solve(effect[user == 3], user[user == 3], task[user == 3])
    assert float(tastes.shift.abs().max()) < 1e-6
    torch.testing.assert_close(left.residual, base.residual, rtol=0, atol=1e-6)


def test_levels_are_found_beside_what_is_known_of_who_asked(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    """All is solved for twice: levels that know the tastes leave other residuals."""
    graph = make_graph(with_users=True)
    state = net.encode_support(graph)
    once = net._solve_once(graph, state.task_of_query, net.likeness(
        graph.model_text, graph.model_card, torch.ones(len(graph.model_card), dtype=torch.bool)
    ))  # fmt: skip
    assert once.by_users is not None
    assert once.by_users.shape == graph.outcomes.query.shape
    assert not torch.equal(once.base.ability[0], state.base.ability[0])
    torch.testing.assert_close(once.base.ability[1:], state.base.ability[1:])  # amounts stay


def test_the_posterior_is_that_of_a_dense_regression() -> None:
    """Cells of teams: one matrix of all users and teams gives the same means and variances."""
    parent = torch.tensor([0, 0, 1, 1, 1, 2])  # of three, of which the last is none
    none = torch.zeros(6, dtype=torch.int64)
    block = Cells("taste", none, none, parent, 2, none)
    aim = torch.tensor([1.0, -0.5, 2.0, 0.3, -1.0, 0.7]).double()
    known = torch.tensor([2.0, 1.0, 4.0, 0.0, 3.0, 1.5]).double()
    of_users, of_teams = 0.4, 0.9
    (mean, variance), _ = find_posterior(aim, known, block, of_users, of_teams)
    shared = (parent[:, None] == parent).double() * (parent[:, None] < 2)
    own = torch.where(parent < 2, of_users, of_users + of_teams).double()
    prior = of_teams * shared + torch.diag(own)
    posterior = torch.linalg.inv(torch.linalg.inv(prior) + torch.diag(known))
    torch.testing.assert_close(mean, posterior @ aim)
    torch.testing.assert_close(variance, posterior.diagonal())


def test_nobody_named_says_nothing(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    state = net.encode_support(make_graph(with_users=True))
    assert state.tastes is not None
    share = torch.full((3, len(state.task) + 1), 0.2).double()
    told = tell_tastes(state.tastes, torch.tensor([-1, 0, 5]), share)
    assert not told.shift[0].any()
    assert not told.variance[0].any()
    assert told.variance[1:].min() > 0


@pytest.mark.slow
def test_a_user_with_a_million_outcomes_takes_seconds() -> None:
    num_queries = 250_000
    rng = np.random.default_rng(0)
    user = np.zeros(num_queries, dtype=np.int64)
    user[:100] = rng.integers(1, NUM_USERS, 100)
    effect = (rng.random((num_queries, NUM_MODELS)) < 0.5).astype(float)
    tastes, *_ = solve(effect, user, rng.integers(NUM_TASKS, size=num_queries))
    assert tastes.kind.shape[0] <= NUM_USERS * NUM_TASKS
    assert torch.isfinite(tastes.shift).all()

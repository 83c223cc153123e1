"""What goes with queries: slopes are found, noise is left alone, what is missing says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.features.views import ViewNodes
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN
from graphrouter.nn.view_skills import _weigh, solve_views
from graphrouter.scoring.state import BaseState
from graphrouter.scoring.view_state import TargetView

NUM_QUERIES, NUM_MODELS = 400, 4


def _solve(own: np.ndarray, common: np.ndarray, *, hidden: int = 0, seed: int = 0):  # type: ignore[no-untyped-def]
    """Views of a support whose effects follow slopes along two coordinates, from a flat base."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(NUM_QUERIES, 2))
    logit = x @ own.T + (x @ common)[:, None]
    value = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
    query, model = (part.ravel() for part in np.indices(logit.shape))
    channels = np.full((NUM_CHANNELS, query.size), np.nan)
    channels[EFFECT] = value.ravel()
    edges = OutcomeEdges(*map(torch.from_numpy, (query, model, channels)))
    # A query's surprise is what its outcomes say of it, shrunk as the base shrinks it.
    mass, information = 0.5, 0.25 * NUM_MODELS
    surprise = ((value - 0.5).sum(axis=1)) / (information + mass)
    expected = 1 / (1 + np.exp(-surprise[query]))
    state = dict.fromkeys(BaseState._fields, torch.zeros(NUM_CHANNELS, NUM_QUERIES).double())
    of_edges = np.zeros((NUM_CHANNELS, query.size))
    of_edges[EFFECT] = channels[EFFECT] - expected
    state["residual"] = torch.from_numpy(of_edges)
    state["curvature"] = torch.zeros(NUM_CHANNELS, query.size).double()
    state["ability"] = torch.zeros(NUM_CHANNELS, NUM_MODELS).double()
    state["surprise"] = torch.zeros(NUM_CHANNELS, NUM_QUERIES).double()
    state["surprise"][EFFECT] = torch.from_numpy(surprise)
    share = information / (information + mass)
    state["reliability"] = torch.full((NUM_CHANNELS, NUM_QUERIES), share).double()
    x[:hidden] = np.nan
    view = ViewNodes("v", torch.from_numpy(x), torch.from_numpy(x[:, :0]))
    return solve_views((view,), edges, BaseState(**state), torch.tensor(mass))


def test_slopes_of_all_and_of_each_are_found() -> None:
    own = np.array([[1.5, 0.0], [-1.5, 0.0], [0.0, 1.0], [0.0, -1.0]])
    common = np.array([0.0, 1.0])
    [view] = _solve(own, common).views
    found = (view.own + view.common)[:, :-1].numpy()
    np.testing.assert_allclose(found, own + common, atol=0.6)
    assert np.corrcoef(found.ravel(), (own + common).ravel())[0, 1] > 0.95


def test_noise_costs_next_to_nothing() -> None:
    solved = _solve(np.zeros((NUM_MODELS, 2)), np.zeros(2))
    [view] = solved.views
    assert float(view.own.abs().max()) < 0.1
    assert float(view.common.abs().max()) < 0.15


def test_alike_queries_are_heard_where_that_is_likely_and_not_else() -> None:
    """With the score and the information of a share, the prior is not what is heard."""
    shares = torch.tensor([0.0, 0.5, 1.0]).double()
    heard = {
        z: float(_weigh(shares, torch.tensor([z]).double(), torch.tensor([1.0])).share)
        for z in (-1.0, 0.0, 1.0, 4.0)
    }
    assert heard[-1.0] == heard[0.0] == heard[1.0] == 0
    assert 0.5 < heard[4.0] <= 1


def test_what_having_the_view_changes_is_a_slope_too_where_some_have_it() -> None:
    own = np.zeros((NUM_MODELS, 2))
    assert _solve(own, np.zeros(2)).views[0].common[-1] == 0
    assert len(_solve(own, np.zeros(2), hidden=100).views[0].rows) == NUM_QUERIES - 100


def test_a_target_without_a_view_gets_nothing_of_it(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    graph = make_graph(views=True)
    state = net.encode_support(graph)
    targets = graph.targets
    nothing = tuple(
        TargetView(
            torch.full_like(view.x, torch.nan),
            torch.zeros_like(view.neighbours),
            torch.full_like(view.cosine, torch.nan),
        )
        for view in targets.views
    )
    blind = net.score(state, replace(targets, views=nothing))
    without = net.score(state._replace(views=()), replace(targets, views=()))
    torch.testing.assert_close(blind.location, without.location, rtol=0, atol=1e-12)
    seeing = net.score(state, targets)
    assert not torch.equal(seeing.location, blind.location)


def test_gradients_go_through_the_base_as_they_did(
    net: RoutingGNN, make_graph: Callable[..., RoutingGraph]
) -> None:
    predictions = net(make_graph(views=True))
    predictions.location[EFFECT].sum().backward()
    assert float(net.base.ability_mass.log.grad.abs().max()) > 0

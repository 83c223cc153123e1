"""What goes with queries beside their texts, solved for after the base has ended, view by view.

Nothing is learned here. For each view (see `features.views`) with coordinates x_q, 0 and without a
constant where a query does not have it, the logit of the effect gets

    x_q . common + x_q . own_m,   common ~ N(0, a),  own_m ~ N(0, b) on an average query,

by Newton steps from where the base ended: `common` through the surprises of the queries, whose
easiness is integrated out, `own_m` on the residuals. The means over a grid of a, and of b, by
marginal likelihood (Rasmussen and Williams 2006, section 5.2) are what counts; the grid holds 0, so
that a view of noise costs next to nothing. What solved queries that are alike in a view still say,
beyond that, is weighed by how well they foretell one another, and heard where that is likely.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphrouter.features.channels import EFFECT
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.features.views import ViewNodes
from graphrouter.nn.layers import decompose, sum_segments
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.state import BaseState, SupportMessages
from graphrouter.scoring.view_scores import add_constant, hear_alike
from graphrouter.scoring.view_state import ViewState

_VARIANCES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""In squared logits, of what a view may say of an average query."""
_ROUNDS = 3
_SHARPNESSES = (2.0, 8.0, 32.0)
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
_CHANCE_OF_NONE = 0.5
"""Prior belief that alike queries say nothing that was not said."""
_LEAST_EVIDENCE = 3.0
"""Bayes factor from which they are heard at all: positive evidence (Kass and Raftery 1995, section
3.2)."""
_NUM_NEIGHBOURS = 32
_MOST_ASKED = 512
"""So many support queries say how well alike ones foretell them."""
_LEAST_DISPERSION, _MOST_DISPERSION = 0.05, 2.0
_MOST_LOGIT = 12.0
_LEAST_SCALE = 1e-6


class SolvedViews(NamedTuple):
    """What the views of a support say, and what they leave to the base."""

    base: BaseState
    """With surprises and residuals of what views do not explain."""
    views: tuple[ViewState, ...]
    """Without shares of alike queries; see `weigh_alike`."""
    tilt: Tensor
    """(E,) float64 what views add to the logit of each outcome of the support."""


class _Coordinates(NamedTuple):
    """One view of the support queries with a constant, scaled to squared length 1 on average."""

    x: Tensor
    """(S, P + 1) float64, 0 where a query does not have the view."""
    scale: Tensor
    """(P + 1,) by which they were divided."""


class _Slopes(NamedTuple):
    """Along one view, in the coordinates that were scaled."""

    common: Tensor
    """(P + 1,) of the easiness."""
    own: Tensor
    """(M, P + 1) of each model beyond that."""


class _Outcomes(NamedTuple):
    """The observed effects of the support. E edges, S queries, M models; float64."""

    query: Tensor
    model: Tensor
    """(E,) int64 each, those of a model together."""
    value: Tensor
    """(E,) in [0, 1]."""
    logit: Tensor
    """(E,) where the base ended."""
    by_model: tuple[int, ...]
    """(M,) numbers of outcomes."""
    edge: Tensor
    """(E,) int64 position of each among all edges of the support."""


def solve_views(
    views: tuple[ViewNodes, ...], edges: OutcomeEdges, base: BaseState, easiness_mass: Tensor
) -> SolvedViews:
    """The slopes along the views of a support, and the base without what they explain.

    Gradients go through the base as they did: what views explain is taken off as a number.

    Args:
        views: Of the support queries.
        edges: Outcomes of the support.
        base: Where the base ended, with its edges.
        easiness_mass: () prior precision of the easiness that is a query's own.
    """
    with torch.no_grad():
        outcomes = _read_outcomes(edges, base)
        coordinates = [_scale(view.x) for view in views]
        slopes, left = _solve(outcomes, coordinates, base, easiness_mass.double())
        taken = left - base.surprise[EFFECT].double()
        logit = _predict(outcomes, coordinates, slopes, taken)
        described = tuple(map(_describe, views, coordinates, slopes))
        tilt = _sum_slopes(coordinates, slopes, edges.query, edges.model)
    return SolvedViews(_take_off(base, outcomes, logit, left), described, tilt)


@torch.no_grad()
def weigh_alike(
    solved: ViewState, messages: SupportMessages, base: BaseState, easiness_mass: Tensor
) -> ViewState:
    """The view with the shares and the sharpness by which alike queries are heard.

    Some support queries are foretold by the others that are alike: the share is the mean over a
    grid by what came out, of the sharpness at which that is most likely.

    Args:
        solved: From `solve_views`.
        messages: What the base and the views leave unexplained.
        base: Of the support.
        easiness_mass: () as in `solve_views`.
    """
    if not solved.text.shape[1] or len(solved.rows) < 2:
        return solved
    step = max(1, -(-len(solved.rows) // _MOST_ASKED))
    asked = torch.arange(0, len(solved.rows), step, device=solved.rows.device)
    count = min(_NUM_NEIGHBOURS + 1, len(solved.rows))
    places, cosine = find_nearest(solved.text[asked], solved.text, count)
    cosine = cosine.masked_fill(places == asked.unsqueeze(1), torch.nan)  # not by itself
    rows, neighbours = solved.rows[asked], solved.rows[places]
    edge, place = _find_edges(messages, rows)
    residual, information = messages.values[edge][:, [0, messages.values.shape[1] // 2]].unbind(1)
    reliability, surprise = base.reliability[EFFECT][rows], base.surprise[EFFECT][rows]
    shares = torch.tensor(_SHARES, dtype=torch.float64, device=rows.device)
    best: tuple[float, ViewState] | None = None
    for sharpness in _SHARPNESSES:
        heard = hear_alike(messages, base, cosine.new_tensor(sharpness), neighbours, cosine)
        told = heard.own[place, messages.model[edge]]
        of_models = _weigh(shares, residual * told, information * told.square())
        of_queries = _weigh(
            shares,
            easiness_mass * surprise * heard.easiness,
            easiness_mass * reliability * heard.easiness.square(),
        )
        evidence = float(of_models.evidence + of_queries.evidence)
        if best is None or evidence > best[0]:
            best = (
                evidence,
                solved._replace(
                    sharpness=cosine.new_tensor(sharpness),
                    residual_share=of_models.share.to(cosine.dtype),
                    surprise_share=of_queries.share.to(cosine.dtype),
                ),
            )
    return solved if best is None else best[1]


def _solve(
    outcomes: _Outcomes, coordinates: list[_Coordinates], base: BaseState, mass: Tensor
) -> tuple[list[_Slopes], Tensor]:
    """The slopes along each view, and what is left (S,) of the surprises."""
    surprise, reliability = base.surprise[EFFECT].double(), base.reliability[EFFECT].double()
    num_models, left = base.ability.shape[1], surprise
    slopes = [
        _Slopes(x.new_zeros(x.shape[1]), x.new_zeros(num_models, x.shape[1]))
        for x, _ in coordinates
    ]
    for _ in range(_ROUNDS):
        for i, (x, _) in enumerate(coordinates):
            # The surprise that is left is the posterior mean of a query's own easiness: a view that
            # explains t of it takes reliability x t away.
            own_again = left + reliability * (x @ slopes[i].common)
            weighted = x * (mass * reliability).unsqueeze(1)
            aim = mass * x.mT @ own_again
            common = _average((weighted.mT @ x).unsqueeze(0), aim.unsqueeze(0))[0]
            left = own_again - reliability * (x @ common)
            slopes[i] = slopes[i]._replace(common=common)
            own = _solve_own(outcomes, coordinates, slopes, i, left - surprise, mass)
            slopes[i] = slopes[i]._replace(own=own)
    return slopes, left


class _Weighed(NamedTuple):
    share: Tensor
    """() mean over the grid; 0 where the evidence that there is any is weak."""
    evidence: Tensor
    """() logarithm of the marginal likelihood."""


def _weigh(shares: Tensor, step: Tensor, information: Tensor) -> _Weighed:
    """How much of what is foretold counts, by its score and information at 0."""
    score, curvature = step.double().sum(), information.double().sum()
    rest = (1 - _CHANCE_OF_NONE) / (len(shares) - 1)
    prior = torch.full_like(shares, rest).masked_fill(shares == 0, _CHANCE_OF_NONE).log()
    likelihood = shares * score - shares.square() * curvature / 2 + prior
    belief = torch.softmax(likelihood, 0)
    none = belief[shares == 0].sum()
    # Where outcomes hardly say, the mean would be that of the prior, which noise pays for.
    odds = (1 - none) / none / ((1 - _CHANCE_OF_NONE) / _CHANCE_OF_NONE)
    share = (belief @ shares) * (odds >= _LEAST_EVIDENCE)
    return _Weighed(share, torch.logsumexp(likelihood, 0))


def _read_outcomes(edges: OutcomeEdges, base: BaseState) -> _Outcomes:
    edge = torch.nonzero(torch.isfinite(edges.channels[EFFECT])).flatten()
    edge = edge[torch.argsort(edges.model[edge], stable=True)]
    value = edges.channels[EFFECT][edge].double()
    expected = value - base.residual[EFFECT][edge].double()
    logit = torch.logit(expected.clamp(1e-6, 1 - 1e-6))
    counts = torch.bincount(edges.model[edge], minlength=base.ability.shape[1])
    ends = edges.query[edge], edges.model[edge]
    return _Outcomes(*ends, value, logit, tuple(counts.tolist()), edge)


def _scale(x: Tensor) -> _Coordinates:
    """The coordinates with a constant where some queries do not have the view."""
    plain = add_constant(x.double())
    has_view = plain[:, -1:]
    count = has_view.sum().clamp_min(1)
    scale = (plain[:, :-1].square().sum() / count).sqrt().clamp_min(_LEAST_SCALE)
    both = torch.cat([scale.expand(plain.shape[1] - 1), torch.ones_like(scale).unsqueeze(0)])
    scaled = plain / both
    if bool((has_view == 1).all()):  # then it says nothing that levels do not say
        scaled = torch.cat([scaled[:, :-1], torch.zeros_like(has_view)], 1)
    return _Coordinates(scaled, both)


def _predict(
    outcomes: _Outcomes, coordinates: list[_Coordinates], slopes: list[_Slopes], taken: Tensor
) -> Tensor:
    """The logit of each outcome, (E,).

    Args:
        outcomes: Of the support.
        coordinates: Of its queries, a view each.
        slopes: Likewise.
        taken: (S,) what the surprises of the queries have changed by.
    """
    told = _sum_slopes(coordinates, slopes, outcomes.query, outcomes.model)
    logit = outcomes.logit + taken[outcomes.query] + told
    return logit.clamp(-_MOST_LOGIT, _MOST_LOGIT)


def _sum_slopes(
    coordinates: list[_Coordinates], slopes: list[_Slopes], query: Tensor, model: Tensor
) -> Tensor:
    """What the views say of each outcome, (E,)."""
    told = [
        (x @ (common + own).mT)[query, model]
        for (x, _), (common, own) in zip(coordinates, slopes, strict=True)
    ]
    return torch.stack(told).sum(0)


def _solve_own(
    outcomes: _Outcomes,
    coordinates: list[_Coordinates],
    slopes: list[_Slopes],
    which: int,
    taken: Tensor,
    mass: Tensor,
) -> Tensor:
    """The slopes of the models along one view, (M, P + 1), one Newton step from what they are.

    As in `text_skills`, the easiness of each query is profiled out of the information, and outcomes
    vary by a dispersion that the support shows.
    """
    x, before = coordinates[which].x, slopes[which].own
    logit = _predict(outcomes, coordinates, slopes, taken)
    mean = torch.sigmoid(logit)
    information, residual = mean * (1 - mean), outcomes.value - mean
    total = sum_segments(information.unsqueeze(0), outcomes.query, len(x))[0]
    left = information * (1 - information / (total[outcomes.query] + mass))
    dispersion = (residual.square().sum() / left.sum().clamp_min(1e-12)).clamp(
        _LEAST_DISPERSION, _MOST_DISPERSION
    )
    left, residual = left / dispersion, residual / dispersion
    lead = (x @ before.mT)[outcomes.query, outcomes.model]
    matrix = x.new_zeros(len(before), x.shape[1], x.shape[1])
    aim = torch.zeros_like(before)
    places = torch.split(torch.arange(len(left), device=x.device), list(outcomes.by_model))
    for model, edges in enumerate(places):
        rows = x[outcomes.query[edges]]
        weighted = rows * left[edges].unsqueeze(1)
        matrix[model] = weighted.mT @ rows
        aim[model] = rows.mT @ residual[edges] + weighted.mT @ lead[edges]
    return _average(matrix, aim)


def _average(matrix: Tensor, aim: Tensor) -> Tensor:
    """Posterior means (n, P) of normal equations, averaged over one variance that all n share.

    All are 0 where outcomes speak against any: a view of noise would pay for it.
    """
    values, vectors = decompose(matrix, "what goes with queries says of the models")
    values = values.clamp_min(0)
    along = (vectors.mT @ aim.unsqueeze(2)).squeeze(2)
    variances = torch.tensor(_VARIANCES, dtype=matrix.dtype, device=matrix.device)
    grown = 1 + variances[:, None, None] * values
    shrunk = variances[:, None, None] / grown
    evidence = (shrunk * along.square() - grown.log()).sum((1, 2)) / 2
    belief = torch.softmax(evidence, 0)
    # From a Bayes factor of 1, that is where outcomes speak for slopes rather than against them.
    belief = belief * (belief[1:].mean() >= belief[0])
    mean = (belief[:, None, None] * shrunk).sum(0) * along
    return (vectors @ mean.unsqueeze(2)).squeeze(2)


def _take_off(base: BaseState, outcomes: _Outcomes, logit: Tensor, left: Tensor) -> BaseState:
    """The base with the surprises and residuals that views leave."""
    mean = torch.sigmoid(logit)

    def put(old: Tensor, new: Tensor, where: Tensor | slice) -> Tensor:
        change = torch.zeros_like(old)
        change[EFFECT, where] = new.to(old.dtype) - old[EFFECT, where].detach()
        return change

    return base._replace(
        residual=base.residual + put(base.residual, outcomes.value - mean, outcomes.edge),
        curvature=base.curvature + put(base.curvature, mean * (1 - mean), outcomes.edge),
        surprise=base.surprise + put(base.surprise, left, slice(None)),
    )


def _describe(view: ViewNodes, of: _Coordinates, slopes: _Slopes) -> ViewState:
    common, own = ((part / of.scale).to(view.x.dtype) for part in slopes)
    rows = torch.nonzero(view.x[:, 0] == view.x[:, 0]).flatten()
    nothing = view.x.new_zeros(())
    sharpness = nothing + _SHARPNESSES[0]
    return ViewState(common, own, rows, view.text[rows], sharpness, nothing, nothing)


def _find_edges(messages: SupportMessages, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The edges of some support queries, and whose each is: its place among the rows."""
    start = messages.row_start[rows]
    length = messages.row_start[rows + 1] - start
    place = torch.arange(len(rows), device=rows.device).repeat_interleave(length)
    first = (length.cumsum(0) - length)[place]
    return torch.arange(len(place), device=rows.device) - first + start[place], place

"""The routing network and its parts: encodes a support once, then scores targets.

A part is left out by putting another module with the same call in its place, which says nothing.
The network itself does not know what was left out, and a part of your own goes in the same way; see
`compose_parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphrouter.config import NetworkConfig, Part
from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.attention import (
    NoPathAttention,
    PathAttention,
    SurpriseAttention,
    collect_messages,
)
from graphrouter.nn.card_likeness import CardLikeness, InducedLikeness, NoLikeness
from graphrouter.nn.layers import (
    FeatureEncoder,
    make_zero_linear,
    scale_to_unit_variance,
    sum_segments,
)
from graphrouter.nn.outcomes import NoQuerySlopes, QuerySlopes, SupportOutcomes
from graphrouter.nn.rasch import RaschBase
from graphrouter.nn.readout import (
    AmountPerceptron,
    Doubt,
    NoDoubt,
    NoPerceptron,
    NoTextEasiness,
    PairReadout,
    TextEasiness,
)
from graphrouter.nn.regressions import EasinessSlope, NoEasinessSlope, NoProfile, Profile
from graphrouter.nn.task_belief import TaskAttention, TaskBelief, TaskDiscriminant
from graphrouter.nn.text_prior import TextPrior
from graphrouter.nn.text_skills import TextSkills, spread_slopes
from graphrouter.nn.user_tastes import SolvedTastes, UserTastes
from graphrouter.nn.view_skills import solve_views, weigh_alike
from graphrouter.scoring.pair_scores import PairPredictions, score_pairs
from graphrouter.scoring.scorer import FeatureSizes
from graphrouter.scoring.state import BaseState, SupportState, Targets
from graphrouter.scoring.tastes import Tastes
from graphrouter.scoring.view_state import ViewState

_NO_SCALE = (1.0,) * NUM_CHANNELS


@dataclass(frozen=True)
class NetworkParts:
    """The modules of a network; each may be another one with the same call.

    The order is that in which the optimiser sees their parameters, and so that of the sum in the
    norm of the gradient: another order trains to other weights in the last bits.
    """

    text_easiness: nn.Module
    """(slope, principal) of targets to their easiness: `TextEasiness`."""
    query_encoder: nn.Module
    """Principal coordinates (n, P) to states (n, W)."""
    model_encoder: nn.Module
    """Description, card and the mark of a missing description to states (M, W)."""
    task_encoder: nn.Module
    """Description and the mark of a missing one to states (T, W)."""
    likeness: nn.Module
    """How much alike models are by their cards: `CardLikeness`."""
    base: RaschBase
    """Levels of models and easiness of queries, from the outcomes of the support."""
    tastes: UserTastes | None
    """What users grade otherwise; None where it is left out."""
    profile: nn.Module
    """On which kinds of queries a model is better than its level: `Profile`."""
    easiness_slope: nn.Module
    """How easiness changes with the text: `EasinessSlope`."""
    profile_to_model: nn.Module
    """Profile of the effect (M, P) to what it adds to the states of models (M, W)."""
    task_to_query: nn.Module
    """States and prototypes of the tasks believed in (B, 2 W) to what they add to targets."""
    task_attention: TaskBelief
    """Belief over tasks."""
    path_attention: PathAttention | NoPathAttention
    """What similar queries say."""
    readout: PairReadout
    """From all that to predictions."""


class _SolvedOutcomes(NamedTuple):
    """What the outcomes of a support say."""

    base: BaseState
    """Without what views and users explain of its residuals and surprises."""
    views: tuple[ViewState, ...] = ()
    tastes: Tastes | None = None
    by_users: Tensor | None = None
    """(E,) what who asked adds to the logit of each outcome."""


class RoutingGNN(nn.Module):
    """Predicts effect, tokens (hence cost) and latency of query-model pairs from a typed graph.

    Effect logit = ability(model) + easiness(query) + skill(task, model) + path residual + profile
    match, softened by the doubt about the easiness. The logarithms of amounts are such sums too,
    corrected by a perceptron that starts at zero. Nothing is tied to a particular model, task or
    query: all are features and observed outcomes, so that newcomers need no training.
    """

    def __init__(self, parts: NetworkParts, sizes: FeatureSizes) -> None:
        """A network of its parts; `compose_network` makes one of settings.

        Args:
            parts: The modules.
            sizes: Widths of the node features.
        """
        super().__init__()
        self.sizes = sizes
        # In the order of the fields, for the reason given there.
        self.text_easiness = parts.text_easiness
        self.query_encoder = parts.query_encoder
        self.model_encoder = parts.model_encoder
        self.task_encoder = parts.task_encoder
        self.likeness = parts.likeness
        self.base = parts.base
        self.tastes = parts.tastes
        self.profile = parts.profile
        self.easiness_slope = parts.easiness_slope
        self.profile_to_model = parts.profile_to_model
        self.task_to_query = parts.task_to_query
        self.task_attention = parts.task_attention
        self.path_attention = parts.path_attention
        self.readout = parts.readout

    def forward(self, graph: RoutingGraph, models: Tensor | None = None) -> PairPredictions:
        """Predictions for all pairs of the graph's targets and models, or as in `score`."""
        return self.score(self.encode_support(graph), graph.targets, models)

    def score_in_parts(
        self, state: SupportState, targets: Targets, models: Tensor | None = None, size: int = 256
    ) -> PairPredictions:
        """As `score`, with the memory of `size` targets at a time.

        For validation, where no gradients are kept.
        """
        some = targets.split(size)
        asked = [None] * len(some) if models is None else torch.split(models, size)
        parts = [self.score(state, *part) for part in zip(some, asked, strict=True)]
        return PairPredictions(
            torch.cat([part.location for part in parts], dim=1),
            torch.cat([part.log_scale for part in parts], dim=1),
            torch.cat([part.log_task for part in parts]),
            torch.cat([part.task_share for part in parts]),
            torch.cat([part.deviation for part in parts]),
        )

    def encode_support(self, graph: RoutingGraph) -> SupportState:
        """Everything that does not depend on the targets; computed once and kept at prediction."""
        principal, num_models = graph.query_principal, len(graph.model_card)
        num_tasks = len(graph.task_text)
        task_of_query = torch.where(graph.query_task < 0, num_tasks, graph.query_task)
        query = self.query_encoder(principal)
        # The mark of a missing description: a zero row could as well be a text of no direction.
        model = self.model_encoder(
            scale_to_unit_variance(graph.model_text),
            graph.model_card[:, : self.sizes.card],
            _mark_absent(graph.model_text),
        )
        task = self.task_encoder(
            scale_to_unit_variance(graph.task_text), _mark_absent(graph.task_text)
        )

        is_known = torch.bincount(graph.outcomes.model, minlength=num_models) > 0
        likeness = self.likeness(
            graph.model_text, _join_numbers(graph.model_card, self.sizes.card), is_known
        )
        base, views, tastes, _ = self._solve_outcomes(graph, task_of_query, likeness)
        messages = collect_messages(base, graph.outcomes)
        profile = self.profile(messages, principal, num_models)
        if len(base.text_slopes):
            profile = torch.cat([base.text_slopes, profile[len(base.text_slopes) :]])
        # A task is also what its queries are like; those of unknown task (index T) make none.
        prototype = sum_segments(query.T, task_of_query, num_tasks + 1)[:, :num_tasks].T
        count = torch.bincount(task_of_query, minlength=num_tasks + 1)[:num_tasks].to(query.dtype)
        return SupportState(
            base=base.without_edges(),
            messages=messages,
            key=self.path_attention.key(query),
            query_text=graph.query_text,
            task_of_query=task_of_query,
            model=model + self.profile_to_model(profile[EFFECT]),
            profile=profile,
            slope=self.easiness_slope(base, principal),
            task=task,
            prototype=prototype / count.clamp_min(1).unsqueeze(1),
            task_likeness=graph.task_text @ graph.task_text.T,
            task_evidence=self.task_attention.solve(
                principal, graph.query_text, task_of_query, num_tasks
            ),
            task_size=count,
            channel_scale=self.base.channel_scale.to(principal.dtype),
            tastes=tastes,
            views=tuple(weigh_alike(view, messages, base, self._own_mass()) for view in views),
        )

    def _own_mass(self) -> Tensor:
        """() prior precision of the easiness that is a query's own."""
        mass: Tensor = self.base.easiness_mass()[EFFECT, 0]
        return mass.detach()

    def _solve_outcomes(
        self, graph: RoutingGraph, task: Tensor, likeness: Tensor | InducedLikeness
    ) -> _SolvedOutcomes:
        """What the outcomes of the support say of models, queries and users.

        Where users are named, all is solved for again once it is known who is strict and who likes
        what: among grades of many tastes levels are drawn to the middle, as fixed effects are where
        random ones are left out (Neuhaus, Kalbfleisch and Hauck 1991).
        """
        if self.tastes is None or graph.askers is None:
            return self._solve_once(graph, task, likeness)
        with torch.no_grad():
            first = self._solve_once(graph, task, likeness)
        return self._solve_once(graph, task, likeness, first.by_users)

    def _solve_once(
        self,
        graph: RoutingGraph,
        task: Tensor,
        likeness: Tensor | InducedLikeness,
        by_users: Tensor | None = None,
    ) -> _SolvedOutcomes:
        """The base beside what is known to be of users, then views, then users."""
        num_tasks = len(graph.task_text)
        base = self.base(graph.outcomes, task, num_tasks, likeness, graph.query_principal, by_users)
        views: tuple[ViewState, ...] = ()
        by_views: Tensor | None = None
        if graph.views:
            base, views, by_views = solve_views(graph.views, graph.outcomes, base, self._own_mass())
        found = self._solve_tastes(graph, base, task, by_views)
        if found is None:
            return _SolvedOutcomes(base, views)
        return _SolvedOutcomes(found.base, views, found.tastes, found.told)

    def _solve_tastes(
        self, graph: RoutingGraph, base: BaseState, task: Tensor, by_views: Tensor | None
    ) -> SolvedTastes | None:
        """What users grade otherwise; None where nobody is named."""
        if self.tastes is None or graph.askers is None:
            return None
        principal, num_tasks = graph.query_principal, len(graph.task_text)
        outcomes = SupportOutcomes(graph.outcomes, task, num_tasks, len(graph.model_card))
        slope = self.easiness_slope(base, principal)
        promised = self.text_easiness(slope, principal)
        tilt = None
        if len(base.text_slopes):
            tilt = spread_slopes(outcomes, principal, base.text_slopes[EFFECT])[None]
        if by_views is not None:  # (E,) what is explained already
            tilt = by_views.to(principal.dtype)[None] + (0 if tilt is None else tilt)
        solved: SolvedTastes = self.tastes(
            graph.askers,
            outcomes,
            base,
            tilt,
            (base.task_easiness[:, task] + promised)[EFFECT],
            self.base.easiness_mass()[EFFECT],
        )
        return solved

    def score(
        self, state: SupportState, targets: Targets, models: Tensor | None = None
    ) -> PairPredictions:
        """Predictions for all pairs of the targets and the models of the state.

        Targets do not influence one another.

        Args:
            state: From `encode_support`.
            targets: Queries to score.
            models: (B, L) int64 models to score of each target, for training on large pools, where
                a target has few labels; L then takes the place of M in what comes back. A row with
                fewer is filled up with its first model.
        """
        return score_pairs(self, state, targets, models)

    @torch.no_grad()
    def scale_deviations(self, share: float) -> None:
        """Believe so much of what text and similar queries say of models beyond their levels.

        Args:
            share: In [0, 1], of what is believed now.
        """
        self.readout.profile_scale[EFFECT] *= share
        self.path_attention.scale_residuals(share)


def compose_network(
    config: NetworkConfig, sizes: FeatureSizes, channel_scale: Sequence[float] = _NO_SCALE
) -> RoutingGNN:
    """A network with random weights.

    Args:
        config: Its settings.
        sizes: Widths of the node features.
        channel_scale: (C,) natural logarithms a unit of each channel.

    Example:
        >>> net = compose_network(NetworkConfig(leave_out=("doubt",)), FeatureSizes(8, 12, 4))
        >>> type(net.readout.doubt).__name__
        'NoDoubt'
    """
    return RoutingGNN(compose_parts(config, sizes, channel_scale), sizes)


def compose_parts(
    config: NetworkConfig, sizes: FeatureSizes, channel_scale: Sequence[float] = _NO_SCALE
) -> NetworkParts:
    """The parts of a network with random weights; arguments as in `compose_network`.

    Layers with random weights are made in a fixed order, and what is left out is made all the same
    and thrown away: with one seed, the parts that stay start from the same weights whatever is left
    out, so that a comparison is about the part alone.
    """
    width, dropout = config.width, config.dropout

    def choose(part: Part, whole: nn.Module, silent: nn.Module) -> nn.Module:
        return silent if part in config.leave_out else whole

    query_encoder = FeatureEncoder(sizes.principal, width, dropout)
    model_encoder = FeatureEncoder(sizes.text + sizes.card + 1, width, dropout)
    task_encoder = FeatureEncoder(sizes.text + 1, width, dropout)
    base = RaschBase(
        config.base_rounds,
        channel_scale,
        slopes=choose("query_slopes", QuerySlopes(), NoQuerySlopes()),
        text_prior=None
        if "text_prior" in config.leave_out
        else TextPrior(is_foretold="foretold_asking" not in config.leave_out),
        text_skills=None if {"profile", "text_skills"} & {*config.leave_out} else TextSkills(),
    )
    profile_to_model = make_zero_linear(sizes.principal, width)
    task_to_query = nn.Linear(2 * width, width)
    task_belief: TaskBelief = TaskAttention(width)
    if "task_discriminant" not in config.leave_out:
        task_belief = TaskDiscriminant()
    hears_residuals = "similar_residuals" not in config.leave_out
    attention = PathAttention if hears_residuals else SurpriseAttention
    path_attention: PathAttention | NoPathAttention = attention(width, config.num_heads)
    if "similar_queries" in config.leave_out:
        path_attention = NoPathAttention()
    perceptron = AmountPerceptron(width, config.hidden, dropout)
    doubt = Doubt(width)
    return NetworkParts(
        text_easiness=choose("text_easiness", TextEasiness(), NoTextEasiness()),
        query_encoder=query_encoder,
        model_encoder=model_encoder,
        task_encoder=task_encoder,
        likeness=choose("cards", CardLikeness(), NoLikeness()),
        base=base,
        tastes=None if "users" in config.leave_out else UserTastes(),
        profile=choose("profile", Profile(), NoProfile()),
        easiness_slope=choose("text_easiness", EasinessSlope(), NoEasinessSlope()),
        profile_to_model=profile_to_model,
        task_to_query=task_to_query,
        task_attention=task_belief,
        path_attention=path_attention,
        readout=PairReadout(
            perceptron=choose("perceptron", perceptron, NoPerceptron()),
            doubt=choose("doubt", doubt, NoDoubt()),
        ),
    )


def _mark_absent(text: Tensor) -> Tensor:
    """1 for a zero row, else 0: (n, 1)."""
    return (text.abs().sum(1, keepdim=True) == 0).to(text.dtype)


def _join_numbers(card: Tensor, size: int) -> Tensor:
    """Numbers of cards, those in fields of the users' own behind, then all missing marks.

    Args:
        card: (M, size + 2 * num_own), as in a graph.
        size: Of the numbers of every card with their marks.
    """
    if card.shape[1] == size:
        return card
    numbers, missing = card[:, :size].chunk(2, dim=1)
    own, own_missing = card[:, size:].chunk(2, dim=1)
    return torch.cat([numbers, own, missing, own_missing], dim=1)

"""Belief over tasks: what is named, what a prompt is like, and the tasks of similar queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from graphrouter.nn.layers import PositiveParameter, factorise, normalise
from graphrouter.scoring.beliefs import (
    BeliefWeights,
    believe,
    count_votes,
    discriminate,
    find_density,
    measure_distances,
)
from graphrouter.scoring.nearest import find_nearest
from graphrouter.scoring.state import SupportState, Targets, TaskEvidence

_RIDGES = (0.003, 0.03, 0.3, 3.0)
"""What may be added to the covariance within tasks, as shares of its mean variance."""
_LEAST_SHRUNK, _MOST_SHRUNK = 1e-3, 10.0
"""Queries that the mean of all may count for in the mean of a task."""
_MOST_ASKED = 256
"""So many support queries, evenly spread, say how far evidence is to be believed."""
_NUM_NEIGHBOURS = 64
_USUAL_WEIGHT = (10.0, 0.5)
"""Weights of discriminant and votes where nothing says better."""
_NEWTON_STEPS = 12
_LEAST_REACH = 1e-6
_TOLERANCE = 1e-3


class TaskBelief(nn.Module, ABC):
    """Belief over tasks.

    Where the task is known, it counts the more the more queries it has: a task with few queries in
    the support says little by itself, and what similar tasks say then counts as well. Evidence
    is what the prompt says, and where the target's task is known, the likeness of its description
    to those of the others.
    """

    structural: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.vote_sharpness = PositiveParameter(13.0)
        self.kin_scale = PositiveParameter(3.0)
        self.task_mass = PositiveParameter(3.0)

    @abstractmethod
    def solve(
        self, principal: Tensor, text: Tensor, task_of_query: Tensor, num_tasks: int
    ) -> TaskEvidence | None:
        """What the support says of how tasks are told apart; None where nothing is solved for.

        Args:
            principal: (S, P) coordinates of the support queries.
            text: (S, dimension) their centred unit embeddings.
            task_of_query: (S,) int64, num_tasks = unknown.
            num_tasks: T.
        """

    @abstractmethod
    def weigh(self, state: SupportState, query: Tensor, targets: Targets, votes: Tensor) -> Tensor:
        """Log evidence for each task, up to a constant a target: (B, T).

        Args:
            state: Cached support.
            query: (B, W) states of the targets.
            targets: The same targets.
            votes: (B, T) logarithm of the share of similar queries that are of each task.
        """

    def forward(
        self, state: SupportState, query: Tensor, targets: Targets
    ) -> tuple[Tensor, Tensor]:
        """Belief over tasks.

        Args:
            state: Cached support.
            query: (B, W) states of the targets.
            targets: The same targets, with their similar support queries and their tasks.

        Returns:
            The belief (B, T + 1), rows sum to 1, index T = "none" (all of it when there are no
            tasks); and the log-probabilities (B, T) that the prompt alone gives, for the task loss;
            minus infinity for a task without support queries.
        """

        def weigh(votes: Tensor) -> Tensor:
            return self.weigh(state, query, targets, votes)

        belief, evidence = believe(self._weights, state, targets, weigh)
        return belief, torch.log_softmax(evidence, dim=1)

    @property
    def _weights(self) -> BeliefWeights:
        return BeliefWeights(self.vote_sharpness(), self.kin_scale(), self.task_mass())


class TaskAttention(TaskBelief):
    """Attention over the task nodes, learned, beside the votes.

    Evidence is the likeness to each task's description and to the mean of its queries. Takes the
    place of `TaskDiscriminant` where the part `task_discriminant` is left out.
    """

    structural: ClassVar[tuple[str, ...]] = ("vote",)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.prototype_scale = PositiveParameter(5.0)
        self.description_scale = PositiveParameter(1.0)
        self.vote = nn.Parameter(torch.tensor(1.0))

    def solve(self, principal: Tensor, text: Tensor, task_of_query: Tensor, num_tasks: int) -> None:
        """Nothing."""

    def weigh(self, state: SupportState, query: Tensor, targets: Targets, votes: Tensor) -> Tensor:
        """Arguments as in `TaskBelief.weigh`."""
        asked = normalise(self.query(query))
        likeness = self.prototype_scale() * asked @ normalise(self.query(state.prototype)).T
        likeness = likeness + self.description_scale() * asked @ normalise(state.task).T
        evidence: Tensor = likeness + self.vote * votes
        return evidence


class TaskDiscriminant(TaskBelief):
    """Linear discriminant analysis of the prompts in each task (Fisher 1936), beside the votes.

    Prompts of a task lie around a mean of their own, with one covariance for all tasks. A ridge
    keeps the covariance from being the sample's, means of few queries are drawn to the mean of all
    as far as the means of tasks lie together (Efron and Morris 1973). Their density has the tails
    of a Student t distribution, which turn at the usual distance: a prompt that is far from every
    task is not surely of the one that is a little nearer. Densities of many coordinates are too
    sure of themselves all the same, and votes hold some of the same evidence: so both are weighted,
    as a logarithmic pool (Genest and Zidek 1986), by the likelihood of the tasks of support
    queries, each left out. All of it is solved for in the graph; nothing is trained but the
    sharpness of votes.
    """

    def solve(
        self, principal: Tensor, text: Tensor, task_of_query: Tensor, num_tasks: int
    ) -> TaskEvidence:
        """Arguments as in `TaskBelief.solve`."""
        with torch.no_grad():
            rows = torch.nonzero(task_of_query < num_tasks).squeeze(1)
            # Tasks without queries are not in question: the others are told apart as without them.
            there, task = torch.unique(task_of_query[rows], return_inverse=True)
            usual = torch.tensor(_USUAL_WEIGHT, dtype=principal.dtype)
            if len(there) < 2:
                return _tell_nothing(num_tasks, principal.shape[1], usual)
            sample = _Sample(principal.double()[rows], task, len(there))
            asked = sample.draw(_MOST_ASKED)
            votes = self._vote_left_out(text, task_of_query, rows[asked], there)
            best, reach, weight = _find_weights(sample, asked, votes, usual.double())
            found = _tell_nothing(num_tasks, principal.shape[1], weight.to(usual))
            found.mean[there] = best.mean.to(usual)
            return found._replace(
                centre=sample.centre.to(usual), axes=best.axes.to(usual), reach=reach.to(usual)
            )

    def weigh(self, state: SupportState, query: Tensor, targets: Targets, votes: Tensor) -> Tensor:
        """Arguments as in `TaskBelief.weigh`."""
        told: Tensor = discriminate(state, targets.principal, votes)
        return told

    def _vote_left_out(self, text: Tensor, task: Tensor, rows: Tensor, there: Tensor) -> Tensor:
        """Votes of similar queries for support queries, each left out: (n, len(there))."""
        neighbours, cosine = find_nearest(text[rows], text, _NUM_NEIGHBOURS + 1)
        others = cosine.masked_fill(neighbours == rows.unsqueeze(1), -torch.inf)
        sharpness, num_tasks = self.vote_sharpness(), int(task.max()) + 1
        votes: Tensor = count_votes(sharpness, others, task[neighbours], num_tasks)
        return votes[:, there].double()


class _Sample:
    """Coordinates of queries whose tasks are known. n queries, P coordinates, T tasks."""

    def __init__(self, values: Tensor, task: Tensor, num_tasks: int) -> None:
        """Means and covariance.

        Args:
            values: (n, P) float64.
            task: (n,) int64.
            num_tasks: T, each with a query.
        """
        self.values, self.task = values, task
        self.size = torch.bincount(task, minlength=num_tasks).double()
        self.centre = values.mean(0)
        sums = values.new_zeros(num_tasks, values.shape[1]).index_add(0, task, values)
        self.mean = sums / self.size.unsqueeze(1)
        apart = values - self.mean[task]
        self.scatter = apart.T @ apart

    def draw(self, most: int) -> Tensor:
        """Rows of at most `most` queries, evenly spread, that are not the only one of a task."""
        rows = torch.nonzero(self.size[self.task] > 1).squeeze(1)
        chosen = torch.linspace(0, len(rows) - 1, min(len(rows), most), dtype=torch.float64)
        return rows[chosen.long()]

    def fit(self, ridge: float) -> _Discriminant:
        """The discriminant with a share of the mean variance added to every variance."""
        num_coordinates = len(self.scatter)
        floor = max(float(self.scatter.diagonal().mean()), 1e-9 * len(self.values))
        eye = torch.eye(num_coordinates, dtype=torch.float64)
        factor = factorise((self.scatter + ridge * floor * eye) / len(self.values), "task")
        return _Discriminant(self, factor)


class _Discriminant:
    """A sample seen so that the covariance within tasks is about 1 in every direction."""

    def __init__(self, sample: _Sample, factor: Tensor) -> None:
        """Means of the tasks, drawn to the mean of all.

        Args:
            sample: The queries.
            factor: (P, P) Cholesky factor of their covariance within tasks.
        """
        self.sample, self.factor = sample, factor
        mean = self._whiten(sample.mean - sample.centre)
        num, num_tasks = len(sample.task), len(sample.size)
        within = self._whiten(self._whiten(sample.scatter).T).trace() / max(num - num_tasks, 1)
        between = (sample.size * mean.square().sum(1)).sum() / num - within * num_tasks / num
        ratio = float(within / between.clamp_min(1e-12))
        self.shrunk = min(max(ratio, _LEAST_SHRUNK), _MOST_SHRUNK)
        self.mean = mean * (sample.size / (sample.size + self.shrunk)).unsqueeze(1)

    def _whiten(self, values: Tensor) -> Tensor:
        white: Tensor = torch.linalg.solve_triangular(self.factor, values.T, upper=False).T
        return white

    @property
    def axes(self) -> Tensor:
        """(P, P): rows of coordinates beside the centre, times these, are whitened."""
        return self._whiten(torch.eye(len(self.factor), dtype=self.factor.dtype))

    def leave_out(self, rows: Tensor) -> Tensor:
        """Squared distances of some queries from each task, each query left out: (n, T).

        Its own task has another mean then, and the covariance loses its residual (a rank-one change
        of the inverse, Sherman and Morrison 1950).
        """
        task, size = self.sample.task[rows], self.sample.size[self.sample.task[rows]]
        values = self._whiten(self.sample.values[rows] - self.sample.centre)
        residual = self._whiten(self.sample.values[rows] - self.sample.mean[task])
        own = ((size + self.shrunk).unsqueeze(1) * self.mean[task] - values) / (
            size - 1 + self.shrunk
        ).unsqueeze(1)
        away, every = values - own, torch.arange(len(rows))
        square: Tensor = measure_distances(values, self.mean)
        along = (values * residual).sum(1, keepdim=True) - residual @ self.mean.T
        square[every, task], along[every, task] = away.square().sum(1), (away * residual).sum(1)
        share = torch.where(size > 1, size / (size - 1).clamp_min(1), 0.0) / len(self.sample.task)
        left = (1 - share * residual.square().sum(1)).clamp_min(1e-6)
        return square + (share / left).unsqueeze(1) * along.square()


def _tell_nothing(num_tasks: int, num_coordinates: int, weight: Tensor) -> TaskEvidence:
    """Evidence that is the same for every task and prompt."""
    nothing = weight.new_zeros(num_tasks, num_coordinates)
    return TaskEvidence(
        centre=weight.new_zeros(num_coordinates),
        axes=weight.new_zeros(num_coordinates, num_coordinates),
        mean=nothing,
        reach=weight.new_ones(()),
        weight=weight,
    )


def _find_weights(
    sample: _Sample, asked: Tensor, votes: Tensor, usual: Tensor
) -> tuple[_Discriminant, Tensor, Tensor]:
    """The discriminant under which the tasks of the asked queries are likeliest.

    And the usual squared distance from the mean of a task, (), and the weights, (2,).

    Args:
        sample: All queries.
        asked: (n,) rows of those that are left out.
        votes: (n, T) of similar queries.
        usual: (2,) weights where nothing says better.
    """
    task, every = sample.task[asked], torch.arange(len(asked))
    fits, reaches, both = [sample.fit(ridge) for ridge in _RIDGES], [], []
    for fit in fits:
        distance = fit.leave_out(asked)
        own = distance[every, task]
        reaches.append((own.median() if len(own) else own.new_ones(())).clamp_min(_LEAST_REACH))
        both.append(torch.stack([find_density(distance, reaches[-1]), votes]))
    evidence = torch.stack(both)
    weights = _weigh_evidence(evidence, task, usual)
    best = int(_log_likelihood(evidence, task, weights).argmax())
    return fits[best], reaches[best], weights[best]


def _weigh_evidence(evidence: Tensor, task: Tensor, usual: Tensor) -> Tensor:
    """Weights >= 0 of log evidence, (..., k), by penalised likelihood: a convex problem.

    Args:
        evidence: (..., k, n, T) of each kind.
        task: (n,) what is true.
        usual: (k,) weights where nothing says better; as large a change costs half a nat.
    """
    weight, prior = usual.expand(*evidence.shape[:-3], -1), torch.diag(usual.pow(-2))
    of_true = evidence[..., torch.arange(len(task)), task]
    for _ in range(_NEWTON_STEPS):
        belief = torch.softmax(_add_up(weight, evidence), dim=-1).unsqueeze(-3)
        mean = (belief * evidence).sum(-1)
        off = evidence - mean.unsqueeze(-1)
        gradient = (mean - of_true).sum(-1) + (weight - usual) / usual.square()
        curved = ((belief * off).flatten(-2) @ off.flatten(-2).mT) + prior
        is_free = (weight > 0) | (gradient < 0)
        curved = torch.where(is_free.unsqueeze(-1) & is_free.unsqueeze(-2), curved, 0.0)
        curved = curved + torch.diag_embed((~is_free).to(curved.dtype))
        step = torch.linalg.solve(curved, torch.where(is_free, gradient, 0.0))
        # Far from the minimum a Newton step leaps; no weight is more than halved or doubled.
        limit = weight / 2 + 0.01 * usual
        step = torch.minimum(torch.maximum(step, -2 * limit), limit)
        weight = (weight - step).clamp_min(0)
        weight = torch.where(weight < 1e-3 * usual, 0.0, weight)
        if (step.abs() < _TOLERANCE * usual).all():
            break
    return weight


def _log_likelihood(evidence: Tensor, task: Tensor, weight: Tensor) -> Tensor:
    """Log-likelihood of the true tasks, (...,); arguments as in `_weigh_evidence`."""
    belief = torch.log_softmax(_add_up(weight, evidence), dim=-1)
    return belief[..., torch.arange(len(task)), task].sum(-1)


def _add_up(weight: Tensor, evidence: Tensor) -> Tensor:
    """The weighted sum of the kinds of evidence, (..., n, T)."""
    return (weight.unsqueeze(-1).unsqueeze(-1) * evidence).sum(-3)

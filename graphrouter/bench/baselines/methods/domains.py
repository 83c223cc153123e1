"""Routers that name the kind of a prompt, and look up what each model achieved on that kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np

from graphrouter.bench.baselines.baseline import TextBaseline
from graphrouter.bench.baselines.learning import LearningData, Questions
from graphrouter.bench.baselines.methods.categories import Categories
from graphrouter.bench.baselines.tools.levels import add_model_columns, place_amounts_in_cells
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.placement import place_in_cells
from graphrouter.bench.baselines.tools.shrinkage import average_by_task
from graphrouter.exceptions import PolicyError
from graphrouter.types import QUANTITIES, FloatArray, IntArray

CONFIDENCES = (0.3, 0.0, 0.5, 0.7)
"""Smallest probabilities of a category to choose from; below it a prompt is in the general
category."""
GENERAL = "general"


@dataclass(frozen=True, eq=False)
class MoDEM(TextBaseline):
    """A classifier names the domain of the prompt; the model that is best in that domain answers.

    Domains are the task labels, or clusters where the data has fewer than two tasks; a known label
    is taken as given. The original fine-tunes a DeBERTa classifier and keeps one specialist a
    domain. Here a logistic regression on fixed embeddings classifies, and the mean effect and cost
    of all models in the domain are kept, so that a policy can weigh them.
    """

    name: ClassVar[str] = "modem"
    source: ClassVar[str] = "MoDEM (arXiv 2410.07490)"
    can_extend: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True

    categories: Categories
    table: MeanTable
    """num_categories rows: means in training, shrunk to the model's mean."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make; nothing is tuned."""
        categories = Categories.fit(data)
        table = average_by_task(
            data.outcomes, categories.of(data.questions), num_tasks=categories.num_categories
        )
        rows = table.take(rows=np.arange(categories.num_categories))
        return cls(data.pool, data.cost_scale, data.encoder, data.amounts, categories, rows)

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """Tasks seen in training; None where there were too few to tell apart."""
        return self.categories.tasks or None

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect: the mean in the prompt's domain, (num_queries, num_models)."""
        return self.table.effect[self.categories.of(questions)]

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, input tokens, output tokens and latency: means in the prompt's domain."""
        rows = self.categories.of(questions)
        return [getattr(self.table, name)[rows] for name in QUANTITIES[1:]]

    def _extend(self, new: NewModels) -> Self:
        """The newcomer's means a domain, shrunk to the pool's there at the model's own level."""
        questions = Questions.of(new.queries, self.encoder)
        return replace(
            self._join_pool(new, questions),
            table=widen_table(self.table, self.categories.of(questions), new),
        )


class Assignment(NamedTuple):
    """Which model serves each category under a budget."""

    categories: tuple[str, ...]
    models: tuple[str, ...]
    """Model of each category."""
    effect: float
    """Expected effect, averaged over the queries."""
    cost_usd: float
    """Expected US dollars a query, averaged over the queries."""
    usd_per_effect: float
    """Shadow price of the budget in the relaxed programme: the `Policy.usd_per_effect` that makes
    the same choices, save for the one category at most that the relaxed programme divides between
    two models; infinite when the budget does not bind."""


@dataclass(frozen=True, eq=False)
class CompositionOfExperts(TextBaseline):
    """A classifier names the category of the prompt, or "general" when it is unsure.

    Each category has one expert model.

    The original chooses the experts by a mixed-integer linear programme under a budget of their
    total parameters. Routing here is paid by the call, so the budget of `assign` is US dollars a
    query. A trade-off at prediction time needs no programme: with one price for money, the
    Lagrangian of the programme falls apart into categories, and the policy's argmax of effect -
    cost / usd_per_effect over the category tables is its solution. For that reason cost, tokens and
    latency are category means too. Left out: the large embedding model and its uncertainty
    estimate; the probability of a logistic regression on fixed embeddings decides what is general,
    at a limit chosen on validation rows with their tasks hidden.
    """

    name: ClassVar[str] = "composition_of_experts"
    source: ClassVar[str] = "Composition of Experts (arXiv 2412.01868)"
    can_extend: ClassVar[bool] = True
    reads_tasks: ClassVar[bool] = True

    categories: Categories
    min_confidence: float
    """A prompt whose category is less probable is in the general category."""
    table: MeanTable
    """num_categories + 1 rows: means in training, shrunk to the model's; the last row is the
    general category."""
    shares: FloatArray
    """(num_categories + 1,) share of the queries in each row of the table, as the classifier sees
    them."""

    @classmethod
    def learn(cls, data: LearningData) -> Self:
        """The router that the training rows make.

        Its confidence limit is that of the lowest validation log loss.
        """
        categories = Categories.fit(data)
        table = average_by_task(
            data.outcomes, categories.of(data.questions), num_tasks=categories.num_categories
        )

        def hidden(min_confidence: float) -> Callable[[Questions], FloatArray]:
            router = cls._of(data, categories, table, min_confidence)
            return lambda questions: router.predict_effect(_without_tasks(questions))

        return cls._of(data, categories, table, data.choose(CONFIDENCES, hidden))

    @classmethod
    def _of(
        cls, data: LearningData, categories: Categories, table: MeanTable, min_confidence: float
    ) -> Self:
        judged = _without_tasks(
            data.questions if data.held_questions is None else data.held_questions
        )
        rows = _rows(categories, min_confidence, judged)
        seen = (
            np.bincount(rows, minlength=categories.num_categories + 1) + 1.0
        )  # one more: no category is free of charge
        shares = seen / seen.sum()
        return cls(
            data.pool,
            data.cost_scale,
            data.encoder,
            data.amounts,
            categories,
            min_confidence,
            table,
            shares,
        )

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """Tasks seen in training; None where there were too few to tell apart."""
        return self.categories.tasks or None

    def predict_effect(self, questions: Questions) -> FloatArray:
        """Expected effect: the mean in the prompt's category, (num_queries, num_models)."""
        return self.table.effect[_rows(self.categories, self.min_confidence, questions)]

    def predict_amounts(self, questions: Questions) -> list[FloatArray]:
        """Expected cost, input tokens, output tokens and latency: means in its category."""
        rows = _rows(self.categories, self.min_confidence, questions)
        return [getattr(self.table, name)[rows] for name in QUANTITIES[1:]]

    def _extend(self, new: NewModels) -> Self:
        """The newcomer's means a category, shrunk to the pool's there at the model's own level."""
        questions = Questions.of(new.queries, self.encoder)
        return replace(
            self._join_pool(new, questions),
            table=widen_table(self.table, self.categories.of(questions), new),
        )

    def assign(self, budget_usd: float) -> Assignment:
        """The model of each category that brings the highest expected effect under a budget.

        At most `budget_usd` a query are spent on average.

        Models whose cost was never observed are not assigned.

        Raises:
            PolicyError: The budget is not a number, nobody's cost is known, or even the cheapest
                assignment costs more.

        Example:
            >>> import graphrouter as gr
            >>> from graphrouter.encoders.hashing import HashingEncoder
            >>> data = gr.simulate(num_queries=60, num_models=3).data
            >>> router = CompositionOfExperts.fit(data, encoder=HashingEncoder(64))
            >>> assignment = router.assign(budget_usd=0.001)
            >>> assignment.cost_usd <= 0.001, len(assignment.models) == len(assignment.categories)
            (True, True)
        """
        priced = np.flatnonzero(np.isfinite(self.table.cost_usd[-1]))
        if len(priced) == 0:
            raise PolicyError(
                "A budget needs costs, and no training outcome carried a cost; fit on data with "
                "cost_usd."
            )
        effect, cost = self.table.effect[:, priced], self.table.cost_usd[:, priced]
        choice, usd_per_effect = solve_assignment(effect, cost, self.shares, budget_usd=budget_usd)
        rows = np.arange(len(choice))
        return Assignment(
            categories=(*self.categories.names, GENERAL),
            models=tuple(self.models[i] for i in priced[choice]),
            effect=float(self.shares @ effect[rows, choice]),
            cost_usd=float(self.shares @ cost[rows, choice]),
            usd_per_effect=usd_per_effect,
        )


def solve_assignment(
    effect: FloatArray, cost_usd: FloatArray, shares: FloatArray, *, budget_usd: float
) -> tuple[IntArray, float]:
    """The columns that maximise the mean effect under a budget, and its shadow price.

    maximise sum_c s_c sum_m x_cm effect_cm, subject to sum_c s_c sum_m x_cm cost_cm <= budget,
    sum_m x_cm = 1, x binary: the category-to-expert programme of Composition of Experts (arXiv
    2412.01868) with a budget of money.

    Args:
        effect: (num_categories, num_models).
        cost_usd: (num_categories, num_models), no NaN.
        shares: (num_categories,) share of the queries in each category.
        budget_usd: Most US dollars a query, averaged over the queries.

    Returns:
        (num_categories,) column numbers, and the US dollars a unit of effect of the relaxed
        programme; infinite when the budget does not bind.

    Raises:
        PolicyError: The budget is not a number, or even the cheapest assignment costs more.

    Example:
        >>> effect, cost = np.array([[0.5, 0.9], [0.5, 0.6]]), np.array([[1.0, 3.0], [1.0, 3.0]])
        >>> choice, price = solve_assignment(effect, cost, np.array([0.5, 0.5]), budget_usd=2.0)
        >>> choice.tolist()
        [1, 0]
    """
    from scipy.optimize import Bounds, LinearConstraint, linprog, milp  # slow to import

    cheapest = float(shares @ cost_usd.min(axis=1))
    if not math.isfinite(budget_usd):
        raise PolicyError(
            f"budget_usd is {budget_usd}; expected a finite number of US dollars a query."
        )
    if budget_usd < cheapest * (1 - 1e-9):
        raise PolicyError(
            f"budget_usd = {budget_usd:g} is too low: the cheapest assignment costs {cheapest:g} "
            "a query; raise it."
        )
    gain = (shares[:, None] * effect).ravel()
    # In units of the budget: the solver's tolerances are absolute, and a call may cost a millionth
    # of a dollar.
    unit = budget_usd if budget_usd > 0 else 1.0
    spent = (shares[:, None] * cost_usd).ravel()[None, :] / unit
    one_each = np.kron(np.eye(len(effect)), np.ones(effect.shape[1]))
    solved = milp(
        -gain,
        constraints=[
            LinearConstraint(spent, ub=budget_usd / unit),
            LinearConstraint(one_each, lb=1, ub=1),
        ],
        integrality=np.ones_like(gain),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    relaxed = linprog(
        -gain,
        A_ub=spent,
        b_ub=[budget_usd / unit],
        A_eq=one_each,
        b_eq=np.ones(len(effect)),
        bounds=(0, 1),
    )
    if solved.x is None or relaxed.x is None:
        raise PolicyError(f"budget_usd = {budget_usd:g} could not be solved for: {solved.message}")
    effect_per_usd = -float(relaxed.ineqlin.marginals[0]) / unit
    choice = np.argmax(solved.x.reshape(effect.shape), axis=1).astype(np.int64)
    return choice, 1.0 / effect_per_usd if effect_per_usd > 0 else math.inf


def widen_table(table: MeanTable, cell: IntArray, new: NewModels) -> MeanTable:
    """The table with the new models; `cell` (num_queries,) is the row of each of their queries."""
    effect = place_in_cells(table.effect.mean(axis=1), cell, new.effect)
    return add_model_columns(table, effect, place_amounts_in_cells(table, cell, new), new)


def _rows(categories: Categories, min_confidence: float, questions: Questions) -> IntArray:
    """Category of each query, (num_queries,).

    Num_categories where no category is probable enough.
    """
    unsure = categories.confidence(questions) < min_confidence
    return np.where(unsure, categories.num_categories, categories.of(questions)).astype(np.int64)


def _without_tasks(questions: Questions) -> Questions:
    return replace(questions, queries=questions.queries.without_tasks())

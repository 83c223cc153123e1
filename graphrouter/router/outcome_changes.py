"""How a graph router takes in outcomes. Nothing is trained.

Each method gives back a new router and leaves the old one as it was.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.config import TrainConfig
from graphrouter.data.columns import PEOPLE
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import DataError
from graphrouter.extras import require_torch
from graphrouter.features.bills import Bills
from graphrouter.features.channels import SpendUnit
from graphrouter.lazy import LazyModule
from graphrouter.lazy import pandas as pd
from graphrouter.router.learned import Learned
from graphrouter.router.new_cards import check_frame
from graphrouter.router.parts import Support
from graphrouter.router.protocol import Router
from graphrouter.router.provenance import Change, Provenance
from graphrouter.scoring.effects import EffectCalibration
from graphrouter.types import Queries
from graphrouter.wording import name_some

if TYPE_CHECKING:
    from graphrouter.grades import Judge
    from graphrouter.router import support_changes
    from graphrouter.router.states import States
else:  # it reads and checks tables, of which an answer needs none
    support_changes = LazyModule("graphrouter.router.support_changes")

_logger = logging.getLogger(__name__)


class OutcomeChanges(Router):
    """A router whose support can be exchanged; what it has learned stays.

    The support after a change is computed in `router.support_changes`; here stands what users may
    ask for of outcomes, and what is noted of it.
    """

    learned: Learned
    support: Support
    _settled: Support
    """That whose states are solved for: all but outcomes that are not settled."""
    _states: States
    provenance: Provenance
    encoder: TextEncoder
    bills: Bills
    """What its models are billed beside list prices, and what was left out: `bills.describe`."""

    @property
    def config(self) -> TrainConfig:
        """The settings that the router was trained with."""
        return self.learned.config

    @property
    def spend_unit(self) -> SpendUnit:
        """What its costs are computed from."""
        return self.learned.transforms.channels.spend_unit

    @property
    def calibration(self) -> EffectCalibration:
        """What validation outcomes correct in its effects; the identity where nothing is."""
        return self.learned.calibration

    @abstractmethod
    def _exchange_support(self, support: Support, *made: Change, keeps_state: bool = False) -> Self:
        """A new router on another support, the changes noted in its provenance.

        Args:
            support: What the new router has seen.
            made: What was done.
            keeps_state: Nothing changes that the network reads.
        """

    def count_outcomes(self) -> pd.DataFrame:
        """What is known of each model, in pool order.

        Columns `model`, `num_outcomes` and `mean_effect` of its graded answers, and `num_ungraded`,
        its calls that nobody graded. The mean is NaN for a model without graded answers.
        """
        known = self.support.outcomes.groupby("model")["effect"].agg(["count", "mean", "size"])
        rows = known.reindex(list(self.models))
        return pd.DataFrame(
            {
                "model": list(self.models),
                "num_outcomes": rows["count"].fillna(0).astype(int).to_numpy(),
                "mean_effect": rows["mean"].to_numpy(),
                "num_ungraded": (rows["size"] - rows["count"]).fillna(0).astype(int).to_numpy(),
            }
        )

    @abstractmethod
    def _take_in(self, outcomes: pd.DataFrame, made: Change) -> Self | None:
        """A new router that knows more outcomes beside its settled states.

        None where they have to be settled.

        Args:
            outcomes: From `_read_outcomes`.
            made: What was done.
        """

    @abstractmethod
    def settle(self) -> Self:
        """The router with its states solved for all outcomes at once; itself where they are.

        Example:
            >>> import graphrouter as gr
            >>> data = gr.simulate(num_queries=100, num_models=3).data
            >>> router = gr.GraphRouter.fit(data, instant=True)
            >>> graded = {"prompt": ["1 + 1?"], "model": [router.models[0]], "effect": [1.0]}
            >>> quick = router.add_outcomes(pd.DataFrame(graded), settle=False)
            >>> quick.num_unsettled, quick.settle().num_unsettled
            (1, 0)
        """

    def add_outcomes(
        self, outcomes: pd.DataFrame, *, replace: bool = False, settle: bool = True
    ) -> Self:
        """A new router that knows more outcomes, of any models of the pool.

        Repeats of a (query, model) pair are averaged, also with outcomes that were known: what a
        new one weighs is one run.

        Args:
            outcomes: As in `add_models`.
            replace: Forget all older outcomes of these models first: for a model that has changed
                behind the same name.
            settle: Solve for all states again, about a second for 200,000 outcomes. Without it the
                outcomes are told beside the settled states, within milliseconds: they move their
                queries and the levels of their models, and what the whole pool says waits for
                `settle`. Where they are too much for that, they are settled all the same: of a
                model more than 4 outcomes and a quarter of those that it had, and all where users
                or views are read, or where they replace older ones.

        Raises:
            DataError: The outcomes break the contract, or name an unknown model or query.
            NotApplicableError: They have to be settled, and torch is not installed.
        """
        is_quick = not (settle or replace)
        outcomes = self._read_outcomes(
            self._settled if is_quick else self.support, outcomes, "outcomes"
        )
        self.warn_of_unknown_tasks(outcomes["task"].dropna())
        models = sorted(set(outcomes["model"]))
        change = Change.now(
            "replace_outcomes" if replace else "add_outcomes",
            model=models[0] if len(models) == 1 else "",
            num_outcomes=len(outcomes),
        )
        quick = self._take_in(outcomes, change) if is_quick else None
        if quick is not None:
            return quick
        require_torch("Settling outcomes")
        if replace:
            kept = self.provenance.split.train
            support = support_changes.replace_outcomes(
                self.support, outcomes, self.encoder, kept_queries=kept
            )
            return self._exchange_support(support, change)
        support = support_changes.add_outcomes(self.support, outcomes, self.encoder)
        return self._exchange_support(support, change)

    def suggest_probes(self, n: int, *, model: str | None = None) -> pd.DataFrame:
        """The `n` queries to run on a newcomer: a fair sample over tasks, of each telling ones.

        Columns `query_id`, `task`, `prompt`, in the order to run them. Give their outcomes to
        `add_model` or `add_outcomes`.

        Args:
            n: How many.
            model: A model of the pool that is to be known better: what it has answered is left out,
                and counts as known already, so ask again after each batch. Without it the queries
                are for a model that is not in the pool yet.

        Raises:
            UnknownModelError: The pool has no such model.
            DataError: `n` is below 1, or larger than the number of prompts that are left.
            NotApplicableError: torch is not installed.
        """
        require_torch("Suggesting probes")
        # Here and not above: it loads parts of SciPy, a tenth of the time that a load takes.
        from graphrouter.router.probes import suggest_probes

        base, of = self.learned.precise_net.base, self.settle()
        return suggest_probes(of.support, base, of._states.support, n, model=model)

    def add_trajectories(
        self, runs: pd.DataFrame, *, tolerance: float = 0.0, judge: Judge | None = None
    ) -> Self:
        """A new router that has learned from runs of several steps with one grade at the end.

        Each step counts as an outcome with the grade that is believed of it, see
        `graphrouter.steps.credit_steps`; a step that was graded itself with its own. Prompts that
        the router knows nothing else of become queries of their task.

        Args:
            runs: One row a step, as `credit_steps` takes them.
            tolerance: Chance in [0, 1] that a step that went wrong does no harm to what follows.
            judge: How far grades of the end are right; always without it.

        Raises:
            DataError: The table breaks the contract of runs.
            UnknownModelError: A step was taken by a model that is not in the pool.
        """
        from graphrouter.steps import credit_steps, thin_credit

        told = thin_credit(credit_steps(runs, self.predict, tolerance=tolerance, judge=judge))
        idle = ["trajectory", "step", "information", "expected"]
        return self.add_outcomes(told.drop(columns=idle)) if len(told) else self

    def _read_outcomes(self, support: Support, outcomes: pd.DataFrame, source: str) -> pd.DataFrame:
        """The outcomes, checked and clean, without columns that the router has no use for.

        A column that no training row had cannot be predicted, however much of it comes later; one
        warning names those that are left out.
        """
        _check_has_models(outcomes)
        clean = support_changes.read_outcomes(support, outcomes, source)
        shown = clean.drop(columns=list(PEOPLE), errors="ignore")  # who asked is learned from these
        self._check_views(Queries.of_frame(shown.assign(prompt=shown["prompt"].fillna(""))))
        lost = [name for name in self.learned.columns_without_use if clean[name].notna().any()]
        if lost:
            _logger.warning(
                "%s: the router was trained without %s, which cannot be predicted and %s left out. "
                "Train again on all outcomes to have predictions of %s.",
                source,
                " and ".join(lost),
                "is" if len(lost) == 1 else "are",
                "it" if len(lost) == 1 else "them",
            )
        self._warn_of_first_bills(support, clean, source)
        return clean.assign(**dict.fromkeys(lost, np.nan))

    def _warn_of_first_bills(self, support: Support, outcomes: pd.DataFrame, source: str) -> None:
        """Say that the cost of a paid model stays unknown where all costs of training were 0."""
        paid = sorted(set(outcomes["model"][outcomes["cost_usd"] > 0]))
        if (
            paid
            and self.spend_unit is SpendUnit.NONE
            and "cost_usd" not in self.learned.columns_without_use
        ):
            _logger.warning(
                "%s: the router was trained on costs of 0 alone, so what %s costs stays unknown. "
                "Train again on all outcomes to have it predicted.",
                source,
                name_some(paid),
            )


def _check_has_models(outcomes: pd.DataFrame) -> None:
    """Check that a table of outcomes says whose they are.

    Raises:
        DataError: It does not, or is no frame.
    """
    check_frame(outcomes)
    if "model" not in outcomes.columns:
        there = name_some([str(name) for name in outcomes.columns], most=12) or "none"
        raise DataError(
            f"The outcomes have the columns {there}; expected model, effect and a query."
        )

"""Routers that learn from the answers to the very query, and plan more than one call."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar

from graphrouter.grades import Judge
from graphrouter.policy import Policy
from graphrouter.router.known_outcomes import tell_outcomes
from graphrouter.router.outcome_covariance import OutcomeCovariance
from graphrouter.router.plan import Asked, Limits, Plan, check_policy
from graphrouter.router.protocol import Router
from graphrouter.types import Predictions, Queries


class SequentialRouter(Router):
    """A router that knows how the outcomes of its models on one query go together."""

    reads_known: ClassVar[bool] = True

    @cached_property
    @abstractmethod
    def outcome_covariance(self) -> OutcomeCovariance:
        """How outcomes on one query go together; found when it is first asked for."""

    def plan(
        self,
        prompt: str,
        *,
        task: str | None = None,
        policy: Policy | None = None,
        judge: Judge | None = None,
        judge_cost_usd: float = 0.0,
        max_calls: int = 3,
        max_total_cost_usd: float | None = None,
        deadline_s: float | None = None,
    ) -> Plan:
        """Whom to ask first, and whom after a look at the answer, by expected value.

        Where no judge can help, it is the choice of `route`. docs/sequential.md.

        Args:
            prompt: To be answered.
            task: Its task where known.
            policy: What effect is worth against cost; balanced without one.
            judge: How often answers are graded rightly; without one, always.
            judge_cost_usd: US dollars a grade, >= 0.
            max_calls: Most calls one after the other, >= 1.
            max_total_cost_usd: Most US dollars of all calls and grades, as expected.
            deadline_s: Most seconds of all calls, as expected.

        Raises:
            PolicyError: The policy does not weigh effect, or nobody satisfies it; or a limit is no
                such number.
        """
        limits = Limits(max_calls, max_total_cost_usd, deadline_s)
        by = (policy or Policy()).resolve(self.cost_scale)
        check_policy(by, judge_cost_usd)
        asked = self._read_queries([prompt], [task])
        shared = self.outcome_covariance
        return Plan(
            Asked(
                prompt,
                by,
                judge or Judge(),
                judge_cost_usd,
                limits,
                self._predict(asked),
                shared.named if self._knows_task(task) else shared.hidden,
                self.policy_context,
            )
        )

    def _tell(self, queries: Queries, predictions: Predictions) -> Predictions:
        """The predictions, changed by what is known of answers to the very queries.

        To the bit as they were where nothing is.
        """
        if not any(queries.known):
            return predictions
        named = [self._knows_task(task) for task in queries.tasks]
        return tell_outcomes(predictions, queries.known, named, self.outcome_covariance)

    def _knows_task(self, task: str | None) -> bool:
        return task is not None and task in (self.known_tasks or ())

"""The protocol that every router follows, and the routing that follows from predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale, Policy, PolicyContext, decide
from graphrouter.pool import ModelPool
from graphrouter.types import Decision, Predictions


class Router(ABC):
    """Predicts effect and cost of every model on a query, and routes by a policy.

    A router is immutable. Predictions for a query do not depend on the other queries of a call.
    """

    pool: ModelPool
    cost_scale: CostScale

    @abstractmethod
    def predict(self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None) -> Predictions:
        """Expected effect, cost, tokens and latency of every model of the pool on each prompt.

        Args:
            prompts: The queries; an empty text is allowed.
            tasks: Task of each query where known, None where not; without it, no task is known.
        """

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the candidate models, in the column order of predictions."""
        return self.pool.names

    @property
    def known_tasks(self) -> tuple[str, ...] | None:
        """The tasks that the router can tell apart; None for one that does not look at tasks."""
        return None

    @cached_property
    def policy_context(self) -> PolicyContext:
        """What policies need to know of this router."""
        return PolicyContext(pool=self.pool, scale=self.cost_scale)

    def route(self, prompt: str, *, task: str | None = None, policy: Policy | None = None) -> Decision:
        """Where to send one prompt.

        Without a policy effect and cost weigh the same, as in the balanced preset; effect alone counts for a router whose
        outcomes carried no cost to weigh.

        Raises:
            PolicyError: Nobody satisfies the policy and it names no fallback.
        """
        return self.route_batch([prompt], tasks=[task], policy=policy)[0]

    def route_batch(
        self, prompts: Sequence[str], *, tasks: Sequence[str | None] | None = None, policy: Policy | None = None
    ) -> list[Decision]:
        """Where to send each prompt, one by one: a decision does not depend on the other prompts."""
        predictions = self.predict(prompts, tasks=tasks)
        chosen = policy or Policy()
        return [decide(chosen, predictions, i, self.policy_context) for i in range(len(predictions))]


def check_prompts(prompts: Sequence[str], tasks: Sequence[str | None] | None) -> list[str | None]:
    """The task of each prompt, None where unknown.

    Raises:
        DataError: `prompts` is a single string or holds something else than strings, or the lengths differ.
    """
    if isinstance(prompts, str):
        raise DataError("prompts is a single string; expected a sequence of strings. For one prompt pass [prompt].")
    wrong = next((i for i, prompt in enumerate(prompts) if not isinstance(prompt, str)), None)
    if wrong is not None:
        raise DataError(f"prompts[{wrong}] is a {type(prompts[wrong]).__name__}; expected a string.")
    if tasks is None:
        return [None] * len(prompts)
    if isinstance(tasks, str) or len(tasks) != len(prompts):
        raise DataError(f"tasks has {len(tasks)} entries for {len(prompts)} prompts; expected one a prompt, None where unknown.")
    return list(tasks)

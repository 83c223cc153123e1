"""A budget over a stream: prompts come one by one, and those to come are not known.

The price of a dollar is learned from the prompts seen last: that at which they would have spent
what is left for each prompt to come, solved anew for every prompt (Agrawal, Wang and Ye 2014, "A
Dynamic Near-Optimal Algorithm for Online Linear Programming", Operations Research 62(4); with what
is really left in place of the plan: Li and Ye 2022, "Online Linear Programming: Dual Convergence,
New Algorithms, and Regret Bounds", Operations Research 70(5)). A step of dual mirror descent
(Balseiro, Lu and Mirrokni 2020, "Dual Mirror Descent for Online Allocation Problems", ICML) would
need a step size that suits the pool; this needs none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from graphrouter.batch_records import check_amount
from graphrouter.batch_routing import warn_of_idle_prices
from graphrouter.chats.chat_prompts import Prompt
from graphrouter.decision import Decision
from graphrouter.exceptions import NotApplicableError, PolicyError
from graphrouter.knapsack import list_hull_steps
from graphrouter.moment import Moment, warn_of_idle_seconds
from graphrouter.number_checks import is_whole
from graphrouter.policy import Policy
from graphrouter.rejections import NO_COSTS
from graphrouter.router.protocol import Router
from graphrouter.selection import PolicyContext, decide, list_choices
from graphrouter.types import FloatArray, Predictions
from graphrouter.wording import count_of, round_up, show_value

__all__ = ["BudgetStream"]

_MEMORY = 0.98
"""Share of the weight of a bill that is left a bill later: the last fifty say how bills differ."""
_PRIOR_CALLS = 5.0
"""Calls billed as expected that stand before the first bill."""

_ROUNDING = 1e-9
"""Share of what is left by which a call may exceed it: sums are rounded."""
_DEVIATIONS = 3.0
"""How many standard deviations of the cheapest calls to come are held back beside their mean."""


class _Prompt(NamedTuple):
    """What one prompt could have spent: its cheapest model, then the steps to dearer ones."""

    cheapest_usd: float
    step_usd: FloatArray
    slope: FloatArray
    """Effect a dollar of each step, falling."""


class BudgetStream:
    """Spends a budget over an expected number of prompts, without knowing them ahead.

    Each prompt goes to the model with the highest effect - shadow price * expected cost. What the
    policy respects holds; what it weighs gives way to the budget. A call that would leave too
    little for the cheapest models on the prompts to come is not made: dearer models are ruled out
    first, and where not even the cheapest fits the prompt is refused.

    Not for several threads at once.

    Example:
        >>> import graphrouter as gr
        >>> router = gr.GraphRouter.fit(gr.simulate(num_queries=200, seed=0).data, instant=True)
        >>> stream = BudgetStream(budget_usd=0.002, num_prompts=2)
        >>> decision = stream.route(router, "Add 3 and 4.")
        >>> stream.record(0.0005)  # what it was billed; without it what was expected counts
        >>> stream.spent_usd, stream.num_routed
        (0.0005, 1)
    """

    def __init__(
        self,
        *,
        budget_usd: float,
        num_prompts: int,
        policy: Policy | None = None,
        window: int = 256,
    ) -> None:
        """A stream that has spent nothing.

        Args:
            budget_usd: Most US dollars in all.
            num_prompts: How many prompts are expected. Those beyond get the cheapest model, from
                what is left.
            policy: What to respect on every prompt, and what counts as the effect.
            window: Prompts, the last ones, that the price is learned from: fewer follow a drift
                sooner, more are steadier.

        Raises:
            PolicyError: One of them is not accepted.
        """
        check_amount("budget_usd", budget_usd, mending="It is the US dollars of all prompts.")
        for name, value in (("num_prompts", num_prompts), ("window", window)):
            if not is_whole(value, least=1):
                raise PolicyError(
                    f"{name} is {show_value(value)}; expected a whole number of at least 1."
                )
        if policy is not None and not isinstance(policy, Policy):
            raise PolicyError(
                f"policy is a {type(policy).__name__}; expected a Policy, for example "
                "Policy(max_latency_s=10)."
            )
        self.budget_usd = float(budget_usd)
        self.num_prompts = int(num_prompts)
        self.policy = Policy() if policy is None else policy
        warn_of_idle_prices(self.policy)
        self.num_routed = 0
        """Prompts that were sent to a model so far."""
        self.shadow_price = 0.0
        """Effect that a dollar was worth at the last prompt; 0 where money did not matter."""
        self._window: deque[_Prompt] = deque(maxlen=int(window))
        self._open: deque[float] = deque()
        self._open_usd = self._billed_usd = 0.0
        self._recent_billed = self._recent_expected = 0.0
        self._bill_ratios: deque[float] = deque(maxlen=int(window))
        self._warn_once_of_idle_seconds = cache(warn_of_idle_seconds)

    @property
    def spent_usd(self) -> float:
        """What was billed, and what is expected of calls without a bill yet."""
        return self._billed_usd + self._open_usd

    @property
    def left_usd(self) -> float:
        """What is left of the budget; negative where bills exceeded what was expected."""
        return self.budget_usd - self.spent_usd

    @property
    def bill_ratio(self) -> float:
        """Billed over expected dollars of the calls billed last, near 1 before there are any."""
        prior = self._expected_call() * _PRIOR_CALLS
        expected = self._recent_expected + prior
        return (self._recent_billed + prior) / expected if expected > 0 else 1.0

    def __repr__(self) -> str:
        return (
            f"BudgetStream({self.spent_usd:.6g} of {self.budget_usd:.6g} USD, "
            f"{self.num_routed:,} of {count_of(self.num_prompts, 'prompt')}, shadow price "
            f"{self.shadow_price:.3g})"
        )

    def route(
        self,
        router: Router,
        prompt: Prompt,
        *,
        task: str | None = None,
        extra_latency_s: Mapping[str, float] | None = None,
        unavailable: Iterable[str] | None = None,
        routes: object = None,
    ) -> Decision:
        """Where to send the next prompt; its expected cost counts as spent until `record`.

        The decision carries no evidence.

        Args:
            router: Predicts effect and cost.
            prompt: The text, or the messages of a chat.
            task: Its task where known.
            extra_latency_s: As in `Router.route`.
            unavailable: As in `Router.route`.
            routes: Refused: a stream learns one price of a dollar under one policy.

        Raises:
            NotApplicableError: Named routes are given.
            PolicyError: Nobody satisfies the policy, the router cannot predict the cost, or what is
                left does not pay for the cheapest model.
            UnknownModelError: One of the models named is not in the pool.
        """
        if routes is not None:
            raise NotApplicableError(
                "A budget over a stream takes no named routes: it learns one price of a dollar "
                "under one policy. Match first with match_routes and keep a stream for each route, "
                "or collect a batch for route_batch(routes=..., budget_usd=...)."
            )
        moment = Moment.of(extra_latency_s, unavailable, models=router.models)
        predictions = moment.delay(router.predict([prompt], tasks=[task]))
        decision = self.choose(predictions, router.policy_context.at(moment))
        if moment.extra_latency_s and not self.policy.limits_seconds:
            self._warn_once_of_idle_seconds()
        return decision

    def choose(self, predictions: Predictions, context: PolicyContext) -> Decision:
        """As `route`, for a prompt whose predictions are there already.

        Args:
            predictions: Of one query.
            context: What the policy needs to know of the router.

        Raises:
            PolicyError: As `route`.
        """
        if len(predictions) != 1:
            raise PolicyError(
                f"Predictions of {count_of(len(predictions), 'query')} were received; "
                f"expected those of one. "
                "For a batch use Router.route_batch(budget_usd=...)."
            )
        if np.isnan(predictions.cost_usd).all():
            raise PolicyError(
                f"budget_usd needs costs, but {NO_COSTS} Train on outcomes with cost_usd, or with "
                "output_tokens and prices."
            )
        seen = self._read(predictions, context)
        self._refuse_what_is_too_dear(seen.cheapest_usd)
        self._window.append(seen)
        self.shadow_price = self._find_price()
        most = self._find_most(seen)
        if self.policy.max_cost_usd is not None:
            most = min(most, self.policy.max_cost_usd)
        policy = self.policy.model_copy(update={"max_cost_usd": most})
        decision = decide(policy, predictions, 0, context, shadow_price=self.shadow_price)
        self.num_routed += 1
        self._open.append(float(decision.cost_usd or 0.0))
        self._open_usd += self._open[-1]
        return decision

    def record(self, cost_usd: float) -> None:
        """Take in what the oldest call without a bill was really billed.

        Raises:
            PolicyError: It is no number of at least 0, or every call has its bill.
        """
        mending = "Record the US dollars that the call was billed, 0 for a free one."
        check_amount("cost_usd", cost_usd, mending=mending)
        if not self._open:
            raise PolicyError(
                f"A bill of {cost_usd:g} USD was recorded, but every call has its bill already; "
                "expected one bill a call of route."
            )
        expected = self._open.popleft()
        self._open_usd = self._open_usd - expected if self._open else 0.0
        self._billed_usd += float(cost_usd)
        self._recent_billed = _MEMORY * self._recent_billed + float(cost_usd)
        self._recent_expected = _MEMORY * self._recent_expected + expected
        if expected > 0:
            self._bill_ratios.append(float(cost_usd) / expected)

    def _read(self, predictions: Predictions, context: PolicyContext) -> _Prompt:
        """What the prompt could spend, as the policy leaves it."""
        choices = list_choices(self.policy, predictions, context, needs_cost=True)
        if np.isnan(predictions.cost_usd[choices.is_open]).any():
            raise PolicyError(
                f"The fallback {self.policy.fallback!r} has an unknown cost, so budget_usd cannot "
                "be kept. Name a fallback whose cost is known, or loosen the policy."
            )
        counted = np.where(choices.is_open, choices.counted, 0.0)
        steps = list_hull_steps(counted, predictions.cost_usd, choices.is_open)
        cheapest = float(predictions.cost_usd[0, steps.start[0]])
        return _Prompt(cheapest, steps.usage, steps.slope)

    def _refuse_what_is_too_dear(self, cheapest_usd: float) -> None:
        """Refuse a prompt whose cheapest model what is left does not pay for."""
        most = cheapest_usd * self._worst_ratio
        if most > self.left_usd * (1 + _ROUNDING):
            raise PolicyError(
                f"{max(0.0, self.left_usd):.6g} USD of budget_usd = {self.budget_usd:g} are left "
                f"after {self.num_routed:,} of {count_of(self.num_prompts, 'prompt')}, and "
                f"the cheapest "
                f"model that the policy leaves for this one may take {round_up(most)} USD. Start a "
                "stream with a new budget."
            )

    def _expected_call(self) -> float:
        """Planned dollars of a call."""
        return self.budget_usd / self.num_prompts

    @property
    def _worst_ratio(self) -> float:
        """The most that a bill of late exceeded what was expected, as a factor of at least 1."""
        return max([1.0, *self._bill_ratios])

    @property
    def _num_to_come(self) -> int:
        """Prompts to come, that at hand among them."""
        return max(0, self.num_prompts - self.num_routed)

    def _find_price(self) -> float:
        """The price at which the window spends what is left for each prompt to come."""
        if not self._num_to_come:
            return 0.0  # the cheapest alone is affordable then
        each_usd = self.left_usd / self._num_to_come / self.bill_ratio
        to_spend = each_usd * len(self._window) - sum(seen.cheapest_usd for seen in self._window)
        slope = np.concatenate([seen.slope for seen in self._window])
        step_usd = np.concatenate([seen.step_usd for seen in self._window])
        order = np.argsort(-slope, kind="stable")
        num_taken = int(np.searchsorted(np.cumsum(step_usd[order]), to_spend, side="right"))
        return float(slope[order[num_taken]]) if num_taken < len(order) else 0.0

    def _find_most(self, seen: _Prompt) -> float:
        """Most expected dollars of the prompt at hand, so that the cheapest stay paid for."""
        if not self._num_to_come:
            return seen.cheapest_usd
        to_come = self._num_to_come - 1
        cheapest = np.array([each.cheapest_usd for each in self._window])
        # A sum of so many draws lies this far above its mean once in hundreds of times; and one
        # prompt as dear as any seen has to be paid for, however few are to come.
        spread = max(1.0, self.bill_ratio) * _DEVIATIONS * np.sqrt(to_come) * cheapest.std()
        mean = max(1.0, self.bill_ratio) * to_come * cheapest.mean()
        dearest = self._worst_ratio * cheapest.max() if to_come else 0.0
        spare = self.left_usd - float(mean + max(spread, dearest))
        return max(seen.cheapest_usd, spare / self._worst_ratio)

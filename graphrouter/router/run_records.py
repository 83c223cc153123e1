"""What was asked of models and answered: a run of calls, as it is handed to the user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphrouter.grades import Grade
from graphrouter.router.call_plan import Plan

if TYPE_CHECKING:
    import pandas as pd

_OUTCOMES = (
    "prompt",
    "task",
    "model",
    "effect",
    "cost_usd",
    "latency_s",
    "input_tokens",
    "output_tokens",
)


@dataclass(frozen=True)
class Answer:
    """What a model has answered, and what that took where the caller knows."""

    text: str
    cost_usd: float | None = None
    """US dollars of the call; what was expected without it."""
    latency_s: float | None = None
    """Seconds of the call; measured without it."""
    input_tokens: float | None = None
    output_tokens: float | None = None


@dataclass(frozen=True)
class Call:
    """One call of a model."""

    model: str
    cost_usd: float
    """US dollars that it was charged."""
    latency_s: float
    """Seconds, with those of attempts that failed before it."""
    answer: Answer | None = None
    """None where it brought none."""
    grade: Grade | None = None
    """None where nobody looked."""
    error: str = ""
    """What went wrong with the call, or with its grade; empty where nothing did."""


@dataclass(frozen=True, repr=False, eq=False)
class Run:
    """What was called for a prompt, and the answer that was kept."""

    plan: Plan
    """After the last call."""
    task: str | None = None
    calls: tuple[Call, ...] = field(default=())
    """In order."""
    voted: str | None = None
    """Whose answer a vote has kept; None without a vote."""

    @property
    def prompt(self) -> str:
        """What was asked."""
        return self.plan.asked.prompt

    @property
    def model(self) -> str | None:
        """Whose answer was kept; None without any."""
        return self.voted or self.plan.answer

    @property
    def route(self) -> str | None:
        """The named route of the prompt; None where it is of none, or no routes were given."""
        return self.plan.route

    @property
    def route_confidence(self) -> float | None:
        """Probability, in [0, 1], that it is of that route, or of none; None without routes."""
        return self.plan.route_confidence

    @property
    def answer(self) -> str | None:
        """The text of the answer that was kept; None without any."""
        kept = (call.answer for call in self.calls if call.model == self.model and call.answer)
        found = next(kept, None)
        return None if found is None else found.text

    @property
    def effect(self) -> float:
        """Expected effect of the answer that was kept, in [0, 1]; NaN without any.

        That others agree is not counted: models err alike.
        """
        return float("nan") if self.model is None else self.plan.in_hand[self.model]

    @property
    def cost_usd(self) -> float:
        """US dollars of all calls and grades, failed ones included."""
        return self.plan.spent_usd

    @property
    def outcomes(self) -> pd.DataFrame:
        """What was graded, as `add_outcomes` takes it, one row a grade.

        Columns `prompt`, `task`, `model`, `effect` (the grade itself), `cost_usd`, `latency_s`,
        `input_tokens`, `output_tokens`, and who asked and what goes with the prompt where that was
        said. Add those of judges that you trust: a router takes them for true.
        """
        import pandas as pd  # here, so that what runs need not load it

        query = self.plan.asked.query
        facts = {} if query is None else query.list_facts(0)
        rows = (
            {
                "prompt": self.prompt,
                "task": self.task,
                "model": call.model,
                "effect": call.grade.effect,
                "cost_usd": call.answer.cost_usd,
                "latency_s": call.answer.latency_s,
                "input_tokens": call.answer.input_tokens,
                "output_tokens": call.answer.output_tokens,
                **facts,
            }
            for call in self.calls
            if call.grade is not None and call.answer is not None
        )
        return pd.DataFrame(rows, columns=[*_OUTCOMES, *facts])

    def __repr__(self) -> str:
        called = ", ".join(call.model for call in self.calls)
        kept = f"kept {self.model} ({self.effect:.2f})" if self.model else "no answer"
        return f"Run({kept}; called {called or 'nobody'}; {self.cost_usd:.3g} USD)"

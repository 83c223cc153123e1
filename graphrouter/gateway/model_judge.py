"""A model at an upstream that grades answers by a rubric."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx2

from graphrouter.chats.usage import read_usage
from graphrouter.gateway.answer_texts import read_answer_text
from graphrouter.gateway.api_forms import CHAT_COMPLETIONS
from graphrouter.gateway.forwarding import Forwarder
from graphrouter.gateway.sending import Outgoing, read_answer
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.gateway.upstream_health import UpstreamHealth
from graphrouter.gateway.upstreams import Deployment
from graphrouter.judging.rubric_questions import ask_score, read_score

__all__ = ["ModelJudge"]

_BYTES_PER_TOKEN = 3
"""Rather too few, so that rather too many dollars are set aside."""
_MOST_TOKENS = 2_000
"""Of what it writes, as far as dollars are set aside for it."""
_DEADLINE_S = 120.0


class ModelJudge:
    """Asks a model how good an answer is."""

    def __init__(
        self,
        deployments: Sequence[Deployment],
        health: UpstreamHealth,
        find_client: Callable[[], httpx2.AsyncClient],
    ) -> None:
        """A judge.

        Args:
            deployments: Where its model is served.
            health: How deployments fare.
            find_client: Who sends, once the gateway serves.
        """
        self._deployments, self._health, self._find_client = deployments, health, find_client

    @property
    def _prices(self) -> TokenPrices:
        return self._deployments[0].prices or TokenPrices()

    @property
    def has_prices(self) -> bool:
        """Whether its calls can be billed."""
        return self._prices.input is not None and self._prices.output is not None

    def expect_nanousd(self, rubric: str, prompt: str, answer: str) -> int:
        """What a call costs at most, about.

        Args:
            rubric: What a good answer is.
            prompt: What was asked.
            answer: What was answered.
        """
        size = len(ask_score(rubric, prompt, answer).encode()) // _BYTES_PER_TOKEN
        price = self._prices
        return -(-(size * (price.input or 0) + _MOST_TOKENS * (price.output or 0)) // 1_000_000)

    async def ask(self, rubric: str, prompt: str, answer: str) -> tuple[float | None, int]:
        """The score in [0, 1], None where it gave none, and what the call has cost, in nanodollars.

        A call whose cost is unknown counts as expected.

        Args:
            rubric: What a good answer is.
            prompt: What was asked.
            answer: What was answered.

        Raises:
            ApiError: Nobody answered, or with an error.
        """
        text = ask_score(rubric, prompt, answer)
        body = {"messages": [{"role": "user", "content": text}]}
        outgoing = Outgoing(CHAT_COMPLETIONS, body, deadline_s=_DEADLINE_S)
        forwarder = Forwarder(self._find_client(), self._health)
        reached = await forwarder.reach(self._health.order(self._deployments), outgoing)
        self._health.end(reached.deployment, reached.number)
        content, told = read_answer(reached.response, reached.deployment, CHAT_COMPLETIONS)
        cost = (reached.deployment.prices or self._prices).bill(read_usage(told))
        score = read_score(read_answer_text(content))
        return score, self.expect_nanousd(rubric, prompt, answer) if cost is None else cost

"""One question to one model: money set aside, written down, sent, retried, paid, written down."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx2

from graphrouter.chats.usage import Usage, read_usage
from graphrouter.collecting.allowance import Allowance
from graphrouter.collecting.call_journal import Answer, CallJournal, Question
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.api_errors import ApiError
from graphrouter.gateway.api_forms import CHAT_COMPLETIONS
from graphrouter.gateway.sending import Attempt, Outgoing, read_answer, send, write_request
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.gateway.upstream_health import UpstreamHealth
from graphrouter.gateway.upstreams import Deployment

__all__ = ["ModelCalls", "check_can_be_collected"]

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
"""Before a further attempt: twice as long each time, and half as much around it; or as long as the
upstream asks for, up to the longest."""
MOST_IN_A_ROW = 8
"""Questions without an answer after which a model is not asked any more in this run."""
_LIMITS = ("max_completion_tokens", "max_tokens")

Sleep = Callable[[float], Awaitable[None]]


def check_can_be_collected(
    deployments: Mapping[str, Sequence[Deployment]], *, needs_prices: bool
) -> None:
    """Refuse upstreams whose answers could not be read, or cost what nobody can say beforehand.

    Args:
        deployments: Of each model.
        needs_prices: Whether there is a limit of dollars.

    Raises:
        ConfigError: A parameter asks for several answers or a stream, a limit of tokens is none,
            or prices are missing that a limit of dollars needs.
    """
    for deployment in (each for several in deployments.values() for each in several):
        body, name = deployment.body, deployment.candidate
        if body.get("stream") or body.get("n", 1) != 1:
            raise ConfigError(
                f"{name}: its parameters ask for a stream or several answers; expected one whole "
                "answer a call. Take stream and n out of the file of upstreams."
            )
        for limit in _LIMITS:
            stated = body.get(limit, 1)
            if not isinstance(stated, int) or isinstance(stated, bool) or stated < 1:
                raise ConfigError(
                    f"{name}: {limit} is {stated!r}; expected a whole number of tokens above 0."
                )
        prices = deployment.prices or TokenPrices()
        if needs_prices and (prices.input is None or prices.output is None):
            raise ConfigError(
                f"{name} has no prices, so nobody can hold it to a limit of dollars. State "
                "input_usd_per_mtok and output_usd_per_mtok in the file of upstreams or on its "
                "card, or limit --max-calls instead."
            )


class ModelCalls:
    """Asks models, within an allowance, with everything written in a journal."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        journal: CallJournal,
        allowance: Allowance,
        *,
        max_output_tokens: int,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Calls.

        Args:
            client: Who sends.
            journal: Where it is written.
            allowance: What may be spent.
            max_output_tokens: That an answer may have where the upstream's parameters say nothing.
            sleep: Waits so many seconds.
        """
        self._client, self._journal, self._allowance = client, journal, allowance
        self._max_output_tokens, self._sleep = max_output_tokens, sleep
        self._health, self._in_a_row = UpstreamHealth(), dict[str, int]()

    async def ask(
        self,
        deployments: Sequence[Deployment],
        messages: Sequence[Mapping[str, Any]],
        question: Question,
        prompt: str,
    ) -> Answer | None:
        """The answer to a question; None where there is none, and why stands in the journal.

        What was answered before, in this run or an earlier one, is not asked again. Failed
        connections and the statuses 408, 429 and those from 500 cost nothing and are tried again;
        what takes too long, breaks off or makes no sense may be paid for, counts as if it were,
        and is not.

        Args:
            deployments: Where the model is served.
            messages: What is sent.
            question: What it is for.
            prompt: Of the query.

        Raises:
            SpentError: The call could go beyond the allowance.
        """
        known = self._journal.answers.get(question)
        if known is not None:
            return known
        asked = deployments[0].candidate
        if self.is_given_up(asked):
            return None
        order = self._health.order(deployments)
        for number in range(max(each.retries for each in deployments) + 1):
            deployment = order[number % len(order)]
            found, attempt = await self._try(deployment, messages, question, prompt)
            if found is not None:
                self._in_a_row[asked] = 0
                return found
            if not attempt.may_repeat or number == deployment.retries:
                break
            await self._sleep(_choose_wait(attempt, number))
        self._in_a_row[asked] = self._in_a_row.get(asked, 0) + 1
        return None

    @property
    def has_budget(self) -> bool:
        """Whether dollars are limited."""
        return self._allowance.limit_nanousd is not None

    def is_given_up(self, model: str) -> bool:
        """Whether a model has failed so often in a row that it is not asked any more."""
        return self._in_a_row.get(model, 0) >= MOST_IN_A_ROW

    @property
    def given_up(self) -> list[str]:
        """Models that are not asked any more."""
        return [model for model in self._in_a_row if self.is_given_up(model)]

    async def _try(
        self,
        deployment: Deployment,
        messages: Sequence[Mapping[str, Any]],
        question: Question,
        prompt: str,
    ) -> tuple[Answer | None, Attempt]:
        request, most = self._prepare(deployment, messages)
        await self._allowance.reserve(most)
        spent = most  # where anything unforeseen happens it may be paid for
        place = self._health.begin(deployment, is_forced=True) or 0
        try:
            call = self._journal.begin(question, prompt, most)
            began = time.monotonic()
            attempt = await send(self._client, deployment, request, streams=False)
            found = _read(attempt, deployment, time.monotonic() - began)
            if isinstance(found, Answer):
                self._health.note_answer(deployment, found.latency_s)
                spent = most if found.cost_nanousd is None else found.cost_nanousd
            else:
                self._health.note_failure(deployment, None)
                is_refused = attempt.response is not None and attempt.response.status_code >= 400
                spent = 0 if attempt.may_repeat or is_refused else most
            self._journal.end(call, question, spent, found)
        finally:
            self._health.end(deployment, place)
            await self._allowance.settle(most, spent)
        return (found if isinstance(found, Answer) else None), attempt

    def _prepare(
        self, deployment: Deployment, messages: Sequence[Mapping[str, Any]]
    ) -> tuple[httpx2.Request, int]:
        """The request, and the most nanodollars that it can cost."""
        stated = [deployment.body[name] for name in _LIMITS if name in deployment.body]
        body: dict[str, Any] = {"messages": list(messages)}
        if not stated:
            body["max_tokens"] = self._max_output_tokens
        request = write_request(self._client, deployment, Outgoing(CHAT_COMPLETIONS, body))
        # A token stands for a byte at least; what templates put around messages is less than the
        # JSON around them.
        most = Usage(len(request.content), 0, max(stated, default=self._max_output_tokens))
        return request, (deployment.prices or TokenPrices()).bill(most) or 0


def _read(attempt: Attempt, deployment: Deployment, latency_s: float) -> Answer | str:
    """What an attempt has brought: an answer, or why it has none."""
    if attempt.response is None:
        return attempt.reason
    try:
        content, told = read_answer(attempt.response, deployment, CHAT_COMPLETIONS)
        body = json.loads(content)
        if attempt.response.status_code >= 400:
            told = f"status {attempt.response.status_code}: {body['error']['message']}"
            return _make_whole(told[:500])
        text = body["choices"][0]["message"]["content"]
    except ApiError as error:
        return str(error)
    except (ValueError, LookupError, TypeError, RecursionError):
        if attempt.response.status_code >= 400:
            return f"status {attempt.response.status_code}"
        return "an answer that is none of a chat"
    usage = read_usage(told)
    cost = (deployment.prices or TokenPrices()).bill(usage)
    return Answer(_make_whole(text if isinstance(text, str) else ""), usage, cost, latency_s)


def _make_whole(text: str) -> str:
    """Text with a mark in the place of half a character, which JSON can hold and no table can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _choose_wait(attempt: Attempt, number: int) -> float:
    if attempt.wait_s is not None:
        return min(attempt.wait_s, LONGEST_WAIT_S)
    waited: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number)
    return waited * random.uniform(0.5, 1.5)

"""A pool of fake models behind a transport that answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import pytest

from graphrouter.collecting import Collected, ExpectedJudge, Limits, collect, read_prompt_table
from graphrouter.collecting.collecting_judges import CollectingJudge
from graphrouter.collecting.model_calls import ModelCalls
from graphrouter.gateway import Deployment
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.pool import ModelCard, ModelPool

MODELS = ("nano", "grand", "other")
PRICES = TokenPrices.of_usd(1.0, 4.0)
ANSWERED = 3 * 1_000 + 2 * 4_000
"""Nanodollars of an answer of `Provider`."""
Reply = httpx2.Response | Exception | str


@dataclass
class Provider:
    """What models are asked, and what they answer: 4, unless something else is next."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[httpx2.Headers] = field(default_factory=list)
    next: dict[str, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    """Of each model, before it answers as usual."""
    text: Callable[[dict[str, Any]], str] = lambda body: "It is 4."
    paid: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Answers by model and last message."""
    most_at_once: int = 0
    _num_open: int = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        self.paths.append(request.url.path)
        self.headers.append(request.headers)
        self._num_open += 1
        self.most_at_once = max(self.most_at_once, self._num_open)
        await asyncio.sleep(0)
        self._num_open -= 1
        waiting = self.next[body["model"]]
        reply = waiting.pop(0) if waiting else self.text(body)
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, httpx2.Response):
            return reply
        self.paid[body["model"], body["messages"][-1]["content"]] += 1
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        choice = {"message": {"content": reply}}
        return httpx2.Response(200, text=json.dumps({"choices": [choice], "usage": usage}))


@pytest.fixture
def provider() -> Provider:
    return Provider()


def deploy(*names: str, retries: int = 2, **more: Any) -> dict[str, tuple[Deployment, ...]]:
    more = {"prices": PRICES, **more}
    return {
        name: (Deployment(name, "http://x/v1", {}, {"model": name}, 5, retries, **more),)
        for name in names
    }


def make_prompts(num: int, **columns: Any) -> Any:
    table = {"prompt": [f"{i} + 1?" for i in range(num)], "expected": [4] * num, **columns}
    return read_prompt_table(pd.DataFrame(table))


Run = Callable[..., Collected]


@pytest.fixture
def run(provider: Provider, tmp_path: Path) -> Run:
    """Collects from `MODELS` into one folder."""

    def run(
        num: int = 4,
        judge: CollectingJudge | Callable[[ModelCalls], CollectingJudge] | None = None,
        *,
        prompts: Any = None,
        models: tuple[str, ...] = MODELS,
        deployments: Any = None,
        seed: int = 0,
        system: str | None = None,
        **limits: Any,
    ) -> Collected:
        chosen = judge or ExpectedJudge("numeric")
        make = chosen if callable(chosen) else lambda calls: chosen
        return collect(
            make_prompts(num) if prompts is None else prompts,
            ModelPool.of(ModelCard(model=name) for name in models),
            deployments or deploy(*models),
            make,
            tmp_path / "out",
            Limits(**limits),
            seed=seed,
            system=system,
            transport=httpx2.MockTransport(provider),
        )

    return run

"""What is asked again and what is not, and what each costs."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from graphrouter.collecting.model_calls import MOST_IN_A_ROW
from graphrouter.exceptions import ConfigError
from graphrouter.gateway.token_prices import TokenPrices
from tests.unit.collecting.conftest import ANSWERED, PRICES, Provider, Run, deploy

BUSY = {"retry-after": "0"}


def most_of(body_bytes: int, tokens: int = 2048) -> int:
    return body_bytes * 1_000 + tokens * 4_000


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.Response(429, headers=BUSY),
        httpx2.Response(503, headers=BUSY),
        httpx2.Response(408, headers=BUSY),
    ],
)
def test_what_was_not_at_work_is_asked_again_and_costs_nothing(
    provider: Provider, run: Run, reply: httpx2.Response
) -> None:
    provider.next["nano"] = [reply, reply]
    found = run(1)
    assert (found.num_answers, found.num_calls) == (3, 5)
    assert found.spent_usd == pytest.approx(3 * ANSWERED / 1e9)
    assert found.doubtful_usd == 0


def test_after_its_retries_it_is_left_to_the_next_run(provider: Provider, run: Run) -> None:
    provider.next["nano"] = [httpx2.Response(429, headers=BUSY)] * 3
    found = run(1)
    assert found.failures == {"nano: status 429": 1}
    assert found.num_answers == 2
    again = run(1)
    assert (again.num_answers, again.failures) == (3, {})
    assert provider.paid == {(name, "0 + 1?"): 1 for name in ("nano", "grand", "other")}


@pytest.mark.parametrize(
    "reply",
    [
        httpx2.ReadTimeout("slow"),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, text="{broken}"),
        httpx2.Response(200, json={"choices": []}),
        httpx2.Response(200, json={"choices": [{"message": None}]}),
    ],
)
def test_what_may_be_paid_counts_in_full_and_is_not_asked_again(
    provider: Provider, run: Run, reply: Any
) -> None:
    provider.next["nano"] = [reply]
    found = run(1)
    assert (found.num_answers, found.num_calls) == (2, 3)
    (size,) = {len(httpx2.Request("POST", "http://x", json=b).content) for b in provider.asked[:1]}
    assert found.doubtful_usd * 1e9 == pytest.approx(most_of(size), rel=0.01)
    assert found.spent_usd == pytest.approx(found.doubtful_usd + 2 * ANSWERED / 1e9)


def test_a_refusal_costs_nothing_and_is_told(provider: Provider, run: Run) -> None:
    told = {"error": {"message": "The prompt is too long."}}
    provider.next["nano"] = [httpx2.Response(400, json=told)]
    found = run(1)
    assert found.failures == {"nano: status 400: The prompt is too long.": 1}
    assert found.doubtful_usd == 0


def test_an_answer_that_does_not_say_what_it_used_is_kept_and_counts_in_full(
    provider: Provider, run: Run
) -> None:
    silent = {"choices": [{"message": {"content": "4"}}]}
    provider.next["nano"] = [httpx2.Response(200, json=silent)]
    found = run(1)
    assert found.num_graded == 3
    assert found.doubtful_usd > 2048 * 4e-6
    assert found.dataset is not None
    costs = found.dataset.outcomes.set_index("model")["cost_usd"]
    assert costs.isna().to_dict() == {"nano": True, "grand": False, "other": False}


def test_a_model_that_always_fails_is_given_up(provider: Provider, run: Run) -> None:
    provider.next["nano"] = [httpx2.Response(401, json={"error": {"message": "No key."}})] * 99
    found = run(30, concurrency=1)
    assert found.given_up == ("nano",)
    assert sum(body["model"] == "nano" for body in provider.asked) == MOST_IN_A_ROW
    assert found.num_answers == 60


def test_anthropic_is_asked_in_its_own_words(provider: Provider, run: Run) -> None:
    message = {"role": "assistant", "type": "message", "id": "m", "model": "nano"}
    message |= {"content": [{"type": "text", "text": "4"}], "stop_reason": "end_turn"}
    message |= {"usage": {"input_tokens": 3, "output_tokens": 2}}
    provider.next["nano"] = [httpx2.Response(200, json=message)]
    deployments = deploy("grand", "other") | deploy("nano", protocol="anthropic")
    found = run(1, deployments=deployments, system="Be brief.")
    (place,) = [i for i, path in enumerate(provider.paths) if path == "/v1/messages"]
    assert provider.asked[place]["max_tokens"] == 2048
    assert provider.asked[place]["system"] == [{"type": "text", "text": "Be brief."}]
    assert found.num_graded == 3
    assert found.spent_usd == pytest.approx(3 * ANSWERED / 1e9)


def test_calls_fall_on_all_addresses_of_a_model(provider: Provider, run: Run) -> None:
    (one,) = deploy("nano")["nano"]
    several = {"nano": (one, one._replace(headers={"authorization": "Bearer second"}))}
    run(30, deployments={**deploy("grand", "other"), **several})
    keys = {
        headers.get("authorization")
        for headers, body in zip(provider.headers, provider.asked, strict=True)
        if body["model"] == "nano"
    }
    assert keys == {None, "Bearer second"}


def test_limits_of_an_upstream_are_kept(provider: Provider, run: Run) -> None:
    limited = deploy("nano")["nano"][0]._replace(
        body={"model": "nano", "max_completion_tokens": 64}
    )
    found = run(1, deployments={**deploy("grand", "other"), "nano": (limited,)})
    (body,) = [body for body in provider.asked if body["model"] == "nano"]
    assert (body["max_completion_tokens"], body.get("max_tokens")) == (64, None)
    assert found.num_answers == 3


@pytest.mark.parametrize(
    ("body", "prices", "told"),
    [
        ({"stream": True}, PRICES, "nano: its parameters ask for a stream"),
        ({"n": 2}, PRICES, "or several answers"),
        ({"max_tokens": "many"}, PRICES, "max_tokens is 'many'; expected a whole number"),
        ({}, TokenPrices.of_usd(1.0, None), "nano has no prices"),
        ({}, None, "nano has no prices"),
    ],
)
def test_upstreams_that_cannot_be_used_are_refused(
    run: Run, body: dict[str, Any], prices: TokenPrices | None, told: str
) -> None:
    (one,) = deploy("nano")["nano"]
    odd = one._replace(body={"model": "nano", **body}, prices=prices)
    with pytest.raises(ConfigError, match=told):
        run(1, deployments={**deploy("grand", "other"), "nano": (odd,)}, budget_usd=1)


def test_without_a_budget_prices_are_not_needed(run: Run) -> None:
    found = run(2, deployments=deploy("nano", "grand", "other", prices=None))
    assert (found.num_graded, found.spent_usd) == (6, 0)

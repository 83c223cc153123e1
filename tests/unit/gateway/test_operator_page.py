"""The page of the gateway, in a real browser where it matters, and who may look at it."""

from __future__ import annotations

import base64
import re
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import graphrouter as gr
from graphrouter.gateway import Memory, create_app
from graphrouter.gateway.page.traffic_figures import NUM_BARS, Traffic, read_traffic
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.client_keys import KeyTerms, add_key
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.router.pool_strengths import find_strengths
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import connect, post

PRICES = TokenPrices.of_usd(1.0, 4.0, 0.1)
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
Start = Callable[..., str]


@pytest.fixture
def start(router: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str) -> Start:
    """Starts a gateway that remembers; gives its address, without /v1."""

    def start(key: str | None = None, **kept: Any) -> str:
        prices = dict.fromkeys(router.models, PRICES)
        memory = Memory(Store.open(place), WhatIsKept(prices, "0f3c", **kept))
        app = create_app(router, deployments, memory=memory, key=key)
        return serve(app).removesuffix("/v1")

    return start


def fetch(address: str, headers: dict[str, str] | None = None) -> tuple[int, Any, str]:
    """Status, headers and text."""
    request = urllib.request.Request(address, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def ask(address: str, prompt: str = "Add 3 and 4.", model: str = "auto", key: str = "none") -> Any:
    messages: Any = [{"role": "user", "content": prompt}]
    raw = connect(f"{address}/v1", key).chat.completions.with_raw_response
    return raw.create(model=model, messages=messages).headers


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def test_traffic_is_counted(
    router: gr.GraphRouter, provider: Provider, start: Start, store: Store
) -> None:
    address, (first, second, *_) = start(), router.models
    for model in (first, first, second):
        ask(address, model=model)
    decision = ask(address, model=first)["x-graphrouter-decision"]
    post(address, "/v1/outcomes", {"decision": decision, "effect": 0.25})
    with store.reader.connect() as connection:
        found = read_traffic(connection, time.time() - 3_600, time.time() + 1)
    assert {each.model: each.num_calls for each in found.models} == {first: 3, second: 1}
    assert found.num_calls == 4
    assert sum(found.counts[first]) == 3
    assert len(found.counts[first]) == len(found.bars) == NUM_BARS
    assert sum(piece.num_calls for bar in found.bars for piece in bar) == 4
    assert found.most_at_once == max(sum(piece.num_calls for piece in bar) for bar in found.bars)
    assert found.cost_usd == pytest.approx(4 * (3 * 1.0 + 2 * 4.0) / 1e6)
    graded = {each.model: (each.num_graded, each.mean_grade) for each in found.models}
    assert graded == {first: (1, 0.25), second: (0, None)}
    status, headers, page = fetch(f"{address}/?period=hour")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert re.search(rf"</span>{first}</th><td>3</td>", page)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_savings_beside_one_model(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str
) -> None:
    dear, cheap, *_ = router.models
    prices = {dear: TokenPrices.of_usd(10, 40), cheap: TokenPrices.of_usd(1, 4)}
    memory = Memory(Store.open(place), WhatIsKept(prices, "0f3c"))
    address = serve(create_app(router, deployments, memory=memory)).removesuffix("/v1")
    for model in (dear, cheap, cheap):
        ask(address, model=model)
    saved = 2 * 0.9 * (3 * 10 + 2 * 40) / 1e6
    page = fetch(f"{address}/?baseline={dear}")[2]
    assert f"<strong>{saved:.6f} USD saved</strong>, 60 %" in page
    assert "USD more" in fetch(f"{address}/?baseline={cheap}")[2]
    status, _, told = fetch(f"{address}/?baseline=none")
    assert status == 404
    assert "no prices of" in told


def test_a_period_without_calls_says_so(start: Start) -> None:
    _, _, page = fetch(start())
    assert "No calls in the last day." in page
    assert Traffic(0, 1, {}, [], [], []).most_at_once == 1


def test_a_gateway_without_a_store_shows_its_pool(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve
) -> None:
    address = serve(create_app(router, deployments)).removesuffix("/v1")
    _, _, page = fetch(address)
    assert "keeps no store" in page
    assert all(model in page for model in router.models)


def test_strengths_are_what_the_router_expects(router: gr.GraphRouter) -> None:
    found = find_strengths(router)
    assert found is not None
    queries = router.support.queries
    task = found.tasks[0]
    assert task == queries["task"].value_counts().index[0]
    prompts = queries[queries["task"] == task]["prompt"].tolist()[:6]
    expected = router.predict(prompts, tasks=[task] * len(prompts))
    for row in found.rows:
        column = router.models.index(row.model)
        assert row.strengths[0].effect == pytest.approx(expected.effect[:, column].mean())
        assert row.num_outcomes == (router.support.outcomes["model"] == row.model).sum()
        assert not row.is_new
    means = [sum(each.effect for each in row.strengths) for row in found.rows]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_newcomer_is_named(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve, place: str
) -> None:
    grown = router.add_models([gr.ModelCard(model="just-out", description="A new small model.")])
    page = fetch(serve(create_app(grown, deployments)).removesuffix("/v1"))[2]
    assert re.search(r"<li>just-out: 0 outcomes so far, known to ±0\.\d\d on average</li>", page)
    assert "never chosen: just-out" in page


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_failing_model_and_a_spent_budget_raise_alarms(
    router: gr.GraphRouter, provider: Provider, start: Start, store: Store
) -> None:
    model = router.models[0]
    key = add_key(store, "team", KeyTerms(nanousd_per_day=1_000))
    address = start(key="operator's key, long enough")
    provider.statuses[f"at-{model}"] = [400] * 6
    for _ in range(6):
        with pytest.raises(Exception, match="400"):
            ask(address, model=model, key="operator's key, long enough")
    ask(address, model=model, key=key)
    _, _, page = fetch(address, basic("operator's key, long enough"))
    assert f"{model}: 6 of 7 calls failed" in page
    assert "the key &#39;team&#39; has used up its 1e-06 USD of today" in page


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_who_may_look(start: Start, store: Store) -> None:
    route, admin = (add_key(store, name, KeyTerms(scopes=[name])) for name in ("route", "admin"))
    address = start(key="operator's key, long enough")
    status, headers, _ = fetch(address)
    assert (status, headers["www-authenticate"][:5]) == (401, "Basic")
    assert fetch(address, basic(route))[0] == 401
    assert fetch(address, basic(admin))[0] == 200
    assert fetch(address, {"authorization": f"Bearer {admin}"})[0] == 200
    assert fetch(address, basic("operator's key, long enough"))[0] == 200
    assert fetch(f"{address}/page/sessions/x")[0] == 401
    # A browser sends a password for other sites too, so it opens nothing that spends or changes.
    assert fetch(f"{address}/v1/models", basic(admin))[0] == 401


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_name_that_others_could_point_here_is_refused_without_keys(start: Start) -> None:
    address = start()
    assert fetch(address, {"host": "evil.example"})[0] == 403
    assert fetch(address, {"host": "localhost:8080"})[0] == 200


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_what_is_not_there_is_said(start: Start) -> None:
    address = start()
    assert fetch(f"{address}/?period=year")[0] == 404
    assert fetch(f"{address}/page/sessions/none")[0] == 404
    assert fetch(f"{address}/page/decisions/none")[0] == 404


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt": 3, "cost_weight": 0.5}, "prompt is to be a text"),
        ({"prompt": "x" * 20_001, "cost_weight": 0.5}, "at most 20,000"),
        ({"prompt": "x", "cost_weight": 2}, "expected 0 to 1"),
        ({"prompt": "x", "cost_weight": True}, "expected 0 to 1"),
    ],
)
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_trial_that_is_none_is_refused(start: Start, body: dict[str, Any], told: str) -> None:
    status, error = post(start(), "/page/try", body)
    assert status == 400
    assert told in error["error"]["message"]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_the_page_in_a_browser(
    router: gr.GraphRouter, start: Start, place: str, browser: webdriver.Chrome
) -> None:
    address = start(prompts="full")
    ask(address)
    headers = ask(address, prompt=HOSTILE)
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE decisions SET session = ?", (HOSTILE,))
    browser.set_window_size(390, 844)  # a phone
    browser.get(address)
    body = browser.find_element(By.TAG_NAME, "body")
    width = "return [document.documentElement.scrollWidth, window.innerWidth]"
    wide, window = browser.execute_script(width)
    assert wide <= window
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure rect")) >= 1

    # By keyboard alone: to the prompt, type, ask, and move the slider.
    prompt = browser.find_element(By.ID, "prompt")
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element == prompt:
            break
    prompt.send_keys("Translate 'apple' into French.", Keys.CONTROL, Keys.ENTER)
    wait = WebDriverWait(browser, 20)

    def first() -> str:
        return str(browser.find_element(By.CSS_SELECTOR, "#tried li .name").text)

    wait.until(lambda _: browser.find_elements(By.CSS_SELECTOR, "#tried li"))
    weights = {"Home": 0.0, "End": 1.0}
    seen = set()
    for key, weight in weights.items():
        browser.find_element(By.ID, "weight").send_keys(getattr(Keys, key.upper()))
        policy = gr.Policy(effect_weight=1 - weight, cost_weight=weight)
        chosen = router.route("Translate 'apple' into French.", policy=policy).model
        wait.until(lambda _, chosen=chosen: first() == chosen)  # type: ignore[misc]
        seen.add(chosen)
    assert len(seen) == 2

    # A session is followed to its decisions, and what clients named runs nowhere.
    browser.find_element(By.CSS_SELECTOR, "#sessions tbody a").click()
    assert HOSTILE in browser.find_element(By.TAG_NAME, "h1").text
    assert len(browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 2
    browser.find_elements(By.CSS_SELECTOR, "tbody a")[1].click()
    assert headers["x-graphrouter-decision"] in browser.page_source
    assert "taken" not in browser.title
    errors = [each for each in browser.get_log("browser") if "favicon" not in each["message"]]
    assert errors == []
    assert body is not None


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_day_and_by_night(
    start: Start, browser: webdriver.Chrome, scheme: str, tmp_path: Path
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(start())
    colours = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    # The driver may ask before the sheet of styles is applied: then the ground has no colour.
    WebDriverWait(browser, 20).until(lambda on: not on.execute_script(colours)[1].endswith(" 0)"))
    ink, paper = (brightness(each) for each in browser.execute_script(colours))
    assert (ink < paper) == (scheme == "light")
    brighter, darker = max(ink, paper), min(ink, paper)
    assert (brighter + 0.05) / (darker + 0.05) >= 7  # WCAG 2.2, contrast of level AAA


def brightness(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

"""What Prometheus reads of a gateway, and the line of JSON that a request leaves in the log."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

import graphrouter as gr
from graphrouter.gateway import Memory, create_app
from graphrouter.gateway.store import Store
from graphrouter.gateway.store.client_keys import KeyTerms, add_key
from graphrouter.gateway.store.stored_calls import WhatIsKept
from graphrouter.gateway.token_prices import TokenPrices
from tests.unit.gateway.conftest import Deployments, Provider, Serve
from tests.unit.gateway.test_gateway import ASKED, connect, post

PRICES = TokenPrices.of_usd(1.0, 4.0)


@pytest.fixture
def priced(deployments: Deployments) -> Deployments:
    return {
        name: tuple(each._replace(prices=PRICES) for each in several)
        for name, several in deployments.items()
    }


def get(address: str, path: str, key: str | None = None) -> str:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    request = urllib.request.Request(address.removesuffix("/v1") + path, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        text: str = response.read().decode()
        return text


def read(address: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels, but those of buckets and times."""
    found = {}
    for family in text_string_to_metric_families(get(address, "/metrics")):
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created", "_sum")):
                found[(sample.name, *sample.labels.values())] = sample.value
    return found


def test_calls_are_counted(
    router: gr.GraphRouter, provider: Provider, priced: Deployments, serve: Serve
) -> None:
    address, name = serve(create_app(router, priced)), router.models[0]
    provider.statuses[f"at-{name}"] = [500]
    connect(address).chat.completions.create(model=name, messages=ASKED)
    with connect(address).chat.completions.create(
        model=name, messages=ASKED, stream=True, stream_options={"include_usage": True}
    ) as stream:
        list(stream)
    post(address, "/route", {"prompt": "Hello."})
    found, chat = read(address), "/v1/chat/completions"
    assert found["graphrouter_requests_total", chat, name, "200"] == 2
    assert found["graphrouter_requests_total", "/v1/route", "", "200"] == 1
    assert found["graphrouter_failed_attempts_total", name] == 1
    assert found["graphrouter_tokens_total", "input", name] == 6
    assert found["graphrouter_tokens_total", "output", name] == 4
    assert found["graphrouter_cost_usd_total", name] == pytest.approx(22e-6)
    assert found["graphrouter_request_seconds_count", name] == 2
    assert found["graphrouter_requests_in_flight",] == 0


def test_a_request_leaves_one_line_without_its_prompt(
    router: gr.GraphRouter,
    priced: Deployments,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address, name = serve(create_app(router, priced, key="secret")), router.models[0]
    with caplog.at_level(logging.INFO, "graphrouter.gateway.requests"):
        connect(address, "secret").chat.completions.create(
            model=name, messages=ASKED, extra_headers={"x-request-id": "mine"}
        )
    (record,) = caplog.records
    found = json.loads(record.getMessage())
    assert (found["request_id"], found["model"], found["status"]) == ("mine", name, 200)
    assert (found["key"], found["input_tokens"]) == ("operator", 3)
    assert found["cost_usd"] == pytest.approx(11e-6)
    assert "Add 3 and 4" not in record.getMessage()
    assert "secret" not in record.getMessage()


def test_metrics_are_for_admins_where_keys_are_asked_for(
    router: gr.GraphRouter, deployments: Deployments, serve: Serve, store: Store, place: str
) -> None:
    route, admin = (add_key(store, name, KeyTerms(scopes=[name])) for name in ("route", "admin"))
    memory = Memory(Store.open(place), WhatIsKept({}))
    address = serve(create_app(router, deployments, memory=memory))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(address, "/metrics", route)
    assert "graphrouter_requests_in_flight" in get(address, "/metrics", admin)
    assert json.loads(get(address, "/ready")) == {"status": "ready"}
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE decisions")
    assert json.loads(get(address, "/health"))["status"] == "ok"

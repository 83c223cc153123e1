"""`graphrouter replay`: a store whose decisions were explored, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.bench.simulate import Simulation
from graphrouter.chats.usage import Usage
from graphrouter.gateway.call_log import CallStart
from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.store import GroupCommit, Store
from graphrouter.gateway.store.stored_calls import StoredCallLog, WhatIsKept
from graphrouter.gateway.store.stored_outcomes import add_grade, read_grade
from graphrouter.gateway.token_prices import TokenPrices
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
TIMES = 4
"""That every prompt is asked."""
PRICES = TokenPrices.of_usd(1.0, 4.0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


def fill(
    place: Path, router: GraphRouter, simulation: Simulation, exploration: Exploration | None
) -> dict[str, list[float]]:
    """Ask every prompt of a world with its true effects; gives those by model, as served."""
    store = Store.open(place)
    writer = GroupCommit(store)
    kept = WhatIsKept(dict.fromkeys(router.models, PRICES), prompts="full", exploration=exploration)
    log, data = StoredCallLog(store, writer, kept, lambda _: None), simulation.data
    effects = data.outcome_matrix("effect")
    column = {name: data.pool.position(name) for name in router.models}
    truths: dict[str, list[float]] = {name: [] for name in router.models}

    async def ask_all() -> None:
        for row, prompt in list(enumerate(data.queries["prompt"])) * TIMES:
            found = {name: float(effects[row, place]) for name, place in column.items()}
            if any(value != value for value in found.values()):
                continue
            decision = router.route(prompt)
            order = [each.model for each in decision.candidates]
            start = CallStart("/v1/chat/completions", tuple(order), prompt, decision=decision)
            call = await log.begin(start)
            await call.end(200, call.order[0], usage=Usage(1000, None, 100))
            grade = {"decision": call.decision_id, "effect": found[call.order[0]]}
            await writer.run(
                lambda connection, grade=grade: add_grade(
                    store, connection, read_grade(grade), None
                )
            )
            for name, effect in found.items():
                truths[name].append(effect)

    asyncio.run(ask_all())
    writer.close()
    store.close()
    return truths


@pytest.mark.parametrize("words", [(), ("--again",)])
def test_another_policy_is_told_by_explored_decisions(
    invoke: Invoke,
    artifact: Path,
    router: GraphRouter,
    simulation: Simulation,
    place: Path,
    words: tuple[str, ...],
) -> None:
    truths = fill(place, router, simulation, Exploration(0.9, "uniform", seed=0))
    name = router.models[0]
    status, shown, errors = invoke("replay", place, artifact, "--allow", name, "--json", *words)
    assert (status, errors) == (0, "")
    found = json.loads(shown)
    effect, truth = found["effect"], sum(truths[name]) / len(truths[name])
    assert found["num_left_out"] == 0
    assert found["num_decisions"] == effect["num_decisions"] == len(truths[name])
    for kind in ("snips", "doubly_robust"):
        assert effect[kind]["low"] <= truth <= effect[kind]["high"]
        assert effect[kind]["high"] - effect[kind]["low"] < 0.6
        assert found["cost_usd"][kind]["value"] == pytest.approx(0.0014, rel=0.2)
    assert 30 <= effect["effective_size"] < effect["num_decisions"]
    assert "doubly robust" in invoke("replay", place, artifact, "--allow", name, *words)[1]


def test_what_was_never_tried_is_refused(
    invoke: Invoke, artifact: Path, router: GraphRouter, simulation: Simulation, place: Path
) -> None:
    def refuse(*words: str) -> str:
        status, shown, errors = invoke("replay", place, artifact, *words)
        assert (status, shown) == (2, "")
        return errors

    Store.open(place).close()
    assert "There is no decision to replay: none of 0" in refuse()
    fill(place, router, simulation, None)
    assert "was given by chance. Serve with --explore." in refuse()
    fill(place, router, simulation, Exploration(0.2, seed=0))
    rare = min(router.models, key=lambda name: router.route("Hello.").rejected.get(name, name))
    assert "had no chance in" in refuse("--allow", rare, "--again")

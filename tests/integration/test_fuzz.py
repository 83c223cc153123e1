"""Whatever is handed in, the public API gives an answer or one line of its own, and no warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.config import parse_config
from graphrouter.policy import Policy, parse_policy
from graphrouter.pool import ModelCard, parse_card
from graphrouter.types import Queries

WORDS = st.text(st.characters(exclude_categories=()), max_size=8)
"""Half characters, NUL and control characters among them."""
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    WORDS,
    st.binary(max_size=4),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(WORDS, st.integers(), max_size=2),
    st.sampled_from([pd.NaT, pd.NA, np.float32("nan"), np.int8(3), 1 + 2j, object, "1e400", "0,5"]),
)
FEW = settings(max_examples=60)


def check(call: Callable[[], object]) -> None:
    """Let it answer, or refuse in one short line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call()
        except gr.GraphRouterError as error:
            said = str(error)
            assert 0 < len(said) < 2_000
            assert len(said.splitlines()) == 1, said


def odd_values(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the names, and perhaps one that does not exist, with anything as values."""
    return st.dictionaries(st.one_of(st.sampled_from(names), WORDS), ODD, max_size=4)


@FEW
@given(odd_values(list(Policy.model_fields)))
def test_policies(values: dict[str, Any]) -> None:
    check(lambda: Policy(**values))
    check(lambda: parse_policy(values))
    check(lambda: Policy().model_copy(update=values))


@FEW
@given(odd_values(list(ModelCard.model_fields)))
def test_cards(values: dict[str, Any]) -> None:
    check(lambda: ModelCard(**values))
    check(lambda: parse_card(values))


@FEW
@given(
    odd_values(list(gr.TrainConfig.model_fields)),
    odd_values(["max_epochs", "learning_rate", "patience", "devices"]),
    WORDS,
)
def test_settings(values: dict[str, Any], training: dict[str, Any], override: str) -> None:
    check(lambda: gr.TrainConfig(**values))
    check(lambda: parse_config({**values, "training": training}))
    check(lambda: gr.load_config(overrides=[override]))
    check(lambda: gr.load_config(overrides=[f"training.max_epochs={override}"]))


@FEW
@given(ODD, ODD, st.lists(ODD, max_size=3))
def test_queries(prompts: Any, tasks: Any, many: list[Any]) -> None:
    check(lambda: Queries.of(prompts, tasks))
    check(lambda: Queries.of(many, tasks))
    check(lambda: Queries.of(many, many))


COLUMNS = {
    "queries": ["query_id", "task", "prompt", "split"],
    "models": ["model", "description", "input_usd_per_mtok", "context_tokens", "tools"],
    "outcomes": ["query_id", "model", "effect", "cost_usd", "output_tokens"],
    "tasks": ["task", "description"],
}
GOOD: dict[str, dict[str, list[Any]]] = {
    "queries": {"query_id": ["a", "b"], "task": ["t", None], "prompt": ["One?", "Two?"]},
    "models": {"model": ["x", "y"], "description": ["small", None]},
    "outcomes": {"query_id": ["a", "a", "b"], "model": ["x", "y", "x"], "effect": [1, 0, 0.5]},
    "tasks": {"task": ["t"], "description": ["sums"]},
}


def frames() -> dict[str, pd.DataFrame]:
    return {table: pd.DataFrame(columns) for table, columns in GOOD.items()}


@settings(max_examples=150)
@given(st.data())
def test_tables(data: st.DataObject) -> None:
    tables = frames()
    name = data.draw(st.sampled_from(sorted(COLUMNS)))
    column = data.draw(st.one_of(st.sampled_from(COLUMNS[name]), WORDS))
    size = len(tables[name])
    values = data.draw(st.lists(ODD, min_size=size, max_size=size))
    tables[name][column] = pd.Series(values, dtype=object)
    check(lambda: gr.RoutingDataset.from_frames(**tables))


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    few = ["training.max_epochs=1", "training.steps_per_epoch=1", "encoder.name=hashing"]
    data = gr.simulate(num_queries=60, num_models=3).data
    return gr.GraphRouter.fit(data, gr.load_config(overrides=few))


@settings(max_examples=25)
@given(st.data())
def test_prompts_and_outcomes(router: gr.GraphRouter, data: st.DataObject) -> None:
    prompt, task, model = data.draw(WORDS), data.draw(ODD), data.draw(ODD)
    check(lambda: router.route(prompt, task=task))
    check(lambda: router.predict([prompt, data.draw(ODD)]))
    check(lambda: router.route(prompt, policy=data.draw(ODD)))
    check(lambda: router.remove_model(model))
    check(
        lambda: router.set_price(
            router.models[0], input_usd_per_mtok=data.draw(ODD), output_usd_per_mtok=1.0
        )
    )
    graded = pd.DataFrame(
        {"model": [router.models[0]] * 2, "prompt": ["One?", "Two?"], "effect": [1.0, 0.0]}
    )
    column = data.draw(st.sampled_from(["model", "prompt", "effect", "cost_usd", "task"]))
    graded[column] = pd.Series(data.draw(st.lists(ODD, min_size=2, max_size=2)), dtype=object)
    check(lambda: router.add_outcomes(graded))
    check(lambda: router.add_model(ModelCard(model="new"), outcomes=graded.drop(columns="model")))

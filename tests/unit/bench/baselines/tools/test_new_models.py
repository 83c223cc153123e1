"""The checked form of new models: what becomes a query, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.baselines.tools.new_models import NewModels, join_columns
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.types import Predictions, Queries

POOL = ModelPool.of([ModelCard(model="old")])
CARDS = (ModelCard(model="b"), ModelCard(model="a"))


def frame(**columns: Any) -> pd.DataFrame:
    table = {"model": ["a", "b", "a"], "prompt": ["x", "x", "y"], "effect": [1.0, 0.0, 0.5]}
    return pd.DataFrame({**table, **columns})


def test_columns_follow_the_cards_and_equal_prompts_are_one_query() -> None:
    new = NewModels.of(POOL, CARDS, frame(cost_usd=[0.1, 0.2, np.nan], task=["t", "t", None]))
    assert new.pool.names == ("old", "b", "a")
    assert new.queries == Queries(("x", "y"), ("t", None))
    np.testing.assert_array_equal(new.effect, [[0.0, 1.0], [np.nan, 0.5]])
    np.testing.assert_array_equal(new.outcomes.cost_usd, [[0.2, 0.1], [np.nan, np.nan]])
    assert new.counts.tolist() == [1.0, 2.0]
    assert np.isnan(new.outcomes.latency_s).all()


def test_tasks_tell_equal_prompts_apart_and_other_repeats_are_averaged() -> None:
    assert len(NewModels.of(POOL, CARDS, frame(prompt="x", task=["s", "s", "t"])).queries) == 2
    twice = frame(prompt="x", query_id=["1", "1", "2"])  # `a` answered x twice, under two ids
    for repeated in (twice, twice.drop(columns="query_id")):
        new = NewModels.of(POOL, CARDS, repeated)
        assert len(new.queries) == 1
        assert new.outcomes.effect[0, new.outcomes.models.index("a")] == 0.75  # of 1 and 0.5


def test_without_outcomes_there_are_no_queries() -> None:
    new = NewModels.of(POOL, CARDS, None)
    assert (len(new.queries), new.num_new, new.effect.shape) == (0, 2, (0, 2))


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ((), "No card was given"),
        (CARDS[0], "received a ModelCard; expected a sequence of cards"),
        ((ModelCard(model="old"),), "has a model 'old' already"),
        ((CARDS[0], CARDS[0]), "Two cards are named 'b'"),
    ],
)
def test_cards_that_cannot_join(cards: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        NewModels.of(POOL, cards, None)


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (frame().head(0), "no rows"),
        (frame().drop(columns="prompt"), "'prompt' is missing.*Baselines keep no prompts"),
        (frame().drop(columns="effect"), "'effect' is missing"),
        (frame(effect=[1.0, 2.0, 0.0]), "outcomes, row 2: effect is 2"),
        (
            frame(effect=[1.0, np.nan, 0.0]),
            "outcomes, row 2: effect is missing, and so are cost",
        ),
        (frame(cost_usd=[0.1, 0.1, -1.0]), "outcomes, row 3: cost_usd is -1"),
        (frame(prompt=["x", "x", None]), "outcomes, row 3: neither query_id nor prompt"),
        (frame(prompt=["x", "x", " "]), "outcomes, row 3: neither query_id nor prompt"),
    ],
)
def test_outcomes_that_break_the_contract(outcomes: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        NewModels.of(POOL, CARDS, outcomes)


@pytest.mark.parametrize("stranger", ["old", "c"])
def test_outcomes_of_models_without_a_card(stranger: str) -> None:
    with pytest.raises(
        UnknownModelError,
        match=r"outcomes, row 3: model .* is not among the models to add \(b, a\)",
    ):
        NewModels.of(POOL, CARDS, frame(model=["a", "b", stranger]))


def test_an_outcome_of_nobody_is_refused() -> None:
    with pytest.raises(DataError, match="outcomes, row 3: model is empty; expected a name"):
        NewModels.of(POOL, CARDS, frame(model=["a", "b", None]))


def test_tables_stand_side_by_side() -> None:
    left = Predictions.from_arrays(("a",), np.array([[0.1]]), cost_usd=np.array([[1.0]]))
    both = join_columns(left, Predictions.from_arrays(("b",), np.array([[0.2]])))
    assert both.models == ("a", "b")
    np.testing.assert_array_equal(both.effect, [[0.1, 0.2]])
    np.testing.assert_array_equal(both.cost_usd, [[1.0, np.nan]])

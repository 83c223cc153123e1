"""Numbers of outcomes: how they are written, and that more of them contain fewer."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation.newcomers.shots import (
    DEFAULT_SHOTS,
    name_shot,
    parse_shots,
    shuffle,
    take_first_of_each,
)
from graphrouter.exceptions import ConfigError


def test_written_and_read_back() -> None:
    assert parse_shots("0,5,10,20,50,100,all") == DEFAULT_SHOTS
    assert parse_shots("all, 7,3,7") == (0, 3, 7, None)
    assert [name_shot(shot) for shot in parse_shots("all,3")] == ["0", "3", "all"]


@pytest.mark.parametrize("text", ["", "5,,10", "-1", "1.5", "most", "²"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(
        ConfigError, match="is no number of outcomes. Give numbers from 0 on, or all"
    ):
        parse_shots(text)


@given(
    names=st.lists(st.text(max_size=3), unique=True, max_size=8),
    extra=st.text(min_size=4, max_size=5),
)
def test_an_order_depends_on_nothing_but_seed_owner_and_names(names: list[str], extra: str) -> None:
    order = shuffle(names, seed=1, whose="x")
    assert sorted(order) == sorted(names)
    assert shuffle(names[::-1], seed=1, whose="x") == order
    assert [name for name in shuffle([*names, extra], seed=1, whose="x") if name != extra] == order


def test_orders_of_seeds_and_owners_differ() -> None:
    names = [str(i) for i in range(20)]
    assert (
        len(
            {
                tuple(shuffle(names, seed=seed, whose=whose))
                for seed in (0, 1)
                for whose in ("a", "b")
            }
        )
        == 4
    )


def test_first_of_each_counts_distinct_queries_of_each_owner() -> None:
    rows = [("q1", "a"), ("q2", "a"), ("q1", "b"), ("q1", "a"), ("q3", "a")]
    outcomes = pd.DataFrame(rows, columns=["query_id", "model"])
    shown = take_first_of_each(outcomes, 2, by="model")
    assert shown is not None
    assert list(zip(shown["query_id"], shown["model"], strict=True)) == rows[:4]
    everything = take_first_of_each(outcomes, None, by="model")
    assert everything is not None
    assert len(everything) == 5
    assert take_first_of_each(outcomes, 0, by="model") is None
    assert take_first_of_each(outcomes.head(0), None, by="model") is None

"""Pairs to collect: spread over tasks, queries and models, whatever is there already."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.data import suggest_pairs
from graphrouter.exceptions import DataError

MODELS = ["nano", "grand", "other"]


def make_queries(num: int, tasks: list[str | None] | None = None) -> pd.DataFrame:
    ids = [str(i) for i in range(num)]
    frame = pd.DataFrame({"query_id": ids, "prompt": [f"Prompt {i}" for i in ids]})
    return frame if tasks is None else frame.assign(task=tasks)


def pairs_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["query_id"], frame["model"], strict=True))


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 3))
def test_no_pair_occurs_twice_and_more_pairs_begin_with_fewer(
    num_queries: int, num: int, seed: int
) -> None:
    queries = make_queries(num_queries, [f"t{i % 2}" for i in range(num_queries)])
    found = pairs_of(suggest_pairs(queries, MODELS, num, seed=seed))
    assert len(found) == len(set(found)) == min(num, num_queries * len(MODELS))
    fewer = suggest_pairs(queries, MODELS, max(num // 2, 1), seed=seed)
    assert found[: len(fewer)] == pairs_of(fewer)


def test_prompts_come_once_before_any_comes_twice_and_models_alike() -> None:
    found = suggest_pairs(make_queries(30), MODELS, 60)
    assert found["query_id"][:30].is_unique
    assert set(Counter(found["query_id"]).values()) == {2}
    assert set(Counter(found["model"]).values()) == {20}


def test_tasks_come_by_their_share_and_each_has_all_models() -> None:
    tasks = [*["long"] * 60, *["short"] * 30, *[None] * 30]
    found = suggest_pairs(make_queries(120, tasks), MODELS, 60)
    assert Counter(found["task"].fillna("none")) == {"long": 30, "short": 15, "none": 15}
    assert set(found[found["task"] == "short"]["model"].value_counts()) == {5}


def test_what_is_there_counts_and_is_not_asked_again() -> None:
    queries = make_queries(10)
    asked = pd.DataFrame({"query_id": ["0"] * 3 + ["1"], "model": [*MODELS, "nano"]})
    unknown = pd.DataFrame({"query_id": ["99", "1"], "model": ["nano", "gone"]})
    found = suggest_pairs(queries, MODELS, 99, asked=pd.concat([asked, unknown]))
    assert set(pairs_of(found)).isdisjoint(pairs_of(asked))
    assert len(found) == 30 - 4
    assert set(found["query_id"][:8]) == {str(i) for i in range(2, 10)}
    assert found["model"][:2].tolist().count("nano") == 0  # it has answered twice already
    assert suggest_pairs(make_queries(1), ["nano"], 5, asked=asked).empty


def test_the_choice_depends_on_no_text() -> None:
    queries = make_queries(20)
    other = queries.assign(prompt=[f"{prompt} or not" for prompt in queries["prompt"]])
    assert pairs_of(suggest_pairs(queries, MODELS, 30)) == pairs_of(
        suggest_pairs(other, MODELS, 30)
    )
    drawn = [pairs_of(suggest_pairs(queries, MODELS, 30, seed=seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("queries", "models", "num", "asked", "told"),
    [
        (make_queries(3), MODELS, 0, None, "above 0"),
        (make_queries(3), MODELS, 1.5, None, "above 0"),
        (make_queries(3), [], 3, None, "none"),
        (make_queries(0), MODELS, 3, None, "0 queries"),
        (make_queries(3).drop(columns="prompt"), MODELS, 3, None, "queries has no column 'prompt'"),
        (make_queries(3), MODELS, 3, make_queries(3), "asked has no column 'model'"),
    ],
)
def test_bad_input(queries: object, models: list[str], num: int, asked: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        suggest_pairs(queries, models, num, asked=asked)  # type: ignore[arg-type]


def test_pairs_are_chosen_among_those_that_are_named() -> None:
    queries = pd.DataFrame({"query_id": [*"abcd"], "prompt": [*"abcd"], "task": [*"ttss"]})
    among = pd.DataFrame({"query_id": [*"aabd"], "model": ["x", "y", "x", "y"]})
    asked = pd.DataFrame({"query_id": ["a"], "model": ["x"]})
    found = suggest_pairs(queries, ["x", "y"], 9, asked=asked, among=among)
    assert sorted(zip(found["query_id"], found["model"], strict=True)) == [
        ("a", "y"),
        ("b", "x"),
        ("d", "y"),
    ]
    everything = queries.merge(pd.DataFrame({"model": ["x", "y"]}), how="cross")
    whole, same = (suggest_pairs(queries, ["x", "y"], 9, among=each) for each in (None, everything))
    pd.testing.assert_frame_equal(whole, same)

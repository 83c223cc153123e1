from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.exceptions import DataError

Frames = dict[str, pd.DataFrame]


def with_value(frame: pd.DataFrame, row: int, column: str, value: Any) -> pd.DataFrame:
    """The frame with one cell (of a new or old column) replaced; row counts from 0."""
    values = list(frame[column]) if column in frame.columns else [None] * len(frame)
    values[row] = value
    return frame.assign(**{column: pd.Series(values, dtype=object)})


def test_a_call_that_nobody_graded_is_kept_where_it_says_what_it_took(frames: Frames) -> None:
    ungraded = with_value(frames["outcomes"], 1, "effect", None)
    data = RoutingDataset.from_frames(**{**frames, "outcomes": ungraded})
    assert data.outcomes["effect"].isna().tolist() == [False, True, False, False]
    assert data.outcome_matrix("cost_usd")[0, 1] == 0.01
    amounts = ["cost_usd", "input_tokens", "output_tokens"]
    bare = ungraded.assign(**{name: ungraded[name].mask(ungraded.index == 1) for name in amounts})
    assert message({**frames, "outcomes": bare}) == (
        "outcomes table, row 2: effect is missing, and so are cost, tokens and latency. Grade the "
        "answer, say what it took, or delete the row: a pair that was not run has no row."
    )


def message(frames: dict[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        RoutingDataset.from_frames(**frames)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "expected"),
    [
        (
            "outcomes",
            2,
            "effect",
            1.3,
            "outcomes table, row 3: effect is 1.3; expected a number from 0 to 1",
        ),
        ("outcomes", 0, "effect", -0.1, "row 1: effect is -0.1; expected a number from 0 to 1"),
        ("outcomes", 1, "effect", "good", "row 2: effect is 'good', which is no number"),
        (
            "outcomes",
            1,
            "cost_usd",
            -1,
            "row 2: cost_usd is -1; expected a finite number of at least 0",
        ),
        ("outcomes", 3, "cost_usd", np.inf, "row 4: cost_usd is inf; expected a finite number"),
        (
            "outcomes",
            3,
            "cost_usd",
            "NaN",
            "row 4: cost_usd is 'NaN'. Leave it empty where nothing was recorded.",
        ),
        ("outcomes", 3, "cost_usd", "cheap", "row 4: cost_usd is 'cheap', which is no number"),
        ("outcomes", 0, "output_tokens", -5, "row 1: output_tokens is -5"),
        ("outcomes", 0, "latency_s", -0.5, "row 1: latency_s is -0.5"),
        (
            "outcomes",
            2,
            "model",
            "nanno",
            "row 3: model 'nanno' is not in models table. Did you mean 'nano'?",
        ),
        ("outcomes", 2, "query_id", "999", "row 3: query_id '999' is not in queries table"),
        ("outcomes", 2, "query_id", None, "row 3: query_id is empty"),
        ("models", 1, "model", "nano", "models table, row 2: model 'nano' occurs already in row 1"),
        (
            "models",
            1,
            "model",
            "NaNo",
            "models table, row 2: model 'NaNo' differs from 'nano' in row 1 by capitals or spaces "
            "alone. Give both one name if they are one model, else names that differ more.",
        ),
        ("models", 1, "model", " ", "models table, row 2: model is empty"),
        ("models", 0, "input_usd_per_mtok", -2, "models table, row 1: input_usd_per_mtok is -2"),
        ("models", 0, "context_tokens", 0, "context_tokens is 0; expected a finite number above 0"),
        ("models", 0, "tools", "maybe", "tools is 'maybe'; expected true, false or nothing"),
        (
            "queries",
            2,
            "query_id",
            "001",
            "queries table, row 3: query_id '001' occurs already in row 1",
        ),
        ("queries", 1, "prompt", " \n", "queries table, row 2: prompt is empty"),
        ("queries", 1, "prompt", None, "queries table, row 2: prompt is None; expected text"),
        ("queries", 1, "prompt", 7, "queries table, row 2: prompt is 7; expected text"),
        ("queries", 1, "task", ["a"], "queries table, row 2: task is ['a']; expected text"),
    ],
)
def test_a_wrong_value_is_named_with_row_and_mending(
    frames: Frames, table: str, row: int, column: str, value: object, expected: str
) -> None:
    text = message({**frames, table: with_value(frames[table], row, column, value)})
    assert expected in text


@pytest.mark.parametrize("value", [None, float("nan"), "", " NA ", "null", pd.NA])
def test_a_missing_cost_is_no_mistake(frames: Frames, value: object) -> None:
    frames["outcomes"] = with_value(frames["outcomes"], 1, "cost_usd", value)
    assert np.isnan(RoutingDataset.from_frames(**frames).outcomes["cost_usd"][1])


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("queries", "prompt"),
        ("queries", "task"),
        ("models", "model"),
        ("outcomes", "effect"),
        ("tasks", "task"),
    ],
)
def test_a_missing_column_is_named(frames: Frames, table: str, column: str) -> None:
    text = message({**frames, table: frames[table].drop(columns=column)})
    assert f"{table} table: column {column!r} is missing (found: " in text


def test_a_table_that_is_no_frame_is_refused(frames: Frames) -> None:
    assert "models table: received a list; expected a pandas DataFrame" in message(
        {**frames, "models": ["nano"]}
    )
    assert "outcomes table: received nothing" in message({**frames, "outcomes": None})


def test_too_few_models_outcomes_and_queries(frames: Frames) -> None:
    assert "1 model is there; routing needs at least 2" in message(
        {**frames, "models": frames["models"].head(1)}
    )
    assert "outcomes table: there are no rows" in message(
        {**frames, "outcomes": frames["outcomes"].head(0)}
    )
    assert "queries table: there are no rows" in message(
        {**frames, "queries": frames["queries"].head(0)}
    )


def test_duplicate_tasks_and_columns(frames: Frames) -> None:
    twice = pd.concat([frames["tasks"], frames["tasks"]])
    assert "tasks table, row 2: task 'sums' occurs already in row 1" in message(
        {**frames, "tasks": twice}
    )
    doubled = pd.concat([frames["models"], frames["models"][["model"]]], axis=1)
    assert "column 'model' occurs more than once" in message({**frames, "models": doubled})


def test_split_names_and_gaps(frames: Frames) -> None:
    wrong = frames["queries"].assign(split=["train", "dev", "test"])
    assert "row 2: split is 'dev'; expected train, validation or test" in message(
        {**frames, "queries": wrong}
    )
    gap = frames["queries"].assign(split=["train", None, "test"])
    assert "row 2: split is empty; expected train, validation or test" in message(
        {**frames, "queries": gap}
    )
    none = frames["queries"].assign(split=None)
    assert "split" not in RoutingDataset.from_frames(**{**frames, "queries": none}).queries.columns


def test_the_same_prompt_on_two_sides_is_refused(frames: Frames) -> None:
    leaking = frames["queries"].assign(
        prompt=["1 + 1?", "2 + 2?", "1 + 1? "], split=["train", "train", "test"]
    )
    text = message({**frames, "queries": leaking})
    assert "row 3: the prompt '1 + 1?' is in split 'test', but in 'train' in row 1" in text
    together = leaking.assign(split=["train", "test", "train"])
    assert len(RoutingDataset.from_frames(**{**frames, "queries": together}).queries) == 3


def test_a_column_of_cards_that_is_of_calls_is_left_out_with_a_warning(
    frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    models = frames["models"]
    assert models is not None
    data = RoutingDataset.from_frames(
        **{**frames, "models": models.assign(effect=0.5, usual_latency_s=2.0)}
    )
    assert data.pool.cards[0].own_fields == {"usual_latency_s": 2.0}
    [said] = [each for each in caplog.messages if "is not used" in each]
    assert said == (
        "models table: column 'effect' is not used, since it says something of a call and not of a "
        "model; name it usual_effect to have it on the cards."
    )


def test_a_near_miss_of_a_column_is_pointed_out(
    frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    frames["outcomes"] = frames["outcomes"].assign(latency=1.0)
    with caplog.at_level(logging.WARNING):
        RoutingDataset.from_frames(**frames)
    assert "column 'latency' is not used; was 'latency_s' meant?" in caplog.text


def test_120_000_outcomes_are_validated_and_kept(shared_data: Callable[[str], Path]) -> None:
    data = load_dataset(shared_data("bfcl_v1"))
    checked = RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes, tasks=data.tasks
    )
    assert len(checked.outcomes) == len(data.outcomes) > 120_000


def test_half_a_character_in_a_prompt_is_refused(frames: Frames) -> None:
    cut = with_value(frames["queries"], 1, "prompt", "cut \ud800")
    assert "row 2: prompt holds half of a character ('cut \\ud800')" in message(
        {**frames, "queries": cut}
    )


@pytest.mark.parametrize(
    ("column", "meant"),
    [("cost", "cost_usd"), ("latency", "latency_s"), ("Output_Token", "output_tokens")],
)
def test_a_column_that_nearly_has_a_known_name_is_mentioned(
    frames: Frames, column: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = frames["outcomes"].drop(columns=[meant], errors="ignore").assign(**{column: 1.0})
    RoutingDataset.from_frames(**{**frames, "outcomes": outcomes})
    assert f"column {column!r} is not used; was {meant!r} meant?" in caplog.text

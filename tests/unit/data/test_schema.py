from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, schema
from graphrouter.exceptions import DataError, UnknownModelError

Frames = dict[str, pd.DataFrame]


def test_every_contract_column_is_there_in_its_type(small: RoutingDataset) -> None:
    assert list(small.outcomes.columns) == [
        "query_id", "model", "effect", "cost_usd", "input_tokens", "output_tokens", "latency_s",
    ]  # fmt: skip
    assert (small.outcomes.dtypes.iloc[2:] == np.float64).all()
    assert small.outcomes["latency_s"].isna().all()
    assert small.models["description"].isna().all()
    assert small.models["tools"].tolist() == [None, None]
    assert small.queries["task"].isna().tolist() == [False, False, True]


def test_cost_is_filled_from_tokens_and_prices_only_where_all_are_known(
    small: RoutingDataset,
) -> None:
    # row 0: (100 * 1 + 50 * 2) / 1e6; rows 1 and 2: recorded; row 3: no output price
    np.testing.assert_allclose(small.outcomes["cost_usd"], [2e-4, 0.01, 0.5, np.nan])


def test_frames_received_are_not_changed(frames: Frames) -> None:
    before = {name: frame.copy() for name, frame in frames.items()}
    RoutingDataset.from_frames(**frames)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_pool_has_the_cards_in_table_order(frames: Frames) -> None:
    frames["models"] = frames["models"].assign(
        context_tokens=[8000, None], json=["yes", ""], family=["a", None]
    )
    pool = RoutingDataset.from_frames(**frames).pool
    assert pool.names == ("nano", "grand")
    assert (pool["nano"].context_tokens, pool["nano"].json_output, pool["nano"].family) == (
        8000,
        True,
        "a",
    )
    assert (
        pool["grand"].context_tokens,
        pool["grand"].json_output,
        pool["grand"].output_usd_per_mtok,
    ) == (None, None, None)


def test_outcome_matrix_has_nan_where_nothing_was_run(small: RoutingDataset) -> None:
    expected = np.array([[0.0, 1.0], [0.5, np.nan], [np.nan, 1.0]])
    np.testing.assert_array_equal(small.outcome_matrix("effect"), expected)
    np.testing.assert_array_equal(small.outcome_matrix("effect", ["003", "001"]), expected[[2, 0]])


def test_outcome_matrix_refuses_unknown_columns_and_queries(small: RoutingDataset) -> None:
    with pytest.raises(DataError, match="'prompt'; expected one of effect, cost_usd"):
        small.outcome_matrix("prompt")
    with pytest.raises(DataError, match="Unknown query id '004'"):
        small.outcome_matrix("effect", ["001", "004"])


def test_select_queries_keeps_order_models_and_tasks(small: RoutingDataset) -> None:
    chosen = small.select_queries(["003", "001"])
    assert chosen.queries["query_id"].tolist() == ["003", "001"]
    assert chosen.outcomes["query_id"].tolist() == ["001", "001", "003"]
    assert (len(chosen.models), len(chosen.tasks)) == (2, 1)
    np.testing.assert_array_equal(chosen.outcome_matrix("effect"), [[np.nan, 1.0], [0.0, 1.0]])
    with pytest.raises(DataError, match="'001' more than once"):
        small.select_queries(["001", "001"])


def test_select_models_keeps_order_and_queries(small: RoutingDataset) -> None:
    chosen = small.select_models(["grand", "nano"])
    assert chosen.pool.names == ("grand", "nano")
    np.testing.assert_array_equal(
        chosen.outcome_matrix("effect"), small.outcome_matrix("effect")[:, ::-1]
    )
    assert small.select_models(["nano"]).outcomes["model"].unique().tolist() == ["nano"]
    assert len(small.select_models(["nano"]).queries) == 3
    with pytest.raises(UnknownModelError, match="'giant'"):
        small.select_models(["giant"])


def test_fingerprint_is_that_of_earlier_releases_however_long_the_table(
    frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = RoutingDataset.from_frames(**frames)
    monkeypatch.setattr(schema, "_CELLS_AT_ONCE", 2)
    texts = pd.Series(["a", None, "\u00e9", 'say "b"', "", 3])
    assert b"".join(schema._encode_column(texts)) == json.dumps(texts.tolist()).encode()
    assert RoutingDataset.from_frames(**frames).fingerprint == data.fingerprint


def test_fingerprint_ignores_row_order_and_metadata(frames: Frames) -> None:
    first = RoutingDataset.from_frames(**frames).fingerprint
    shuffled = {name: frame.iloc[::-1] for name, frame in frames.items()}
    shuffled["queries"] = shuffled["queries"].assign(note="seen")
    assert RoutingDataset.from_frames(**shuffled).fingerprint == first
    assert len(first) == 64


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("queries", "prompt", "3 + 3?"),
        ("outcomes", "effect", 0.25),
        ("models", "input_usd_per_mtok", 1.5),
        ("tasks", "description", "Sum."),
    ],
)
def test_fingerprint_changes_with_any_value(
    frames: Frames, table: str, column: str, value: object
) -> None:
    before = RoutingDataset.from_frames(**frames).fingerprint
    changed = frames[table].copy()
    changed[column] = [value, *changed[column].tolist()[1:]]
    frames[table] = changed
    assert RoutingDataset.from_frames(**frames).fingerprint != before


def test_tasks_are_derived_and_completed(frames: Frames) -> None:
    frames["queries"] = frames["queries"].assign(task=["sums", "greetings", None])
    completed = RoutingDataset.from_frames(**frames).tasks
    assert completed["task"].tolist() == ["sums", "greetings"]
    assert completed["description"].isna().tolist() == [False, True]
    derived = RoutingDataset.from_frames(**{**frames, "tasks": None}).tasks
    assert derived["task"].tolist() == ["greetings", "sums"]
    assert derived["description"].isna().all()


def test_ids_that_are_numbers_meet_across_tables(frames: Frames) -> None:
    frames["queries"] = frames["queries"].assign(query_id=[1, 2, 3])
    frames["outcomes"] = frames["outcomes"].assign(query_id=[1.0, 1.0, 2.0, 3.0])
    assert RoutingDataset.from_frames(**frames).queries["query_id"].tolist() == ["1", "2", "3"]


def test_newcomer_and_unanswered_query_are_fine(frames: Frames) -> None:
    frames["outcomes"] = frames["outcomes"].iloc[[0]]
    data = RoutingDataset.from_frames(**frames)
    assert np.isfinite(data.outcome_matrix("effect")).sum() == 1

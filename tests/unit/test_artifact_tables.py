"""Tables of artifacts: columns as what serves reads them, and frames as they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graphrouter.artifact_tables import StoredTable, encode_table, to_frame
from graphrouter.exceptions import ArtifactError

NAN = float("nan")
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
FRAME = pd.DataFrame(
    {
        "model": pd.Series(["a", None, "c"], dtype="str"),
        "effect": [0.25, NAN, 1.0],
        "runs": np.array([1, 2, -3], dtype=np.int16),
        "single": np.array([0.1, 0.2, NAN], dtype=np.float32),
        "is_free": [True, False, True],
        "embedding": list(VECTORS),
        "nothing": pd.Series([None] * 3, dtype="str"),
    }
)


def store(frame: pd.DataFrame) -> StoredTable:
    return StoredTable(encode_table(frame), Path("some.parquet"))


def test_columns_are_those_of_the_frame() -> None:
    table = store(FRAME)
    assert len(table) == 3
    assert "effect" in table
    assert "cost" not in table
    for name in ("effect", "runs", "single"):
        column = table[name]
        assert column.dtype == FRAME[name].dtype
        np.testing.assert_array_equal(column, FRAME[name])
    assert table["model"] == ["a", None, "c"]
    assert table["nothing"] == [None] * 3
    assert table["is_free"] == [True, False, True]
    assert table["embedding"].dtype == np.float32
    np.testing.assert_array_equal(table["embedding"], VECTORS)
    with pytest.raises(KeyError, match="cost"):
        table["cost"]


@pytest.mark.parametrize("num_rows", [0, 1, 1_025, 70_000])
def test_any_number_of_rows(num_rows: int) -> None:
    draw = np.random.default_rng(num_rows)
    effect = np.where(draw.random(num_rows) < 0.2, NAN, draw.random(num_rows))
    texts = pd.Series([f"query {i % 99}" for i in range(num_rows)], dtype="str")
    frame = pd.DataFrame({"query_id": texts, "effect": effect})
    table = store(frame)
    np.testing.assert_array_equal(table["effect"], effect)
    assert table["query_id"] == texts.tolist()
    pd.testing.assert_frame_equal(to_frame(table), frame)


def test_a_frame_is_what_was_saved_and_the_same_one_every_time() -> None:
    table = store(FRAME.drop(columns="embedding"))
    pd.testing.assert_frame_equal(to_frame(table), FRAME.drop(columns="embedding"))
    assert to_frame(table) is to_frame(table)
    pd.testing.assert_frame_equal(to_frame(table, "effect", "model"), FRAME[["effect", "model"]])
    assert to_frame(FRAME, "effect") is FRAME


def test_numbers_can_be_hidden() -> None:
    table = store(FRAME[["model", "effect"]])
    rows = np.array([True, False, False])
    changed = table.hide(effect=rows)
    expected = FRAME[["model", "effect"]].assign(effect=FRAME["effect"].mask(rows))
    np.testing.assert_array_equal(changed["effect"], expected["effect"])
    assert changed["model"] == table["model"]
    pd.testing.assert_frame_equal(to_frame(changed), expected)
    pd.testing.assert_frame_equal(to_frame(store(expected)), expected)
    pd.testing.assert_frame_equal(
        to_frame(StoredTable(encode_table(changed), Path("a.parquet"))), expected
    )
    np.testing.assert_array_equal(table["effect"], FRAME["effect"])
    assert encode_table(table) == encode_table(FRAME[["model", "effect"]])


def test_vectors_of_several_lengths_are_refused() -> None:
    table = store(pd.DataFrame({"embedding": [[1.0], [1.0, 2.0]]}))
    with pytest.raises(ArtifactError, match="some.parquet cannot be read: "):
        table["embedding"]


def test_bytes_that_are_no_table_are_refused() -> None:
    blob = encode_table(FRAME[["effect"]])
    with pytest.raises(ArtifactError, match="some.parquet cannot be read: "):
        StoredTable(blob[:-20], Path("some.parquet"))
    middle = StoredTable(blob[:4] + b"\xff" * 40 + blob[44:], Path("some.parquet"))
    with pytest.raises(ArtifactError, match="some.parquet cannot be read: "):
        middle["effect"]

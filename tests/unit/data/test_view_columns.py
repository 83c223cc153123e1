"""Contexts and embeddings in tables: what is read, kept and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.data.describe import describe_dataset
from graphrouter.data.flat_table import read_answers
from graphrouter.exceptions import DataError
from graphrouter.query_views import MOST_DOCUMENTS, Embedding, read_context
from graphrouter.types import Queries

MODELS = pd.DataFrame({"model": ["a", "b"]})


def make(**columns: list[Any]) -> RoutingDataset:
    count = len(next(iter(columns.values())))
    ids = [f"q{i}" for i in range(count)]
    plain = {"query_id": ids, "task": [None] * count, "prompt": [f"Ask {i}?" for i in range(count)]}
    return RoutingDataset.from_frames(
        queries=pd.DataFrame({**plain, **columns}),
        models=MODELS,
        outcomes=pd.DataFrame({"query_id": ids, "model": "a", "effect": 1.0}),
    )


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_they_survive_every_format(format: Any, tmp_path: Path) -> None:
    data = make(
        context=["One text.", ["Two", 'texts, "and" [more]'], None, []],
        embedding=[None, [0.5, -1.0], np.array([1e-3, 2.0]), None],
        embedding_encoder=[None, "clip", "clip", None],
    )
    data.save(tmp_path / "data", format=format)
    again = load_dataset(tmp_path / "data")
    assert again.fingerprint == data.fingerprint
    assert again.queries["context"].tolist() == [
        ["One text."], ["Two", 'texts, "and" [more]'], None, None
    ]  # fmt: skip
    assert [None if v is None else v.tolist() for v in again.queries["embedding"]][:2] == [
        None,
        [0.5, -1.0],
    ]
    summary = describe_dataset(again)
    assert (summary.num_queries_with_context, summary.num_embeddings) == (2, {"clip": 2})


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_embeddings_of_one_number_stay_lists(format: Any, tmp_path: Path) -> None:
    data = make(embedding=[[0.0], np.array([1.0]), None])
    assert [v.shape for v in data.queries["embedding"] if v is not None] == [(1,), (1,)]
    assert Queries.of_frame(data.queries).embeddings[1] == Embedding.of([1.0])
    data.save(tmp_path, format=format)
    assert load_dataset(tmp_path).fingerprint == data.fingerprint


def test_without_them_a_dataset_is_what_it_was() -> None:
    plain, empty = make(split=["train"] * 2), make(split=["train"] * 2, context=[None, ""])
    assert "context" not in empty.queries.columns
    assert plain.fingerprint == empty.fingerprint


def test_embeddings_beside_the_tables(tmp_path: Path) -> None:
    make(split=["train"] * 3).save(tmp_path)
    arrays = {"query_id": np.array(["q2", "q0"]), "embedding": np.eye(2), "encoder": np.array("v")}
    np.savez(tmp_path / "embeddings.npz", **arrays)
    queries = load_dataset(tmp_path).queries
    assert queries["embedding"].iloc[1] is None
    assert queries["embedding"].iloc[2].tolist() == [1.0, 0.0]
    np.savez(tmp_path / "embeddings.npz", **{**arrays, "embedding": [[0.5], [0.25]]})
    assert load_dataset(tmp_path).queries["embedding"].iloc[0].tolist() == [0.25]
    np.savez(tmp_path / "embeddings.npz", **{**arrays, "query_id": np.array(["q2", "other"])})
    with pytest.raises(DataError, match="'other' is not in queries"):
        load_dataset(tmp_path)
    (tmp_path / "embeddings.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(tmp_path)
    objects = np.array([{"a": 1}, None], dtype=object)
    np.savez(tmp_path / "embeddings.npz", query_id=objects, embedding=np.eye(2))
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(tmp_path)
    np.savez(tmp_path / "embeddings.npz", embedding=np.eye(2))
    with pytest.raises(DataError, match="query_id"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"embedding": [[1.0, float("nan")]]}, r"row 1: .*\[1\] is nan; expected a finite"),
        ({"embedding": [[1.0, float("inf")]]}, "is inf; expected a finite"),
        ({"embedding": [[1e300]]}, "expected a finite"),
        ({"embedding": [[]]}, "expected one list of 1 to"),
        ({"embedding": [[[1.0]]]}, "expected one list of 1 to"),
        ({"embedding": ["words"]}, "expected a list of numbers"),
        ({"embedding": [3]}, "expected a list of numbers"),
        ({"embedding": [[1.0], [1.0, 2.0]]}, "row 2 has 2 numbers of the encoder 'own'"),
        ({"embedding": [None], "embedding_encoder": ["clip"]}, "embedding is empty"),
        ({"embedding": [[1.0]], "embedding_encoder": ["a/b"]}, "expected a name"),
        ({"context": [["text", " "]]}, "blank document"),
        ({"context": [[1]]}, "expected a text"),
        ({"context": [7]}, "expected a text, or a list of texts"),
        ({"context": [["x"] * (MOST_DOCUMENTS + 1)]}, "expected at most 1,000"),
        ({"context": [["\ud800"]]}, "half of a character"),
        ({"prompt": [""]}, "prompt is empty"),
    ],
)
def test_bad_ones_are_refused(columns: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**columns)


def test_a_prompt_may_be_empty_where_something_goes_with_it() -> None:
    data = make(prompt=["", None, "Ask?"], embedding=[[1.0], [2.0], None])
    assert data.queries["prompt"].tolist() == ["", "", "Ask?"]


def test_in_one_flat_table_another_document_is_another_query() -> None:
    answers = {
        "prompt": ["Who?", "Who?", "Who?"],
        "context": ["She.", ["She."], "He."],
        "model": ["a", "b", "a"],
        "effect": [1, 0, 1],
    }
    data = read_answers(answers)
    assert data.queries["context"].tolist() == [["She."], ["He."]]
    assert len(data.outcomes) == 3


def test_queries_carry_them() -> None:
    asked = Queries.of(["a", "b"], contexts=["text", None], embeddings=[None, [1.0, 2.0]])
    assert asked.contexts == (("text",), None)
    assert asked.take([1]).embeddings == (Embedding.of([1.0, 2.0]),)
    assert hash(asked) == hash(asked.take([0, 1]))
    assert Queries.of(["a"]).contexts == (None,)
    for wrong in (
        {"contexts": ["x"]},
        {"contexts": "xy"},
        {"embeddings": [[1.0], [1.0, 2.0]]},
        {"embeddings": [Embedding.of([1], "v"), float("nan")]},
    ):
        with pytest.raises(DataError):
            Queries.of(["a", "b"], **wrong)
    with pytest.raises(DataError, match="contexts of their own"):
        Queries.of(asked, contexts=[None, None])
    assert read_context([]) is None

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.bench.formats import read_sprout
from graphrouter.exceptions import DataError


def cell(score: float | None, tokens: tuple[int, int] | None = (3, 4)) -> dict[str, Any]:
    asked, answered = tokens or (None, None)
    return {
        "num_input_tokens": asked,
        "num_output_tokens": answered,
        "response": "...",
        "score": score,
        "judge_response": "...",
    }


def frame(**columns: list[Any]) -> pd.DataFrame:
    standard = {
        "key": ["math-1", "rag-2"],
        "dataset": ["MATH", "ragbench/hotpot"],
        "dataset_level": ["5", None],
        "dataset_idx": [1, 2],
        "prompt": ["Integrate.", "Who?"],
        "golden_answer": ["x", "y"],
        "openai-gpt-4o": [cell(1.0), cell(0.5, (10, 20))],
        "wxai-llama-3.1": [cell(0.0, None), cell(None)],
    }
    return pd.DataFrame({**standard, **columns})


def test_every_value_arrives(tmp_path: Path, outcomes_of: Any) -> None:
    (tmp_path / "data").mkdir()
    frame().to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    frame(key=["math-3", "math-4"], prompt=["Sum.", "Product."]).to_parquet(
        tmp_path / "data" / "test-00000-of-00001.parquet"
    )
    data = read_sprout(tmp_path)
    assert data.queries["query_id"].tolist() == ["math-3", "math-4", "math-1", "rag-2"]
    assert data.queries["split"].tolist() == ["test", "test", "train", "train"]
    assert data.queries["task"].tolist() == ["MATH", "ragbench/hotpot"] * 2
    assert data.queries["dataset_level"].fillna("-").tolist() == ["5", "-", "5", "-"]
    assert data.models["model"].tolist() == ["openai-gpt-4o", "wxai-llama-3.1"]
    found = outcomes_of(data, "effect", "input_tokens", "output_tokens", "cost_usd")
    assert found == {
        ("math-1", "openai-gpt-4o"): (1.0, 3.0, 4.0, None),
        ("rag-2", "openai-gpt-4o"): (0.5, 10.0, 20.0, None),
        ("math-1", "wxai-llama-3.1"): (0.0, None, None, None),
        ("math-3", "openai-gpt-4o"): (1.0, 3.0, 4.0, None),
        ("math-4", "openai-gpt-4o"): (0.5, 10.0, 20.0, None),
        ("math-3", "wxai-llama-3.1"): (0.0, None, None, None),
    }


def test_keys_that_are_not_unique_give_way_to_row_numbers(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "train-0.parquet")
    frame(prompt=["Sum.", "Product."]).to_parquet(tmp_path / "train-1.parquet")
    data = read_sprout(tmp_path)
    assert data.queries["query_id"].tolist() == ["1", "2", "3", "4"]
    assert "split" not in data.queries.columns  # one side alone divides nothing


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            frame(**{"openai-gpt-4o": [cell(1.0), cell(1.25)]}),
            "row 2: openai-gpt-4o.score is 1.25; expected a number from 0 to 1",
        ),
        (
            frame(**{"openai-gpt-4o": [cell(1.0, (-1, 2)), cell(1.0)]}),
            "row 1: openai-gpt-4o.num_input_tokens is -1",
        ),
        (frame().drop(columns="prompt"), "one.parquet: 'prompt' is missing"),
        (
            frame()[["key", "dataset", "prompt"]],
            "has no struct column with score, num_input_tokens, num_output_tokens",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: pd.DataFrame, expected: str) -> None:
    table.to_parquet(tmp_path / "one.parquet")
    with pytest.raises(DataError) as caught:
        read_sprout(tmp_path / "one.parquet")
    assert expected in str(caught.value)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.formats import read_llmrouter
from graphrouter.data import load_dataset
from graphrouter.exceptions import DataError

CANDIDATES = {
    "qwen-7b": {
        "size": "7B",
        "feature": "Small and quick.",
        "input_price": 0.2,
        "output_price": 0.4,
        "model": "qwen/qwen-7b",
        "service": "S",
        "api_endpoint": "endpoint",
    },
    "grand": {
        "size": "1.5T",
        "feature": "Large.",
        "input_price": 3,
        "output_price": 15.0,
        "model": "x/grand",
    },
    "unrun": {"size": "unknown", "feature": "Nobody ran it.", "input_price": 1, "output_price": 1},
}


def row(
    task: str, query: str, model: str, performance: float | None, **more: Any
) -> dict[str, Any]:
    return {
        "task_name": task,
        "query": query,
        "ground_truth": "4",
        "metric": "em",
        "model_name": model,
        "response": "...",
        "token_num": 453,
        "performance": performance,
        "embedding_id": 7,
        **more,
    }


def test_every_value_arrives(tmp_path: Path, write_json: Any, outcomes_of: Any) -> None:
    write_json("candidates/default_llm.json", CANDIDATES)
    write_json(
        "candidates/default_llm_embeddings.json",
        {"qwen-7b": {**CANDIDATES["qwen-7b"], "embedding": [0.1]}},
    )
    write_json(
        "query_data/default_query_train.jsonl",
        [{"task_name": "gsm8k", "query": "2 + 2?", "ground_truth": "4"}],
    )
    train = [
        row(
            "gsm8k",
            "2 + 2?",
            "qwen-7b",
            1.0,
            input_tokens=1_000_000,
            output_tokens=500_000,
            response_time=1.5,
        ),
        row("gsm8k", "2 + 2?", "grand", 0.25),
        row("mmlu", "2 + 2?", "grand", None),
    ]
    write_json("routing/default_routing_train_data.jsonl", train)
    write_json(
        "routing/default_routing_test_data.jsonl",
        [row("gsm8k", "3 + 3?", "grand", 0.5, embedding_id=8)],
    )
    data = read_llmrouter(tmp_path)
    assert data.queries.to_dict("list") == {
        "split": ["test", "train", "train"],
        "task": ["gsm8k", "gsm8k", "mmlu"],
        "prompt": ["3 + 3?", "2 + 2?", "2 + 2?"],
        "embedding_id": [8, 7, 7],
        "query_id": ["1", "2", "3"],
    }
    assert outcomes_of(
        data, "effect", "input_tokens", "output_tokens", "latency_s", "cost_usd"
    ) == {
        ("1", "grand"): (0.5, None, None, None, None),
        ("2", "qwen-7b"): (1.0, 1e6, 5e5, 1.5, pytest.approx(0.2 + 0.5 * 0.4)),
        ("2", "grand"): (0.25, None, None, None, None),
    }
    assert data.pool.names == ("qwen-7b", "grand", "unrun")
    assert data.pool["qwen-7b"].description == "Small and quick."
    assert (
        data.pool["qwen-7b"].num_params,
        data.pool["grand"].num_params,
        data.pool["unrun"].num_params,
    ) == (7e9, 1.5e12, None)
    assert (data.pool["grand"].input_usd_per_mtok, data.pool["grand"].output_usd_per_mtok) == (
        3.0,
        15.0,
    )


def test_one_routing_file_is_enough(write_json: Any, outcomes_of: Any) -> None:
    rows = [row("a", "Why?", "nano", 1), row("a", "Why?", "grand", 0)]
    for entry in rows:
        del entry["embedding_id"]
    data = read_llmrouter(write_json("routing_train.jsonl", rows))
    assert list(data.queries.columns) == ["task", "prompt", "query_id"]
    assert outcomes_of(data) == {("1", "nano"): (1.0,), ("1", "grand"): (0.0,)}


def test_a_dataset_in_this_form_comes_back_the_same(
    tmp_path: Path, write_json: Any, shared_data: Callable[[str], Path]
) -> None:
    """Real outcomes, written as LLMRouter writes them and read again."""
    data = load_dataset(shared_data("llmrouter_default"))
    data = data.select_queries(data.queries["query_id"].tolist()[::40])
    joined = data.outcomes.merge(data.queries, on="query_id")
    for split in ("train", "test"):
        part = joined[joined["split"] == split]
        keys = {
            "task": "task_name",
            "prompt": "query",
            "model": "model_name",
            "effect": "performance",
        }
        rows = part.rename(columns=keys)[[*keys.values(), "input_tokens"]].to_json(
            orient="records", lines=True
        )
        (tmp_path / f"routing_{split}_data.jsonl").write_text(rows, encoding="utf-8")
    cards = {
        model: {"feature": text, "input_price": dear, "output_price": dearer}
        for model, text, dear, dearer in data.models[
            ["model", "description", "input_usd_per_mtok", "output_usd_per_mtok"]
        ].itertuples(index=False)
    }
    write_json("llm.json", cards)
    again = read_llmrouter(tmp_path)
    assert again.pool == data.pool
    columns = ["task", "prompt", "split", "model", "effect", "input_tokens"]
    expected = joined[columns].sort_values(columns[:4], ignore_index=True)
    found = again.outcomes.merge(again.queries, on="query_id")[columns].sort_values(
        columns[:4], ignore_index=True
    )
    assert found.astype(expected.dtypes).equals(expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [row("a", "Why?", "nano", 1.01)],
            "routing.jsonl, row 1: performance is 1.01; expected a number from 0 to 1",
        ),
        (
            [row("a", "Why?", "nano", 1, response_time=-1)],
            "routing.jsonl, row 1: response_time is -1",
        ),
        (
            [{"task_name": "a", "query": "Why?", "model_name": "nano"}],
            "routing.jsonl: 'performance' is missing",
        ),
        ([row("a", "Why?", "nano", None)], "llmrouter: the source has no graded answer"),
    ],
)
def test_what_is_wrong_is_named(write_json: Any, rows: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_llmrouter(write_json("routing.jsonl", rows))
    assert expected in str(caught.value)


def test_bad_lines_folders_and_prices(tmp_path: Path, write_json: Any) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text(json.dumps(row("a", "Why?", "nano", 1)) + "\n{oops\n")
    with pytest.raises(DataError, match=r"broken\.jsonl, line 2: no valid JSON"):
        read_llmrouter(file)
    file.unlink()
    write_json("queries.jsonl", [{"query": "Why?"}])
    with pytest.raises(
        DataError, match=r"has no \.jsonl file with the key 'model_name' \(found: queries\.jsonl\)"
    ):
        read_llmrouter(tmp_path)
    write_json("routing.jsonl", [row("a", "Why?", "qwen-7b", 1), row("a", "Why?", "grand", 1)])
    write_json("llm.json", {"grand": {**CANDIDATES["grand"], "input_price": "cheap"}})
    with pytest.raises(
        DataError,
        match=r"llm\.json, grand: a price is 'cheap'; expected US dollars per million tokens",
    ):
        read_llmrouter(tmp_path)

"""No reader drops a field that changes what a row means without saying so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.bench.formats import read_format, read_routerarena


def arena(index: int, **result: Any) -> dict[str, Any]:
    return {
        "global index": f"AIME_{index}",
        "prompt": f"Find {index}.",
        "prediction": "nano",
        "accuracy": 1.0,
        "cost": 0.5,
        "generated_result": {"success": True, "token_usage": {}, **result},
    }


def test_routerarena_counts_who_answered_failures_and_hidden_reasoning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 115}
    plain = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    nothing = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    entries = [
        arena(1, model_used="grand", token_usage=usage),
        arena(2, model_used="nano", token_usage=plain),
        arena(3, success=False, error="timeout", token_usage=nothing),
        arena(4, token_usage=nothing, finish_reason="length"),
    ]
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(entries))
    found = read_routerarena(file).outcomes.set_index("query_id")
    assert found["model"].to_dict() == {"AIME_1": "grand", "AIME_2": "nano", "AIME_4": "nano"}
    assert found["output_tokens"][["AIME_1", "AIME_2"]].tolist() == [105, 5]
    assert found["output_tokens"].isna()["AIME_4"]
    said = caplog.text
    assert "1 of 4 calls failed and are left out, the first in row 3" in said
    assert "1 answers are of another model than the one that was predicted ('grand' for " in said
    assert "1 answers have more total_tokens than prompt and completion, up to 100" in said
    assert "though they may change what a row means: finish_reason." in said


def test_llmrouterbench_takes_no_failed_call_for_a_wrong_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for model in ("nano", "grand"):
        records = [
            {"index": 1, "prompt": "One?", "score": 1.0, "raw_output": "1"},
            {"index": 2, "prompt": "Two?", "score": 0.0, "raw_output": "Generation failed: 429"},
        ]
        folder = tmp_path / "sums" / "test" / model
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"records": records}))
    data = read_format("llmrouterbench", tmp_path)
    assert data.outcomes["effect"].tolist() == [1, 1]
    assert caplog.text.count("1 of 2 calls failed") == 2


def test_llmrouter_takes_no_failed_call_for_a_wrong_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"task_name": "sums", "query": "One?", "performance": 0.0}
    rows = [
        {**row, "model_name": "nano", "response": "API Error: Request timed out"},
        {**row, "model_name": "grand", "response": "2", "finish_reason": "length"},
        {**row, "model_name": "mid", "response": "2"},
    ]
    file = tmp_path / "routing.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_format("llmrouter", file).outcomes["model"].tolist() == ["grand", "mid"]
    assert "1 of 3 calls failed" in caplog.text
    assert "finish_reason" in caplog.text


@pytest.mark.parametrize(
    ("form", "name", "row"),
    [
        (
            "embedllm",
            "labels.csv",
            {"prompt_id": 1, "model_id": [0, 1], "label": 1, "prompt": "One?", "truncated": 1},
        ),
        (
            "graphrouter_paper",
            "router_data.csv",
            {
                "task_id": "sums",
                "query": ["One?", "Two?"],
                "llm": ["nano", "grand"],
                "effect": 1,
                "cost": 0.1,
                "truncated": 1,
            },
        ),
        (
            "routellm",
            "battles.csv",
            {
                "prompt": ["One?", "Two?"],
                "model_a": "nano",
                "model_b": "grand",
                "winner": "tie",
                "truncated": 1,
            },
        ),
        (
            "routerbench",
            "wide.csv",
            {
                "sample_id": [1, 2],
                "prompt": ["One?", "Two?"],
                "eval_name": "sums",
                "nano": 1,
                "nano|total_cost": 0.1,
                "grand": 1,
                "grand|total_cost": 0.1,
                "truncated": 1,
            },
        ),
        (
            "sprout",
            "train.parquet",
            {
                "prompt": ["One?", "Two?"],
                "dataset": "sums",
                **{
                    model: [
                        {
                            "score": 1.0,
                            "num_input_tokens": 3,
                            "num_output_tokens": 4,
                            "truncated": True,
                        }
                    ]
                    * 2
                    for model in ("nano", "grand")
                },
            },
        ),
    ],
)
def test_every_reader_names_a_field_that_it_does_not_read(
    form: str, name: str, row: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.DataFrame(row)
    file = tmp_path / name
    if file.suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file)
    read_format(form, file)
    assert "truncated" in caplog.text
    assert "left out" in caplog.text

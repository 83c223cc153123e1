from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.formats import read_llmrouterbench
from graphrouter.exceptions import DataError


def record(index: Any, query: Any, score: float | None, **more: Any) -> dict[str, Any]:
    return {
        "index": index,
        "origin_query": query,
        "prompt": f"Question: {query}\nAnswer:",
        "prediction": "4",
        "ground_truth": "4",
        "score": score,
        "prompt_tokens": 15,
        "completion_tokens": 5,
        "cost": 0.0001,
        "raw_output": "...",
        **more,
    }


def result(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "performance": 0.5,
        "cost": 0.1,
        "counts": len(records),
        "records": list(records),
        **more,
    }


@pytest.mark.parametrize("below", ["", "results/", "results/bench/"])
def test_every_value_arrives_from_the_paths(
    tmp_path: Path, write_json: Any, outcomes_of: Any, below: str
) -> None:
    bench = "results/bench/".removeprefix(below)
    write_json(
        f"{below}{bench}aime/test/gpt-5/20250101_000000.json",
        result(record(1, "2 + 2?", 1.0), record(2, "x?", None)),
    )
    write_json(
        f"{below}{bench}aime/test/kimi/20250101_000001.json",
        result(
            record(1, "2 + 2?", 0.5, cost=None, completion_tokens=0),
            record(2, "x?", 0, prompt_tokens=None),
        ),
    )
    data = read_llmrouterbench(tmp_path / below)
    assert data.queries.to_dict("list") == {
        "query_id": ["aime/test/1", "aime/test/2"],
        "task": ["aime", "aime"],
        "prompt": ["2 + 2?", "x?"],
        "source_split": ["test", "test"],
    }
    assert outcomes_of(data, "effect", "cost_usd", "input_tokens", "output_tokens") == {
        ("aime/test/1", "gpt-5"): (1.0, 0.0001, 15.0, 5.0),
        ("aime/test/1", "kimi"): (0.5, None, 15.0, None),
        ("aime/test/2", "kimi"): (0.0, 0.0001, None, 5.0),
    }


def test_what_the_file_says_goes_before_its_path(
    write_json: Any, tmp_path: Path, outcomes_of: Any
) -> None:
    said = {"dataset_name": "hle", "split": "text", "model_name": "org/glm"}
    write_json("bench-release/a/b/1.json", result(record("q", {"turns": ["Hé?"]}, 1), **said))
    write_json(
        "bench-release/a/c/1.json",
        result(record("q", {"turns": ["Hé?"]}, 0), **{**said, "model_name": "kimi"}),
    )
    data = read_llmrouterbench(tmp_path)
    assert data.queries["prompt"].tolist() == ['{"turns": ["Hé?"]}']
    assert outcomes_of(data) == {("hle/text/q", "org/glm"): (1.0,), ("hle/text/q", "kimi"): (0.0,)}


def test_an_empty_query_falls_back_on_the_prompt(write_json: Any, tmp_path: Path) -> None:
    for model in "ab":
        write_json(f"d/s/{model}/1.json", result(record(1, "", 1, prompt="All of it.")))
    assert read_llmrouterbench(tmp_path).queries["prompt"].tolist() == ["All of it."]


def test_runs_are_averaged_demos_left_out_and_free_models_have_no_cost(
    write_json: Any, tmp_path: Path, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write_json(
        "d/s/grand/1.json", result(record(1, "a?", 1.0, cost=0.3), record(2, "b?", 1.0, cost=0.0))
    )
    write_json("d/s/grand/2.json", result(record(1, "a?", 0.5, cost=0.1)))
    write_json("d/s/grand/3.json", result(record(1, "a?", 0.0), demo=True))
    write_json(
        "d/s/home-7b/1.json", result(record(1, "a?", 0.0, cost=0.0), record(2, "b?", 1.0, cost=0.0))
    )
    with caplog.at_level(logging.WARNING):
        data = read_llmrouterbench(tmp_path)
    assert outcomes_of(data, "effect", "cost_usd") == {
        ("d/s/1", "grand"): (0.75, pytest.approx(0.2)),
        ("d/s/2", "grand"): (1.0, 0.0),
        ("d/s/1", "home-7b"): (0.0, None),
        ("d/s/2", "home-7b"): (1.0, None),
    }
    demo, free, repeated = caplog.messages
    assert demo.endswith("3.json is a demo run and is left out.")
    assert free == "1 models have cost 0 in every record (home-7b); their cost is left empty."
    assert repeated.startswith("llmrouterbench: 1 row repeats a (query, model) pair; all of a pair")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            result(record(1, "a?", 1), record(2, "b?", 2)),
            "1.json, row 2: score is 2; expected a number from 0 to 1",
        ),
        (
            result(record(1, "a?", 1, cost=-0.1)),
            "1.json, row 1: cost is -0.1; expected a finite number of at least 0",
        ),
        (
            result(record(1, "a?", 1), {"index": 2}),
            "1.json, row 2: 'score' is missing (found: index)",
        ),
        (
            result(record(1, "a?", 1), record(1, "b?", 1)),
            "1.json, row 2: index '1' of d/s has another text",
        ),
        ({"results": []}, "1.json: 'records' is missing (found: results)"),
        ([1], "1.json holds a list; expected an object with 'records'"),
        ({"records": {}}, "1.json holds a dict; expected a list of objects"),
        (result(7), "1.json, row 1: a int; expected an object"),
        (result(), "llmrouterbench: the source has no graded answer"),
        (result(demo=True), "has no result file that is no demo"),
    ],
)
def test_what_is_wrong_is_named(write_json: Any, tmp_path: Path, value: Any, expected: str) -> None:
    write_json("d/s/m/1.json", value)
    with pytest.raises(DataError) as caught:
        read_llmrouterbench(tmp_path)
    assert expected in str(caught.value)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no .*; expected LLMRouterBench results"):
        read_llmrouterbench(tmp_path / "nowhere")
    file = tmp_path / "1.json"
    file.write_text('{"records": [}')
    with pytest.raises(DataError, match=r"1\.json, line 1: no valid JSON"):
        read_llmrouterbench(tmp_path)
    file.write_bytes(b'{"records": "\xff"}')
    with pytest.raises(DataError, match=r"1\.json is not UTF-8 text \(byte 13"):
        read_llmrouterbench(tmp_path)

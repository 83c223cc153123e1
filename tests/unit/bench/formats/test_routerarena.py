from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.formats import read_routerarena
from graphrouter.bench.formats.routerarena_export import (
    ArenaQuery,
    make_prediction_entries,
    make_router_config,
    read_arena_queries,
)
from graphrouter.exceptions import DataError
from graphrouter.files import write_json as write_arena_json


def entry(
    index: str,
    prompt: str,
    model: str,
    accuracy: float | None,
    cost: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "global index": index,
        "prompt": prompt,
        "prediction": model,
        "generated_result": None,
        "cost": cost,
        "accuracy": accuracy,
        **more,
    }


ANSWER = {
    "generated_answer": "A",
    "success": True,
    "token_usage": {"input_tokens": 30, "output_tokens": 4},
}
PREDICTIONS = [
    entry("AIME_1", "Find x.", "nano", 1.0, 0.002, generated_result=ANSWER),
    entry("Ethics_justice_2", "Fair?", "grand", 0.0, 0.0),
    entry("AIME_1", "Find x.", "grand", 0.5, 0.04, for_optimality=True),
    entry("AIME_3", "Find y.", "nano", None),
]


def test_every_value_arrives(tmp_path: Path, write_json: Any, outcomes_of: Any) -> None:
    write_json("router_inference/predictions/mine.json", PREDICTIONS)
    other = {**entry("AIME_3", "Find y.", "grand", 0.25, 0.01), "global_index": "AIME_3"}
    del other["global index"]
    write_json("router_inference/predictions/theirs.json", [other])
    write_json(
        "router_inference/predictions/mine-robustness.json",
        [entry("AIME_1", "Fnid x.", "nano", 0.0)],
    )
    write_json(
        "router_inference/config/mine.json", make_router_config("mine", ["nano", "grand", "unrun"])
    )
    write_json(
        "router_inference/config/elsewhere.json", make_router_config("elsewhere", ["foreign"])
    )
    write_json(
        "dataset/router_data.json", [{"global index": "MATH_9", "prompt_formatted": "Prove it."}]
    )
    price = {"input_token_price_per_million": 0.1, "output_token_price_per_million": 0.4}
    write_json("model_cost/cost.json", {"nano": price, "foreign": price})
    write_json("config/eval.json", {"eval_params": {"prompt": "..."}})
    data = read_routerarena(tmp_path)
    queries = dict(
        zip(
            data.queries["query_id"],
            zip(data.queries["task"], data.queries["prompt"], strict=True),
            strict=True,
        )
    )
    assert queries == {
        "MATH_9": ("MATH", "Prove it."),
        "AIME_1": ("AIME", "Find x."),
        "Ethics_justice_2": ("Ethics_justice", "Fair?"),
        "AIME_3": ("AIME", "Find y."),
    }
    assert outcomes_of(data, "effect", "cost_usd", "input_tokens", "output_tokens") == {
        ("AIME_1", "nano"): (1.0, 0.002, 30.0, 4.0),
        ("Ethics_justice_2", "grand"): (0.0, None, None, None),
        ("AIME_1", "grand"): (0.5, 0.04, None, None),
        ("AIME_3", "grand"): (0.25, 0.01, None, None),
    }
    assert data.pool.names == ("nano", "grand", "unrun")
    assert (data.pool["nano"].input_usd_per_mtok, data.pool["nano"].output_usd_per_mtok) == (
        0.1,
        0.4,
    )
    assert data.pool["grand"].input_usd_per_mtok is None


def test_one_prediction_file_is_enough(write_json: Any) -> None:
    data = read_routerarena(write_json("mine-robustness.json", PREDICTIONS))
    assert len(data.outcomes) == 3
    assert data.queries["query_id"].tolist() == ["AIME_1", "Ethics_justice_2", "AIME_3"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            [entry("A_1", "a", "nano", 1.2)],
            "mine.json, row 1: accuracy is 1.2; expected a number from 0 to 1",
        ),
        ([entry("A_1", "a", "nano", 1, -1)], "mine.json, row 1: cost is -1"),
        (
            [entry("A_1", "a", "nano", 1), entry("A_1", "b", "grand", 1)],
            "mine.json, row 2: 'A_1' has another prompt",
        ),
        ([entry("", "a", "nano", 1)], "mine.json, row 1: 'global index' is missing"),
        ([entry("A_1", "", "nano", 1)], "mine.json, row 1: 'prompt' is missing or empty"),
        ([entry("A_1", "a", "nano", None)], "routerarena: the source has no graded answer"),
        ([{"global index": "A_1", "prompt_formatted": "a"}], "has no prediction file"),
    ],
)
def test_what_is_wrong_is_named(
    write_json: Any, entries: list[dict[str, Any]], expected: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_routerarena(write_json("mine.json", entries))
    assert expected in str(caught.value)


def test_exported_predictions_have_the_form_of_the_arena(tmp_path: Path, write_json: Any) -> None:
    asked = [{"global index": f"AIME_{row}", "prompt_formatted": f"Fïnd x{row}."} for row in (1, 2)]
    queries = read_arena_queries(write_json("router_data.json", asked))
    assert queries == [ArenaQuery("AIME_1", "Fïnd x1."), ArenaQuery("AIME_2", "Fïnd x2.")]
    file = tmp_path / "mine.json"
    write_arena_json(make_prediction_entries(queries, ["nano", "grand"]), file)
    assert json.loads(file.read_text(encoding="utf-8")) == [
        {
            "global index": "AIME_1",
            "prompt": "Fïnd x1.",
            "prediction": "nano",
            "generated_result": None,
            "cost": None,
            "accuracy": None,
        },
        {
            "global index": "AIME_2",
            "prompt": "Fïnd x2.",
            "prediction": "grand",
            "generated_result": None,
            "cost": None,
            "accuracy": None,
        },
    ]
    assert make_router_config("mine", ["nano"], class_name="Mine") == {
        "pipeline_params": {"router_name": "mine", "router_cls_name": "Mine", "models": ["nano"]}
    }
    with pytest.raises(DataError, match="received 2 queries and 1 choices"):
        make_prediction_entries(queries, ["nano"])


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], "holds no queries"),
        ([{"global index": "A_1"}], "'prompt_formatted' is missing"),
        (
            [{"global index": "A_1", "prompt_formatted": ""}],
            "row 1: prompt_formatted is ''; expected text",
        ),
        (
            [{"global index": "A_1", "prompt_formatted": "a"}] * 2,
            "row 2: global index 'A_1' occurs before",
        ),
    ],
)
def test_queries_that_cannot_be_exported(
    write_json: Any, entries: list[dict[str, Any]], expected: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_arena_queries(write_json("router_data.json", entries))
    assert expected in str(caught.value)


def test_missing_queries(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*router_data\.json"):
        read_arena_queries(tmp_path / "router_data.json")

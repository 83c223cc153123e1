from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.formats import read_routereval
from graphrouter.exceptions import DataError


def pool(**changes: Any) -> dict[str, Any]:
    standard = {
        "model": ["a/nano", "b/grand"],
        "prompt": {
            "train_prompt": ["One?", "Two?"],
            "val_prompt": ["Three?"],
            "test_prompt": ["Four?"],
        },
        "data": {
            "train_score": [[1, 0], [0.25, None]],
            "val_score": [[0, 1]],
            "test_score": [[1, 1]],
            "train_embed": [[0.1]],
        },
    }
    return {**standard, **changes}


def test_every_value_arrives(write_json: Any, outcomes_of: Any) -> None:
    data = read_routereval(write_json("gsm8k_router_dataset.json", pool()))
    assert data.queries.to_dict("list") == {
        "query_id": ["gsm8k/train/0", "gsm8k/train/1", "gsm8k/validation/0", "gsm8k/test/0"],
        "task": ["gsm8k"] * 4,
        "prompt": ["One?", "Two?", "Three?", "Four?"],
        "split": ["train", "train", "validation", "test"],
    }
    assert outcomes_of(data) == {
        ("gsm8k/train/0", "a/nano"): (1.0,),
        ("gsm8k/train/0", "b/grand"): (0.0,),
        ("gsm8k/train/1", "a/nano"): (0.25,),
        ("gsm8k/validation/0", "a/nano"): (0.0,),
        ("gsm8k/validation/0", "b/grand"): (1.0,),
        ("gsm8k/test/0", "a/nano"): (1.0,),
        ("gsm8k/test/0", "b/grand"): (1.0,),
    }


def test_pools_of_other_models_join(
    write_json: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_json("arc.json", pool())
    other = {
        "model": ["b/grand", "c/third"],
        "prompt": {"train_prompt": ["Five?"], "test_prompt": ["One?"]},
        "data": {"train_score": [[1, 1]], "test_score": [[1, 1]]},
    }
    write_json("mmlu.json", other)
    with caplog.at_level(logging.WARNING):
        data = read_routereval(tmp_path)
    assert data.models["model"].tolist() == ["a/nano", "b/grand", "c/third"]
    assert data.queries["query_id"].tolist()[-1] == "mmlu/train/0"
    assert caplog.messages == [
        "1 queries stand in an earlier split too and are left out of the later one."
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            pool(data={**pool()["data"], "val_score": [[0, 3]]}),
            "arc.json, row 1: val_score of b/grand is 3; expected a number",
        ),
        (
            pool(data={**pool()["data"], "train_score": [[0, 1]]}),
            "train_score has 1 rows for 2 prompts",
        ),
        (
            pool(data={**pool()["data"], "train_score": [[0, 1], [1]]}),
            "row 2 of train_score: 1 scores for 2 models",
        ),
        (
            pool(data={**pool()["data"], "train_score": [0, 1]}),
            "row 1 of train_score: a int for 2 models",
        ),
        (pool(data={}), "arc.json: 'train_score' is missing"),
        (pool(prompt={}), "arc.json: 'prompt' has none of train_prompt, val_prompt, test_prompt"),
        ({"easy": {}}, "arc.json: 'model' is missing (found: easy)"),
        ([], "arc.json holds a list; expected an object"),
    ],
)
def test_what_is_wrong_is_named(write_json: Any, value: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_routereval(write_json("arc.json", value))
    assert expected in str(caught.value)


def test_the_published_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "arc_router_dataset.pkl").write_bytes(b"")
    with pytest.raises(DataError, match=r"arc_router_dataset\.pkl is a pickle"):
        read_routereval(tmp_path)

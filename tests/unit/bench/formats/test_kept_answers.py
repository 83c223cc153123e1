"""What models said, kept by the readers whose form has it: asked for alone, as text or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.bench.formats import READERS, WITH_ANSWERS, read_format
from graphrouter.exceptions import DataError

Write = Callable[[Path, Any], Path]


def write_routerbench(folder: Path, said: Any) -> Path:
    table = {"sample_id": ["1"], "prompt": ["['1 + 1?']"], "eval_name": ["sums"]}
    for model, answer in (("nano", said), ("grand", "['It is 2.']")):
        table |= {model: [1.0], f"{model}|model_response": [answer], f"{model}|total_cost": [0.1]}
    pd.DataFrame(table).to_parquet(folder / "table.parquet")
    return folder / "table.parquet"


def write_llmrouterbench(folder: Path, said: Any) -> Path:
    for model, answer in (("nano", {"raw_output": said}), ("grand", {"prediction": "It is 2."})):
        place = folder / "bench" / "sums" / "test" / model / "1.json"
        place.parent.mkdir(parents=True)
        record = {"index": 1, "origin_query": "1 + 1?", "score": 1.0, **answer}
        place.write_text(json.dumps({"records": [record]}))
    return folder / "bench"


def write_llmrouter(folder: Path, said: Any) -> Path:
    rows = [
        {"task_name": "sums", "query": "1 + 1?", "model_name": model, "performance": 1}
        | {"response": answer}
        for model, answer in (("nano", said), ("grand", "It is 2."))
    ]
    (folder / "routing.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "routing.jsonl"


def write_sprout(folder: Path, said: Any) -> Path:
    numbers = {"score": 1.0, "num_input_tokens": 3, "num_output_tokens": 4}
    frame = {"prompt": ["1 + 1?"], "dataset": ["sums"]}
    frame |= {
        "nano": [{**numbers, "response": said}],
        "grand": [{**numbers, "response": "It is 2."}],
    }
    pd.DataFrame(frame).to_parquet(folder / "train-0.parquet")
    return folder / "train-0.parquet"


FORMS: dict[str, Write] = {
    "llmrouter": write_llmrouter,
    "llmrouterbench": write_llmrouterbench,
    "routerbench": write_routerbench,
    "sprout": write_sprout,
}


def test_every_form_with_answers_is_tried() -> None:
    assert tuple(sorted(FORMS)) == WITH_ANSWERS


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_kept_where_they_are_asked_for(form: str, tmp_path: Path) -> None:
    place = FORMS[form](tmp_path, "2")
    kept = read_format(form, place, keep_answers=True)
    said = dict(zip(kept.outcomes["model"], kept.outcomes["answer"], strict=True))
    assert said == {"nano": "2", "grand": "It is 2."}
    plain = read_format(form, place)
    assert "answer" not in plain.outcomes.columns
    pd.testing.assert_frame_equal(plain.outcomes, kept.outcomes.drop(columns="answer"))


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_answer_is_not_recorded(form: str, tmp_path: Path) -> None:
    kept = read_format(form, FORMS[form](tmp_path, ""), keep_answers=True)
    assert kept.outcomes.set_index("model")["answer"].isna().to_dict() == {
        "nano": True,
        "grand": False,
    }


@pytest.mark.parametrize("form", ["llmrouter", "llmrouterbench"])
def test_an_answer_that_is_no_text_is_refused(form: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 1: .*is .*expected what the model said as text"):
        read_format(form, FORMS[form](tmp_path, {"text": 2}), keep_answers=True)


@pytest.mark.parametrize("form", sorted(set(READERS) - set(WITH_ANSWERS)))
def test_a_form_without_answers_says_so(form: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{form}.*holds no answers.*--answers"):
        read_format(form, tmp_path, keep_answers=True)


def test_a_table_without_the_answers_that_are_asked_for(tmp_path: Path) -> None:
    place = write_routerbench(tmp_path, "2")
    pd.read_parquet(place).drop(columns="nano|model_response").to_parquet(place)
    assert len(read_format("routerbench", place).outcomes) == 2
    with pytest.raises(DataError, match=r"nano\|model_response"):
        read_format("routerbench", place, keep_answers=True)

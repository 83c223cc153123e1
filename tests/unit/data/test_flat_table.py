"""One flat table of answers is a dataset."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, load_dataset, read_answers, write_table
from graphrouter.exceptions import DataError

ANSWERS: dict[str, list[Any]] = {
    "prompt": ["1 + 1?", "1 + 1?", "Say hello.", "Say hello."],
    "model": ["nano", "grand", "nano", "grand"],
    "effect": [0, 1, 1, 0.5],
}


def test_a_mapping_and_a_frame_are_the_same_dataset_as_four_tables() -> None:
    more = {**ANSWERS, "task": ["sums", "sums", None, None], "cost": [1e-5, 2e-5, None, 3e-5]}
    found = read_answers(more)
    queries = [("q0", "sums", "1 + 1?"), ("q1", None, "Say hello.")]
    tables = RoutingDataset.from_frames(
        queries=pd.DataFrame(queries, columns=["query_id", "task", "prompt"]),
        models=pd.DataFrame({"model": ["nano", "grand"]}),
        outcomes=pd.DataFrame(
            {
                "query_id": ["q0", "q0", "q1", "q1"],
                "model": more["model"],
                "effect": more["effect"],
                "cost_usd": more["cost"],
            }
        ),
        name="answers",
    )
    assert found.fingerprint == tables.fingerprint
    assert read_answers(pd.DataFrame(more, index=[7, 7, 8, 9])).fingerprint == tables.fingerprint


def test_numbers_have_short_names_and_long_ones() -> None:
    short = read_answers({**ANSWERS, "tokens": [1, 2, 3, 4], "latency": [0.1] * 4})
    long = read_answers({**ANSWERS, "output_tokens": [1, 2, 3, 4], "latency_s": [0.1] * 4})
    assert short.fingerprint == long.fingerprint
    assert short.outcomes["output_tokens"].tolist() == [1, 2, 3, 4]


def test_a_model_that_is_written_in_two_ways_is_refused() -> None:
    answers = {"prompt": ["a", "b", "c", "d"], "model": ["x", "Nano", "nano", "na no"]}
    with pytest.raises(DataError, match=r"row 3: model 'nano' differs from 'Nano' in row 2 by cap"):
        read_answers({**answers, "effect": [0, 1, 0, 1]})


def test_a_model_that_answered_a_prompt_twice_has_the_mean() -> None:
    found = read_answers({"prompt": ["a"] * 3, "model": ["m", "m", "n"], "effect": [0, 1, 1]})
    assert found.outcomes[["effect", "num_runs"]].to_numpy().tolist() == [[0.5, 2.0], [1.0, 1.0]]


def test_blanks_around_names_of_models_are_one_model() -> None:
    found = read_answers({**ANSWERS, "model": ["nano", "grand", " nano", "grand "]})
    assert found.models["model"].tolist() == ["nano", "grand"]


@pytest.mark.parametrize("name", ["logs.csv", "logs.jsonl", "logs.parquet"])
def test_one_file_of_answers_is_a_dataset(tmp_path: Path, name: str) -> None:
    write_table(pd.DataFrame(ANSWERS), tmp_path / name)
    found = load_dataset(tmp_path / name)
    assert (found.name, found.fingerprint) == (
        "logs",
        read_answers(ANSWERS, name="logs").fingerprint,
    )
    wrong = pd.DataFrame({**ANSWERS, "effect": [0, 1, 1, 7]})
    write_table(wrong, tmp_path / name)
    with pytest.raises(DataError, match=f"{name}, row 4: effect is 7"):
        load_dataset(tmp_path / name)
    write_table(wrong.drop(columns="effect"), tmp_path / name)
    with pytest.raises(DataError, match=r"prompt, model and effect.*This one has no effect\."):
        load_dataset(tmp_path / name)


def test_an_answer_that_nobody_graded_still_says_what_it_cost() -> None:
    graded = [None, *list(ANSWERS["effect"])[1:]]
    data = read_answers({**ANSWERS, "effect": graded, "cost": [0.25, 0.5, 1, 2]})
    first = data.outcomes.iloc[0]
    assert first[["effect"]].isna().all()
    assert first["cost_usd"] == 0.25
    with pytest.raises(DataError, match="row 1: effect is missing, and so are cost"):
        read_answers({**ANSWERS, "effect": graded})


def test_a_column_that_is_not_used_is_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read_answers({**ANSWERS, "reviewer": ["x"] * 4})
    assert "answers: not used: column 'reviewer'." in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effect": None}, "column 'effect' is missing"),
        ({"effect": [0, 1, 1, 7]}, r"row 4: effect is 7.*from 0 to 1"),
        ({"effect": [0, 1]}, "columns of one length: prompt, model, effect"),
        ({"model": "nano"}, "column 'model' is 'nano'; expected a list, an entry an answer"),
        ({"prompt": ["1 + 1?", None, "x", "y"]}, "row 2: prompt"),
        ({"model": ["nano", "", "nano", "x"]}, "row 2: model"),
        ({"task": ["a", "b", None, None]}, "row 2: task is 'b', and 'a' in a row before"),
        ({"cost": [1] * 4, "cost_usd": [1] * 4}, "'cost' and 'cost_usd' are the same quantity"),
        ({"prompt": [], "model": [], "effect": []}, "there are no rows"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change: dict[str, Any], message: str) -> None:
    wrong = {name: column for name, column in {**ANSWERS, **change}.items() if column is not None}
    with pytest.raises(DataError, match=message) as caught:
        read_answers(wrong)
    assert "\n" not in str(caught.value)

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.bench.formats import read_routellm
from graphrouter.exceptions import DataError

BATTLES = {
    "prompt": ["Hello?", '["One.", "Two."]', "Hello?", "Why?"],
    "model_a": ["gpt-4", "gpt-4", "mixtral", "gpt-4"],
    "model_b": ["mixtral", "mixtral", "llama", "mixtral"],
}
WINNERS = ["model_a", "tie (bothbad)", "model_b", "tie"]


def expected() -> dict[tuple[str, str], tuple[float]]:
    return {
        ("1", "gpt-4"): (1.0,),
        ("2", "gpt-4"): (0.5,),
        ("3", "gpt-4"): (0.5,),
        ("1", "mixtral"): (0.0,),  # lost to gpt-4 and to llama
        ("2", "mixtral"): (0.5,),
        ("3", "mixtral"): (0.5,),
        ("1", "llama"): (1.0,),
    }


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "json"])
def test_a_winner_in_words(tmp_path: Path, write_json: Any, outcomes_of: Any, suffix: str) -> None:
    frame = pd.DataFrame({**BATTLES, "winner": WINNERS})
    file = tmp_path / f"battles.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(file)
    elif suffix == "csv":
        frame.to_csv(file, index=False)
    else:
        write_json(file.name, frame.to_dict("records"))
    data = read_routellm(file)
    assert data.queries["prompt"].tolist() == ["Hello?", "One.\n\nTwo.", "Why?"]
    assert data.queries["task"].isna().all()
    assert outcomes_of(data) == expected()


def test_a_winner_in_marks(
    tmp_path: Path, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    marks = {
        "winner_model_a": [1, 0, 0, 0],
        "winner_model_b": [0, 0, 1, 0],
        "winner_tie": [0, 1, 0, 1],
    }
    frame = pd.DataFrame({**BATTLES, **marks})
    (tmp_path / "data").mkdir()
    frame.iloc[:2].to_parquet(tmp_path / "data" / "train-0.parquet")
    frame.iloc[2:].to_parquet(tmp_path / "data" / "train-1.parquet")
    with caplog.at_level(logging.WARNING):
        data = read_routellm(tmp_path)
    assert outcomes_of(data) == expected()
    assert caplog.messages == [
        "routellm: 1 row repeats a (query, model) pair; all of a pair were averaged, and 7 pairs "
        "are left."
    ]


def test_a_model_that_wins_and_loses_gets_the_mean(write_json: Any, outcomes_of: Any) -> None:
    winners = ["model_a", "model_a", "model_b", "tie"]
    rows = [
        {"prompt": "Hi?", "model_a": "x", "model_b": "y", "winner": winner} for winner in winners
    ]
    assert outcomes_of(read_routellm(write_json("b.json", rows))) == {
        ("1", "x"): (0.625,),
        ("1", "y"): (0.375,),
    }


def test_battles_without_text_are_left_out_and_half_characters_mended(write_json: Any) -> None:
    rows = [
        {"prompt": prompt, "model_a": "x", "model_b": "y", "winner": "tie"}
        for prompt in ["", None, '["a\\ud83d"]', "b\ud83d"]
    ]
    assert read_routellm(write_json("b.jsonl", rows)).queries["prompt"].tolist() == ["a?", "b?"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"winner": ["model_a", "gpt-4", "tie", "tie"]},
            "row 2: winner is 'gpt-4'; expected one of model_a, model_b, tie",
        ),
        ({"winner": [None, "tie", "tie", "tie"]}, "row 1: winner is None"),
        ({}, "b.json: 'winner_model_a' is missing"),
        (
            {
                "winner_model_a": [1, 1, 0, 0],
                "winner_model_b": [0, 1, 1, 1],
                "winner_tie": [0, 0, 0, 0],
            },
            "row 2: winner_model_a",
        ),
        (
            {
                "winner_model_a": [1, 2, 0, 0],
                "winner_model_b": [0, 0, 1, 1],
                "winner_tie": [0, 0, 0, 0],
            },
            "row 2: winner_model_a is 2",
        ),
        (
            {"model_b": ["mixtral", "gpt-4", "llama", "mixtral"], "winner": WINNERS},
            "row 2: 'gpt-4' fights itself",
        ),
    ],
)
def test_what_is_wrong_is_named(write_json: Any, change: dict[str, Any], problem: str) -> None:
    rows = [
        dict(zip({**BATTLES, **change}, values, strict=True))
        for values in zip(*{**BATTLES, **change}.values(), strict=True)
    ]
    with pytest.raises(DataError) as caught:
        read_routellm(write_json("b.json", rows))
    assert problem in str(caught.value)


def test_an_empty_folder_and_an_empty_file(tmp_path: Path, write_json: Any) -> None:
    with pytest.raises(
        DataError, match=r"holds no \.parquet or \.csv or \.jsonl or \.json file \(found: nothing\)"
    ):
        read_routellm(tmp_path)
    with pytest.raises(DataError, match="'prompt' is missing"):
        read_routellm(write_json("b.json", []))

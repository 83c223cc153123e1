"""Columns of the user's own: those of models go to the cards, numbers of outcomes stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.data.own_columns import clean_own_column, list_own_columns, read_own_numbers
from graphrouter.exceptions import DataError


def dataset(**columns: list[Any]) -> RoutingDataset:
    return RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ["a"], "task": ["t"], "prompt": ["x"]}),
        models=pd.DataFrame({"model": ["m0", "m1"], **columns}),
        outcomes=pd.DataFrame({"query_id": ["a", "a"], "model": ["m0", "m1"], "effect": [0, 1]}),
    )


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_they_become_fields_of_the_cards_in_any_form(form: Any, tmp_path: Path) -> None:
    data = dataset(
        region=["eu", None], energy_wh=["0.3", ""], is_hosted=[True, None], tags=[["x"], ["y"]]
    )
    expected = [{"region": "eu", "energy_wh": 0.3, "is_hosted": True}, {}]
    assert [card.own_fields for card in data.pool] == expected
    data.save(tmp_path, format=form)
    again = load_dataset(tmp_path)
    found = [dict(card.own_fields) for card in again.pool]
    for fields in found:  # a list has no form of its own in CSV
        fields.pop("tags", None)
    assert found == expected
    assert again.fingerprint == data.fingerprint


def test_names_and_values_that_no_field_may_have_stay_metadata() -> None:
    data = dataset(price=[1, 2], copy=[1, 2], tags=[["x"], ["y"]], **{"a\nb": [1, 2]})
    assert list_own_columns(data.models) == []
    assert [card.own_fields for card in data.pool] == [{}, {}]


def test_numbers_are_part_of_the_fingerprint_and_words_are_not() -> None:
    plain = dataset()
    assert dataset(region=["eu", "us"]).fingerprint == plain.fingerprint
    assert dataset(energy_wh=[1, 2]).fingerprint != plain.fingerprint
    assert dataset(energy_wh=[1, 2]).fingerprint == dataset(energy_wh=["1", "2.0"]).fingerprint


def test_a_column_is_numbers_flags_or_left() -> None:
    def clean(*cells: Any) -> list[Any]:
        return list(clean_own_column(pd.Series(cells, name="x", dtype=object), "models"))

    assert clean("1", None, "2") == pytest.approx([1, np.nan, 2], nan_ok=True)
    assert clean("true", "", "no") == ["true", "", "no"]
    assert clean("TRUE", None) == [True, None]
    assert clean("1", "eu") == ["1", "eu"]
    with pytest.raises(DataError, match="models, row 2: x is inf; expected a finite number"):
        clean("1", "inf")


def judged(**columns: list[Any]) -> RoutingDataset:
    plain = dataset()
    outcomes = plain.outcomes[["query_id", "model", "effect"]].assign(**columns)
    return RoutingDataset.from_frames(
        queries=plain.queries, models=plain.models[["model"]], outcomes=outcomes
    )


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_numbers_of_outcomes_are_kept_in_any_form(form: Any, tmp_path: Path) -> None:
    data = judged(judge_score=["0.8", ""], passed=[True, False], words=["good", "bad"])
    assert [*data.outcomes.columns[-2:]] == ["judge_score", "passed"]  # no texts
    data.save(tmp_path, format=form)
    again = load_dataset(tmp_path)
    for kept in (data, again):
        np.testing.assert_array_equal(kept.outcomes["judge_score"], [0.8, np.nan])
        np.testing.assert_array_equal(kept.outcomes["passed"], [1.0, 0.0])
    assert again.fingerprint == dataset().fingerprint  # nothing is learned from them


def test_numbers_of_outcomes_that_have_another_meaning_are_no_own_ones() -> None:
    data = judged(
        cost=[1, 2], task=[1, 2], split=[1, 2], input_usd_per_mtok=[1, 2], output_tokns=[1, 2]
    )
    assert [*data.outcomes.columns][3:] == [
        "cost_usd",
        "input_tokens",
        "output_tokens",
        "latency_s",
    ]
    odd = pd.DataFrame(
        {7: [1], "": [1], "gap": [None], "huge": [10**400], "kept": [1]}, dtype=object
    )
    assert [*read_own_numbers(odd)] == ["kept"]


def test_numbers_of_repeats_are_averaged_like_their_effects() -> None:
    frames = {"queries": dataset().queries, "models": dataset().models[["model"]]}
    runs = pd.DataFrame({"query_id": ["a"] * 3, "model": ["m0", "m0", "m1"], "effect": [0, 1, 1]})
    for order in (runs.index, runs.index[::-1]):
        told = runs.assign(judge_score=[0.2, 0.9, None]).loc[order]
        data = RoutingDataset.from_frames(**frames, outcomes=told)
        score = data.outcome_matrix("effect"), data.outcomes.set_index("model")["judge_score"]
        assert score[0].tolist() == [[0.5, 1.0]]
        assert score[1]["m0"] == pytest.approx(0.55)
        assert np.isnan(score[1]["m1"])

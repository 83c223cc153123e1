"""Columns of the models table that are the user's own: read, kept and given to the cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.data.own_columns import clean_own_column, list_own_columns
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

"""Columns `base` and `parameters` of the models table, in every file format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.data import RoutingDataset
from graphrouter.data.splits import group_families
from graphrouter.exceptions import DataError

PARAMETERS = [None, {"effort": "high"}, {"thinking": {"budget_tokens": 2048}}]


def make(**columns: list[object]) -> RoutingDataset:
    models = {"model": ["x", "x-high", "y"], "input_usd_per_mtok": [1.0, None, 3.0]}
    return RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ["a"], "task": [None], "prompt": ["Hello."]}),
        models=pd.DataFrame(models | {"output_usd_per_mtok": [2.0, None, 4.0]} | columns),
        outcomes=pd.DataFrame(
            {"query_id": "a", "model": models["model"], "effect": 1.0, "output_tokens": 1e6}
        ).assign(input_tokens=0.0),
    )


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_settings_are_saved_and_loaded(
    format: Literal["parquet", "csv", "jsonl"], tmp_path: Path
) -> None:
    data = make(base=[None, "x", None], parameters=list(PARAMETERS))
    data.save(tmp_path / "data", format=format)
    loaded = gr.load_dataset(tmp_path / "data")
    assert loaded.pool.cards == data.pool.cards
    assert loaded.fingerprint == data.fingerprint
    assert [card.parameters for card in loaded.pool] == PARAMETERS
    assert [card.base for card in loaded.pool] == [None, "x", None]


def test_parquet_gives_mappings_the_names_of_all_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"parameters": PARAMETERS})
    frame.to_parquet(tmp_path / "models.parquet")
    read = pd.read_parquet(tmp_path / "models.parquet")["parameters"].tolist()
    assert read[1] != PARAMETERS[1]
    data = make(base=[None, "x", None], parameters=read)
    assert [card.parameters for card in data.pool] == PARAMETERS


def test_costs_come_from_the_prices_of_a_sibling() -> None:
    assert make(base=[None, " x ", None]).outcomes["cost_usd"].tolist() == [2.0, 2.0, 4.0]
    assert make().outcomes["cost_usd"].isna().tolist() == [False, True, False]


def test_without_settings_the_table_and_its_fingerprint_stay() -> None:
    assert not {"base", "parameters"} & set(make().models.columns)
    assert make().fingerprint != make(base=[None, "x", None]).fingerprint


def test_wrong_parameters_name_their_row() -> None:
    with pytest.raises(DataError, match="row 2: parameters is 'high'; expected a mapping"):
        make(parameters=[None, "high", None])


def test_an_effort_that_is_misspelt_is_told(caplog: pytest.LogCaptureFixture) -> None:
    data = make(base=[None, "x", None], parameters=[None, {"reasoning_effort": "hihg"}, None])
    assert "reasoning_effort = 'hihg': no known effort" in caplog.text
    router = gr.GraphRouter.fit(gr.simulate(60, 3, num_efforts=2).data, instant=True)
    caplog.clear()
    router.add_model(data.pool["x-high"])
    assert "reasoning_effort = 'hihg': no known effort" in caplog.text


def test_settings_of_a_base_are_a_family() -> None:
    models = pd.DataFrame(
        {"model": ["quick", "slow", "y"], "base": ["x", "x", None], "family": None}
    )
    assert group_families(models).tolist() == ["model x", "model x", "model y"]

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphrouter.bench.simulate import Simulation
from graphrouter.data import RoutingDataset, load_dataset
from graphrouter.exceptions import DataError

Format = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("parquet", "csv", "jsonl")


@pytest.mark.parametrize("format", FORMATS)
def test_a_saved_dataset_comes_back_the_same(
    small: RoutingDataset, tmp_path: Path, format: Format
) -> None:
    small.save(tmp_path / "new", format=format)
    loaded = load_dataset(tmp_path / "new")
    assert loaded.name == "new"
    for table in ("queries", "models", "outcomes", "tasks"):
        pd.testing.assert_frame_equal(getattr(loaded, table), getattr(small, table))
    assert loaded.fingerprint == small.fingerprint


@pytest.mark.parametrize("format", FORMATS)
def test_a_world_survives_each_format_bit_for_bit(
    world: Simulation, tmp_path: Path, format: Format
) -> None:
    world.data.save(tmp_path, format=format)
    assert load_dataset(tmp_path).fingerprint == world.data.fingerprint


@settings(max_examples=40)
@given(
    prompts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        min_size=1,
        max_size=5,
    ),
    cost=st.floats(0, 1e6),
    format=st.sampled_from(FORMATS),
)
@example(prompts=["before\x00after"], cost=0.0, format="csv")  # cut by the CSV reader of pandas 3.0
def test_any_prompt_and_cost_survive(prompts: list[str], cost: float, format: Format) -> None:
    prompts = [f"x{prompt}" for prompt in prompts]
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": [f"{i:03d}" for i in range(len(prompts))], "task": None, "prompt": prompts}
        ),
        models=pd.DataFrame({"model": ["a", "b"]}),
        outcomes=pd.DataFrame(
            {"query_id": ["000"], "model": ["b"], "effect": [1 / 3], "cost_usd": [cost]}
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        data.save(folder, format=format)
        loaded = load_dataset(folder)
    assert loaded.queries["prompt"].tolist() == prompts
    assert loaded.outcomes["cost_usd"].tolist() == [cost]
    assert loaded.queries["query_id"].tolist() == data.queries["query_id"].tolist()


def write_csv(folder: Path, **tables: str) -> Path:
    folder.mkdir(exist_ok=True)
    defaults = {
        "queries": 'query_id,task,prompt\n001,NA,"Line one,\nline two"\n002,,NA\n003,null,null\n',
        "models": "model,tools,input_usd_per_mtok\n7,true,NA\nnull,,0.5\n",
        "outcomes": "query_id,model,effect,cost_usd\n001,7,1,\n002,null,0.5,null\n",
    }
    for name, text in {**defaults, **tables}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_csv_ids_and_words_for_nothing_survive(tmp_path: Path) -> None:
    data = load_dataset(write_csv(tmp_path / "plain"))
    assert data.queries["query_id"].tolist() == ["001", "002", "003"]
    assert data.queries["prompt"].tolist() == ["Line one,\nline two", "NA", "null"]
    assert data.queries["task"].fillna("-").tolist() == ["NA", "-", "null"]
    assert data.pool.names == ("7", "null")
    assert data.pool["7"].tools is True
    assert data.pool["7"].input_usd_per_mtok is None
    assert np.isnan(data.outcomes["cost_usd"]).all()


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    folder = write_csv(tmp_path, models="\ufeffmodel\n7\nnull\n")
    assert load_dataset(folder).pool.names == ("7", "null")


def test_messages_name_the_file(tmp_path: Path) -> None:
    folder = write_csv(tmp_path, outcomes="query_id,model,effect\n001,7,1\n001,8,0\n")
    with pytest.raises(DataError, match=r"^outcomes\.csv, row 2: model '8' is not in models\.csv"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("models.csv", b"", "models.csv is empty; expected a header line"),
        (
            "models.csv",
            b"model,tools\n7,true,extra,more\n",
            "models.csv, row 1: no valid CSV: 4 cells",
        ),
        ("models.csv", b"model\n\xff\xfe\n", "models.csv is not UTF-8 text"),
        ("models.jsonl", b'{"model": "7"}\n{"model": }\n', "models.jsonl, line 2: no valid JSON"),
        (
            "models.jsonl",
            b'{"model": "7"}\n["null"]\n',
            "models.jsonl, line 2: a list; expected an object",
        ),
        ("models.parquet", b"PAR1 not really", "models.parquet is no readable Parquet file"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    folder = write_csv(tmp_path)
    (folder / "models.csv").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="models") as caught:
        load_dataset(folder)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_tables_and_folders(tmp_path: Path) -> None:
    folder = write_csv(tmp_path)
    (folder / "outcomes.csv").unlink()
    with pytest.raises(
        DataError, match=r"has no outcomes table \(found: models.csv, queries.csv\)"
    ):
        load_dataset(folder)
    with pytest.raises(DataError, match="There is no folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a file. Give a folder"):
        load_dataset(folder / "models.csv")


def test_two_formats_of_one_table_are_ambiguous(tmp_path: Path, small: RoutingDataset) -> None:
    folder = write_csv(tmp_path)
    (folder / "models.jsonl").write_text('{"model": "7"}\n')
    with pytest.raises(
        DataError, match=r"holds models\.csv and models\.jsonl, so it is unclear which one counts"
    ):
        load_dataset(folder)
    with pytest.raises(DataError, match=r"already holds queries\.csv"):
        small.save(folder)


def test_saving_again_in_one_format_replaces(small: RoutingDataset, tmp_path: Path) -> None:
    small.save(tmp_path)
    small.select_queries(["001"]).save(tmp_path)
    assert len(load_dataset(tmp_path).queries) == 1


def test_an_unknown_format_is_refused(small: RoutingDataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Unknown table format 'xlsx'"):
        small.save(tmp_path, format="xlsx")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "num_queries", "num_models", "num_outcomes"),
    [
        ("zeroeval", 6324, 57, 306_699),
        ("mmlu_pro", 5850, 29, 168_793),
        ("bfcl_v1", 1700, 71, 120_700),
        ("routerbench_subset", 3162, 11, 34_768),
        ("llmrouter_default", 5989, 9, 53_901),
    ],
)
def test_real_data_loads_whole(
    shared_data: Callable[[str], Path],
    name: str,
    num_queries: int,
    num_models: int,
    num_outcomes: int,
) -> None:
    data = load_dataset(shared_data(name))
    assert (len(data.queries), len(data.models), len(data.outcomes)) == (
        num_queries,
        num_models,
        num_outcomes,
    )
    assert len(data.pool) == num_models
    assert np.isfinite(data.outcome_matrix("effect")).sum() == num_outcomes

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.bench.formats import read_graphrouter_paper
from graphrouter.data import load_dataset
from graphrouter.exceptions import DataError

COLUMNS = "task_id,query,query_embedding,ground_truth,metric,llm,effect,cost,task_description"
EMBEDDING = '"[0.1, 0.2,\n 0.3]"'
CANDIDATES = {
    "nano": {"feature": "Small.", "input_price": 0.2, "output_price": 0.4, "model": "x/nano"},
    "unrun": {"feature": "Nobody ran it.", "input_price": 1, "output_price": 1, "model": "x/u"},
}


def call(
    task: str, query: str, llm: str, effect: object, cost: object, description: str = "Sums."
) -> str:
    text = query.replace('"', '""')
    return f'{task},"{text}",{EMBEDDING},4,em,{llm},{effect},{cost},{description}\n'


def write(folder: Path, *calls: str, columns: str = COLUMNS) -> Path:
    file = folder / "router_data.csv"
    file.write_text(columns + "\n" + "".join(calls), encoding="utf-8")
    return file


SCALED = (
    call("gsm8k", 'Say "2 + 2", please.\nNow.', "nano", 1, 0.0),
    call("gsm8k", 'Say "2 + 2", please.\nNow.', "grand", 0.25, 1.0),
    call("gsm8k", "3 + 3?", "nano", 0, 0.125),
    call("news", "3 + 3?", "grand", 0.5, 0.0, "Shorten."),
    call("news", "4?", "grand", 0.5, 1.0, "Shorten."),
)


def test_every_value_arrives(
    tmp_path: Path, write_json: Any, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, *SCALED)
    (tmp_path / "unified_qa_data.csv").write_text("task_id,query\ngsm8k,Another.\n")
    write_json("LLM_Descriptions.json", CANDIDATES)
    with caplog.at_level(logging.WARNING):
        data = read_graphrouter_paper(tmp_path)
    unit = "share of the range of the task"
    assert data.queries.to_dict("list") == {
        "task": ["gsm8k", "gsm8k", "news", "news"],
        "prompt": ['Say "2 + 2", please.\nNow.', "3 + 3?", "3 + 3?", "4?"],
        "query_id": ["1", "2", "3", "4"],
        "cost_unit": [unit] * 4,
    }
    assert outcomes_of(data, "effect", "cost_usd", "input_tokens") == {
        ("1", "nano"): (1.0, 0.0, None),
        ("1", "grand"): (0.25, 1.0, None),
        ("2", "nano"): (0.0, 0.125, None),
        ("3", "grand"): (0.5, 0.0, None),
        ("4", "grand"): (0.5, 1.0, None),
    }
    told = data.tasks.set_index("task")["description"]
    assert told.to_dict() == {"gsm8k": "Sums.", "news": "Shorten."}
    assert data.pool.names == ("nano", "unrun", "grand")
    assert data.pool["nano"].description == "Small."
    assert data.pool["nano"].input_usd_per_mtok is None, "a price beside shares contradicts"
    left_out, scaled = caplog.messages
    assert "left out: query_embedding, ground_truth, metric." in left_out
    assert "shares of the task's range and no dollars" in scaled


def test_costs_in_dollars_are_told_from_shares(
    tmp_path: Path, write_json: Any, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, call("a", "One?", "nano", 1, 2.5e-4), call("a", "One?", "grand", 1, 0.02))
    write_json("LLM_Descriptions.json", CANDIDATES)
    with caplog.at_level(logging.WARNING):
        data = read_graphrouter_paper(tmp_path)
    assert outcomes_of(data, "cost_usd") == {("1", "nano"): (2.5e-4,), ("1", "grand"): (0.02,)}
    assert "cost_unit" not in data.queries.columns
    assert data.pool["nano"].input_usd_per_mtok == 0.2
    assert "cost is taken for US dollars a call" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("costs", "scaled"),
    [
        ((0.0, 1.0), True),
        ((0.0, 0.9999999), True),
        ((0.0, 0.9), False),
        ((0.1, 1.0), False),
        ((0.0, 1.0, 3.0), False),
        (("", 0.0, 1.0), True),
        (("", "", ""), False),
    ],
)
def test_when_costs_are_shares(costs: tuple[object, ...], scaled: bool, tmp_path: Path) -> None:
    calls = [call("a", "One?", f"m{i}", 1, cost) for i, cost in enumerate(costs)]
    data = read_graphrouter_paper(write(tmp_path, *calls))
    assert ("cost_unit" in data.queries.columns) is scaled


def test_nothing_is_dropped_in_silence(
    tmp_path: Path, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(
        tmp_path,
        call("a", "One?", "nano", 1, 0.2, ""),
        call("a", "One?", "nano", 0, 0.4),
        call("a", "One?", "grand", "", 0.3, "Other words."),
        call("a", " ", "grand", 1, 0.3),
        call("", "Two?", "grand", 1, "", "Sums of no task."),
        call("a", "Three?", "grand", "", ""),
    )
    with caplog.at_level(logging.WARNING):
        data = read_graphrouter_paper(file)
    assert outcomes_of(data, "effect", "cost_usd") == {
        ("1", "nano"): (0.5, pytest.approx(0.3)),
        ("3", "grand"): (1.0, None),
    }
    assert data.queries["task"].tolist()[:1] == ["a"]
    assert data.queries["task"].isna().sum() == 1
    assert data.tasks["description"].tolist() == ["Sums."]
    said = caplog.text
    assert "2 of 6 rows have no effect and are no outcomes, the first is row 3" in said
    assert "1 tasks have more than one description (a); the first one counts" in said
    assert "1 queries have no prompt text and are left out" in said
    assert "1 row repeats a (query, model) pair; all of a pair were averaged" in said


@pytest.mark.parametrize(
    ("calls", "columns", "expected"),
    [
        ((call("a", "One?", "nano", 1.5, 0.1),), COLUMNS, "row 1: effect is 1.5; expected"),
        ((call("a", "One?", "nano", 1, -0.1),), COLUMNS, "row 1: cost is -0.1"),
        ((call("a", "One?", "nano", "nan", 1),), COLUMNS, "effect is 'nan'. Leave it empty"),
        ((call("a", "One?", "nano", "good", 1),), COLUMNS, "effect is 'good', which is no number"),
        (
            (SCALED[0], call("a", "One?", " ", 1, 0.1)),
            COLUMNS,
            "router_data.csv, row 2: llm is empty; expected the name of a model",
        ),
        (("a,One?,nano,1\n",), "task_id,query,llm,effect", "'cost' is missing (found: effect, llm"),
        (("a,One?,1,1\n",), "task_id,query,effect,cost", "'llm' is missing"),
        ((call("a", "One?", "nano", "", 1),), COLUMNS, "the source has no graded answer"),
        (("a,One?\n",), COLUMNS, "is no readable CSV file"),
    ],
)
def test_what_is_wrong_is_named(
    calls: tuple[str, ...], columns: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read_graphrouter_paper(write(tmp_path, *calls, columns=columns))
    assert expected in str(caught.value)


def test_the_folder_holds_one_such_file(tmp_path: Path) -> None:
    (tmp_path / "unified_qa_data.csv").write_text("task_id,query\na,One?\n")
    with pytest.raises(DataError, match=r"0 files named router_data\.csv \(found: unified_qa_"):
        read_graphrouter_paper(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, *SCALED)
    with pytest.raises(DataError, match="2 files named router_data.csv"):
        read_graphrouter_paper(tmp_path)
    renamed = (tmp_path / "one" / "router_data.csv").rename(tmp_path / "mine.csv")
    assert len(read_graphrouter_paper(renamed).queries) == 4


def test_a_dataset_in_this_form_comes_back_the_same(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    """Real outcomes, written as the repository writes them, costs scaled within each task."""
    data = load_dataset(shared_data("bfcl_v1"))
    data = data.select_queries(data.queries["query_id"].tolist()[::40])
    joined = data.outcomes.merge(data.queries, on="query_id").merge(data.tasks, on="task")
    cost = joined.groupby("task")["cost_usd"]
    joined["cost"] = (joined["cost_usd"] - cost.transform("min")) / (
        cost.transform("max") - cost.transform("min")
    )
    names = {"task": "task_id", "prompt": "query", "model": "llm"}
    file = tmp_path / "router_data.csv"
    renamed = joined.rename(columns={**names, "description": "task_description"})
    renamed[[*names.values(), "effect", "cost", "task_description"]].to_csv(file, index=False)
    again = read_graphrouter_paper(file)
    keys = ["task", "prompt", "model"]
    expected = joined.drop(columns="cost_usd").rename(columns={"cost": "cost_usd"})
    expected = expected[[*keys, "effect", "cost_usd"]].groupby(keys, as_index=False).mean()
    found = again.outcomes.merge(again.queries, on="query_id")[expected.columns]
    found = found.sort_values(keys, ignore_index=True).astype(expected.dtypes)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
    assert (again.queries["cost_unit"] == "share of the range of the task").all()
    told, kept = (each.tasks.set_index("task")["description"] for each in (again, data))
    assert told.to_dict() == kept[told.index].to_dict()

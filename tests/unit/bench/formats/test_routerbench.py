from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from graphrouter.bench.formats import read_routerbench
from graphrouter.exceptions import DataError


def wide(**changes: list[Any]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        "sample_id": ["mbpp.dev.1", "grade.2", "mt.3"],
        "prompt": ["['Write a loop.']", "['1 + 1?\\\\n\\\\d']", "['First.', \"Second, it's.\"]"],
        "eval_name": ["mbpp", "grade-school-math", "mtbench"],
        "org/nano-3.5": [1.0, None, 0.25],
        "grand": [0, 1, 0.5],
        "org/nano-3.5|model_response": ["for", "", "x"],
        "grand|model_response": ["", "2", "y"],
        "org/nano-3.5|total_cost": [0.001, 0.002, None],
        "grand|total_cost": [0.01, 0.02, 0.03],
        "oracle_model_to_route_to": ["org/nano-3.5", "grand", "grand"],
    }
    return pd.DataFrame({**columns, **changes})


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_every_value_arrives(tmp_path: Path, outcomes_of: Any, suffix: str) -> None:
    file = tmp_path / f"routerbench_0shot{suffix}"
    wide().to_parquet(file) if suffix == ".parquet" else wide().to_csv(file, index=False)
    data = read_routerbench(file)
    assert data.name == "routerbench"
    assert data.queries.to_dict("list") == {
        "query_id": ["mbpp.dev.1", "grade.2", "mt.3"],
        "task": ["mbpp", "grade-school-math", "mtbench"],
        "prompt": ["Write a loop.", "1 + 1?\\n\\d", "First.\n\nSecond, it's."],
    }
    assert data.models["model"].tolist() == ["org/nano-3.5", "grand"]
    assert outcomes_of(data, "effect", "cost_usd", "input_tokens") == {
        ("mbpp.dev.1", "org/nano-3.5"): (1.0, 0.001, None),
        ("mt.3", "org/nano-3.5"): (0.25, None, None),
        ("mbpp.dev.1", "grand"): (0.0, 0.01, None),
        ("grade.2", "grand"): (1.0, 0.02, None),
        ("mt.3", "grand"): (0.5, 0.03, None),
    }


def test_a_query_without_text_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "table.parquet"
    wide(prompt=["Write a loop.", " ", "Speak."]).to_parquet(file)
    with caplog.at_level(logging.WARNING):
        data = read_routerbench(tmp_path)
    assert data.queries["query_id"].tolist() == ["mbpp.dev.1", "mt.3"]
    assert len(data.outcomes) == 4
    assert caplog.messages == [
        "1 queries have no prompt text and are left out, the first is 'grade.2'."
    ]


class Bomb:
    """Unpickling it would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_pickle_is_refused_unopened(tmp_path: Path, as_folder: bool) -> None:
    file = tmp_path / "published" / "routerbench_0shot.pkl"
    file.parent.mkdir()
    file.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(
        DataError, match=r"routerbench_0shot\.pkl is a pickle.*docs/formats\.md, section Pickles\.$"
    ):
        read_routerbench(file.parent if as_folder else file)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            wide(grand=[0, 1.5, 0.5]),
            "table.parquet, row 2: grand is 1.5; expected a number from 0 to 1",
        ),
        (wide(grand=[-0.1, 1, 0.5]), "table.parquet, row 1: grand is -0.1"),
        (
            wide(grand=["0", "1", "good"]),
            "table.parquet, row 3: grand is 'good', which is no number",
        ),
        (
            wide(**{"grand|total_cost": [0.1, -1, 0.1]}),
            r"table.parquet, row 2: grand|total_cost is -1; expected a finite number",
        ),
        (wide().drop(columns="eval_name"), "table.parquet: 'eval_name' is missing"),
        (wide().drop(columns="grand"), "table.parquet: 'grand' is missing"),
        (
            wide().drop(columns=["grand|total_cost", "org/nano-3.5|total_cost"]),
            "has no column '<model>|total_cost'",
        ),
        (wide().head(0), "routerbench: the source has no graded answer"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, table: pd.DataFrame, expected: str) -> None:
    table.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(DataError) as caught:
        read_routerbench(tmp_path / "table.parquet")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_source_must_be_one_readable_file(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"There is no .*nowhere; expected RouterBench's wide table"
    ):
        read_routerbench(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no \.parquet or \.csv file \(found: nothing\)"):
        read_routerbench(tmp_path)
    for name in ("zero.csv", "five.csv"):
        wide().to_csv(tmp_path / name, index=False)
    with pytest.raises(
        DataError,
        match=r"holds 2 files that could be meant \(five\.csv, zero\.csv\)\. Name one of them\.",
    ):
        read_routerbench(tmp_path)
    (tmp_path / "zero.csv").write_text("")
    with pytest.raises(DataError, match=r"zero\.csv is no readable CSV file: .*"):
        read_routerbench(tmp_path / "zero.csv")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"broken\.parquet is no readable PARQUET file"):
        read_routerbench(tmp_path / "broken.parquet")


def test_a_model_without_its_cost_column_is_not_dropped_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "table.parquet"
    wide().rename(columns={"grand|total_cost": "grand|total_cos"}).to_parquet(file)
    with pytest.raises(DataError, match=r"'grand\|model_response' but no 'grand\|total_cost'"):
        read_routerbench(file)
    wide().assign(third=[1, 0, 1]).to_parquet(file)
    with caplog.at_level(logging.WARNING):
        assert len(read_routerbench(file).models) == 2
    assert "third" in caplog.text

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from graphrouter.data import RoutingDataset, load_dataset, read_table
from graphrouter.exceptions import DataError

Frames = dict[str, pd.DataFrame]


@pytest.mark.parametrize(
    ("defined", "written"),
    [
        (["1", "2"], ["1.0", "2.0"]),  # a gap made floats of them
        (["01", "02"], ["1", "2"]),  # a spreadsheet took the zeros
        (["0.0", "1.0"], ["0", "1"]),
        (["0", "1"], ["0.0", "01"]),
        (["a", "b"], [" a", "b "]),
    ],
)
def test_ids_that_a_program_rewrote_are_found_and_it_is_said(
    defined: list[str], written: list[str], frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": defined, "task": None, "prompt": ["One?", "Two?"]}),
        models=frames["models"],
        outcomes=pd.DataFrame({"query_id": written, "model": "nano", "effect": [0.0, 1.0]}),
    )
    assert data.outcomes["query_id"].tolist() == data.queries["query_id"].tolist()
    assert "query_id: " in caplog.text


def test_an_id_that_could_be_two_is_refused(frames: Frames) -> None:
    with pytest.raises(DataError, match=r"row 1: query_id '1\.0' is not in queries table"):
        RoutingDataset.from_frames(
            queries=pd.DataFrame({"query_id": ["1", "01"], "task": None, "prompt": ["A?", "B?"]}),
            models=frames["models"],
            outcomes=pd.DataFrame({"query_id": ["1.0"], "model": "nano", "effect": [0.0]}),
        )


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("queries", "query_id", "cut \ud800", "queries table, row 2: query_id holds half"),
        ("queries", "task", "cut \udc00", "queries table, row 2: task holds half"),
        ("queries", "note", "cut \udc00", "queries table, row 2: note holds half"),
        ("models", "model", "cut \ud800", "models table, row 2: model holds half"),
        ("models", "description", "cut \ud800", "models table, row 2: description holds half"),
        ("models", "family", "cut \ud800", "models table, row 2: family holds half"),
        ("outcomes", "answer", "cut \ud800", "outcomes table, row 2: answer holds half"),
        ("queries", "query_id", ["a"], "query_id is ['a']; expected text"),
        ("queries", "query_id", b"a", "query_id is b'a'; expected text"),
    ],
)
def test_what_no_text_can_be_is_refused_by_row_and_column(
    table: str, column: str, value: object, said: str, frames: Frames
) -> None:
    frame = frames[table]
    cells = list(frame[column]) if column in frame.columns else ["x"] * len(frame)
    cells[1] = value
    frames[table] = frame.assign(**{column: pd.Series(cells, dtype=object)})
    with pytest.raises(DataError) as caught:
        RoutingDataset.from_frames(**frames)
    assert said in str(caught.value)
    str(caught.value).encode()  # it can be shown


def test_a_nul_and_everything_else_in_a_csv_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b'prompt,note\n"a\x00b, ""c""\r\nd",\x00\n')
    assert read_table(file).to_dict(orient="list") == {
        "prompt": ['a\x00b, "c"\r\nd'],
        "note": ["\x00"],
    }


def test_blanks_around_columns_are_taken_off(
    frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    frames["outcomes"] = frames["outcomes"].rename(columns={"effect": " effect", "model": "model "})
    assert len(RoutingDataset.from_frames(**frames).outcomes) == 4
    assert "blanks around the names of columns were taken off" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,effect,effect\na,1,0\n", "column 'effect' occurs more than once"),
        ('prompt,model\n"a,b\n', "no valid CSV"),
        ("a,b,c\n", "column 'prompt' is missing (found: a, b, c)"),
        ("1,2,3\n", "The line with the names of the columns seems to be missing"),
        ("Prompt,effect\n", "'Prompt' is 'prompt'"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    from graphrouter.data.new_outcomes import read_query_file

    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_query_file(file)
    assert said in str(caught.value)


def test_a_row_that_was_cut_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "table.csv"
    file.write_text("prompt,model,note,\na,nano,x,\nb,nano\n")
    assert read_table(file)["note"].tolist() == ["x", ""]
    assert "1 row lacks cells at the end, the first is row 2" in caplog.text


def test_one_json_list_is_read_as_a_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "table.jsonl"
    file.write_text('[{"prompt": "a"},\n {"prompt": "b"}]')
    assert read_table(file)["prompt"].tolist() == ["a", "b"]
    assert "is one JSON list" in caplog.text
    file.write_text('{"effect": 1, "effect": 0}\n')
    with pytest.raises(DataError, match=r"line 1: no valid JSON \(the key 'effect' occurs twice\)"):
        read_table(file)


def test_packed_tables_of_a_folder_are_found(frames: Frames, tmp_path: Path) -> None:
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv.gz", index=False)
    assert len(load_dataset(tmp_path).outcomes) == 4

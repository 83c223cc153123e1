"""`graphrouter predict`: the table that it writes, and the tables that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow.parquet import ParquetFile

from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.cli import predict as predict_module
from graphrouter.cli.inputs import QueryList, read_queries
from graphrouter.cli.predict import predict_tables
from graphrouter.data import table_files
from graphrouter.data.table_files import read_table, write_table
from graphrouter.exceptions import DataError
from graphrouter.files import replace_file
from graphrouter.router.graph_router import GraphRouter
from graphrouter.types import Queries

Invoke = Callable[..., tuple[int, str, str]]
COLUMNS = [
    "query_id",
    "model",
    "effect",
    "effect_low",
    "effect_high",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "latency_s",
    "familiarity",
]


@pytest.mark.parametrize("source", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("target", [".parquet", ".csv", ".jsonl"])
def test_every_format_holds_what_the_router_predicts(
    invoke: Invoke, artifact: Path, router: GraphRouter, tmp_path: Path, source: str, target: str
) -> None:
    frame = pd.DataFrame(
        {"query_id": ["b", "a"], "task": ["facts", None], "prompt": ["Who, then?", ""]}
    )
    write_table(frame, tmp_path / f"in{source}")
    out = tmp_path / "new" / f"out{target}"
    status, shown, errors = invoke("predict", artifact, tmp_path / f"in{source}", "--out", out)
    assert (status, errors) == (0, "")
    assert "8 rows (2 queries x 4 models)" in shown
    table = read_table(out)
    assert list(table.columns) == COLUMNS
    assert table["query_id"].tolist() == ["b"] * 4 + ["a"] * 4
    assert table["model"].tolist() == list(router.models) * 2
    expected = router.predict(["Who, then?", ""], tasks=["facts", None])
    assert expected.familiarity is not None
    assert (
        table["familiarity"].astype(float).tolist() == np.repeat(expected.familiarity, 4).tolist()
    )
    for name in COLUMNS[2:-1]:
        np.testing.assert_allclose(
            table[name].astype(float), getattr(expected, name).ravel(), rtol=1e-9
        )
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_queries_without_ids_are_numbered_from_1(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("prompt\nfirst\n\nNA\n", encoding="utf-8")
    queries = read_queries(tmp_path / "q.csv")
    assert queries == QueryList(["1", "2"], Queries(("first", "NA"), (None, None)))


def test_a_long_list_gives_the_scores_of_single_queries(
    router: GraphRouter, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_module, "_QUERIES_AT_ONCE", 7)
    prompts = simulation.data.queries["prompt"].tolist()[:20]
    queries = QueryList([str(i) for i in range(20)], Queries.of(prompts))
    table = pd.concat(predict_tables(router, queries), ignore_index=True)
    expected = np.concatenate([router.predict([prompt]).effect for prompt in prompts])
    np.testing.assert_allclose(table["effect"].to_numpy().reshape(20, -1), expected, atol=1e-6)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_file_that_is_written_in_parts_holds_the_same_rows(tmp_path: Path, suffix: str) -> None:
    rows = {"query_id": ["1", "1", "2", "2"], "effect": [0.5, float("nan"), 0.25, 1.0]}
    whole, parts = tmp_path / f"whole{suffix}", tmp_path / f"parts{suffix}"
    table = pd.DataFrame(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_files, "_ROWS_AT_ONCE", 2)
        assert table_files.write_parts((table.iloc[i : i + 1] for i in range(4)), parts) == 4
    table_files.write_table(table, whole)
    pd.testing.assert_frame_equal(table_files.read_table(parts), table_files.read_table(whole))
    if suffix == ".parquet":
        assert ParquetFile(parts).num_row_groups == 2
        assert ParquetFile(parts).schema_arrow.equals(ParquetFile(whole).schema_arrow)
    else:
        assert parts.read_bytes() == whole.read_bytes()


def test_several_processes_write_the_same_file(
    invoke: Invoke, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_module, "_QUERIES_AT_ONCE", 2)
    (tmp_path / "in.txt").write_text("Hello\n1 + 1?\nWho, then?\n", encoding="utf-8")
    written = []
    for more in ([], ["--processes", 2]):
        out = tmp_path / "out.csv"
        assert invoke("predict", artifact, tmp_path / "in.txt", "--out", out, *more)[0] == 0
        written.append(out.read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.csv", "query_id,text\na,hello\n", "column 'prompt' is missing (found: query_id, text)"),
        ("q.csv", "prompt\n", "holds no queries"),
        ("q.csv", "", "is empty"),
        ("q.csv", "query_id,prompt\na,x\na,y\n", "row 2: query_id 'a' occurs before"),
        ("q.jsonl", '{"prompt": "x"}\n{"prompt": null}\n', "row 2: prompt is None"),
        ("q.jsonl", '{"prompt": "x"}\n{"prompt": 3}\n', "row 2: prompt is 3"),
        ("q.jsonl", '{"prompt": "x"\n', "line 1: no valid JSON"),
        ("q.xlsx", "", "has the suffix '.xlsx'"),
        ("q.parquet", "not parquet", "no readable Parquet file"),
    ],
)
def test_bad_tables_are_one_line(
    invoke: Invoke, artifact: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    status, shown, errors = invoke(
        "predict", artifact, tmp_path / name, "--out", tmp_path / "out.csv"
    )
    assert (status, shown) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_table_and_a_folder_are_told_apart(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert (
        "is not there"
        in invoke("predict", artifact, tmp_path / "nowhere.csv", "--out", tmp_path / "out.csv")[2]
    )
    assert (
        "is a folder"
        in invoke("predict", artifact, tmp_path / "folder.csv", "--out", tmp_path / "out.csv")[2]
    )


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("out.xlsx", "out.parquet"),
        ("out", "names no format"),
        ("taken.csv", "is a folder"),
        ("file/o.csv", "is no folder"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_the_work(
    invoke: Invoke, tmp_path: Path, out: str, message: str
) -> None:
    (tmp_path / "taken.csv").mkdir()
    (tmp_path / "file").write_text("mine")
    status, _, errors = invoke(
        "predict", tmp_path / "no-artifact", tmp_path / "no-queries.csv", "--out", tmp_path / out
    )
    assert status == 2
    assert message in errors


def test_no_artifact_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("prompt\nx\n")
    status, _, errors = invoke(
        "predict", tmp_path / "nowhere", tmp_path / "q.csv", "--out", tmp_path / "out.csv"
    )
    assert status == 2
    assert "No artifact at" in errors


def test_a_crash_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("old")

    def write(partial: Path) -> None:
        partial.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_file(file, write)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_read_table_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected \.parquet or \.csv or \.jsonl"):
        read_table(tmp_path / "x.json")


def test_the_queries_are_not_overwritten(invoke: Invoke, artifact: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "p.csv"
    prompts.write_text("prompt\nhello\n")
    status, _, errors = invoke("predict", artifact, prompts, "--out", prompts)
    assert status == 2
    assert "would be lost" in errors
    assert prompts.read_text() == "prompt\nhello\n"


def test_a_task_never_seen_is_mentioned_once(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.csv").write_text("prompt,task\nhello,nonsense\nbye,nonsense\nyes,\n")
    status, _, errors = invoke(
        "predict", artifact, tmp_path / "p.csv", "--out", tmp_path / "out.csv"
    )
    assert status == 0
    assert errors.count("has never seen the task 'nonsense'") == 1


def test_it_searches_by_an_index(invoke: Invoke, artifact: Path, tmp_path: Path) -> None:
    pd.DataFrame({"prompt": ["Add 3 and 4."]}).to_csv(tmp_path / "in.csv", index=False)
    words = "predict", artifact, tmp_path / "in.csv", "--search-recall", "0.98", "--out"
    status, _, errors = invoke(*words, tmp_path / "out.csv")
    assert (status, errors) == (0, "")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 4
    status, _, errors = invoke(*words, tmp_path / "parts", "--engine", "ray")
    assert status != 0
    assert "takes no --search-recall" in errors
    words = "predict", artifact, tmp_path / "in.csv", "--out", tmp_path / "parts"
    status, _, errors = invoke(*words, "--engine", "ray", "--processes", "2")
    assert status != 0
    assert "takes no --processes" in errors

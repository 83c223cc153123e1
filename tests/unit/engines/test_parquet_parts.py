"""Parts of work: each is written once and whole, and a run that was killed goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphrouter.engines.parquet_parts import PartFolder, list_parts
from graphrouter.exceptions import DataError

SCHEMA = pa.schema([("query_id", pa.string())])


def write_prompts(folder: Path, *sizes: int, rows_a_group: int = 4) -> Path:
    folder.mkdir()
    for number, size in enumerate(sizes):
        ids = [f"{number}-{row}" for row in range(size)]
        table = pa.table({"query_id": ids, "prompt": ["Hello"] * size, "more": [1] * size})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=rows_a_group)
    return folder


def batches_of(*ids: str) -> Iterator[pa.RecordBatch]:
    yield from (pa.RecordBatch.from_pydict({"query_id": [each]}, SCHEMA) for each in ids)


def test_a_part_is_a_row_group_and_parts_hold_each_row_once(tmp_path: Path) -> None:
    parts = list_parts(str(write_prompts(tmp_path / "in", 9, 3)))
    assert [part.num_rows for part in parts] == [4, 4, 1, 3]
    assert len({part.name for part in parts}) == 4
    rows = [batch for part in parts for batch in part.read()]
    table = pa.Table.from_batches(rows)
    assert table.column_names == ["query_id", "prompt"]
    expected = [*(f"0-{row}" for row in range(9)), *(f"1-{row}" for row in range(3))]
    assert table["query_id"].to_pylist() == expected


def test_one_file_will_do(tmp_path: Path) -> None:
    folder = write_prompts(tmp_path / "in", 3)
    assert list_parts(str(folder / "0.parquet")) == list_parts(str(folder))


def test_addresses_of_fsspec_will_do() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    table = pa.table({"query_id": ["a"], "prompt": ["Hello"]})
    with memory.open("/prompts/x.parquet", "wb") as stream:
        pq.write_table(table, stream)
    parts = list_parts("memory://prompts")
    folder = PartFolder.claim("memory://scores", parts, {})
    assert folder.write(parts[0], parts[0].read(), table.schema) == 1
    assert folder.list_missing(parts) == []
    assert memory.exists("/scores/part-00000-00000.parquet")


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    parts = list_parts(str(write_prompts(tmp_path / "in", 9)))
    out = str(tmp_path / "out")
    first = PartFolder.claim(out, parts, {"artifact": "a"})
    assert first.list_missing(parts) == parts
    assert first.write(parts[1], batches_of("x", "y"), SCHEMA) == 2
    again = PartFolder.claim(out, parts, {"artifact": "a"})
    assert again.list_missing(parts) == [parts[0], parts[2]]


def test_a_part_that_was_cut_short_is_not_there(tmp_path: Path) -> None:
    parts = list_parts(str(write_prompts(tmp_path / "in", 3)))
    folder = PartFolder.claim(str(tmp_path / "out"), parts, {})

    def die() -> Iterator[pa.RecordBatch]:
        yield from batches_of("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write(parts[0], die(), SCHEMA)
    assert folder.list_missing(parts) == parts
    assert not list((tmp_path / "out").glob("part-*"))
    folder.write(parts[0], batches_of("x"), SCHEMA)
    written = pq.read_table(tmp_path / "out" / parts[0].name)
    assert written["query_id"].to_pylist() == ["x"]


class TestBadInput:
    @pytest.mark.parametrize("change", ["artifact", "prompts"])
    def test_a_folder_of_other_work_is_refused(self, tmp_path: Path, change: str) -> None:
        parts = list_parts(str(write_prompts(tmp_path / "in", 9)))
        PartFolder.claim(str(tmp_path / "out"), parts, {"artifact": "a"})
        other = parts[:-1] if change == "prompts" else parts
        made_by = {"artifact": "b" if change == "artifact" else "a"}
        with pytest.raises(DataError, match="holds parts of another work"):
            PartFolder.claim(str(tmp_path / "out"), other, made_by)

    def test_a_folder_with_something_else_is_refused(self, tmp_path: Path) -> None:
        parts = list_parts(str(write_prompts(tmp_path / "in", 3)))
        (tmp_path / "mine.txt").write_text("precious")
        with pytest.raises(DataError, match="expected a new or empty folder"):
            PartFolder.claim(str(tmp_path), parts, {})

    def test_files_without_ids_are_refused(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"prompt": ["Hello"]}), tmp_path / "x.parquet")
        with pytest.raises(DataError, match="x.parquet has no column 'query_id'"):
            list_parts(str(tmp_path))

    def test_nothing_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"holds no \.parquet file"):
            list_parts(str(tmp_path))
        with pytest.raises(DataError, match="There is no"):
            list_parts(str(tmp_path / "nowhere"))

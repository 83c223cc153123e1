"""Reads datasets: a folder of one file a table, or one flat table of answers."""

from __future__ import annotations

from pathlib import Path

from graphrouter.data.columns import OPTIONAL_TABLES, REQUIRED, TABLES, TableName
from graphrouter.data.flat_table import find_absent, read_answers
from graphrouter.data.schema import RoutingDataset, build_dataset
from graphrouter.data.table_files import READABLE_SUFFIXES, find_format, read_table
from graphrouter.data.view_columns import EMBEDDING_FILE, join_embedding_file
from graphrouter.exceptions import DataError
from graphrouter.files import to_path
from graphrouter.upward_imports import load_part
from graphrouter.wording import name_some

SIMULATED = "simulated"
"""The dataset name that stands for the simulated default."""


def load_dataset(source: str | Path) -> RoutingDataset:
    """The dataset in a folder or in one file, or the simulated default for the name "simulated".

    Args:
        source: A folder with `queries`, `models`, `outcomes` and perhaps `tasks`, each as .parquet,
            .csv or .jsonl. Other files are ignored. A folder that is itself called simulated is
            read as "./simulated". Embeddings of the queries may stand beside them in
            `embeddings.npz`. Or one file with a row an answer: see `read_answers`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from graphrouter.bench.simulate.simulation import simulate
        >>> with TemporaryDirectory() as folder:
        ...     simulate(num_queries=50).data.save(folder, format="csv")
        ...     len(load_dataset(folder).queries)
        50

    Raises:
        DataError: A table is missing, stands there in two formats, cannot be read or breaks the
            contract.
    """
    if source == SIMULATED:
        simulated: RoutingDataset = load_part("simulate").simulate().data
        return simulated
    folder = to_path(source, "a dataset", DataError)
    if folder.is_file() and find_format(folder) is not None:
        return _read_flat(folder)
    if not folder.is_dir():
        what = f"{folder} is a file" if folder.exists() else f"There is no folder {folder}"
        raise DataError(
            f"{what}. Give a folder with {_describe_wanted()}, or the name {SIMULATED!r}."
        )
    files = {table: _find_table(folder, table) for table in TABLES}
    frames = {table: None if file is None else read_table(file) for table, file in files.items()}
    sources = {table: table if file is None else file.name for table, file in files.items()}
    vectors, queries = folder / EMBEDDING_FILE, frames["queries"]
    if vectors.is_file() and queries is not None:
        frames["queries"] = join_embedding_file(queries, vectors, sources["queries"])
    return build_dataset(frames, name=folder.resolve().name, sources=sources)


def _read_flat(file: Path) -> RoutingDataset:
    frame = read_table(file)
    missing = find_absent(frame)
    if missing:
        raise DataError(
            f"{file} is a file. Give a folder with {_describe_wanted()}, the name {SIMULATED!r}, "
            "or a file with the columns prompt, model and effect: one row an answer. This one has "
            f"no {' and no '.join(missing)}."
        )
    return read_answers(frame, name=file.name.split(".")[0] or file.name, source=file.name)


def _find_table(folder: Path, table: TableName) -> Path | None:
    found = [
        folder / f"{table}{suffix}"
        for suffix in READABLE_SUFFIXES
        if (folder / f"{table}{suffix}").is_file()
    ]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(
            f"{folder} holds {names}, so it is unclear which one counts. Keep one of them."
        )
    if not found and table not in OPTIONAL_TABLES:
        there = name_some(sorted(path.name for path in folder.iterdir()), most=10) or "nothing"
        raise DataError(
            f"{folder} has no {table} table (found: {there}). "
            f"Add {table}.parquet, {table}.csv or {table}.jsonl; required: "
            f"{', '.join(REQUIRED[table])}."
        )
    return found[0] if found else None


def _describe_wanted() -> str:
    return "queries, models and outcomes (and perhaps tasks) as .parquet, .csv or .jsonl"

"""SPROUT (CARROT, Somerstep et al. 2025, arXiv 2502.03261).

Parquet files with one struct column a model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from graphrouter.bench.formats.assemble import (
    assemble,
    parse_answers,
    parse_outcome_numbers,
    parse_prompts,
)
from graphrouter.bench.formats.left_out import tell_unread
from graphrouter.bench.formats.source_files import (
    find_files,
    find_split_in_name,
    read_column_names,
    read_columns,
    require_columns,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError

_FORM = "SPROUT's Parquet files (train-*, validation-*, test-*)"
_ANSWER = "response"
_FIELDS = {
    "score": "effect",
    "num_input_tokens": "input_tokens",
    "num_output_tokens": "output_tokens",
}


def read_sprout(source: Path, *, keep_answers: bool = False) -> RoutingDataset:
    """The dataset in SPROUT's Parquet files.

    `score` becomes effect, `num_input_tokens` and `num_output_tokens` the token counts, `dataset`
    the task, `dataset_level` metadata of the query, and the file name the split. A model without a
    score is no outcome. Answers (`response`) are kept where that is asked for, and never loaded
    otherwise, as the judge's words. SPROUT states no prices, so there is no cost until you add them
    to the models table.

    Args:
        source: One Parquet file, or a folder with the files (also in folders below it).
        keep_answers: Keep what models said, in the column `answer`.

    Raises:
        DataError: A column is missing, or a value is out of range.
    """
    files = find_files(source, (".parquet",), wanted=_FORM)
    queries, outcomes, num_before = [], [], 0
    for file in files:
        asked, runs = _read_file(file, keep_answers)
        queries.append(asked)
        outcomes.append(runs.assign(query=runs["query"] + num_before))
        num_before += len(asked)
    return assemble(
        _add_ids(pd.concat(queries, ignore_index=True)),
        pd.concat(outcomes, ignore_index=True),
        name="sprout",
    )


def _read_file(file: Path, keep_answers: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Queries of one file, and its outcomes with the row of the query in the file."""
    columns = read_column_names(file)
    require_columns(columns, ("prompt", "dataset"), file, form=_FORM)
    models = _list_models(file)
    texts = [
        column for column in ("key", "dataset", "dataset_level", "prompt") if column in columns
    ]
    said = [_ANSWER] if keep_answers else []
    for model in models if keep_answers else ():
        require_columns(_list_fields(file, model), said, file, form=f"{_FORM} with answers")
    frame = read_columns(
        file, [*texts, *(f"{model}.{field}" for model in models for field in (*_FIELDS, *said))]
    )
    queries = pd.DataFrame({"task": frame["dataset"], "prompt": parse_prompts(frame["prompt"])})
    queries["key"] = frame["key"] if "key" in columns else None
    if "dataset_level" in columns:
        queries["dataset_level"] = frame["dataset_level"]
    split = find_split_in_name(file)
    if split is not None:
        queries["split"] = split
    inner = {name for model in models for name in _list_fields(file, model)}
    tell_unread({*columns, *inner}, (), file)
    runs = []
    for model in models:
        cells = [cell if isinstance(cell, dict) else {} for cell in frame[model]]
        numbers = {
            name: parse_outcome_numbers(
                [cell.get(field) for cell in cells], file, name, called=f"{model}.{field}"
            )
            for field, name in _FIELDS.items()
        }
        run = pd.DataFrame({"query": np.arange(len(frame)), "model": model, **numbers})
        if keep_answers:
            told = [cell.get(_ANSWER) for cell in cells]
            run["answer"] = parse_answers(told, file, called=f"{model}.{_ANSWER}")
        runs.append(run)
    return queries, pd.concat(runs, ignore_index=True)


def _list_models(file: Path) -> list[str]:
    """Names of the columns that are structs with a score and both token counts.

    Raises:
        DataError: There is none.
    """
    schema = parquet.read_schema(file)
    structs = {
        field.name: {inner.name for inner in field.type}
        for field in schema
        if pa.types.is_struct(field.type)
    }
    models = [name for name, fields in structs.items() if fields >= set(_FIELDS)]
    if not models:
        raise DataError(
            f"{file} has no struct column with {', '.join(_FIELDS)}. Expected {_FORM}: one such "
            "column a model."
        )
    return models


def _list_fields(file: Path, model: str) -> list[str]:
    """What the struct of a model holds."""
    return [field.name for field in parquet.read_schema(file).field(model).type]


def _add_ids(queries: pd.DataFrame) -> pd.DataFrame:
    """The queries with query_id.

    The key of the source where it is unique in all files, the row number otherwise.
    """
    keys = queries["key"]
    usable = keys.notna().all() and not keys.duplicated().any()
    ids = keys if usable else pd.Series([str(row + 1) for row in range(len(queries))])
    if "split" in queries.columns and queries["split"].isna().any():
        queries = queries.drop(
            columns="split"
        )  # a file that tells no split stands among files that do
    return queries.drop(columns="key").assign(query_id=ids)

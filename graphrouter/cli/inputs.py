"""Files that users hand in: queries, model cards, outcomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphrouter.exceptions import DataError
from graphrouter.types import Queries

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.pool import ModelCard


@dataclass(frozen=True)
class QueryList:
    """Queries to predict for."""

    ids: list[str]
    queries: Queries


def read_queries(file: Path) -> QueryList:
    """The queries in a file.

    Raises:
        DataError: The file is missing, no table, empty, without prompts, or has the same query_id
            twice.
    """
    from graphrouter.data.table_files import read_table
    from graphrouter.data.values import parse_ids, parse_texts

    frame = read_table(file)
    if "prompt" not in frame.columns:
        there = ", ".join(str(name) for name in frame.columns) or "none"
        raise DataError(
            f"{file} has no column prompt (columns: {there}). Rename the column that holds the "
            "prompts."
        )
    if frame.empty:
        raise DataError(f"{file} holds no queries; expected at least one row.")
    ids = [str(row + 1) for row in range(len(frame))]
    if "query_id" in frame.columns:
        parsed = parse_ids(frame["query_id"], file.name, "query_id")
        if parsed.duplicated().any():
            row = int(parsed.duplicated().to_numpy().argmax())
            raise DataError(
                f"{file.name}, row {row + 1}: query_id {parsed.iloc[row]!r} occurs before. Make "
                "the ids distinct."
            )
        ids = parsed.tolist()
    if "task" in frame.columns:
        frame = frame.assign(task=parse_texts(frame["task"], file.name, "task"))
    _check_prompts(frame["prompt"], file.name)
    return QueryList(ids, Queries.of_frame(frame))


def _check_prompts(column: pd.Series, source: str) -> None:
    """Refuse a missing prompt, by its row; an empty text is allowed."""
    for row, value in enumerate(column.tolist()):
        if not isinstance(value, str):
            raise DataError(
                f"{source}, row {row + 1}: prompt is {value!r}; expected text. Write one, or "
                "delete the row."
            )


def read_card(file: Path) -> ModelCard:
    """The card in a file.

    Raises:
        DataError: There is no such file, it is no mapping, or a field is not accepted.
    """
    import yaml

    from graphrouter.pool import parse_card

    if not file.is_file():
        raise DataError(
            f"There is no file {file}; expected a card as .yaml or .json, with model, description "
            "and prices."
        )
    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} cannot be read ({reason}). Write it as YAML or JSON.") from None
    if not isinstance(values, dict):
        raise DataError(
            f"{file} holds a {type(values).__name__}; expected fields: model, description, "
            "prices, ..."
        )
    return parse_card(values, source=file.name)


def read_outcomes(file: Path) -> pd.DataFrame:
    """The outcomes in a file, numbers read from text."""
    import pandas as pd

    from graphrouter.data.table_files import read_table

    table = read_table(file)
    if "effect" not in table.columns:
        there = ", ".join(str(name) for name in table.columns) or "none"
        raise DataError(
            f"{file} has no column effect (columns: {there}). Add your grade of each answer, from "
            "0 to 1."
        )
    return pd.DataFrame(table)

"""Files that users hand in: queries, model cards, outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrouter.exceptions import DataError
from graphrouter.types import Queries

if TYPE_CHECKING:
    import pandas as pd

    from graphrouter.pool import ModelCard

QUERIES_HELP = (
    "Table with a column prompt, and perhaps query_id, task, user, team and what goes with a query "
    "(context, embedding, embedding_encoder), as .parquet, .csv or .jsonl; or a "
    ".txt with one prompt a line, whose id is the number of the line."
)


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
    from graphrouter.data.new_outcomes import read_query_file

    frame = read_query_file(file)
    return QueryList(frame["query_id"].tolist(), Queries.of_frame(frame))


def read_card(file: Path) -> ModelCard:
    """The card in a file; numbers and capabilities may be written as a table has them.

    Raises:
        DataError: There is no such file, it is no mapping, or a field is not accepted.
    """
    from graphrouter.pool import parse_card
    from graphrouter.text_files import read_plain_file

    if not file.is_file():
        raise DataError(
            f"There is no file {file}; expected a card as .yaml or .json, with model, description "
            "and prices."
        )
    values = read_plain_file(file)
    if not isinstance(values, dict):
        raise DataError(
            f"{file} holds a {type(values).__name__}; expected fields: model, description, "
            "prices, ..."
        )
    return parse_card(_read_words(values, file.name), source=file.name)


def read_cards(file: Path) -> list[ModelCard]:
    """The cards in a table of models, one a row, as `.parquet`, `.csv` or `.jsonl`.

    Raises:
        DataError: There is no such file, it is no table, or a field is not accepted.
    """
    from graphrouter.data import read_table
    from graphrouter.pool import parse_card

    found = []
    for row, values in enumerate(read_table(file).to_dict("records"), 1):
        stated = {
            str(name): value
            for name, value in values.items()
            if isinstance(value, list | dict) or (value == value and value not in (None, ""))
        }
        source = f"{file.name}, row {row}"
        found.append(parse_card(_read_words(stated, source), source=source))
    return found


def _read_words(values: dict[str, Any], source: str) -> dict[str, Any]:
    """The fields, with numbers and capabilities in place of words for them."""
    import pandas as pd

    from graphrouter.data.columns import CAPABILITIES, NUMBERS
    from graphrouter.data.number_columns import parse_number_column
    from graphrouter.data.values import parse_flags

    read = dict(values)
    for column in NUMBERS["models"]:
        if isinstance(values.get(column.name), str):
            cell = pd.DataFrame({column.name: [values[column.name]]}, dtype=object)
            number = float(parse_number_column(cell, column, source)[0])
            whole = int(number) if number.is_integer() else number
            read[column.name] = None if number != number else whole
    for name in CAPABILITIES:
        if isinstance(values.get(name), str):
            word = pd.Series([values[name]], dtype=object)
            read[name] = parse_flags(word, source, name).iloc[0]
    return read


def read_outcomes(file: Path, *, model: str | None = None) -> pd.DataFrame:
    """The outcomes in a file, checked and clean.

    Args:
        file: A table with effect, query_id or prompt, and model.
        model: Whose outcomes they are, where the file does not have to say it.

    Raises:
        DataError: The file cannot be read, a value breaks the contract, or some outcomes are of
            another model.
    """
    from graphrouter.data.new_outcomes import read_new_outcomes, read_outcome_file

    table = read_outcome_file(file)
    if model is None:
        return read_new_outcomes(table, file.name)
    if "model" not in table.columns:
        table = table.assign(model=model)
    graded = read_new_outcomes(table, file.name, models=[model])
    others = sorted(set(graded["model"]) - {model})
    if others:
        raise DataError(
            f"The outcomes are of {others[0]!r} too; expected outcomes of {model!r} alone."
        )
    return graded

"""RouterBench (Hu et al. 2024, arXiv 2403.12031): one wide table.

A row a query, and three columns a model.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import (
    assemble,
    parse_answers,
    parse_outcome_numbers,
    parse_prompts,
)
from graphrouter.bench.formats.source_files import (
    find_one_file,
    read_column_names,
    read_columns,
    require_columns,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError

logger = logging.getLogger(__name__)
_METADATA = ("sample_id", "prompt", "eval_name", "oracle_model_to_route_to")

_COST = "|total_cost"
_ANSWER = "|model_response"
_FORM = "RouterBench's wide table as .parquet or .csv"


def read_routerbench(source: Path, *, keep_answers: bool = False) -> RoutingDataset:
    """The dataset in RouterBench's wide table.

    `<model>` becomes effect and `<model>|total_cost` cost_usd; an empty cell of `<model>` is no
    outcome. Answers (`<model>|model_response`) are kept where that is asked for, and
    `oracle_model_to_route_to` is left out.

    Args:
        source: The table as .parquet or .csv, or a folder with that one file. The published pickle
            is refused.
        keep_answers: Keep what models said, in the column `answer`.

    Raises:
        DataError: A column is missing (one of answers too, where they are asked for), the file is a
            pickle, or a value is out of range.
    """
    file = find_one_file(source, (".parquet", ".csv"), wanted=_FORM)
    columns = read_column_names(file)
    require_columns(columns, _METADATA[:3], file, form=_FORM)
    models = [column.removesuffix(_COST) for column in columns if column.endswith(_COST)]
    if not models:
        raise DataError(
            f"{file} has no column '<model>{_COST}'. Expected {_FORM}: a column '<model>' and one "
            "so named a model."
        )
    require_columns(columns, models, file, form=_FORM)
    _check_columns(columns, models, file)
    costs = [model + _COST for model in models]
    said = [model + _ANSWER for model in models] if keep_answers else []
    require_columns(columns, said, file, form=f"{_FORM} with answers")
    wide = read_columns(file, ["sample_id", "prompt", "eval_name", *models, *costs, *said])
    queries = pd.DataFrame(
        {
            "query_id": wide["sample_id"],
            "task": wide["eval_name"],
            "prompt": parse_prompts(wide["prompt"], turns=True),
        }
    )
    runs = [
        pd.DataFrame(
            {
                "query": np.arange(len(wide)),
                "model": model,
                "effect": parse_outcome_numbers(wide[model], file, "effect", called=model),
                "cost_usd": parse_outcome_numbers(wide[cost], file, "cost_usd", called=cost),
                **_read_answers(wide, model, file),
            }
        )
        for model, cost in zip(models, costs, strict=True)
    ]
    return assemble(queries, pd.concat(runs, ignore_index=True), name="routerbench")


def _read_answers(wide: pd.DataFrame, model: str, file: Path) -> dict[str, list[str | None]]:
    """The column of answers of a model, where it was read."""
    name = model + _ANSWER
    if name not in wide.columns:
        return {}
    # An answer may be spelled as a list of one text.
    spelled = parse_answers(wide[name], file, called=name)
    return {"answer": parse_prompts(spelled, turns=True)}


def _check_columns(columns: list[str], models: list[str], file: Path) -> None:
    """Log the columns that belong to no model, and refuse a model without costs.

    Raises:
        DataError: A column `<model>|...` belongs to no model with costs.
    """
    for column in columns:
        model, bar, _ = column.partition("|")
        if bar and model not in models:
            raise DataError(
                f"{file} has {column!r} but no {model + _COST!r}. Expected {_FORM}: both columns "
                "for every model."
            )
    left_out = [
        column for column in columns if "|" not in column and column not in (*models, *_METADATA)
    ]
    if left_out:
        logger.warning(
            "%s: left out, since they are neither models with costs nor known: %s.",
            file.name,
            ", ".join(left_out),
        )

"""Columns of the models table about settings of one model: `base`, `parameters`, what is shared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphrouter.data.values import make_row_error, parse_texts
from graphrouter.lazy import pandas as pd
from graphrouter.siblings import complete, read_parameters, warn_of_unread_efforts
from graphrouter.wording import show_value


def clean_siblings(models: pd.DataFrame, source: str) -> pd.DataFrame:
    """The models with clean `base` and `parameters` where given, completed by their siblings.

    Args:
        models: Clean in all other columns.
        source: The table, for messages.

    Raises:
        DataError: Parameters are no JSON object.

    Example:
        >>> named = {"model": ["x", "x-high"], "base": [None, "x"], "num_params": [7e9, None]}
        >>> clean_siblings(pd.DataFrame(named), "models")["num_params"].tolist()
        [7000000000.0, 7000000000.0]
    """
    models = models.copy()
    if "parameters" in models.columns:
        cells = models["parameters"].astype(object).tolist()
        texts = [_write_parameters(cell, row, source) for row, cell in enumerate(cells)]
        warn_of_unread_efforts(None if text is None else json.loads(text) for text in texts)
        models["parameters"] = pd.Series(texts, dtype="str", index=models.index)
    if "base" not in models.columns:
        return models
    models["base"] = parse_texts(models["base"], source, "base").str.strip().to_numpy()
    stated = [
        {str(name): cell for name, cell in row.items() if not _is_blank(cell)}
        for row in models.to_dict("records")
    ]
    for label, taken in zip(models.index, complete(stated), strict=True):
        for name, value in taken.items():
            models.loc[label, name] = value
    return models


def _write_parameters(cell: Any, row: int, source: str) -> str | None:
    try:
        parameters = read_parameters(None if _is_blank(cell) else _without_gaps(cell))
    except ValueError as error:
        hint = "Leave it empty where nothing is to be sent."
        problem = f"parameters is {show_value(cell)}; {error}"
        raise make_row_error(source, [row], problem, hint) from None
    return None if parameters is None else json.dumps(parameters)


def _is_blank(cell: Any) -> bool:
    return not isinstance(cell, Mapping | list) and bool(pd.isna(cell))


def _without_gaps(cell: Any) -> Any:
    """Mappings without names that are None: a Parquet file gives all rows the names of any."""
    if not isinstance(cell, Mapping):
        return cell
    return {name: _without_gaps(value) for name, value in cell.items() if value is not None}

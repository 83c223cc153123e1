"""GraphRouter (ulab-uiuc; Feng et al. 2025, arXiv 2410.03834): `router_data.csv`, a row a call."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import assemble, parse_outcome_numbers, parse_prompts
from graphrouter.bench.formats.left_out import tell_unread
from graphrouter.bench.formats.llmrouter import read_candidates
from graphrouter.bench.formats.source_files import (
    find_files,
    read_column_names,
    read_columns,
    require_columns,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError
from graphrouter.types import FloatArray

logger = logging.getLogger(__name__)

_NAME = "router_data.csv"
_FORM = f"GraphRouter's {_NAME}"
_NEEDED = ("task_id", "query", "llm", "effect", "cost")
_DESCRIPTION = "task_description"
_CARD_PRICES = ["input_usd_per_mtok", "output_usd_per_mtok"]
_ROUNDING = 1e-6
"""How far the ends of scaled costs may lie from 0 and 1: some copies of the script divide by the
range and a little more."""
SCALED = "share of the range of the task"
"""What stands in the column `cost_unit` of queries whose costs are no dollars."""


def read_graphrouter_paper(source: Path) -> RoutingDataset:
    """The dataset in GraphRouter's `router_data.csv`.

    `effect` stays effect, `task_id` becomes the task, with `task_description` as its description,
    and `llm` the model; a query is told by its task and text. The repository scales `cost` within
    each task to 0 to 1 before it writes the file. Such costs are kept as cost_usd, for the paper's
    rewards are made of them, but they are no dollars: queries then say so in the column
    `cost_unit`, and cards have no list prices, which would contradict. Costs that no task has from
    0 to 1 are dollars. Embeddings, references and metrics are left out.

    Args:
        source: The file, or a folder with it and perhaps the candidates (`LLM_Descriptions.json`).

    Raises:
        DataError: There is no such file, a column is missing, a row names no model, or a value is
            out of range.
    """
    file = _find_file(source)
    rows = _read_rows(file)
    key = ["task", "prompt"]
    codes = rows.groupby(key, sort=False, dropna=False).ngroup()
    queries = rows.loc[~rows.duplicated(key), key].reset_index(drop=True)
    queries["query_id"] = [str(row + 1) for row in range(len(queries))]
    models = read_candidates(source) if source.is_dir() else None
    if _is_scaled(rows["task"], rows["cost_usd"].to_numpy(), file):
        queries["cost_unit"] = SCALED
        models = models if models is None else models.drop(columns=_CARD_PRICES)
    outcomes = rows[["model", "effect", "cost_usd"]].assign(query=codes)
    tasks = _describe_tasks(rows, file)
    return assemble(queries, outcomes, name="graphrouter_paper", models=models, tasks=tasks)


def _find_file(source: Path) -> Path:
    """The file itself, or the one of that name below a folder.

    Raises:
        DataError: There is none, or more than one.
    """
    found = find_files(source, (".csv",), wanted=_FORM)
    if source.is_file():
        return source
    named = [file for file in found if file.name == _NAME]
    if len(named) != 1:
        there = ", ".join(str(file.relative_to(source)) for file in (named or found)[:5])
        raise DataError(
            f"{source} holds {len(named)} files named {_NAME} (found: {there}); expected one. Name "
            "the file itself."
        )
    return named[0]


def _read_rows(file: Path) -> pd.DataFrame:
    """task, description, prompt, model, effect and cost_usd of every call in the file."""
    there = read_column_names(file)
    require_columns(there, _NEEDED, file, form=_FORM)
    texts = ["task_id", "llm", *([_DESCRIPTION] if _DESCRIPTION in there else [])]
    left_out = [column for column in there if column not in (*_NEEDED, _DESCRIPTION)]
    if left_out:
        logger.warning(
            "%s: left out: %s. Texts are embedded anew by the text encoder of the router.",
            file.name,
            ", ".join(left_out),
        )
    tell_unread(there, (), file)
    raw = read_columns(file, ["query", "effect", "cost", *texts], repeated=texts)
    named = {column: parse_prompts(raw[column].astype("object")) for column in texts}
    nameless = next((row for row, model in enumerate(named["llm"], 1) if model is None), None)
    if nameless is not None:
        raise DataError(
            f"{file}, row {nameless}: llm is empty; expected the name of a model. Write it, or "
            "delete the row."
        )
    effect = parse_outcome_numbers(raw["effect"], file, "effect")
    if np.isnan(effect).any():
        logger.warning(
            "%s: %d of %d rows have no effect and are no outcomes, the first is row %d.",
            file.name,
            int(np.isnan(effect).sum()),
            len(effect),
            int(np.argmax(np.isnan(effect))) + 1,
        )
    return pd.DataFrame(
        {
            "task": named["task_id"],
            "description": named.get(_DESCRIPTION),
            "prompt": parse_prompts(raw["query"]),
            "model": named["llm"],
            "effect": effect,
            "cost_usd": parse_outcome_numbers(raw["cost"], file, "cost_usd", called="cost"),
        }
    )


def _is_scaled(task: pd.Series, cost: FloatArray, file: Path) -> bool:
    """Whether the costs were scaled within each task, which is told in the log either way.

    They were when none is above 1 and those of some task begin at 0 and end at 1.
    """
    known = np.isfinite(cost)
    if not known.any():
        logger.warning("%s: no row has a cost.", file.name)
        return False
    ends = pd.Series(cost[known]).groupby(task[known].to_numpy(), dropna=False).agg(["min", "max"])
    is_whole = (ends["min"] == 0) & (ends["max"] >= 1 - _ROUNDING)
    if cost[known].max() <= 1 + _ROUNDING and is_whole.any():
        logger.warning(
            "%s: cost is scaled within each task, from 0 to 1, so cost_usd counts shares of the "
            "task's range and no dollars. Rewards that weigh effect against cost are those of the "
            "paper; sums, prices and limits in dollars mean nothing.",
            file.name,
        )
        return True
    logger.warning(
        "%s: cost is taken for US dollars a call, since in no task it runs from 0 to 1.", file.name
    )
    return False


def _describe_tasks(rows: pd.DataFrame, file: Path) -> pd.DataFrame | None:
    """The first description of each task; None where there is none."""
    told = rows.loc[rows["task"].notna() & rows["description"].notna(), ["task", "description"]]
    told = told.drop_duplicates()
    more = told["task"].duplicated()
    if more.any():
        logger.warning(
            "%s: %d tasks have more than one description (%s); the first one counts.",
            file.name,
            told.loc[more, "task"].nunique(),
            ", ".join(dict.fromkeys(told.loc[more, "task"])),
        )
    return told[~more].reset_index(drop=True) if len(told) else None

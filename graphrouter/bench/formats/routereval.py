"""RouterEval (Huang et al. 2025): for each benchmark and pool, prompts and a score matrix.

Each in three splits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import assemble, parse_outcome_numbers, parse_prompts
from graphrouter.bench.formats.source_files import find_files, read_json, require_columns
from graphrouter.data.columns import SplitName
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError

_FORM = "a pool of RouterEval as .json"
_SPLITS: dict[str, SplitName] = {"train": "train", "val": "validation", "test": "test"}


def read_routereval(source: Path) -> RoutingDataset:
    """The dataset in one or more pools of RouterEval, each a JSON file in the form of its pickles.

    The file has `model` (names), `prompt` (`train_prompt`, `val_prompt`, `test_prompt`: texts) and
    `data` (`train_score`, `val_score`, `test_score`: one row a prompt, one column a model). Scores
    become effect, null meaning no outcome; the benchmark, which is the file name without
    `_router_dataset`, becomes the task. Embeddings are left out; there is neither cost nor token
    count.

    Args:
        source: One such file, or a folder of them. The published pickles are refused.

    Raises:
        DataError: A key is missing, a matrix has another shape than its names and prompts, or a
            score is out of range.
    """
    queries, outcomes, num_before = [], [], 0
    for file in find_files(source, (".json",), wanted=_FORM):
        for asked, runs in _read_pool(file):
            queries.append(asked)
            outcomes.append(runs.assign(query=runs["query"] + num_before))
            num_before += len(asked)
    return assemble(
        pd.concat(queries, ignore_index=True),
        pd.concat(outcomes, ignore_index=True),
        name="routereval",
    )


def _read_pool(file: Path) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Queries of each split of one file, and their outcomes with the row of the query."""
    pool = read_json(file)
    if not isinstance(pool, dict):
        raise DataError(
            f"{file} holds a {type(pool).__name__}; expected an object with model, prompt and "
            f"data ({_FORM})."
        )
    require_columns(pool, ("model", "prompt", "data"), file, form=_FORM)
    task = file.stem.removesuffix("_router_dataset")
    there = [name for name in _SPLITS if f"{name}_prompt" in pool["prompt"]]
    if not there:
        raise DataError(
            f"{file}: 'prompt' has none of {', '.join(f'{name}_prompt' for name in _SPLITS)}. "
            f"Expected {_FORM}."
        )
    parts = []
    for name in there:
        require_columns(pool["data"], (f"{name}_score",), file, form=_FORM)
        prompts, scores = pool["prompt"][f"{name}_prompt"], pool["data"][f"{name}_score"]
        parts.append(
            (
                _read_queries(prompts, task, _SPLITS[name]),
                _read_outcomes(scores, pool["model"], len(prompts), file, name),
            )
        )
    return parts


def _read_queries(prompts: list[Any], task: str, split: SplitName) -> pd.DataFrame:
    ids = [f"{task}/{split}/{row}" for row in range(len(prompts))]
    return pd.DataFrame(
        {"query_id": ids, "task": task, "prompt": parse_prompts(prompts), "split": split}
    )


def _read_outcomes(
    scores: list[Any], models: list[str], num_queries: int, file: Path, name: str
) -> pd.DataFrame:
    """Outcomes of one split, in the order of the matrix.

    All models of the first query, then of the next.
    """
    if len(scores) != num_queries:
        raise DataError(
            f"{file}: {name}_score has {len(scores)} rows for {num_queries} prompts; expected one "
            "a prompt."
        )
    for row, values in enumerate(scores, start=1):
        if not isinstance(values, list) or len(values) != len(models):
            received = (
                f"{len(values)} scores"
                if isinstance(values, list)
                else f"a {type(values).__name__}"
            )
            raise DataError(
                f"{file}, row {row} of {name}_score: {received} for {len(models)} models; "
                "expected one a model."
            )
    columns = [
        parse_outcome_numbers(
            [values[place] for values in scores], file, "effect", called=f"{name}_score of {model}"
        )
        for place, model in enumerate(models)
    ]
    return pd.DataFrame(
        {
            "query": np.repeat(np.arange(num_queries), len(models)),
            "model": list(models) * num_queries,
            "effect": np.column_stack(columns).ravel() if columns else np.empty(0),
        }
    )

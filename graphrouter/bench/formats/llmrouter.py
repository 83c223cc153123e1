"""LLMRouter (ulab-uiuc): a row a (query, model) pair in JSON Lines, the candidates in JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import (
    assemble,
    parse_answers,
    parse_outcome_numbers,
    parse_prompts,
)
from graphrouter.bench.formats.left_out import (
    FAILURE_FIELDS,
    find_failed,
    tell_failed,
    tell_unread,
)
from graphrouter.bench.formats.source_files import (
    find_files,
    find_split_in_name,
    read_json,
    read_rows,
    require_columns,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError
from graphrouter.types import FloatArray

_FORM = "LLMRouter's routing data as .jsonl"
_NEEDED = ("task_name", "query", "model_name", "performance")
_NUMBERS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "response_time": "latency_s",
}
_CARD = {
    "feature": "description",
    "input_price": "input_usd_per_mtok",
    "output_price": "output_usd_per_mtok",
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([MBT])\s*", re.IGNORECASE)
_UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}


def read_llmrouter(source: Path, *, keep_answers: bool = False) -> RoutingDataset:
    """The dataset in LLMRouter's routing data and candidates file.

    `performance` becomes effect, `input_tokens` and `output_tokens` the token counts,
    `response_time` latency_s, `task_name` the task; a query is told by its task and text, and keeps
    `embedding_id` as metadata. Of a candidate `feature`, `input_price`, `output_price` and `size`
    become description, prices and num_params; one that was never run stays as a newcomer. Answers
    (`response`) are kept where that is asked for; references and `token_num` (which adds prompt and
    answer) are left out.

    Args:
        source: One routing file, or a folder with such files (`train` and `test` in their names
            tell the split) and perhaps the candidates; other files of the folder are passed over.
        keep_answers: Keep what models said, in the column `answer`.

    Raises:
        DataError: No file has the form, a key is missing, or a value is out of range.
    """
    files = find_files(source, (".jsonl",), wanted=_FORM)
    frames = {file: read_rows(file) for file in files}
    if source.is_dir():
        frames = {file: frame for file, frame in frames.items() if "model_name" in frame.columns}
        if not frames:
            names = ", ".join(file.name for file in files[:5])
            raise DataError(
                f"{source} has no .jsonl file with the key 'model_name' (found: {names}). "
                f"Expected {_FORM}."
            )
    rows = pd.concat(
        [_read_rows(file, frame, keep_answers) for file, frame in frames.items()], ignore_index=True
    )
    if rows["split"].isna().any():
        rows["split"] = None
    key = ["split", "task", "prompt"]
    codes = rows.groupby(key, sort=False, dropna=False).ngroup()
    queries = rows.loc[~rows.duplicated(key), [*key, "embedding_id"]].reset_index(drop=True)
    queries["query_id"] = [str(row + 1) for row in range(len(queries))]
    if queries["split"].isna().any():
        queries = queries.drop(columns="split")
    if queries["embedding_id"].isna().all():
        queries = queries.drop(columns="embedding_id")
    outcomes = rows.drop(columns=[*key, "embedding_id"]).assign(query=codes)
    return assemble(
        queries,
        outcomes,
        name="llmrouter",
        models=read_candidates(source) if source.is_dir() else None,
    )


def _read_rows(file: Path, frame: pd.DataFrame, keep_answers: bool) -> pd.DataFrame:
    """Rows of one routing file in our terms."""
    require_columns(frame.columns, _NEEDED, file, form=_FORM)
    said = {}
    if keep_answers:
        require_columns(frame.columns, ("response",), file, form=f"{_FORM} with answers")
        said = {"answer": parse_answers(frame["response"], file, called="response")}
    numbers = {
        name: parse_outcome_numbers(frame[key], file, name, called=key)
        for key, name in _NUMBERS.items()
        if key in frame.columns
    }
    return pd.DataFrame(
        {
            "split": find_split_in_name(file),
            "task": frame["task_name"],
            "prompt": parse_prompts(frame["query"]),
            "embedding_id": frame["embedding_id"] if "embedding_id" in frame.columns else None,
            "model": frame["model_name"],
            "effect": _read_effect(frame, file),
            **numbers,
            **said,
        }
    )


def _read_effect(frame: pd.DataFrame, file: Path) -> FloatArray:
    """The grade of each row, NaN where there is none, or where the call failed."""
    told = [name for name in (*FAILURE_FIELDS, "response") if name in frame.columns]
    failed = find_failed(frame[told].to_dict(orient="records"), answer="response")
    tell_failed(failed, file)
    tell_unread(frame.columns, FAILURE_FIELDS, file)
    score = parse_outcome_numbers(frame["performance"], file, "effect", called="performance")
    return np.where(failed, np.nan, score)


def read_candidates(folder: Path) -> pd.DataFrame | None:
    """The cards of the first candidates file in the folder; None where there is none.

    Args:
        folder: Where a .json file may lie that maps names to `feature`, `input_price`,
            `output_price` and `size`; GraphRouter's `LLM_Descriptions.json` has that form too.

    Raises:
        DataError: A file is no JSON, or a price is no price.
    """
    for file in sorted(folder.rglob("*.json")):
        value = read_json(file)
        if _is_candidates(value):
            return pd.DataFrame(
                [
                    {"model": name, **_make_card(entry, f"{file}, {name}")}
                    for name, entry in value.items()
                ]
            )
    return None


def _is_candidates(value: Any) -> bool:
    """Whether a JSON value is name -> card.

    The file that adds embeddings to the cards is a copy, and is passed over.
    """
    if (
        not isinstance(value, dict)
        or not value
        or not all(isinstance(entry, dict) for entry in value.values())
    ):
        return False
    return all(
        "embedding" not in entry and {"feature", "input_price"} & entry.keys()
        for entry in value.values()
    )


def _make_card(entry: dict[str, Any], where: str) -> dict[str, Any]:
    size = _SIZE.fullmatch(str(entry.get("size") or ""))
    card = {ours: entry.get(theirs) for theirs, ours in _CARD.items()}
    for price in ("input_usd_per_mtok", "output_usd_per_mtok"):
        value = card[price]
        if value is not None and not (isinstance(value, int | float) and value >= 0):
            raise DataError(
                f"{where}: a price is {value!r}; expected US dollars per million tokens, at least "
                "0, or nothing."
            )
    return {**card, "num_params": float(size[1]) * _UNITS[size[2].upper()] if size else None}

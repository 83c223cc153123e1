"""EmbedLLM (Zhuang et al. 2025, arXiv 2410.02223).

Long CSV files, a row a (question, model) pair, and two order files.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from graphrouter.bench.formats.assemble import assemble, parse_outcome_numbers, parse_prompts
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

_FORM = "EmbedLLM's long CSV (train.csv, val.csv, test.csv)"
_QUESTIONS, _MODELS = "question_order.csv", "model_order.csv"


def read_embedllm(source: Path) -> RoutingDataset:
    """The dataset in EmbedLLM's CSV files.

    `label` becomes effect, `category` the task, and the file name (train, val, test) the split
    where more than one is read. A label file without `prompt` or `model_name` takes them from
    `question_order.csv` and `model_order.csv` beside it; models without a name are called by their
    id. There is neither cost nor token count.

    Args:
        source: One label file, or a folder with train.csv, val.csv and test.csv; other CSV files of
            the folder are passed over.

    Raises:
        DataError: A column is missing, an id has no prompt, or a label is out of range.
    """
    found = find_files(source, (".csv",), wanted=_FORM)
    files = (
        found
        if source.is_file()
        else [file for file in found if file.stem in ("train", "val", "test")]
    )
    if not files:
        names = ", ".join(file.name for file in found[:5])
        raise DataError(
            f"{source} has neither train.csv nor val.csv nor test.csv (found: {names}). Name the "
            "label file itself."
        )
    rows = pd.concat([_read_labels(file) for file in files], ignore_index=True)
    key = ["split", "prompt_id"]
    codes = rows.groupby(key, sort=False, dropna=False).ngroup()
    first = rows.loc[~rows.duplicated(key), ["prompt_id", "category", "prompt", "split"]]
    queries = pd.DataFrame(
        {
            "query_id": first["prompt_id"],
            "task": first["category"],
            "prompt": parse_prompts(first["prompt"]),
            "split": first["split"],
        }
    )
    if source.is_file():
        queries = queries.drop(columns="split")
    outcomes = pd.DataFrame({"query": codes, "model": rows["model"], "effect": rows["effect"]})
    return assemble(queries.reset_index(drop=True), outcomes, name="embedllm")


def _read_labels(file: Path) -> pd.DataFrame:
    """Rows of one label file: prompt_id, model, effect, prompt, category, split.

    `category` is None where the file has none.
    """
    there = read_column_names(file)
    require_columns(there, ("prompt_id", "model_id", "label"), file, form=_FORM)
    tell_unread(there, (), file)
    texts = [column for column in ("model_name", "category", "prompt") if column in there]
    rows = read_columns(
        file, ["prompt_id", "model_id", "label", *texts], repeated=["prompt_id", "model_id", *texts]
    )
    rows = rows.astype({column: "object" for column in rows.columns if column != "label"})
    rows["effect"] = parse_outcome_numbers(rows["label"], file, "effect", called="label")
    if "prompt" not in rows.columns:
        rows["prompt"] = rows["prompt_id"].map(
            _read_order(file.with_name(_QUESTIONS), "prompt_id", "prompt")
        )
        if rows["prompt"].isna().any():
            row = int(rows["prompt"].isna().to_numpy().argmax())
            raise DataError(
                f"{file}, row {row + 1}: prompt_id {rows['prompt_id'].iloc[row]!r} is not in "
                f"{_QUESTIONS}."
            )
    names = rows["model_name"] if "model_name" in rows.columns else rows["model_id"]
    if "model_name" not in rows.columns and file.with_name(_MODELS).is_file():
        names = names.map(_read_order(file.with_name(_MODELS), "model_id", "model_name")).fillna(
            rows["model_id"]
        )
    category = rows["category"] if "category" in rows.columns else None
    return rows[["prompt_id", "prompt", "effect"]].assign(
        model=names, category=category, split=find_split_in_name(file)
    )


def _read_order(file: Path, key: str, value: str) -> dict[str, str]:
    """One column of an order file by its id.

    Raises:
        DataError: The file or a column is missing.
    """
    if not file.is_file():
        raise DataError(
            f"There is no {file}, which should give the {value} of each {key}. Put it beside the "
            "label file."
        )
    require_columns(read_column_names(file), (key, value), file, form=f"EmbedLLM's {file.name}")
    order = read_columns(file, [key, value])
    return dict(zip(order[key], order[value], strict=True))

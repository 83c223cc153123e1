"""LLMRouterBench (arXiv 2601.07206).

One JSON file a (dataset, split, model) run, with a list of records.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from graphrouter.bench.formats.assemble import (
    assemble,
    drop_free_models,
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
    read_json,
    read_json_objects,
    require_columns,
)
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError

logger = logging.getLogger(__name__)
_FORM = "LLMRouterBench results, <dataset>/<split>/<model>/<time>.json with records"
_NUMBERS = {
    "cost": "cost_usd",
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
}


class _Run(NamedTuple):
    """Where a result file belongs."""

    dataset: str
    split: str
    model: str


def read_llmrouterbench(source: Path, *, keep_answers: bool = False) -> RoutingDataset:
    """The dataset in LLMRouterBench's result files.

    `score` becomes effect (null = no outcome; a call that failed is none either), `cost` cost_usd,
    `prompt_tokens` and `completion_tokens` the token counts, the dataset the task, `origin_query`
    (or `prompt`, where that is empty) the prompt. A query is told by dataset, split and index.
    Several runs of a model are averaged; runs marked `demo` are left out. Costs of a model that are
    0 in every record, and token counts of 0, count as not recorded. The folder <split> names a
    variant of the benchmark, so it is kept as metadata (`source_split`) and divides nothing.
    Answers (`raw_output`, or `prediction` where that is empty) are kept where that is asked for,
    and references are left out.

    Args:
        source: The folder `results/bench`, one above or below it, or one result file.
        keep_answers: Keep what models said, in the column `answer`; of several runs the first.

    Raises:
        DataError: A key is missing, a value is out of range, or two files disagree on the text of a
            query.
    """
    files = find_files(source, (".json",), wanted=_FORM)
    queries: dict[tuple[str, str, str], dict[str, Any]] = {}
    runs = [part for file in files if (part := _read_file(file, queries, keep_answers)) is not None]
    if not runs:
        raise DataError(f"{source} has no result file that is no demo; expected {_FORM}.")
    places = {key: row for row, key in enumerate(queries)}
    outcomes = pd.concat(runs, ignore_index=True)
    outcomes["query"] = [places[key] for key in outcomes["query"]]
    asked = pd.DataFrame(
        list(queries.values()), columns=["query_id", "task", "prompt", "source_split"]
    )
    asked["prompt"] = asked["prompt"].astype(object).where(asked["prompt"].notna(), None)
    return assemble(asked, drop_free_models(outcomes), name="llmrouterbench")


def _read_file(
    file: Path, queries: dict[tuple[str, str, str], dict[str, Any]], keep_answers: bool
) -> pd.DataFrame | None:
    """Outcomes of one file, `query` being a key of `queries`, which gains the new ones.

    None for a demo.
    """
    result = read_json(file)
    if not isinstance(result, dict):
        raise DataError(
            f"{file} holds a {type(result).__name__}; expected an object with 'records' ({_FORM})."
        )
    require_columns(result, ("records",), file, form=_FORM)
    if result.get("demo"):
        logger.warning("%s is a demo run and is left out.", file)
        return None
    run = _parse_run(file, result)
    records = read_json_objects(result["records"], file)
    for row, record in enumerate(records, start=1):
        for needed in ("index", "score"):
            if needed not in record:
                raise DataError(
                    f"{file}, row {row}: {needed!r} is missing (found: {', '.join(record)}). "
                    f"Expected {_FORM}."
                )
    keys = [(run.dataset, run.split, str(record["index"])) for record in records]
    prompts = parse_prompts([_read_prompt(record) for record in records])
    for row, (key, prompt) in enumerate(zip(keys, prompts, strict=True), start=1):
        query = {
            "query_id": "/".join(key),
            "task": run.dataset,
            "prompt": prompt,
            "source_split": run.split,
        }
        if queries.setdefault(key, query)["prompt"] != prompt:
            raise DataError(
                f"{file}, row {row}: index {key[2]!r} of {run.dataset}/{run.split} has another "
                "text than in an earlier file. "
                "Keep files of one version of the benchmark together."
            )
    numbers = {
        name: parse_outcome_numbers([record.get(key) for record in records], file, name, called=key)
        for key, name in _NUMBERS.items()
    }
    outcomes = pd.DataFrame({"model": run.model, **numbers})
    score = parse_outcome_numbers(
        [record["score"] for record in records], file, "effect", called="score"
    )
    failed = find_failed(records, answer="raw_output")
    tell_failed(failed, file)
    for part in (records, [record.get("extra_fields") for record in records]):
        fields = {name for row in part if isinstance(row, dict) for name in row}
        tell_unread(fields, FAILURE_FIELDS, file)
    outcomes["effect"] = np.where(failed, np.nan, score)
    if keep_answers:
        said = [record.get("raw_output") or record.get("prediction") for record in records]
        outcomes["answer"] = parse_answers(said, file, called="raw_output or prediction")
    tokens = outcomes[["input_tokens", "output_tokens"]]
    outcomes[["input_tokens", "output_tokens"]] = tokens.where(tokens > 0)
    return outcomes.assign(query=pd.Series(keys, dtype=object))


def _parse_run(file: Path, result: dict[str, Any]) -> _Run:
    """Dataset, split and model: what the file says, else what its path says."""
    above = [folder.name for folder in file.absolute().parents]
    stated = [result.get(key) for key in ("dataset_name", "split", "model_name")]
    from_path = [above[2], above[1], above[0]] if len(above) > 3 else []
    if not from_path and None in stated:
        raise DataError(f"{file} names neither dataset nor split nor model; expected {_FORM}.")
    return _Run(
        *(
            str(said) if said else place
            for said, place in zip(stated, from_path or ["", "", ""], strict=True)
        )
    )


def _read_prompt(record: dict[str, Any]) -> Any:
    asked = record.get("origin_query") or record.get("prompt")
    return json.dumps(asked, ensure_ascii=False) if isinstance(asked, list | dict) else asked

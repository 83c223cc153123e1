"""Make a checked dataset of what a reader found in a foreign file.

The log says what was left out or averaged.
"""

from __future__ import annotations

import ast
import json
import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graphrouter.data.columns import NUMBERS, OUTCOME_NUMBERS, SPLITS
from graphrouter.data.number_columns import check_range, parse_numbers
from graphrouter.data.repeats import average_repeats
from graphrouter.data.schema import RoutingDataset
from graphrouter.exceptions import DataError
from graphrouter.text_files import JsonNaN
from graphrouter.types import BoolArray, FloatArray
from graphrouter.wording import show_value

logger = logging.getLogger(__name__)
_RANGES = {column.name: column for column in NUMBERS["outcomes"]}


def assemble(
    queries: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    name: str,
    models: pd.DataFrame | None = None,
    tasks: pd.DataFrame | None = None,
) -> RoutingDataset:
    """The dataset of what a reader found.

    Queries without text are left out; so are copies of a prompt in a later split (train before
    validation before test), because a test prompt that was trained on says nothing. Pairs that were
    run more than once are averaged. All three are logged.

    Args:
        queries: One row a query with query_id, task and prompt (None = no text), perhaps split and
            metadata.
        outcomes: One row a run: `query` (row of `queries`, from 0), model, effect (NaN = not
            observed: no outcome) and perhaps cost_usd, input_tokens, output_tokens, latency_s (NaN
            = not recorded), and answer (None = not recorded; of several runs the first one stays).
        name: Name of the dataset.
        models: Cards of the models; those without a row here get one of their name.
        tasks: Descriptions of tasks.

    Raises:
        DataError: Nothing is left, or a table breaks the contract.
    """
    kept = _keep_with_text(queries) & _put_on_one_side(queries)
    observed = outcomes[
        outcomes["effect"].notna().to_numpy() & kept[outcomes["query"].to_numpy(dtype=np.int64)]
    ]
    if observed.empty:
        raise DataError(
            f"{name}: the source has no graded answer, so there is no outcome to learn from."
        )
    runs = _average_runs(
        observed.assign(
            query_id=queries["query_id"].to_numpy()[observed["query"].to_numpy(dtype=np.int64)]
        ),
        name,
    )
    wanted = queries[kept]
    if (
        "split" in wanted.columns and wanted["split"].nunique() < 2
    ):  # one side alone divides nothing
        wanted = wanted.drop(columns="split")
    known = models if models is not None else pd.DataFrame({"model": pd.Series(dtype="str")})
    unknown = [model for model in dict.fromkeys(runs["model"]) if model not in set(known["model"])]
    cards = (
        pd.concat([known, pd.DataFrame({"model": unknown})], ignore_index=True)
        if unknown
        else known
    )
    return RoutingDataset.from_frames(
        queries=wanted, models=cards, outcomes=runs, tasks=tasks, name=name
    )


def parse_outcome_numbers(
    column: Iterable[Any], file: Path, field: str, *, called: str | None = None
) -> FloatArray:
    """A column of a source as numbers: (num_rows,) float64, NaN = not recorded.

    They lie within the range of the outcomes' column `field`.

    Args:
        column: Numbers or truth values, or text as CSV has it.
        file: Where it stands, for messages; rows count from 1.
        field: Column of the outcomes table whose range holds.
        called: What the source calls the column.

    Raises:
        DataError: A value is no number, or out of range; the message names the file and the row.
    """
    name = called or field
    cells = [None if isinstance(value, JsonNaN) else value for value in column]
    values = parse_numbers(pd.Series(cells, dtype=object), str(file), name, meaning=_RANGES[field])
    check_range(values, _RANGES[field], str(file), name)
    return values


def drop_free_models(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The outcomes without the costs of models that never cost anything.

    Those were run at home, and nobody recorded a price.
    """
    free = outcomes.groupby("model", sort=False)["cost_usd"].transform("max") == 0
    if free.any():
        names = list(dict.fromkeys(outcomes.loc[free, "model"]))
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        logger.warning(
            "%d models have cost 0 in every record (%s); their cost is left empty.",
            len(names),
            shown,
        )
    return outcomes.assign(cost_usd=outcomes["cost_usd"].mask(free))


def parse_prompts(column: Iterable[Any], *, turns: bool = False) -> list[str | None]:
    r"""The prompts as text, None where there is none.

    A half of a surrogate pair becomes a question mark.

    Args:
        column: Texts; with `turns` also lists of texts, or such a list written as text (JSON or
            Python).
        turns: Join the turns of a conversation by an empty line.

    Example:
        >>> parse_prompts(["Hello.", '["One.", "Two."]', " ", None], turns=True)
        ['Hello.', 'One.\n\nTwo.', None, None]
    """
    return [_read_text(value, turns=turns) for value in column]


def parse_answers(column: Iterable[Any], file: Path, *, called: str) -> list[str | None]:
    """What models said as text, None where it was not recorded.

    An empty answer counts as not recorded, as in every table. Half of a surrogate pair becomes a
    question mark.

    Args:
        column: Texts; a list of texts is several answers, of which the first stays.
        file: Where it stands, for messages; rows count from 1.
        called: What the source calls the column.

    Raises:
        DataError: A value is no text, such as a number or an object; names the file and the row.

    Example:
        >>> parse_answers(["42", ["a", "b"], "", None, float("nan")], Path("f"), called="answer")
        ['42', 'a', None, None, None]
    """
    found = []
    for row, value in enumerate(column, start=1):
        first = value[0] if isinstance(value, list | tuple | np.ndarray) and len(value) else value
        is_empty = first is None or isinstance(first, JsonNaN) or first != first
        if not is_empty and not isinstance(first, str):
            raise DataError(
                f"{file}, row {row}: {called} is {show_value(first)}; expected what the model said "
                "as text, or nothing. Write it as text, or convert without answers."
            )
        found.append(None if is_empty else _read_text(first, turns=False))
    return found


def _read_text(value: Any, *, turns: bool) -> str | None:
    found = _read_turns(value) if turns else None
    text = "\n\n".join(found) if found else value
    if not isinstance(text, str) or not text.strip():
        return None
    return text.encode(errors="replace").decode()


def _read_turns(value: Any) -> list[str] | None:
    """The turns of a conversation; None where the value is none."""
    if isinstance(value, str):
        if not (value.startswith("[") and value.rstrip().endswith("]")):
            return None
        value = _parse_literal(value)
    if isinstance(value, np.ndarray | tuple):
        value = list(value)
    return (
        value
        if isinstance(value, list) and value and all(isinstance(turn, str) for turn in value)
        else None
    )


def _parse_literal(text: str) -> Any:
    """The list that a text spells in JSON or in Python.

    None where it spells none. Nothing is run.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", SyntaxWarning
            )  # a backslash in a prompt is no mistake of ours
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _keep_with_text(queries: pd.DataFrame) -> BoolArray:
    """Which queries have a prompt, (num_queries,)."""
    has_text: BoolArray = np.array(
        [isinstance(prompt, str) for prompt in queries["prompt"]], dtype=bool
    )
    if not has_text.all():
        first = queries["query_id"].iloc[int(np.argmin(has_text))]
        logger.warning(
            "%d queries have no prompt text and are left out, the first is %r.",
            int((~has_text).sum()),
            first,
        )
    return has_text


def _put_on_one_side(queries: pd.DataFrame) -> BoolArray:
    """Which queries are not copies of one in an earlier split, (num_queries,)."""
    if "split" not in queries.columns:
        return np.ones(len(queries), dtype=bool)
    rank = queries["split"].map({split: place for place, split in enumerate(SPLITS)})
    prompts = queries["prompt"].fillna("").astype("str").str.strip()
    earliest = np.minimum(
        rank.groupby(prompts).transform("min"), rank.groupby(queries["query_id"]).transform("min")
    )
    first: BoolArray = (rank == earliest).to_numpy(dtype=bool)
    if not first.all():
        logger.warning(
            "%d queries stand in an earlier split too and are left out of the later one.",
            int((~first).sum()),
        )
    return first


def _average_runs(runs: pd.DataFrame, source: str) -> pd.DataFrame:
    """One row a (query, model) pair, by the one rule for repeats."""
    keys = ["query_id", "model"]
    more = (*OUTCOME_NUMBERS, "answer")
    kept = runs[[*keys, *(column for column in more if column in runs.columns)]]
    return average_repeats(kept, source=source) if runs.duplicated(keys).any() else kept

"""The prompts to collect answers to, and what judges expect of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from graphrouter.chats.chat_prompts import is_chat
from graphrouter.data import read_table
from graphrouter.data.new_outcomes import read_query_file, read_query_table
from graphrouter.exceptions import DataError

__all__ = ["PromptRow", "read_prompt_table", "read_prompts"]


class PromptRow(NamedTuple):
    """One query."""

    query_id: str
    prompt: str
    task: str | None = None
    expected: Any = None
    """What its judge expects; None where the table says nothing."""
    messages: tuple[Mapping[str, Any], ...] = ()
    """What is sent of a prompt that is a chat; of a text nothing but the text is."""


def read_prompts(file: Path, expected: str = "expected") -> list[PromptRow]:
    """The prompts in a file: a table as .parquet, .csv or .jsonl, or a .txt with one a line.

    Args:
        file: A table has a column `prompt`, and perhaps `query_id`, `task` and `expected`.
        expected: The column with what judges expect.

    Raises:
        DataError: It cannot be read, has no prompts or an empty one, or the same query_id twice.
    """
    if file.suffix == ".txt":
        return _to_prompts(read_query_file(file), [], [], file.name)
    return read_prompt_table(read_table(file), expected, source=file.name)


def read_prompt_table(
    table: pd.DataFrame, expected: str = "expected", *, source: str = "prompts"
) -> list[PromptRow]:
    """The prompts of a frame, as `read_prompts` reads them.

    Example:
        >>> frame = pd.DataFrame({"prompt": ["1 + 1?", "Hi"], "expected": [2, None]})
        >>> [prompt.expected for prompt in read_prompt_table(frame)]
        [2.0, None]
    """
    if table.empty:
        raise DataError(f"{source} holds no prompts; expected at least one row.")
    values = table[expected].tolist() if expected in table.columns else []
    clean = read_query_table(table, source)
    return _to_prompts(clean, table["prompt"].tolist(), values, source)


def _to_prompts(
    frame: pd.DataFrame, stated: list[Any], expected: list[Any], source: str
) -> list[PromptRow]:
    tasks = frame["task"].tolist() if "task" in frame.columns else [None] * len(frame)
    found = []
    for row, (query, text, task) in enumerate(
        zip(frame["query_id"], frame["prompt"], tasks, strict=True)
    ):
        if not text.strip():
            raise DataError(
                f"{source}, row {row + 1}: the prompt is empty; expected text. Delete the row."
            )
        wanted = expected[row] if expected else None
        is_missing = wanted is None or (not isinstance(wanted, list | dict) and pd.isna(wanted))
        found.append(
            PromptRow(
                query,
                text,
                None if pd.isna(task) else str(task),
                None if is_missing else _plain(wanted),
                _plain(stated[row]) if stated and is_chat(stated[row]) else (),
            )
        )
    return found


def _plain(value: Any) -> Any:
    """Lists in the place of arrays, as Parquet hands them out, and no members without a value."""
    text = json.dumps(value, default=lambda array: array.tolist())
    return json.loads(text, object_hook=_drop_empty)


def _drop_empty(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}

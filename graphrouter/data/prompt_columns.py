"""Columns of prompts: texts, or the messages of chats, which become the text they are routed by."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphrouter.chats.chat_prompts import is_chat, to_text
from graphrouter.data.values import make_row_error, refuse_half_characters, show_cell
from graphrouter.exceptions import ChatError
from graphrouter.lazy import pandas as pd
from graphrouter.types import BoolArray

_EXPECTED = "expected text, or a list of messages"


def parse_prompts(
    column: pd.Series,
    source: str,
    *,
    empty_mending: str | None = "Write the prompt",
    may_be_empty: BoolArray | None = None,
) -> pd.Series:
    """The column of prompts as it stands, chats as the text that they are routed by.

    Args:
        column: Texts, and lists of messages.
        source: The table.
        empty_mending: What to do about an empty one; None where empty ones are allowed.
        may_be_empty: (num_rows,) where nothing stands for an empty text; nowhere without it.

    Raises:
        DataError: A prompt is missing, neither text nor chat, empty, or holds half of a character.

    Example:
        >>> chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
        >>> parse_prompts(pd.Series(["1 + 1?", chat]), "queries").tolist()
        ['1 + 1?', 'Hi.']
    """
    may_be_empty = np.zeros(len(column), dtype=bool) if may_be_empty is None else may_be_empty
    values = _read_chats(column.mask(may_be_empty & column.isna(), ""), source)
    wrong = [row for row, value in enumerate(values) if not isinstance(value, str)]
    if wrong:
        raise make_row_error(
            source,
            wrong,
            f"prompt is {show_cell(values[wrong[0]])}; {_EXPECTED}",
            "Write the prompt, or delete the row.",
        )
    refuse_half_characters(values, source, "prompt")
    prompts = pd.Series(values, dtype="str")
    is_empty = (prompts.str.strip() == "").to_numpy(dtype=bool)
    empty = np.flatnonzero(is_empty & ~may_be_empty)
    if len(empty) and empty_mending is not None:
        raise make_row_error(
            source,
            empty.tolist(),
            f"prompt is empty ({prompts.iloc[empty[0]]!r})",
            f"{empty_mending}, or delete the row.",
        )
    return prompts


def parse_optional_prompts(column: pd.Series, source: str) -> pd.Series:
    """Prompts of outcomes, NaN where there is none.

    Raises:
        DataError: One is neither text nor chat, or holds half of a character.
    """
    values = _read_chats(column.astype(object).where(column.notna(), None), source)
    wrong = [row for row, value in enumerate(values) if not isinstance(value, str | None)]
    if wrong:
        raise make_row_error(
            source,
            wrong,
            f"prompt is {show_cell(values[wrong[0]])}; {_EXPECTED}",
            "Write the prompt, or leave it empty where query_id says which query it is.",
        )
    refuse_half_characters(values, source, "prompt")
    texts = pd.Series(values, dtype="str")
    return texts.where(texts.str.strip() != "")


def _read_chats(column: pd.Series, source: str) -> list[Any]:
    """The cells, the text of each chat in its place."""
    values = column.tolist()
    for row, value in enumerate(values):
        if isinstance(value, str) or not is_chat(value):
            continue
        try:
            values[row] = to_text(value)
        except ChatError as error:
            mending = "Write it as OpenAI or Anthropic have messages, or delete the row."
            raise make_row_error(source, [row], f"prompt: {error}", mending) from None
    return values

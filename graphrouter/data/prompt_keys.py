"""What identifies a prompt under any id, and stands for it where its text is not kept.

And what stands for those who asked.
"""

from __future__ import annotations

import hashlib
import re

from graphrouter.data.columns import PEOPLE
from graphrouter.lazy import pandas as pd

_WITHHELD = re.compile(r"\(prompt withheld: ([0-9a-f]{16})\)")
_WITHHELD_PERSON = re.compile(r"\((user|team) withheld: [0-9a-f]{16}\)")


def prompt_key(prompt: str) -> str:
    """What identifies a prompt under any id.

    16 hexadecimal digits of the SHA-256 of its text without outer white space. What
    `withhold_prompt` puts in its place has the key of the prompt.
    """
    if (withheld := _WITHHELD.fullmatch(prompt)) is not None:
        return withheld[1]
    return hashlib.sha256(prompt.strip().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def question_key(prompt: str, view_key: str) -> str:
    """What identifies a question: its prompt, or where that is blank what goes with it.

    Args:
        prompt: Its text.
        view_key: What identifies what goes with it; see `view_columns.list_view_keys`.
    """
    return prompt_key(prompt if prompt.strip() or not view_key else f"\0{view_key}")


def withhold_prompt(prompt: str) -> str:
    """What stands for a prompt whose text is not kept: its key, in words.

    Example:
        >>> withhold_prompt("1 + 1?"), withhold_prompt(withhold_prompt("1 + 1?"))
        ('(prompt withheld: c97c3a9c9b990740)', '(prompt withheld: c97c3a9c9b990740)')
    """
    return f"(prompt withheld: {prompt_key(prompt)})"


def is_withheld(prompt: str) -> bool:
    """Whether it is what `withhold_prompt` leaves."""
    return _WITHHELD.fullmatch(prompt) is not None


def withhold_person(name: str, kind: str) -> str:
    """What stands for a user or a team whose name is not kept.

    16 hexadecimal digits of the SHA-256 of the name.

    Args:
        name: Of the user or the team, or what stands for it already.
        kind: `user` or `team`.

    Example:
        >>> withhold_person(withhold_person("ann", "user"), "user")
        '(user withheld: b7b15a392649eaf5)'
    """
    if _WITHHELD_PERSON.fullmatch(name) is not None:
        return name
    digest = hashlib.sha256(f"{kind}:{name}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"({kind} withheld: {digest})"


def withhold_queries(queries: pd.DataFrame) -> pd.DataFrame:
    """The queries without their texts and without the names of who asked them.

    Args:
        queries: Column `prompt`, and perhaps `user` and `team`. What is empty stays so.
    """
    columns = {"prompt": [withhold_prompt(t) if t.strip() else t for t in queries["prompt"]]}
    for kind in PEOPLE:
        if kind in queries:
            names = queries[kind].tolist()
            columns[kind] = [
                withhold_person(name, kind) if isinstance(name, str) else None for name in names
            ]
    withheld = {
        name: pd.Series(column, queries.index, dtype="str") for name, column in columns.items()
    }
    return queries.assign(**withheld)

"""How many outcomes of a newcomer a router is shown, and which ones: more shots contain fewer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pandas as pd

from graphrouter.exceptions import ConfigError

ALL = "all"
Shots = tuple[int | None, ...]
"""Numbers of outcomes in ascending order; None = all that there are."""
DEFAULT_SHOTS: Shots = (0, 5, 10, 20, 50, 100, None)
"""Numbers of outcomes of a newcomer that are measured; None = all of them."""


def parse_shots(text: str) -> Shots:
    """The numbers that a list with commas names, in ascending order.

    0 is always among them: shares are measured from there.

    Example:
        >>> parse_shots("20,5,all")
        (0, 5, 20, None)

    Raises:
        ConfigError: A word is neither a whole number from 0 on nor `all`.
    """
    words = [word.strip() for word in text.split(",")]
    wrong = next(
        (word for word in words if word != ALL and not (word.isascii() and word.isdigit())), None
    )
    if wrong is not None:
        raise ConfigError(
            f"shots {text!r}: {wrong!r} is no number of outcomes. Give numbers from 0 on, or all: "
            "0,5,20,all."
        )
    numbers = sorted({0, *(int(word) for word in words if word != ALL)})
    return (*numbers, *((None,) if ALL in words else ()))


def name_shot(shot: int | None) -> str:
    """How files and tables call a number of outcomes."""
    return ALL if shot is None else str(shot)


def shuffle(names: Sequence[str], *, seed: int, whose: str = "") -> list[str]:
    """The names in a random order.

    It depends on seed, owner and the names alone, not on their order or number.

    Args:
        names: Ids of queries or names of tasks.
        seed: Of the order.
        whose: Whom the order is for; each has one of its own.
    """
    return sorted(
        names,
        key=lambda name: hashlib.sha256(
            f"{seed}:{whose}:{name}".encode("utf-8", "surrogatepass")
        ).digest(),
    )


def take_first_of_each(outcomes: pd.DataFrame, shot: int | None, *, by: str) -> pd.DataFrame | None:
    """The first `shot` distinct values of `query_id` of each `by`, with all their rows, in order.

    None without any row.

    Args:
        outcomes: Columns `query_id` and `by`, in the order in which they are shown.
        shot: How many; None = all.
        by: Name of the column, such as `model`.
    """
    shown = outcomes
    if shot is not None:
        order = outcomes.groupby(by, sort=False)["query_id"].transform(
            lambda ids: pd.factorize(ids)[0]
        )
        shown = outcomes[order < shot]
    return None if shown.empty else shown.reset_index(drop=True)

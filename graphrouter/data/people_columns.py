"""Columns that say who asked a query: a user, and the team that the user belongs to."""

from __future__ import annotations

import logging

import numpy as np

from graphrouter.data.columns import PEOPLE
from graphrouter.data.values import MISSING_WORDS, make_row_error, parse_optional_ids
from graphrouter.lazy import pandas as pd
from graphrouter.wording import count_of

logger = logging.getLogger(__name__)


def clean_people(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with clean columns `user` and `team`; without one in which nobody is named.

    An empty cell, or a word for one such as `none`, says that it is not known who asked. A team
    without a user is that of somebody of the team.

    Args:
        frame: Of queries, or of outcomes that name those who asked.
        source: What to call it in messages.

    Raises:
        DataError: A user is in two teams, or an id is neither text nor number.

    Example:
        >>> rows = [("ann", "sales"), ("", "sales"), ("ann", None)]
        >>> clean_people(pd.DataFrame(rows, columns=["user", "team"]), "queries")["team"].tolist()
        ['sales', 'sales', 'sales']
    """
    there = [name for name in PEOPLE if name in frame.columns]
    if not there:
        return frame
    clean = {
        name: _drop_missing_words(parse_optional_ids(frame[name], source, name), source, name)
        for name in there
    }
    if len(there) == len(PEOPLE):
        clean["team"] = _find_teams(clean["user"], clean["team"], source)
    empty = [name for name in there if clean[name].isna().all()]
    return frame.assign(**clean).drop(columns=empty)


def _drop_missing_words(names: pd.Series, source: str, column: str) -> pd.Series:
    """The names, NaN where a file says in a word that there is none; a warning names these."""
    is_word = names.str.lower().isin(MISSING_WORDS)
    if not is_word.any():
        return names
    first, count = names[is_word].iloc[0], int(is_word.sum())
    told = "%s: %s: %r in %s was read as empty."
    logger.warning(told, source, column, first, count_of(count, "row"))
    return names.mask(is_word)


def _find_teams(user: pd.Series, team: pd.Series, source: str) -> pd.Series:
    """The team of each row: that of its user, wherever it is stated."""
    named = user.notna() & team.notna()
    first = team[named].groupby(user[named]).first()
    of_user = user.map(first)
    wrong = np.flatnonzero((named & (team != of_user)).to_numpy(dtype=bool))
    if len(wrong):
        row = wrong[0]
        raise make_row_error(
            source,
            wrong.tolist(),
            f"user {user.iloc[row]!r} is in team {team.iloc[row]!r}, and in "
            f"{of_user.iloc[row]!r} in a row before",
            "Name one team a user.",
        )
    return team.where(user.isna(), of_user.astype("str"))

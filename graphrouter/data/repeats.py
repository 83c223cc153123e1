"""One rule for repeats, wherever they come in: they are averaged and counted.

A repeat is a second outcome of a model on a query. What an average rests on stands beside it, in
`num_runs`, so that rows that come in later weigh no more than those before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np

from graphrouter.data.columns import KEYS, NUM_RUNS, OUTCOME_NUMBERS, PEOPLE, SPEEDS
from graphrouter.data.view_columns import VIEW_KEY
from graphrouter.lazy import pandas as pd
from graphrouter.types import BoolArray, FloatArray
from graphrouter.wording import count_of

PRICES = ("input_usd_per_mtok", "output_usd_per_mtok")
"""Of the model when an outcome was recorded."""
_SPEEDS = tuple(column.name for column in SPEEDS)
logger = logging.getLogger(__name__)


def average_repeats(
    outcomes: pd.DataFrame, *, source: str | None, own: Iterable[str] = ()
) -> pd.DataFrame:
    """One row a (query, model) pair, in the order in which pairs first occur.

    A number is the mean over the runs that recorded it, the same in whatever order they stand.
    Of all other columns the first known value is kept.

    Args:
        outcomes: query_id, model, numbers, and perhaps `num_runs` (absent or NaN = one run).
        source: What to call the table in the log; None to say nothing.
        own: Columns of numbers beyond the contract, which are averaged too.

    Returns:
        The outcomes with `num_runs`.

    Example:
        >>> rows = [("a", "nano", 0.0), ("a", "nano", 1.0), ("b", "nano", 1.0)]
        >>> runs = pd.DataFrame(rows, columns=["query_id", "model", "effect"])
        >>> average_repeats(runs, source=None)[["effect", "num_runs"]].to_numpy().tolist()
        [[0.5, 2.0], [1.0, 1.0]]
    """
    keys = list(KEYS["outcomes"])
    runs = count_runs(outcomes)
    pair = outcomes.groupby(keys, sort=False).ngroup().to_numpy(dtype=np.int64)
    num_pairs = int(pair.max()) + 1 if len(pair) else 0
    averaged = outcomes.groupby(keys, sort=False, as_index=False).first()[outcomes.columns.tolist()]
    numbers = [name for name in (*OUTCOME_NUMBERS, *_SPEEDS, *own) if name in outcomes.columns]
    for name in numbers:
        values = outcomes[name].to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        # Sums depend on the order in the last digits, so each pair is added up in order of size.
        order = np.lexsort((runs[known], values[known], pair[known]))
        place, weight, value = (x[known][order] for x in (pair, runs, values))
        total = np.bincount(place, weights=weight, minlength=num_pairs)
        amount = np.bincount(place, weights=weight * value, minlength=num_pairs)
        mean = np.divide(amount, total, out=np.full(num_pairs, np.nan), where=total > 0)
        alone = np.bincount(place, minlength=num_pairs) == 1  # keeps its bits
        mean[place[alone[place]]] = value[alone[place]]
        averaged[name] = mean
    averaged[NUM_RUNS.name] = np.bincount(pair, weights=runs, minlength=num_pairs)
    if source is not None:
        logger.warning(
            "%s: %s a (query, model) pair; all of a pair were averaged, and %s left.",
            source,
            count_of(len(outcomes) - num_pairs, "row", "repeats", "repeat"),
            count_of(num_pairs, "pair", "is", "are"),
        )
    return averaged


def count_runs(outcomes: pd.DataFrame) -> FloatArray:
    """How many runs each outcome is the mean of, (num_outcomes,)."""
    if NUM_RUNS.name not in outcomes.columns:
        return np.ones(len(outcomes))
    stated = outcomes[NUM_RUNS.name].to_numpy(dtype=np.float64)
    return np.where(np.isnan(stated), 1.0, stated)


def join_outcomes(old: pd.DataFrame, new: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """Older and newer outcomes as one table: a pair that is in both is averaged by `num_runs`.

    Where the prices of a model have changed in between, the newer cost counts alone.

    Args:
        old: Outcomes with `num_runs` and the prices they were recorded at; each pair once.
        new: The same columns; each pair once. Speeds may stand in one of the two alone.
        source: What to call the newer ones in the log.
    """
    keys, columns = list(KEYS["outcomes"]), old.columns.tolist()
    more = [name for name in _SPEEDS if name in new.columns and name not in columns]
    if more:
        old = old.assign(**dict.fromkeys(more, np.nan))
    if set(columns) - set(new.columns):  # speeds that the newer ones were not logged with
        new = new.reindex(columns=[*columns, *more])
    # Of a large support few rows are concerned; the others stay where they are, and as they are.
    concerned = np.logical_and.reduce(
        [old[key].isin(new[key].unique()).to_numpy(dtype=bool) for key in keys]
    )
    was, now = old[concerned].set_index(keys), new.set_index(keys)
    common = now.index.intersection(was.index)
    if common.empty:
        return pd.concat([old, new], ignore_index=True)
    prices = list(PRICES)
    before = was.loc[common, prices].to_numpy(dtype=np.float64)
    after = now.loc[common, prices].to_numpy(dtype=np.float64)
    has_changed = ((before != after) & ~(np.isnan(before) & np.isnan(after))).any(axis=1)
    has_cost = now.loc[common, "cost_usd"].notna().to_numpy(dtype=bool)
    taken, kept = common[has_changed & has_cost], common[has_changed & ~has_cost]
    was.loc[taken, "cost_usd"] = np.nan
    was.loc[taken, prices] = now.loc[taken, prices]
    now.loc[kept, prices] = was.loc[kept, prices]
    logger.warning(
        "%s: of %d (query, model) pairs there are older outcomes already; they were averaged.",
        source,
        len(common),
    )
    both = pd.concat([was.reset_index(), now.reset_index()], ignore_index=True)
    averaged = average_repeats(both, source=None)[old.columns.tolist()]
    parts = [old[~concerned], averaged]
    joined: pd.DataFrame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    place = np.concatenate([np.flatnonzero(~concerned), np.flatnonzero(concerned)])
    behind = np.arange(len(old), len(joined))
    order = np.argsort(np.concatenate([place, behind]))
    in_place: pd.DataFrame = joined.iloc[order].reset_index(drop=True)
    return in_place


def merge_repeated_prompts(
    queries: pd.DataFrame, outcomes: pd.DataFrame
) -> tuple[BoolArray, pd.DataFrame]:
    """Which queries to keep so that each prompt of a task stands there once, and their outcomes.

    The first of several counts, and gets the outcomes of all, averaged. What two users ask is of
    each of them.

    Args:
        queries: query_id, task, prompt, and perhaps user, team and view_key: with other documents
            it is another query.
        outcomes: Of these queries.

    Returns:
        (num_queries,) True for queries to keep, and the outcomes of those.
    """
    named = [name for name in (*PEOPLE, VIEW_KEY) if name in queries.columns]
    codes = queries.assign(prompt=queries["prompt"].str.strip()).groupby(
        ["prompt", "task", *named], sort=False, dropna=False
    )
    first = codes["query_id"].transform("first")
    stays = (first == queries["query_id"]).to_numpy(dtype=bool)
    if stays.all():
        return stays, outcomes
    name = dict(zip(queries["query_id"], first, strict=True))
    moved = outcomes.assign(query_id=outcomes["query_id"].map(name).astype("str"))
    if moved.duplicated(list(KEYS["outcomes"])).any():
        moved = average_repeats(moved, source=None)[moved.columns.tolist()]
    logger.warning(
        "%s the prompt of another one; the router keeps it once, with the outcomes of all, "
        "averaged.",
        count_of(int((~stays).sum()), "training query", "repeats", "repeat"),
    )
    return stays, moved

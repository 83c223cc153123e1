"""What each trade-off did on graded queries that the router has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from graphrouter.data import RoutingDataset
from graphrouter.data.schema import check_is_dataset
from graphrouter.data.view_columns import list_view_keys, question_keys
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.features.suspect_zeros import hide_suspect_zeros
from graphrouter.policy import Policy
from graphrouter.router.promise import BEST_SINGLE, Wish
from graphrouter.router.shrunk_means import shrink_effects
from graphrouter.router.trade_offs import list_trade_offs
from graphrouter.selection import decide
from graphrouter.types import BoolArray, FloatArray, IntArray, Queries
from graphrouter.wording import count_of, name_some, show_value

if TYPE_CHECKING:
    from graphrouter.router.pool_changes import ChangeableRouter


@dataclass(frozen=True, eq=False)
class GradedTradeOffs:
    """What each trade-off, and the models it is held against, did on graded queries.

    Queries stand in the order of a hash of their prompts: one that outcomes have no part in.
    """

    policies: tuple[Policy, ...]
    """From effect alone to cost alone."""
    reference: str
    effect: FloatArray
    """(num_queries, num_trade_offs) observed effect of the model that is chosen, in [0, 1]."""
    cost_usd: FloatArray
    """(num_queries, num_trade_offs) observed US dollars of the call."""
    reference_effect: FloatArray
    """(num_queries,) of the reference."""
    reference_cost_usd: FloatArray
    """(num_queries,) of the reference."""
    rival_effect: FloatArray
    """(num_queries,) of the model to beat; of the reference where none is named."""
    dearest_usd: float
    """Cost of the dearest call that the router has learned from."""
    num_seen: int
    num_ungraded: int
    num_repeated: int

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.effect)

    def take(self, rows: IntArray) -> GradedTradeOffs:
        """Some of the queries, in the given order."""
        names = (
            "effect",
            "cost_usd",
            "reference_effect",
            "reference_cost_usd",
            "rival_effect",
        )
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def grade_trade_offs(
    router: ChangeableRouter,
    data: RoutingDataset,
    wish: Wish,
    *,
    within: Policy | None = None,
    task_known: bool = True,
) -> GradedTradeOffs:
    """What each trade-off did on the queries of `data` that can be used.

    Usable are queries that the router has not learned from, on which every model that any of the
    trade-offs chooses was graded, and the reference and the rival too. Queries of one prompt and
    task count once, their outcomes averaged.

    Raises:
        DataError: `data` is no dataset, has no costs, or no query can be used.
        PolicyError: `within` names a trade-off itself, or rules every model out.
        UnknownModelError: A model is named that is not in the pool.
    """
    check_is_dataset(data, "calibrate_policy")
    if not router.cost_scale.is_known:
        raise DataError(
            "The router has learned from outcomes without costs, so it has no trade-off to offer. "
            "Train it on outcomes with cost_usd, or with tokens and prices."
        )
    if not np.isfinite(data.outcomes["cost_usd"]).any():
        raise DataError(
            f"{data.name!r} has no costs, and what a trade-off saves cannot be known without. Add "
            "cost_usd to its outcomes."
        )
    policies = list_trade_offs(router.cost_scale, within)
    reference = _find_reference(router, wish.of, policies[0])
    rival = reference if wish.beats is None else _check_model(router, wish.beats, "beats")
    unseen = _find_unseen(router, data)
    shown = data.select_queries(unseen)
    shown = replace(shown, outcomes=hide_suspect_zeros(shown.outcomes))
    first, group = _group_repeats(shown.queries, task_known=task_known)
    queries = Queries.of_frame(shown.queries.iloc[first])
    if not task_known:
        queries = queries.without_tasks()
    effect, cost = (_average(shown, name, group, router.models) for name in ("effect", "cost_usd"))
    chosen = _choose(router, queries, policies)
    rows, at = np.arange(len(chosen))[:, None], router.models.index
    picked_effect, picked_cost = effect[rows, chosen], cost[rows, chosen]
    parts = (picked_effect, picked_cost, effect[:, [at(reference), at(rival)]])
    usable = np.isfinite(np.hstack([*parts, cost[:, [at(reference)]]])).all(axis=1)
    if not usable.any():
        needed = np.zeros(effect.shape, dtype=bool)
        needed[rows, chosen] = True
        needed[:, [at(reference), at(rival)]] = True
        raise DataError(
            _explain_ungraded(router, data, needed & ~np.isfinite(effect + cost), len(chosen))
        )
    return GradedTradeOffs(
        policies=policies,
        reference=reference,
        effect=picked_effect[usable],
        cost_usd=picked_cost[usable],
        reference_effect=effect[usable, at(reference)],
        reference_cost_usd=cost[usable, at(reference)],
        rival_effect=effect[usable, at(rival)],
        dearest_usd=float(np.fmax.reduce(router.support.read_outcomes()["cost_usd"])),
        num_seen=len(data.queries) - len(unseen),
        num_ungraded=int((~usable).sum()),
        num_repeated=len(unseen) - len(first),
    )


def _find_reference(router: ChangeableRouter, of: str, policy: Policy) -> str:
    """The model that `of` names: for `best_single` that with the best mean of what was learned.

    Means are shrunk to the pool's as those of the baseline are, so that one lucky outcome makes no
    best model. Models that the policy names as ruled out do not count.
    """
    if of != BEST_SINGLE:
        return _check_model(router, of, "of")
    known = router.count_outcomes()
    count, mean = known["num_outcomes"].to_numpy(float), known["mean_effect"].to_numpy(float)
    level = shrink_effects(np.nan_to_num(mean) * count, count)
    may = [
        name in (policy.allowed or router.models) and name not in policy.excluded
        for name in router.models
    ]
    return router.models[int(np.argmax(np.where(may, level, -np.inf)))]


def _check_model(router: ChangeableRouter, name: object, setting: str) -> str:
    if not isinstance(name, str) or name not in router.pool.index:
        known = name_some(router.models, most=8)
        raise UnknownModelError(
            f"{setting} is {show_value(name)}, which is not in the pool; expected "
            f"{'best_single or ' if setting == 'of' else ''}one of {known}."
        )
    return name


def _find_unseen(router: ChangeableRouter, data: RoutingDataset) -> list[str]:
    """Ids of the queries whose prompt the router has neither trained nor validated on."""
    seen, queries = router.provenance.seen_prompts, data.queries
    pairs = zip(queries["query_id"], question_keys(queries), strict=True)
    unseen = [query for query, key in pairs if key not in seen]
    if not unseen:
        raise DataError(
            f"The router has learned from all {count_of(len(queries), 'query')} of "
            f"{data.name!r}, and a "
            "promise needs queries that it has not seen. Grade other queries, or train on a part."
        )
    return unseen


def _group_repeats(queries: pd.DataFrame, *, task_known: bool) -> tuple[IntArray, IntArray]:
    """The first row of each distinct query, in the order of hashes, and each row's place there."""
    pairs = zip(question_keys(queries), list_view_keys(queries), strict=True)
    key = pd.Series([question + view for question, view in pairs], index=queries.index, dtype="str")
    if task_known:
        key = key + queries["task"].fillna("").astype(str)
    _, first, place = np.unique(key.to_numpy(dtype=str), return_index=True, return_inverse=True)
    return first, place


def _average(
    data: RoutingDataset, column: str, group: IntArray, models: Sequence[str]
) -> FloatArray:
    """(num_groups, num_models) means over the rows of each group; NaN = not observed."""
    theirs = data.pool.index
    matrix = data.outcome_matrix(column)
    unknown = np.full(len(matrix), np.nan)
    mine = np.column_stack([matrix[:, theirs[m]] if m in theirs else unknown for m in models])
    return pd.DataFrame(mine).groupby(group).mean().to_numpy(dtype=np.float64)


def _choose(router: ChangeableRouter, queries: Queries, policies: Sequence[Policy]) -> IntArray:
    """Column of the model that each policy sends each query to, (num_queries, num_policies)."""
    predictions, context = router.predict(queries), router.policy_context
    column = {name: i for i, name in enumerate(router.models)}
    chosen = np.full((len(queries), len(policies)), -1, dtype=np.int64)

    def ask(row: int, *places: int) -> None:
        for i in places:
            chosen[row, i] = column[decide(policies[i], predictions, row, context).model]

    def fill(row: int, start: int, end: int) -> None:
        # A utility is a line in the trade-off: who is best at two of them is so in between.
        if chosen[row, start] == chosen[row, end]:
            chosen[row, start:end] = chosen[row, start]
        elif end - start > 1:
            middle = (start + end) // 2
            ask(row, middle)
            fill(row, start, middle)
            fill(row, middle, end)

    last = len(policies) - 1
    for row in range(len(queries)):
        ask(row, 0, 1, last - 1, last)  # the outer ones rank and rule out by rules of their own
        fill(row, 1, last - 1)
    return chosen


def _explain_ungraded(
    router: ChangeableRouter, data: RoutingDataset, lacking: BoolArray, num_queries: int
) -> str:
    counts = lacking.sum(axis=0)
    names = [router.models[i] for i in np.argsort(-counts, kind="stable") if counts[i]]
    most = [name for name in names if counts[router.models.index(name)] == num_queries]
    shown = most or names[:1]
    several = f" ({', '.join(shown[:5])}{', ...' if shown[5:] else ''})" if len(shown) > 1 else ""
    return (
        f"No query of {data.name!r} has an outcome with a cost of every model that a trade-off may "
        f"choose: {shown[0]!r} lacks one on {counts.max():,} of the {num_queries:,} that are new "
        f"to the router{f', as do {len(shown) - 1} more{several}' if several else ''}. Grade it "
        "there, or rule it out (within=Policy(excluded=...), --exclude)."
    )

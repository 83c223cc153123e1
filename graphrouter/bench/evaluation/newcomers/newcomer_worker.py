"""What a process does with a cell: fit once, let newcomers join, ask, keep the result.

They join with more and more outcomes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import pandas as pd

from graphrouter.bench.baselines import find_router
from graphrouter.bench.evaluation.grid import finish
from graphrouter.bench.evaluation.newcomers.newcomer_cells import (
    RETRAINED,
    SUGGESTED,
    NewcomerCell,
    NewcomerResult,
    OutputKey,
)
from graphrouter.bench.evaluation.newcomers.newcomer_split import NewcomerSplit, prepare_newcomers
from graphrouter.bench.evaluation.newcomers.shots import name_shot
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.data import Split
from graphrouter.exceptions import NotApplicableError
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router

AnyRouter = TypeVar("AnyRouter", bound=Router)


class _Join(NamedTuple):
    """A router that has met the newcomers, made when it is asked for."""

    name: str
    shot: int | None
    make: Callable[[], Router]


def run_cell(cell: NewcomerCell) -> NewcomerResult:
    """The result of a cell, which is also kept in its file.

    A router that fails gives a result that says why.
    """
    # Errors outside the router are not the router's: they end the comparison.
    prepared = prepare_newcomers(cell)
    return finish(cell, partial(_join_and_ask, cell, prepared), NewcomerResult)


def _join_and_ask(cell: NewcomerCell, prepared: NewcomerSplit) -> NewcomerResult:
    outputs: dict[OutputKey, RouterOutput] = {}
    join_s: dict[str, float] = {}
    start = time.perf_counter()
    joins = _prepare(cell, prepared)
    fit_s = time.perf_counter() - start
    for name, shot, make in joins:
        start = time.perf_counter()
        router = make()
        label = name_shot(shot)
        join_s[f"{name}@{label}"] = time.perf_counter() - start
        outputs[name, label] = _ask(router, prepared, name)
    return NewcomerResult("done", "", fit_s, join_s, outputs)


def _ask(router: Router, prepared: NewcomerSplit, name: str) -> RouterOutput:
    output = prepared.evaluation_set.collect_output(router, task_known=True, name=name)
    if output.replayed is not None:
        raise NotApplicableError(
            "it predicts no effect that a policy could weigh, so nothing of newcomers can be "
            "compared"
        )
    return output


def _prepare(cell: NewcomerCell, prepared: NewcomerSplit) -> list[_Join]:
    """What to ask, after the one training or fit that all of it shares."""
    if cell.router == RETRAINED:
        retrained = GraphRouter.fit(prepared.whole, cell.config)
        return [_Join(RETRAINED, None, lambda: retrained)]
    if prepared.task is not None:
        return _joins_of_task(cell, prepared, prepared.task)
    router = find_router(cell.router).fit(prepared.view, cell.config)
    shown = {shot: prepared.shown(shot) for shot in cell.shots}
    joins = [
        _Join(cell.router, shot, partial(_add_models, router, prepared, each))
        for shot, each in shown.items()
    ]
    if isinstance(router, GraphRouter):
        chosen = collect_suggested(router, prepared, [shot for shot in cell.shots if shot])
        joins += [
            _Join(SUGGESTED, shot, partial(_add_models, router, prepared, each))
            for shot, each in chosen.items()
        ]
    return joins


def _joins_of_task(cell: NewcomerCell, prepared: NewcomerSplit, task: str) -> list[_Join]:
    """The graph router is told of the task.

    A baseline, which has no other way, is fitted again with the solved queries.
    """
    shown = {shot: prepared.shown(shot) for shot in cell.shots}
    kind = find_router(cell.router)
    if not issubclass(kind, GraphRouter):
        return [
            _Join(cell.router, shot, partial(_refit, kind, prepared, each))
            for shot, each in shown.items()
        ]
    router = kind.fit(prepared.view, cell.config)
    described = prepared.data.tasks.set_index("task")["description"].get(task)
    description = described if isinstance(described, str) else None
    return [
        _Join(
            cell.router,
            shot,
            partial(router.add_task, task, description=description, examples=each),
        )
        for shot, each in shown.items()
    ]


def _add_models(
    router: AnyRouter, prepared: NewcomerSplit, outcomes: pd.DataFrame | None
) -> AnyRouter:
    if outcomes is not None and isinstance(router, GraphRouter):
        outcomes = outcomes.drop(
            columns=["prompt", "task"]
        )  # its support has the queries, by their ids
    return router.add_models(prepared.cards, outcomes=outcomes)


def _refit(kind: type[Router], prepared: NewcomerSplit, outcomes: pd.DataFrame | None) -> Router:
    if outcomes is None:
        return kind.fit(prepared.view)
    split = prepared.view.split
    train = (*split.train, *dict.fromkeys(outcomes["query_id"]))
    wider = Split(train=train, validation=split.validation, test=split.test)
    return kind.fit(prepared.view, split=wider)


def collect_suggested(
    router: GraphRouter, prepared: NewcomerSplit, counts: Sequence[int]
) -> dict[int, pd.DataFrame | None]:
    """Outcomes on the probes that the router suggests for each newcomer, by how many were wanted.

    Probes come in batches: what the router has learned of a newcomer from fewer outcomes decides
    which it asks for next. A newcomer was not run on every query: probes that it has no outcome of
    are passed over. One that has too few gives all.

    Args:
        router: Has not met the newcomers.
        prepared: Whose newcomers, and their outcomes.
        counts: How many outcomes of each are wanted, ascending.
    """
    shown: dict[int, pd.DataFrame | None] = {}
    so_far: pd.DataFrame | None = None
    for count in counts:
        met = _add_models(router, prepared, so_far)
        parts = [] if so_far is None else [so_far]
        for model, theirs in prepared.newcomers.groupby("model", sort=False):
            known = (
                set() if so_far is None else set(so_far.loc[so_far["model"] == model, "query_id"])
            )
            open_outcomes = theirs[~theirs["query_id"].isin(known)]
            parts.append(
                _next_probes(
                    met, str(model), open_outcomes, min(count - len(known), len(open_outcomes))
                )
            )
        so_far = pd.concat(parts, ignore_index=True) if parts else None
        shown[count] = so_far
    return shown


def _next_probes(router: GraphRouter, model: str, outcomes: pd.DataFrame, num: int) -> pd.DataFrame:
    """The outcomes on the next `num` suggested probes that are recorded, most telling first."""
    if num < 1:
        return outcomes.head(0)
    support = router.support
    answered = support.outcomes.loc[support.outcomes["model"] == model, "query_id"]
    keys = pd.Series(support.prompt_keys, dtype="str")
    available = int(keys[~keys.isin(keys[support.queries["query_id"].isin(answered)])].nunique())
    asked = min(2 * num, available)
    while True:
        rank = {
            query: i
            for i, query in enumerate(router.suggest_probes(asked, model=model)["query_id"])
        }
        found = outcomes[outcomes["query_id"].isin(rank)]
        if len(found) >= num or asked == available:
            return found.sort_values("query_id", key=lambda ids: ids.map(rank), kind="stable").head(
                num
            )
        asked = min(4 * asked, available)

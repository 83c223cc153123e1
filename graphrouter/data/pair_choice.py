"""Which answers to collect next, of all pairs of a query and a model, where not all can be paid."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from graphrouter.exceptions import DataError
from graphrouter.number_checks import is_whole
from graphrouter.wording import name_some, show_value

__all__ = ["suggest_pairs"]

_COLUMNS = ["query_id", "task", "prompt"]


def suggest_pairs(
    queries: pd.DataFrame,
    models: Sequence[str],
    num: int,
    *,
    asked: pd.DataFrame | None = None,
    among: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The pairs of a query and a model to collect next, in the order to collect them.

    Columns `query_id`, `task`, `prompt`, `model`. The first n of more pairs are the n pairs, so
    that one may stop anywhere. Tasks come by their share of the queries; in each the query that
    was asked least, and of that the model that was asked least in the task. One answer each of many
    prompts tells more than the answers of all models to few: experiments/collecting. Who answers a
    prompt is drawn by chance and by counts alone, never by what the prompt says or by what others
    have answered, so that what is learned from the answers is not bent by the choice. Fewer come
    back where fewer are left.

    Args:
        queries: `query_id` and `prompt`, and `task` where it is known.
        models: Names of those that can be called.
        num: How many, at least 1.
        asked: `query_id` and `model` of pairs that are there already, which count; others than
            these queries and models do not.
        among: `query_id` and `model` of the pairs to choose from; all of them without it.
        seed: Of the draws.

    Raises:
        DataError: `num` is below 1, a column is missing, or there are no queries or models.

    Example:
        >>> prompts = pd.DataFrame({"query_id": ["1", "2"], "prompt": ["1 + 1?", "Hello"]})
        >>> pairs = suggest_pairs(prompts, ["nano", "grand"], 3)
        >>> sorted(pairs["query_id"][:2]), sorted(pairs["model"][:2])
        (['1', '2'], ['grand', 'nano'])
    """
    names = _check(queries, models, num, asked, among)
    task = queries["task"] if "task" in queries else pd.Series([None] * len(queries))
    task_of = [None if pd.isna(each) else str(each) for each in task]
    spread = _Spread(queries["query_id"].tolist(), task_of, names, np.random.default_rng(seed))
    if asked is not None:
        for query, model in zip(asked["query_id"], asked["model"], strict=True):
            spread.note(str(query), str(model))
    if among is not None:
        spread.keep_to(zip(among["query_id"].astype(str), among["model"].astype(str), strict=True))
    rows, chosen = [], []
    for _ in range(num):
        pair = spread.take_next()
        if pair is None:
            break
        rows.append(pair[0])
        chosen.append(pair[1])
    shown = queries.assign(task=pd.Series(task_of, dtype="str", index=queries.index))[_COLUMNS]
    return shown.iloc[rows].reset_index(drop=True).assign(model=pd.Series(chosen, dtype="str"))


class _Spread:
    """Pairs spread over tasks, queries and models."""

    def __init__(
        self,
        query_ids: Sequence[str],
        task_of: Sequence[str | None],
        models: Sequence[str],
        rng: np.random.Generator,
    ) -> None:
        self._ids, self._task_of, self._models, self._rng = query_ids, task_of, models, rng
        self._row = {query: row for row, query in enumerate(query_ids)}
        self._done: dict[int, set[str]] = defaultdict(set)
        self._closed: dict[int, set[str]] = defaultdict(set)
        """Models that may not be asked, by row."""
        self._by_task: dict[str | None, Counter[str]] = defaultdict(Counter)
        self._by_model: Counter[str] = Counter()
        self._num_of: Counter[str | None] = Counter()
        """Pairs of each task."""
        self._share = {task: n / len(task_of) for task, n in Counter(task_of).items()}
        self._places: dict[str | None, list[int]] = defaultdict(list)
        for row in rng.permutation(len(query_ids)).tolist():
            self._places[task_of[row]].append(row)
        self._queues: dict[str | None, list[tuple[int, int, int]]] = {}

    def note(self, query: str, model: str) -> None:
        """Count a pair that is there."""
        row = self._row.get(query)
        if row is None or model not in self._models or model in self._done[row]:
            return
        self._done[row].add(model)
        self._by_task[self._task_of[row]][model] += 1
        self._by_model[model] += 1
        self._num_of[self._task_of[row]] += 1

    def keep_to(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Choose from some pairs alone."""
        kept: dict[str, set[str]] = defaultdict(set)
        for query, model in pairs:
            kept[query].add(model)
        for query, row in self._row.items():
            self._closed[row] = set(self._models) - kept[query]

    def take_next(self) -> tuple[int, str] | None:
        """Row of the query, and model, of the next pair, counted; None where none is left."""
        if not self._queues:
            for task, rows in self._places.items():
                queue = [(len(self._done[row]), place, row) for place, row in enumerate(rows)]
                self._queues[task] = [each for each in queue if self._list_free(each[2])]
                heapq.heapify(self._queues[task])
        total = self._num_of.total() + 1
        open_tasks = [task for task, queue in self._queues.items() if queue]
        if not open_tasks:
            return None
        task = max(open_tasks, key=lambda t: self._share[t] * total - self._num_of[t])
        _, place, row = heapq.heappop(self._queues[task])
        counts = self._by_task[task]
        draws = dict(zip(self._models, self._rng.random(len(self._models)), strict=True))
        free = self._list_free(row)
        model = min(free, key=lambda m: (counts[m], self._by_model[m], draws[m]))
        self.note(self._ids[row], model)
        if len(free) > 1:
            heapq.heappush(self._queues[task], (len(self._done[row]), place, row))
        return row, model

    def _list_free(self, row: int) -> list[str]:
        """Models that may still be asked."""
        taken = self._done[row] | self._closed[row]
        return [model for model in self._models if model not in taken]


def _check(
    queries: pd.DataFrame,
    models: Sequence[str],
    num: int,
    asked: pd.DataFrame | None,
    among: pd.DataFrame | None,
) -> list[str]:
    if not is_whole(num, least=1):
        raise DataError(f"{show_value(num)} pairs were asked for; expected a whole number above 0.")
    for what, frame, needed in (
        ("queries", queries, ("query_id", "prompt")),
        ("asked", asked, ("query_id", "model")),
        ("among", among, ("query_id", "model")),
    ):
        if frame is None:
            continue
        missing = [name for name in needed if name not in getattr(frame, "columns", ())]
        if missing:
            raise DataError(
                f"{what} has no column {missing[0]!r}; expected a frame with {' and '.join(needed)}"
            )
    names = list(dict.fromkeys(models))
    if not len(queries) or not names:
        raise DataError(
            f"There are {len(queries)} queries and the models {name_some(names) or 'none'}; "
            "expected at least one of each."
        )
    return names

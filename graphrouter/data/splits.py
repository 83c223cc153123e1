"""Divides queries (or tasks, or models) into train, validation and test.

A side is decided by a hash of the prompt and the seed, so it depends neither on the order of the
rows nor on the machine, and all copies of a prompt stand on one side.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphrouter.config import SplitConfig
from graphrouter.data.columns import SPLITS
from graphrouter.data.view_columns import question_texts
from graphrouter.exceptions import DataError
from graphrouter.lazy import pandas as pd
from graphrouter.wording import count_of, name_some

if TYPE_CHECKING:
    from graphrouter.data.schema import RoutingDataset

logger = logging.getLogger(__name__)

MIN_TRAIN = 2
NO_TASK = ""
"""Stratum of the queries whose task is unknown; no task can have this name."""
_NOTE = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])$")
"""A note in brackets at the end of a name."""
_SEPARATORS = ("-", "_", " ", ":", "@")
"""What stands between the name of a model and that of a mode or variant of it."""


@dataclass(frozen=True, repr=False)
class Split:
    """Who stands on which side.

    Query ids in ascending order, and the models that training must not see.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    held_out_models: tuple[str, ...] = ()
    """In pool order; empty unless models are held out."""

    def __repr__(self) -> str:
        held_out = (
            f", {count_of(len(self.held_out_models), 'model')} held out"
            if self.held_out_models
            else ""
        )
        return (
            f"Split({len(self.train)} train, {len(self.validation)} validation, {len(self.test)} "
            f"test{held_out})"
        )


def split_dataset(data: RoutingDataset, config: SplitConfig) -> Split:
    """The division of `data` that `config` asks for.

    A `split` column of the queries is always kept; where it has no validation or no test rows, they
    are carved out of its training rows. By model, families are held out whole and the queries are
    divided as well.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> split = split_dataset(simulate(num_queries=100).data, SplitConfig())
        >>> len(split.train), len(split.validation), len(split.test)
        (70, 10, 20)

    Raises:
        DataError: There are too few queries, tasks or models to divide.
    """
    groups = _group_prompts(data, config.seed)
    if "split" in data.queries.columns:
        if config.by == "task":
            logger.warning(
                "The queries of %r have a split column, which is kept: tasks are not held out.",
                data.name,
            )
        sides = _keep_sides(groups, data.queries["split"].to_numpy(dtype=object), config)
    elif config.by == "task":
        sides = _divide_tasks(groups, data.queries, config)
    else:
        sides = _divide_queries(groups, validation=config.validation, test=config.test)
    held_out = hold_out_models(data, config.test, seed=config.seed) if config.by == "model" else ()
    ids = data.queries["query_id"].to_numpy(dtype=object)
    train, validation, test = (tuple(sorted(ids[sides == side])) for side in SPLITS)
    return Split(train=train, validation=validation, test=test, held_out_models=held_out)


def hold_out_models(data: RoutingDataset, share: float, *, seed: int) -> tuple[str, ...]:
    """About `share` of the models, whole families at a time, in pool order.

    At least one, and at least two stay for training.

    Args:
        data: Whose models.
        share: Of the models, in (0, 1).
        seed: Decides, with the names of the families, which ones.

    Raises:
        DataError: Every family is so large that fewer than two models would stay.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> data = simulate(num_queries=20, num_models=4).data
        >>> len(hold_out_models(data, 0.3, seed=0))
        1
    """
    names = data.models["model"]
    family_of = group_families(data.models)
    sizes = family_of.value_counts()
    order = sorted(sizes.index, key=lambda family: _hash(seed, str(family)))
    most = len(names) - 2
    target = max(1, round(share * len(names)))
    fitting = [family for family in order if sizes[family] <= most]
    if not fitting:
        shown = name_some([f"{family} {size}" for family, size in sizes.items()])
        raise DataError(
            f"Too few models to hold a family out: {count_of(len(names), 'model')} in "
            f"{count_of(len(sizes), 'family')} "
            f"({shown}), and 2 must stay for "
            "training. Add models of another family, or split by query."
        )
    chosen: list[str] = []
    for family in fitting:
        if sum(int(sizes[name]) for name in chosen) + int(sizes[family]) <= target:
            chosen.append(family)
    if not chosen:  # every family is larger than the share: the smallest one comes nearest
        chosen = [min(fitting, key=lambda family: int(sizes[family]))]
    return tuple(names[family_of.isin(chosen)])


def group_families(models: pd.DataFrame) -> pd.Series[str]:
    """The family of each row of a models table.

    Where the table names none, `base` tells, and else names do: a model whose name continues that
    of another one after a hyphen, underscore, space, colon or at sign is a mode or variant of it,
    and a note in brackets at the end of a name does not count. So `x`, `x-FC` and `x (Prompt)` go
    together; `x-7b` and `x-70b` do not.

    Example:
        >>> names = ["gpt-4", "gpt-4-FC", "gpt-4o", "claude (FC)", "claude (Prompt)"]
        >>> group_families(pd.DataFrame({"model": names, "family": [None] * 5})).tolist()
        ['model gpt-4', 'model gpt-4', 'model gpt-4o', 'model claude', 'model claude']
    """
    unnamed = models[models["family"].isna()]
    bases = unnamed["base"] if "base" in unnamed.columns else unnamed["model"]
    shown = dict(zip(unnamed["model"], bases.fillna(unnamed["model"]), strict=True))
    bare = {name: _NOTE.sub("", base) or base for name, base in shown.items()}
    roots: list[str] = []
    family_of: dict[str, str] = {}
    for name in sorted(
        bare, key=lambda name: (len(bare[name]), bare[name])
    ):  # a name comes before those that continue it
        starts = (
            root
            for root in roots
            if bare[name] == root or bare[name].startswith(tuple(root + s for s in _SEPARATORS))
        )
        root = next(starts, bare[name])
        family_of[name] = f"model {root}"
        if root == bare[name]:
            roots.append(root)
    return models["family"].fillna(models["model"].map(family_of))


def allocate(
    sizes: Sequence[int], share: float, total: int, room: Sequence[int] | None = None
) -> list[int]:
    """How many of each stratum to take so that `total` are taken: the largest-remainder method.

    Args:
        sizes: Members of each stratum, in the order in which equal remainders are served.
        share: Share of each stratum wanted.
        total: Members to take over all strata.
        room: Most that may be taken of each stratum; its size by default.
    """
    most = np.array(sizes if room is None else room, dtype=np.int64)
    quotas = np.array(sizes, dtype=np.float64) * share
    taken = np.minimum(np.floor(quotas + 1e-9).astype(np.int64), most)
    # Rounding can push the floors past a small total; take back where the quota is overshot the
    # most.
    while taken.sum() > total:
        taken[int(np.argmax(np.where(taken > 0, taken - quotas, -np.inf)))] -= 1
    while taken.sum() < min(total, most.sum()):
        taken[int(np.argmax(np.where(taken < most, quotas - taken, -np.inf)))] += 1
    return [int(count) for count in taken]


def check_split(data: RoutingDataset, split: Split) -> None:
    """Check that `split` divides queries of `data`, with enough of them to learn from.

    No query is on two sides.

    Raises:
        DataError: A query is unknown or on two sides, or there are fewer than 2 training queries.
    """
    sides = {"train": split.train, "validation": split.validation, "test": split.test}
    known = set(data.queries["query_id"])
    place: dict[str, str] = {}
    for side, ids in sides.items():
        for query in ids:
            if query not in known:
                raise DataError(
                    f"The split names the query {query!r} in {side}, which {data.name!r} does not "
                    "have."
                )
            if query in place:
                raise DataError(
                    f"The split has the query {query!r} both in {place[query]} and in {side}; "
                    "expected one side."
                )
            place[query] = side
    if len(split.train) < MIN_TRAIN:
        raise DataError(
            f"The split has {len(split.train)} training quer"
            f"{'y' if len(split.train) == 1 else 'ies'}; expected at least {MIN_TRAIN}. "
            "Give more queries, or other shares."
        )


def _hash(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}:{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _group_prompts(data: RoutingDataset, seed: int) -> pd.DataFrame:
    """One row for each distinct prompt, in hash order.

    Columns `stratum`, `is_ungraded` (there are calls and none was graded), `order` (its hash),
    `members` (row numbers).
    """
    queries, called = data.queries, data.outcomes.groupby("query_id")["effect"]
    prompts = question_texts(queries)
    ungraded = called.count()[lambda count: count == 0].index
    frame = pd.DataFrame(
        {
            "prompt": prompts,
            "stratum": queries["task"].fillna(NO_TASK),
            "is_ungraded": queries["query_id"].isin(ungraded),
        }
    )
    # max: a copy with a known task decides over one without; min: and one graded over others
    groups = frame.groupby("prompt", sort=False).agg(
        stratum=("stratum", "max"), is_ungraded=("is_ungraded", "min")
    )
    members = frame.groupby("prompt", sort=False).indices
    groups["members"] = pd.Series(
        [members[prompt] for prompt in groups.index], index=groups.index, dtype=object
    )
    groups["order"] = [_hash(seed, str(prompt)) for prompt in groups.index]
    return groups.sort_values("order").reset_index(drop=True)


def _divide_queries(groups: pd.DataFrame, *, validation: float, test: float) -> np.ndarray:
    side = _stratify(groups, {"test": test, "validation": validation})
    return _spread_sides(groups, side)


def _stratify(groups: pd.DataFrame, shares: Mapping[str, float]) -> np.ndarray:
    """Side of each group, (num_groups,): `shares` of them, and train for the rest.

    The same share of every stratum, as nearly as can be. Where some prompts have no grade, those
    that have one are divided by themselves, so that every side has some.
    """
    num_groups, fewest = len(groups), MIN_TRAIN + len(shares)
    if num_groups < fewest:
        raise DataError(
            f"Too few queries to divide: {num_groups} with distinct prompts; expected at least "
            f"{fewest} ({MIN_TRAIN} train, {', '.join(f'1 {name}' for name in shares)}). Add "
            "queries."
        )
    parts = [part.to_numpy() for part in (~groups["is_ungraded"], groups["is_ungraded"])]
    if any(part.sum() < fewest for part in parts):
        return _stratify_part(groups, shares)
    side = np.full(num_groups, "train", dtype=object)
    for part in parts:
        side[part] = _stratify_part(groups[part].reset_index(drop=True), shares)
    return side


def _stratify_part(groups: pd.DataFrame, shares: Mapping[str, float]) -> np.ndarray:
    """What `_stratify` gives, whatever is graded."""
    num_groups = len(groups)
    # In the order of the hashes: ties have no favourites.
    rows = list(groups.groupby("stratum", sort=False).indices.values())
    sizes = [len(members) for members in rows]
    side = np.full(num_groups, "train", dtype=object)
    used = [0] * len(rows)
    left = num_groups - MIN_TRAIN
    for number, (name, share) in enumerate(shares.items()):
        others = len(shares) - number - 1
        total = max(1, min(round(share * num_groups), left - others))
        left -= total
        counts = allocate(
            sizes, share, total, [size - done for size, done in zip(sizes, used, strict=True)]
        )
        for i, count in enumerate(counts):
            side[rows[i][used[i] : used[i] + count]] = name
            used[i] += count
    return side


def _spread_sides(groups: pd.DataFrame, side: np.ndarray) -> np.ndarray:
    """Side of each query from the side of each group of copies, (num_queries,) of text."""
    sides = np.full(sum(len(members) for members in groups["members"]), "", dtype=object)
    for members, name in zip(groups["members"], side, strict=True):
        sides[members] = name
    return sides


def _keep_sides(groups: pd.DataFrame, given: np.ndarray, config: SplitConfig) -> np.ndarray:
    """The given sides, with validation and test carved out of train where they are absent."""
    sides = given.copy()
    wanted = {"test": config.test, "validation": config.validation}
    absent = {name: share for name, share in wanted.items() if not (given == name).any()}
    in_train = groups[[given[members[0]] == "train" for members in groups["members"]]].reset_index(
        drop=True
    )
    if len(in_train) < MIN_TRAIN + len(absent):
        counts = ", ".join(f"{int((given == name).sum())} {name}" for name in SPLITS)
        raise DataError(
            f"Too few training queries in the split column ({counts}): {len(in_train)} distinct "
            "prompts; expected at least "
            f"{MIN_TRAIN + len(absent)}. Mark more rows as train."
        )
    if absent:
        for members, name in zip(in_train["members"], _stratify(in_train, absent), strict=True):
            sides[members] = name
    return sides


def _divide_tasks(groups: pd.DataFrame, queries: pd.DataFrame, config: SplitConfig) -> np.ndarray:
    """Whole tasks on one side.

    Tasks that share a prompt go together, and queries of unknown task are for training.
    """
    joined = _join_tasks(groups, queries["task"].fillna(NO_TASK).to_numpy(dtype=object))
    leaders = sorted(
        {leader for task, leader in joined.items() if task != NO_TASK},
        key=lambda task: _hash(config.seed, task),
    )
    if len(leaders) < 3:
        raise DataError(
            f"Too few tasks to hold whole ones out: {len(leaders)} that share no prompt; expected "
            "at least 3. "
            "Split by query instead."
        )
    num_test = max(1, min(round(config.test * len(leaders)), len(leaders) - 2))
    num_validation = max(
        1, min(round(config.validation * len(leaders)), len(leaders) - num_test - 1)
    )
    side_of = dict.fromkeys(leaders, "train")
    side_of.update(dict.fromkeys(leaders[:num_test], "test"))
    side_of.update(dict.fromkeys(leaders[num_test : num_test + num_validation], "validation"))
    side = np.array(
        [side_of.get(joined[stratum], "train") for stratum in groups["stratum"]], dtype=object
    )
    num_train = int((side == "train").sum())
    if num_train < MIN_TRAIN:
        raise DataError(
            f"Only {count_of(num_train, 'query', 'remains', 'remain')} to train on when "
            f"whole tasks are "
            f"held out. Split by "
            "query instead."
        )
    return _spread_sides(groups, side)


def _join_tasks(groups: pd.DataFrame, tasks: np.ndarray) -> dict[str, str]:
    """For each task, the first in the alphabet of those that it shares prompts with.

    A task counts among its own.
    """
    leader = {task: task for task in {*tasks, *groups["stratum"]}}

    def find(task: str) -> str:
        while leader[task] != task:
            task = leader[task]
        return task

    for members in groups["members"]:
        known = sorted({find(task) for task in tasks[members] if task != NO_TASK})
        for other in known[1:]:
            leader[other] = known[0]
    return {task: find(task) for task in leader}

"""Development splits: their test rows are training and validation rows of the benchmark.

Of the benchmark split with the same seed.

Whatever is chosen on them has never looked at a test row of the benchmark.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphrouter.config import SplitConfig
from graphrouter.data import RoutingDataset, Split, split_dataset
from graphrouter.data.prompt_keys import prompt_key

_TRAIN, _VALIDATION = 0.7, 0.1
_FIRST_SEED = 1000
"""Added to the seed, so that the order of the rows has nothing to do with the benchmark split."""


def development_split(data: RoutingDataset, seed: int) -> Split:
    """70 / 10 / 20 % of what the benchmark split of this seed trains and validates on; copies of a
    prompt stay on one side."""
    benchmark = split_dataset(data, SplitConfig(seed=seed))
    rows = np.array(sorted([*benchmark.train, *benchmark.validation]))
    np.random.default_rng(_FIRST_SEED + seed).shuffle(rows)
    num_train, num_shown = int(_TRAIN * len(rows)), int((_TRAIN + _VALIDATION) * len(rows))
    keys = data.queries.set_index("query_id")["prompt"].map(prompt_key)
    side_of: dict[str, int] = {}
    sides: tuple[list[str], list[str], list[str]] = ([], [], [])
    for place, query in enumerate(rows.tolist()):
        side = side_of.setdefault(
            keys[query], 0 if place < num_train else 1 if place < num_shown else 2
        )
        sides[side].append(query)
    train, validation, test = (tuple(sorted(side)) for side in sides)
    return Split(train, validation, test)


def development_data(data: RoutingDataset, seed: int) -> RoutingDataset:
    """The queries of the development split, marked with their sides; the test rows of the benchmark
    are not among them."""
    split = development_split(data, seed)
    sides = {
        query: side for side in ("train", "validation", "test") for query in getattr(split, side)
    }
    smaller = data.select_queries(list(sides))
    return RoutingDataset.from_frames(
        queries=smaller.queries.assign(split=smaller.queries["query_id"].map(sides)),
        models=smaller.models,
        outcomes=smaller.outcomes,
        tasks=smaller.tasks,
        name=f"{data.name}-seed{seed}",
    )


def save_development(data: RoutingDataset, seed: int, folder: Path) -> str:
    """The place of the development dataset of this seed, which is written where it is not there
    yet."""
    place = folder / f"{data.name}-{data.fingerprint[:8]}" / f"{data.name}-seed{seed}"
    if not (place / "tasks.parquet").is_file():  # the table that is written last
        development_data(data, seed).save(place)
    return str(place)

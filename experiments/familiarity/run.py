"""Do the 80 % intervals hold on tasks that were left out, and in a script that was never seen?

    python experiments/familiarity/run.py DATA/zeroeval DATA/helm_mmlu --folds 4

Whole tasks are left out of everything, in folds; a router is trained on the rest. Asked are 15 % of
the other tasks' queries, with and without their tasks; the queries of the tasks left out; and the
same ones with every letter replaced by one of another script: what a model does on those is not
known, so the outcomes on the originals stand for it. An interval is that of a model on a task and
holds when the mean of 15 outcomes or more lies in it, sampling noise added.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import graphrouter as gr
from graphrouter.data import Split
from graphrouter.data.prompt_keys import prompt_key
from graphrouter.training.effect_scores import (
    Cells,
    group_queries,
    log_loss_of_pairs,
    mean_of_known,
)
from graphrouter.types import FloatArray, Predictions, Queries

MOST_ASKED = 1500
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNSEEN = str.maketrans({letter: chr(0x4E00 + 37 * i) for i, letter in enumerate(LETTERS)})
"""Letters to Chinese characters."""


def main() -> None:
    """Print a line a dataset, fold and kind of queries, then means a dataset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--folds", type=int, default=4, help="Parts that the tasks come in.")
    parser.add_argument("--only", type=int, help="So many of the folds; all by default.")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    words = parser.parse_args()
    held: dict[tuple[str, str], list[np.ndarray]] = {}
    for folder in words.data:
        data, config = gr.load_dataset(folder), gr.load_config(overrides=words.settings)
        for fold, split, is_left in list(leave_out_tasks(data, words.folds))[: words.only]:
            router = gr.GraphRouter.fit(data, config, split=split)
            for what, queries, rows in ask(data, split, is_left):
                found = router.predict(queries)
                effects, tasks = (
                    data.outcome_matrix("effect")[rows],
                    data.queries["task"].iloc[rows],
                )
                cells = check(effects, found, tasks.tolist())
                held.setdefault((folder.name, what), []).append(cells)
                show(folder.name, f"fold {fold}, {what}", cells, found, effects)
    for (name, what), cells in held.items():
        every = np.concatenate(cells)
        print(f"{name:20s} {what:28s} {every.mean():.3f} of {len(every)} intervals hold")


def leave_out_tasks(data: gr.RoutingDataset, folds: int) -> Iterator[tuple[int, Split, np.ndarray]]:
    """Number, split and mask of the queries left out, a fold at a time."""
    names = np.random.default_rng(0).permutation(sorted(data.queries["task"].dropna().unique()))
    keys = data.queries["prompt"].map(prompt_key)
    ids = data.queries["query_id"].to_numpy()
    for fold in range(min(folds, len(names))):
        is_left = data.queries["task"].isin(names[fold::folds]).to_numpy()
        rest = ~is_left & ~keys.isin(set(keys[is_left])).to_numpy()
        prompts = np.random.default_rng(fold).permutation(keys[rest].unique())
        place = keys.map({key: i / len(prompts) for i, key in enumerate(prompts)}).to_numpy(float)
        train, validation = rest & (place >= 0.25), rest & (place < 0.1)
        test = is_left | (rest & (place >= 0.1) & (place < 0.25))
        yield fold, Split(*(tuple(ids[side]) for side in (train, validation, test))), is_left


def ask(
    data: gr.RoutingDataset, split: Split, is_left: np.ndarray
) -> Iterator[tuple[str, Queries, np.ndarray]]:
    """What is asked: its name, the queries, and their rows in the data."""
    tested = data.queries["query_id"].isin(split.test).to_numpy()
    for what, mask in (("known tasks", tested & ~is_left), ("tasks left out", is_left)):
        rows = np.flatnonzero(mask)
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_ASKED])
        asked = Queries.of_frame(data.queries.iloc[rows])
        if what == "known tasks":
            yield f"{what}, named", asked, rows
        yield what, asked.without_tasks(), rows
        if what == "tasks left out":
            strange = [prompt.translate(UNSEEN) for prompt in asked.prompts]
            yield f"{what}, unseen script", Queries.of(strange), rows


def check(effects: FloatArray, found: Predictions, tasks: list[str | None]) -> np.ndarray:
    """Whether each interval of a model on a task holds, where there are outcomes enough."""
    cells = Cells.of(effects, found.effect, group_queries(tasks))
    is_counted = cells.is_counted
    if len(is_counted) > 1:
        is_counted[0] = False  # all tasks together
    assert found.effect_low is not None
    assert found.effect_high is not None
    return cells.check_coverage(found.effect_low, found.effect_high)[is_counted]


def show(name: str, what: str, cells: np.ndarray, found: Predictions, effects: FloatArray) -> None:
    """Print the figures of one fold; releases before this had no familiarity."""
    assert found.effect_low is not None
    assert found.effect_high is not None
    known = getattr(found, "familiarity", None)
    print(
        f"{name:20s} {what:36s} coverage {cells.mean() if len(cells) else np.nan:.3f} "
        f"({len(cells)}), width {(found.effect_high - found.effect_low).mean():.3f}, log loss "
        f"{mean_of_known(log_loss_of_pairs(found.effect, effects)):.4f}, familiarity "
        f"{np.nan if known is None else known.mean():.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()

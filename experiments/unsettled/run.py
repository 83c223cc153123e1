"""Outcomes told beside settled states, against the same outcomes settled, and against none of them.

Usage:
    python -m experiments.unsettled.run DATA [DATA ...] [--seeds 3] [--shares .02 .1 .25]
        [--out RESULTS.json]

A share of the training outcomes comes after the fit, whole queries or single outcomes drawn at
random: once by `add_outcomes(..., settle=False)`, once settled. Instant routers, 1,000 training and
500 test queries of a dataset. Prints Markdown: log loss of the effects on the test queries without
the later outcomes, with them unsettled, and settled; and how far the effects of the two lie apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import graphrouter as gr
from graphrouter.data import RoutingDataset, Split
from graphrouter.data.schema import build_dataset
from graphrouter.files import write_json
from graphrouter.types import FloatArray

NUM_TRAINED, NUM_TESTED = 1000, 500
KINDS = ("queries", "outcomes")
_COLUMNS = ("model", "effect", "cost_usd", "input_tokens", "output_tokens", "latency_s")


class Cell(NamedTuple):
    """One draw of what comes later."""

    data: str
    kind: str
    share: float
    seed: int


def draw_cell(data: RoutingDataset, cell: Cell) -> tuple[RoutingDataset, pd.DataFrame, list[str]]:
    """What there is at first, what comes later, and the queries to be tested."""
    rng = np.random.default_rng(cell.seed)
    ids = rng.permutation(np.sort(data.queries["query_id"].to_numpy(dtype=object))).tolist()
    tested, trained = ids[:NUM_TESTED], set(ids[NUM_TESTED : NUM_TESTED + NUM_TRAINED])
    seen = data.outcomes[data.outcomes["query_id"].isin(trained)]
    if cell.kind == "queries":
        late = set(rng.choice(sorted(trained), int(cell.share * len(trained)), replace=False))
        is_late = seen["query_id"].isin(late).to_numpy(dtype=bool)
    else:
        is_late = rng.random(len(seen)) < cell.share
    first = seen[~is_late]
    queries = data.queries[data.queries["query_id"].isin(set(first["query_id"]))]
    at_first = build_dataset(
        {
            "queries": queries.drop(columns="split", errors="ignore"),
            "models": data.models,
            "outcomes": first,
            "tasks": data.tasks,
        },
        name=data.name,
    )
    later = seen[is_late].merge(data.queries[["query_id", "prompt", "task"]], on="query_id")
    wanted = [name for name in (*_COLUMNS, "query_id", "prompt", "task") if name in later]
    return at_first, later[wanted], tested


def measure(data: RoutingDataset, cell: Cell) -> dict[str, float]:
    """Log loss of three routers on the test queries, and how far effects lie apart."""
    at_first, later, tested = draw_cell(data, cell)
    ids = tuple(sorted(at_first.queries["query_id"]))
    router = gr.GraphRouter.fit(at_first, instant=True, split=Split(ids, (), ()))
    quick, settled = (router.add_outcomes(later, settle=settle) for settle in (False, True))
    asked = data.queries.set_index("query_id").loc[tested]
    table = data.outcomes[data.outcomes["query_id"].isin(set(tested))]
    truth = table.pivot(index="query_id", columns="model", values="effect").loc[tested]

    def predict(of: gr.GraphRouter) -> FloatArray:
        return of.predict(asked["prompt"].tolist()).effect

    def lose(effect: FloatArray) -> float:
        observed = truth[list(router.models)].to_numpy(dtype=np.float64)
        chance = np.clip(effect, 1e-6, 1 - 1e-6)
        loss = -(observed * np.log(chance) + (1 - observed) * np.log1p(-chance))
        return float(np.nanmean(loss))

    before, beside, after = map(predict, (router, quick, settled))
    return {
        "without": lose(before),
        "unsettled": lose(beside),
        "settled": lose(after),
        "apart": float(np.abs(beside - after).mean()),
        "moved": float(np.abs(before - after).mean()),
        "is_quick": float(quick.num_unsettled > 0),
    }


def list_cells(names: list[str], seeds: int, shares: list[float]) -> Iterator[Cell]:
    """All draws."""
    for name in names:
        for kind in KINDS:
            for share in shares:
                for seed in range(seeds):
                    yield Cell(name, kind, share, seed)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path, help="folders of datasets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.02, 0.1, 0.2])
    parser.add_argument("--out", type=Path, help="JSON with every cell")
    options = parser.parse_args()
    loaded = {path.name: gr.load_dataset(path) for path in options.data}
    rows = []
    for cell in list_cells(list(loaded), options.seeds, options.shares):
        rows.append({**cell._asdict(), **measure(loaded[cell.data], cell)})
        print(json.dumps(rows[-1]), flush=True)
        if options.out:
            write_json(rows, options.out)
    table = pd.DataFrame(rows).drop(columns="seed").groupby(["kind", "share", "data"]).mean()
    names = [*table.index.names, *table.columns]
    print("| " + " | ".join(map(str, names)) + " |\n" + "|---" * len(names) + "|")
    for at, row in table.iterrows():
        print("| " + " | ".join([*map(str, at), *(f"{value:.4f}" for value in row)]) + " |")


if __name__ == "__main__":
    main()

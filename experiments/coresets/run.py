"""Which solved queries to keep where a router may keep a share of them.

Usage:
    python -m experiments.coresets.run DATA ... [--simulated] [--json FILE]

One router a split learns from all training queries, without training its network. Then it is given
a quarter or a tenth of them as its support, chosen in one of these ways; states are computed anew:

    random       drawn, as `graph.max_support_queries` draws
    clusters     drawn within clusters of the embeddings, of each by its share
    medoids      one a cluster, as many clusters as queries are kept: that nearest to the mean
    farthest     each as far as can be from those before it
    surprising   those whose outcomes disagree most with what the rest says of them
    half         half of them surprising, the rest drawn
    pruned       drawn too, but states are those of all queries, of which the rows of the others are
                 left out: levels of models and tasks stay, and only the neighbours are fewer

Asked are test prompts that have no part in the choice. Told are the share of choices that are those
of the router with all, the log loss and the reward, and differences from `random`, paired by query,
with 95 % intervals over splits and queries.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import graphrouter as gr
from experiments.paired import draw_difference, show_difference
from graphrouter.config import SplitConfig
from graphrouter.data import split_dataset
from graphrouter.policy import PRESETS
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.states import complete_states
from graphrouter.scoring.state import SupportMessages
from graphrouter.types import FloatArray, IntArray

SHARES = (4, 10)
MOST_PROMPTS = 600
_MEASURES = ("same", "loss", "reward")
_DRAWS = 2
"""Of ways that draw; the mean is told, so that a lucky draw is none."""


def keep_random(router: GraphRouter, count: int, rng: np.random.Generator) -> IntArray:
    return rng.choice(len(router.support.queries), count, replace=False)


def keep_of_clusters(router: GraphRouter, count: int, rng: np.random.Generator) -> IntArray:
    """Of each cluster by its share: in order of clusters, every so manieth from a drawn start."""
    cluster = _find_clusters(router, round(np.sqrt(len(router.support.queries))), rng)[0]
    order = np.lexsort((rng.random(len(cluster)), cluster))
    step = len(order) / count
    return order[((np.arange(count) + rng.random()) * step).astype(np.int64)]


def keep_medoids(router: GraphRouter, count: int, rng: np.random.Generator) -> IntArray:
    cluster, distance = _find_clusters(router, count, rng)
    order = np.lexsort((distance, cluster))
    first = np.unique(cluster[order], return_index=True)[1]
    return _fill_up(order[first], len(cluster), count, rng)


def keep_farthest(router: GraphRouter, count: int, rng: np.random.Generator) -> IntArray:
    text = router._states.support.query_text
    kept = [int(rng.integers(len(text)))]
    likeness = text @ text[kept[0]]
    for _ in range(count - 1):
        kept.append(int(np.argmin(likeness)))
        likeness = np.maximum(likeness, text @ text[kept[-1]])
    return np.array(kept)


def keep_surprising(router: GraphRouter, count: int, rng: np.random.Generator) -> IntArray:
    return np.argsort(-_measure_surprise(router), kind="stable")[:count]


def keep_half(router: GraphRouter, count: int, rng: np.random.Generator) -> IntArray:
    surprising = keep_surprising(router, count // 2, rng)
    return _fill_up(surprising, len(router.support.queries), count, rng)


WAYS: dict[str, Callable[[GraphRouter, int, np.random.Generator], IntArray]] = {
    "random": keep_random,
    "clusters": keep_of_clusters,
    "medoids": keep_medoids,
    "farthest": keep_farthest,
    "surprising": keep_surprising,
    "half": keep_half,
    "pruned": keep_random,
}
PRUNED = "pruned"
DRAWN = ("random", "clusters", "half", PRUNED)


def _fill_up(kept: IntArray, size: int, count: int, rng: np.random.Generator) -> IntArray:
    rest = np.setdiff1d(np.arange(size), kept)
    return np.concatenate([kept, rng.choice(rest, count - len(kept), replace=False)])


def _find_clusters(
    router: GraphRouter, count: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """The cluster of each solved query, and how far it is from its mean."""
    import faiss

    text = np.ascontiguousarray(router._states.support.query_text, dtype=np.float32)
    found = faiss.Kmeans(
        text.shape[1], count, niter=8, seed=int(rng.integers(2**31)), min_points_per_centroid=1
    )
    found.train(text)
    distance, cluster = found.index.search(text, 1)
    return cluster[:, 0], distance[:, 0]


def _measure_surprise(router: GraphRouter) -> FloatArray:
    """Mean squared residual an outcome of each solved query, in units of its variance."""
    messages = router._states.support.messages
    residual, information = messages.values[:, 0], messages.values[:, messages.values.shape[1] // 2]
    query = np.repeat(np.arange(len(messages.row_start) - 1), np.diff(messages.row_start))
    size = len(messages.row_start) - 1
    total = np.bincount(query, residual**2 / np.fmax(information, 1e-9), size)
    return total / np.fmax(np.bincount(query, minlength=size), 1)


def give_support(router: GraphRouter, rows: IntArray) -> GraphRouter:
    """The router with some of its solved queries alone."""
    support, rows = router.support, np.sort(rows)
    queries = support.queries.iloc[rows].reset_index(drop=True)
    theirs = support.outcomes["query_id"].isin(set(queries["query_id"]))
    smaller = dataclasses.replace(
        support,
        query_table=queries,
        outcome_table=support.outcomes[theirs].reset_index(drop=True),
        raw=support.raw.take_queries(rows),
    )
    return GraphRouter(router.learned, smaller, router.provenance, router.encoder)


def prune(router: GraphRouter, rows: IntArray) -> GraphRouter:
    """The router with some of its solved queries alone, and what it made of all of them."""
    smaller, rows = give_support(router, rows), np.sort(rows)
    state = router._states.support
    start, stop = state.messages.row_start[rows], state.messages.row_start[rows + 1]
    edges = np.concatenate([np.arange(*each) for each in zip(start, stop, strict=True)])
    by_query = ("surprise", "slope", "reliability")
    state = state._replace(
        base=state.base._replace(**{name: getattr(state.base, name)[:, rows] for name in by_query}),
        messages=SupportMessages(
            state.messages.model[edges],
            np.concatenate([[0], np.cumsum(stop - start)]),
            state.messages.values[edges],
        ),
        **{name: getattr(state, name)[rows] for name in ("key", "query_text", "task_of_query")},
    )
    states = complete_states(state, router.learned, smaller.support)
    parts = (router.learned, smaller.support, router.provenance, router.encoder)
    return GraphRouter(*parts, states=states)


class Asked:
    """Test prompts of a split, and what was seen on them."""

    def __init__(self, data: gr.RoutingDataset, router: GraphRouter, seed: int) -> None:
        test = np.array(router.provenance.split.test)
        rng = np.random.default_rng(seed)
        ids = test[np.sort(rng.choice(len(test), min(MOST_PROMPTS, len(test)), replace=False))]
        self.prompts = data.queries.set_index("query_id").loc[ids, "prompt"].tolist()
        rows = data.outcomes[data.outcomes["query_id"].isin(set(ids))]
        place = {query: i for i, query in enumerate(ids.tolist())}
        at = rows["query_id"].map(place), rows["model"].map(router.models.index)
        self.effect = np.full((len(ids), len(router.models)), np.nan)
        self.cost = self.effect.copy()
        self.effect[at] = rows["effect"]
        if "cost_usd" in rows:
            self.cost[at] = router.cost_scale.scale(rows["cost_usd"].to_numpy(float))
        self.models = router.models

    def ask(self, router: GraphRouter) -> dict[str, FloatArray]:
        """By query: log loss, and by preset which model was chosen and its reward."""
        told = router.predict(self.prompts).effect.clip(1e-4, 1 - 1e-4)
        loss = -(self.effect * np.log(told) + (1 - self.effect) * np.log(1 - told))
        found = {"loss": np.nanmean(loss, axis=1)}
        for preset, (weight, cost_weight) in PRESETS.items():
            decisions = router.route_batch(self.prompts, policy=gr.Policy.preset(preset))
            chosen = np.array([self.models.index(each.model) for each in decisions])
            rows = np.arange(len(chosen))
            paid = cost_weight * np.nan_to_num(self.cost[rows, chosen])
            found[f"chosen {preset}"] = chosen
            found[f"reward {preset}"] = weight * self.effect[rows, chosen] - paid
        return found


def compare(found: dict[str, FloatArray], every: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """By query: log loss, mean over presets of equal choices and of the reward."""
    same = [found[f"chosen {name}"] == every[f"chosen {name}"] for name in PRESETS]
    reward = [found[f"reward {name}"] for name in PRESETS]
    return {
        "same": np.mean(same, axis=0),
        "loss": found["loss"],
        "reward": np.mean(reward, axis=0),
    }


def run_split(
    data: gr.RoutingDataset, seed: int, ways: Sequence[str] = tuple(WAYS)
) -> dict[str, dict[str, FloatArray]]:
    """By way and share, the measures by query of one split."""
    split = split_dataset(data, SplitConfig(seed=seed))
    router = GraphRouter.fit(data, gr.load_config(), split=split, instant=True)
    asked = Asked(data, router, seed)
    every = asked.ask(router)
    found = {"all": compare(every, every)}
    for share in SHARES:
        for name in ways:
            keep, drawn = WAYS[name], []
            for draw in range(_DRAWS if name in DRAWN else 1):
                rng = np.random.default_rng(1000 * seed + draw)
                kept = keep(router, len(router.support.queries) // share, rng)
                give = prune if name == PRUNED else give_support
                drawn.append(compare(asked.ask(give(router, kept)), every))
            found[f"{name} 1/{share}"] = {
                key: np.mean([each[key] for each in drawn], axis=0) for key in _MEASURES
            }
    return found


def main() -> None:
    """Prints a table a set in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--simulated", action="store_true", help="also a simulated world")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", default=",".join(WAYS), help="some of them, random among them")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sets = [gr.load_dataset(folder) for folder in options.data]
    if options.simulated:
        sets.append(gr.simulate(6000, 12, seed=3).data)
    report: dict[str, Any] = {}
    ways = options.ways.split(",")
    for data in sets:
        splits = [run_split(data, seed, ways) for seed in range(options.seeds)]
        report[data.name] = tell(splits)
        print(f"\n{data.name}\n\n| kept | same choice | log loss | reward |\n|---|---|---|---|")
        for name, row in report[data.name].items():
            print(f"| {name} | {' | '.join(row.values())} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def tell(splits: list[dict[str, dict[str, FloatArray]]]) -> dict[str, dict[str, str]]:
    """By way and share, each measure, and its difference from `random` where there is one."""
    rows: dict[str, dict[str, str]] = {}
    for name in splits[0]:
        rows[name] = {}
        beside = f"random {name.split()[-1]}"
        for key in _MEASURES:
            ours = [split[name][key] for split in splits]
            text = f"{np.mean([np.nanmean(each) for each in ours]):.4f}"
            if name not in ("all", beside):
                theirs = [split[beside][key] for split in splits]
                known = [np.isfinite(a) & np.isfinite(b) for a, b in zip(ours, theirs, strict=True)]
                pairs = [
                    [part[ok] for part, ok in zip(side, known, strict=True)]
                    for side in (ours, theirs)
                ]
                text += f" ({show_difference(draw_difference(*pairs))})"
            rows[name][key] = text
    return rows


if __name__ == "__main__":
    main()
